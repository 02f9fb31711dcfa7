//! The programs of the host stack's port, loaded and attached.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};

use libbpf_rs::libbpf_sys;
use libbpf_rs::skel::{OpenSkel, SkelBuilder};

use crate::link::{attach, words};
use crate::skeleton::host::HostSkelBuilder;

/// What the host sends by an interface goes to a TAP, and what comes in by the TAP is received by the host as if
/// by the interface. Dropping it ends that, and so does the end of the process.
#[derive(Debug)]
pub struct HostPrograms {
    _to_host: OwnedFd,
    _from_host: OwnedFd,
}

impl HostPrograms {
    /// Loads the programs and attaches them to the interfaces of these numbers in the network namespace of the
    /// calling thread.
    ///
    /// # Errors
    /// [`io::ErrorKind::PermissionDenied`] without `CAP_BPF` and `CAP_NET_ADMIN`; `EINVAL` before Linux 6.6.
    pub fn load_and_attach(interface: u32, tap: u32) -> io::Result<Self> {
        libbpf_rs::set_print(None);
        let mut object = MaybeUninit::uninit();
        let mut skeleton = HostSkelBuilder::default().open(&mut object).map_err(words)?;
        if let Some(numbers) = skeleton.maps.rodata_data.as_deref_mut() {
            (numbers.interface, numbers.tap) = (interface, tap);
        }
        let skeleton = skeleton.load().map_err(words)?;
        let programs = &skeleton.progs;
        // This way round: nothing is sent into the TAP before its frames have somewhere to go.
        let to_host = attach(programs.to_host.as_fd(), tap, libbpf_sys::BPF_TCX_INGRESS, 0)?;
        let from_host = attach(programs.from_host.as_fd(), interface, libbpf_sys::BPF_TCX_EGRESS, 0)?;
        Ok(Self { _to_host: to_host, _from_host: from_host })
    }
}
