//! Compiles the BPF programs with clang and generates their skeletons (libbpf-cargo).

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use libbpf_cargo::SkeletonBuilder;

/// The programs, `src/NAME.bpf.c` each.
const PROGRAMS: [&str; 2] = ["xdp", "host"];

fn main() {
    let out = PathBuf::from(std::env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    for name in PROGRAMS {
        let source = format!("src/{name}.bpf.c");
        println!("cargo:rerun-if-changed={source}");
        SkeletonBuilder::new()
            .source(&source)
            .clang_args(includes())
            .build_and_generate(out.join(format!("{name}.skel.rs")))
            .unwrap_or_else(|e| panic!("{source}: {e:#} (needs clang; try: apt-get install clang)"));
    }
}

/// `linux/bpf.h` includes `asm/types.h`, which Debian keeps in a directory of the host's architecture, where
/// clang does not look when it compiles for BPF.
fn includes() -> Vec<OsString> {
    let include = Path::new("/usr/include");
    if include.join("asm/types.h").exists() {
        return Vec::new();
    }
    let here = |dir: &PathBuf| {
        let name = dir.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with(std::env::consts::ARCH) && dir.join("asm/types.h").exists()
    };
    let mut dirs = include.read_dir().into_iter().flatten().flatten().map(|entry| entry.path());
    dirs.find(here).into_iter().flat_map(|dir| ["-I".into(), dir.into_os_string()]).collect()
}
