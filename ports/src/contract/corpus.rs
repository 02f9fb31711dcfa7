//! Inputs that fuzzers began with or found (`fuzz/corpus`), for ordinary tests to go through again.

use std::path::Path;

/// The inputs of a target with their names, in the order of these.
///
/// # Panics
/// If there are none.
#[must_use]
pub fn corpus(target: &str) -> Vec<(String, Vec<u8>)> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(target);
    let entries = std::fs::read_dir(&directory).unwrap_or_else(|e| panic!("{}: {e}", directory.display()));
    let input = |entry: std::fs::DirEntry| {
        let bytes = std::fs::read(entry.path()).unwrap_or_else(|e| panic!("{}: {e}", entry.path().display()));
        (entry.file_name().to_string_lossy().into_owned(), bytes)
    };
    let mut inputs: Vec<_> = entries.flatten().map(input).collect();
    assert!(!inputs.is_empty(), "{}: no inputs", directory.display());
    inputs.sort();
    inputs
}
