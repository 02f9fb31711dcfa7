//! Getting the XDP program onto the interface: native where the driver can, generic otherwise.

use std::io;

use bpf::XdpProgram;

use super::Mode;
use crate::Error;
use crate::interface::Interface;
use crate::kernel::while_busy;

/// Attaches the program, and says in `notes` if it is not in the driver as hoped for. The second value is where
/// it ended up.
pub(super) fn attach(
    interface: &Interface,
    mode: Mode,
    notes: &mut Vec<String>,
) -> Result<(XdpProgram, bpf::Mode), Error> {
    let load = |mode| while_busy(|| XdpProgram::load_and_attach(interface.index, mode));
    let name = &interface.name;
    if mode == Mode::Generic {
        return Ok((load(bpf::Mode::Generic).map_err(|e| failed(name, e))?, bpf::Mode::Generic));
    }
    match load(bpf::Mode::Native) {
        Ok(program) => Ok((program, bpf::Mode::Native)),
        Err(e) if mode == Mode::Auto && is_drivers(&e) => {
            let program = load(bpf::Mode::Generic).map_err(|e| failed(name, e))?;
            notes.push(format!("{name}: {}: generic mode", why(interface, &e)));
            Ok((program, bpf::Mode::Generic))
        }
        Err(e) if is_drivers(&e) => {
            let what = format!("{} (try: generic mode)", why(interface, &e));
            Err(Error::Unsupported { name: name.clone(), what })
        }
        Err(e) => Err(failed(name, e)),
    }
}

/// Whether native mode failed for the driver's sake, so that generic mode may do.
fn is_drivers(e: &io::Error) -> bool {
    let others = matches!(
        e.raw_os_error(),
        Some(libc::EBUSY | libc::EEXIST | libc::EPERM | libc::EACCES | libc::ENODEV)
    );
    e.raw_os_error().is_some() && !others
}

/// Why the driver refused.
fn why(interface: &Interface, e: &io::Error) -> String {
    match e.raw_os_error() {
        Some(libc::EOPNOTSUPP) => "driver has no native XDP".to_owned(),
        Some(libc::ERANGE) => format!("driver has no native XDP at MTU {}", interface.mtu),
        _ => format!("driver refuses native XDP ({e})"),
    }
}

fn failed(name: &str, e: io::Error) -> Error {
    match (e.raw_os_error(), e.kind()) {
        (Some(libc::EBUSY | libc::EEXIST), _) => {
            let what = format!(
                "an XDP program is attached already (try: ip link set dev {name} xdp off, or, if \
                                that is refused, end the program that holds it)"
            );
            Error::Taken { name: name.to_owned(), what }
        }
        (Some(libc::ENODEV), _) => Error::NoInterface(name.to_owned()),
        (_, io::ErrorKind::PermissionDenied) => {
            Error::Permission { name: name.to_owned(), capability: "CAP_BPF and CAP_NET_ADMIN" }
        }
        _ => Error::io(name, "XDP program", e),
    }
}
