//! The host's own stack on an interface, as a port: netmap's host rings.
//!
//! ```text
//!   stack --- interface (eth0) ---X--- wire         X: the AF_XDP port takes the wire's frames and sends its own
//!               |         ^
//!    tcx egress |         | redirect to ingress
//!               v         |
//!              TAP (eth0.host) === the port
//! ```
//!
//! With an AF_XDP port on the interface the stack hears nothing any more. On a switch beside that port, this one
//! gives the host its connectivity back: its address stays where it is, and is reached from the wire and from
//! every other port. The TAP carries offload metadata both ways, so frames of the host may come with checksums
//! left to be filled in, and as super-frames.

use std::io;
use std::os::fd::BorrowedFd;
use std::time::Duration;

use bpf::HostPrograms;

use crate::tap;
use crate::{Burst, Error, Interface, Port, Rx};

/// The host's side of an existing interface that is up. If an AF_XDP port is to be on the interface, too, it is
/// opened first. The host is as before when the port is dropped, or the process ends. Beside any other port on the
/// interface frames go in circles (a raw socket sees what the host is sent), which is for the caller to prevent.
///
/// The port has no station address: the interface's own belongs to the host, which is beyond the port.
///
/// # Errors
/// If there is no such interface, it is down, it has an XDP program in generic mode (frames to the host would
/// only come back by it), the kernel is older than 6.6, or the caller lacks `CAP_BPF` or `CAP_NET_ADMIN`. Then the
/// interface is as it was.
pub fn open(name: &str) -> Result<Port, Error> {
    let interface = Interface::find(name)?.require_up()?;
    let mode = bpf::attached(interface.index).map_err(|e| Error::io(name, "XDP query", e))?;
    if mode == Some(bpf::Mode::Generic) {
        let what = format!(
            "the host's stack beside XDP in generic mode: what is sent to it would come back by {name} (try: a \
             driver with native XDP, or {name} without -h and a TAP for the host)"
        );
        return Err(Error::Unsupported { name: name.to_owned(), what });
    }
    let tap = tap_name(&interface);
    if stays(&tap) {
        let what =
            format!("the host's side is open already, or {tap} is somebody's (try: ip link del {tap})");
        return Err(Error::Taken { name: name.to_owned(), what });
    }
    let mut port = tap::open_prepared(&tap, tap::Options::default(), |tap| {
        silence(tap);
        tap.set_mtu(interface.mtu)
    })?;
    let programs = HostPrograms::load_and_attach(interface.index, Interface::find(&tap)?.index)
        .map_err(|e| refused(name, e))?;
    port.rx = Box::new(HostRx { _programs: programs, tap: port.rx });
    port.notes.push(format!("{name}: the host's stack is behind {tap}"));
    Ok(port)
}

/// `eth0.host`; a long name has no room for that.
fn tap_name(interface: &Interface) -> String {
    let name = format!("{}.host", interface.name);
    if name.len() < libc::IFNAMSIZ { name } else { format!("host{}", interface.index) }
}

/// Whether there is an interface of that name, and still after 100 ms: the TAP of a process that ended, or whose
/// child has yet to close what it inherited, goes a little later.
fn stays(name: &str) -> bool {
    (0..20).all(|_| {
        let there = Interface::find(name).is_ok();
        if there {
            std::thread::sleep(Duration::from_millis(5));
        }
        there
    })
}

/// Keeps the stack from talking by the TAP itself: its router solicitations would be taken for the host's
/// frames. A kernel without IPv6 has no such file, and nothing to say.
fn silence(tap: &Interface) {
    let _ = std::fs::write(format!("/proc/sys/net/ipv6/conf/{}/disable_ipv6", tap.name), "1");
}

fn refused(name: &str, e: io::Error) -> Error {
    match (e.raw_os_error(), e.kind()) {
        (_, io::ErrorKind::PermissionDenied) => {
            Error::Permission { name: name.to_owned(), capability: "CAP_BPF and CAP_NET_ADMIN" }
        }
        (Some(libc::EINVAL), _) => {
            let what = "the host's stack as a port needs Linux 6.6 (tcx)".to_owned();
            Error::Unsupported { name: name.to_owned(), what }
        }
        _ => Error::io(name, "tcx programs", e),
    }
}

/// The TAP's receiving half, with the programs that feed it.
struct HostRx {
    _programs: HostPrograms, // first: the host sends by its interface again before the TAP goes
    tap: Box<dyn Rx>,
}

impl Rx for HostRx {
    fn receive<'a>(&'a mut self, burst: &mut Burst<'a>) {
        self.tap.receive(burst);
    }

    fn release(&mut self, n: usize) {
        self.tap.release(n);
    }

    fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.tap.fd()
    }

    fn arm(&mut self) -> bool {
        self.tap.arm()
    }

    fn disarm(&mut self) {
        self.tap.disarm();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::interface::check_name;

    #[test]
    fn every_interface_has_a_name_for_its_tap() {
        let lo = Interface::find("lo").unwrap();
        for (name, tap) in
            [("eth0", "eth0.host"), ("enp0s31f6a", "enp0s31f6a.host"), ("enp0s31f6ab", "host1")]
        {
            let interface = Interface { name: name.to_owned(), ..lo.clone() };
            assert_eq!(tap_name(&interface), tap);
            check_name(tap).unwrap();
        }
    }
}
