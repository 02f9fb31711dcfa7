//! Facts of a network interface, and the few things done to one.
//!
//! Everything is asked of the kernel through a socket, and so of the network namespace of the calling thread:
//! `/sys` may show another one (`ip netns exec` mounts it anew, a thread that changed namespace has not).

use std::io;
use std::os::fd::OwnedFd;

use rustix::net::netdevice::index_to_name;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};

use crate::kernel::{interface_request, ioctl, set_option};
use crate::{Error, Mac};

/// A network interface, as it was when asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// Its name, 1 to 15 bytes.
    pub name: String,
    /// Its number in its namespace (`ifindex`), from 1.
    pub index: u32,
    /// Longest IP packet, bytes.
    pub mtu: u32,
    /// Whether it is administratively up.
    pub up: bool,
    /// Its station address.
    pub mac: Mac,
    /// Receive queues in use; 1 where the driver does not say.
    pub rx_queues: usize,
    /// Transmit queues in use; 1 where the driver does not say.
    pub tx_queues: usize,
}

impl Interface {
    /// Looks an interface up by name in the network namespace of the calling thread.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the name cannot be one, [`Error::NoInterface`] if there is none of that name,
    /// [`Error::Unsupported`] if it does not carry Ethernet frames.
    pub fn find(name: &str) -> Result<Self, Error> {
        check_name(name)?;
        let control = Control::new(name)?;
        // SAFETY: (all five reads of the union) each request fills in the field of its own kind.
        let index = unsafe { control.ask(libc::SIOCGIFINDEX)?.ifr_ifru.ifru_ifindex };
        // SAFETY: as above.
        let mtu = unsafe { control.ask(libc::SIOCGIFMTU)?.ifr_ifru.ifru_mtu };
        // SAFETY: as above.
        let address = unsafe { control.ask(libc::SIOCGIFHWADDR)?.ifr_ifru.ifru_hwaddr };
        if ![libc::ARPHRD_ETHER, libc::ARPHRD_LOOPBACK].contains(&address.sa_family) {
            let what = "not an Ethernet interface (try: a TAP or veth in place of a TUN)".to_owned();
            return Err(Error::Unsupported { name: name.to_owned(), what });
        }
        let (rx_queues, tx_queues) = control.queues();
        let [a, b, c, d, e, f, ..] = address.sa_data.map(i8::cast_unsigned);
        Ok(Self {
            name: name.to_owned(),
            index: index.cast_unsigned(),
            mtu: mtu.cast_unsigned(),
            up: control.flags()? & libc::IFF_UP != 0,
            mac: Mac::new([a, b, c, d, e, f]),
            rx_queues,
            tx_queues,
        })
    }

    /// What the interface of this number is now; `None` if it is gone from the network namespace of the calling
    /// thread.
    #[must_use]
    pub fn numbered(index: u32) -> Option<Self> {
        let socket = socket_with(AddressFamily::INET, SocketType::DGRAM, SocketFlags::CLOEXEC, None).ok()?;
        let name = index_to_name(&socket, index).ok()?;
        Self::find(&name).ok()
    }

    /// The interface, if it is up.
    ///
    /// # Errors
    /// [`Error::Down`].
    pub fn require_up(self) -> Result<Self, Error> {
        if self.up { Ok(self) } else { Err(Error::Down(self.name)) }
    }

    /// Sets the interface administratively up.
    ///
    /// # Errors
    /// [`Error::Permission`] without `CAP_NET_ADMIN`, [`Error::Io`] if the driver refuses.
    pub fn bring_up(&mut self) -> Result<(), Error> {
        let control = Control::new(&self.name)?;
        let up = control.flags()? | libc::IFF_UP;
        #[expect(clippy::cast_possible_truncation, reason = "the flags of this call are the low 16")]
        let mut request = control.request(libc::__c_anonymous_ifr_ifru { ifru_flags: up as i16 });
        // SAFETY: SIOCSIFFLAGS takes an ifreq.
        unsafe { ioctl(&control.socket, libc::SIOCSIFFLAGS, &mut request) }
            .map_err(|e| control.failed("SIOCSIFFLAGS", e))?;
        self.up = true;
        Ok(())
    }

    /// Sets the length of the longest IP packet, bytes.
    ///
    /// # Errors
    /// [`Error::Permission`] without `CAP_NET_ADMIN`, [`Error::Io`] if the driver refuses.
    pub fn set_mtu(&mut self, mtu: u32) -> Result<(), Error> {
        let control = Control::new(&self.name)?;
        let mut request = control.request(libc::__c_anonymous_ifr_ifru { ifru_mtu: mtu.cast_signed() });
        // SAFETY: SIOCSIFMTU takes an ifreq.
        unsafe { ioctl(&control.socket, libc::SIOCSIFMTU, &mut request) }
            .map_err(|e| control.failed("SIOCSIFMTU", e))?;
        self.mtu = mtu;
        Ok(())
    }

    /// Lets the interface take frames for every station, for as long as the returned descriptor is open. The
    /// kernel counts the holders: nobody else's wish is undone.
    ///
    /// # Errors
    /// [`Error::Permission`] without `CAP_NET_RAW`.
    pub fn hold_promiscuous(&self) -> Result<OwnedFd, Error> {
        let failed = |call| move |e: io::Error| refused(&self.name, call, "CAP_NET_RAW", e);
        // Protocol 0: the socket receives nothing, it only holds the membership.
        let socket = socket_with(AddressFamily::PACKET, SocketType::RAW, SocketFlags::CLOEXEC, None)
            .map_err(|e| failed("socket")(e.into()))?;
        let membership = libc::packet_mreq {
            mr_ifindex: self.index.cast_signed(),
            mr_type: 1, // PACKET_MR_PROMISC
            mr_alen: 0,
            mr_address: [0; 8],
        };
        set_option(&socket, libc::SOL_PACKET, libc::PACKET_ADD_MEMBERSHIP, membership)
            .map_err(failed("PACKET_ADD_MEMBERSHIP"))?;
        Ok(socket)
    }
}

/// Checks that `name` can be the name of an interface (`dev_valid_name` in net/core/dev.c, and no pattern to number).
///
/// # Errors
/// [`Error::Invalid`].
pub fn check_name(name: &str) -> Result<(), Error> {
    let bad = |c: char| matches!(c, '/' | ':' | '%' | '\0') || c.is_whitespace();
    if (1..=15).contains(&name.len()) && name != "." && name != ".." && !name.contains(bad) {
        return Ok(());
    }
    let what = "no interface name: 1 to 15 bytes without '/', ':', '%' or spaces (try: ip link)".to_owned();
    Err(Error::Invalid { name: name.to_owned(), what })
}

/// The error of a system call on an interface: a missing capability is named.
pub(crate) fn refused(name: &str, call: &'static str, capability: &'static str, e: io::Error) -> Error {
    match e.raw_os_error() {
        Some(libc::EPERM | libc::EACCES) => Error::Permission { name: name.to_owned(), capability },
        Some(libc::ENODEV) => Error::NoInterface(name.to_owned()),
        _ => Error::io(name, call, e),
    }
}

/// A socket to ask questions about one interface through (netdevice(7)).
struct Control<'a> {
    socket: OwnedFd,
    name: &'a str,
}

impl<'a> Control<'a> {
    fn new(name: &'a str) -> Result<Self, Error> {
        let socket = socket_with(AddressFamily::INET, SocketType::DGRAM, SocketFlags::CLOEXEC, None)
            .map_err(|e| Error::io(name, "socket", e))?;
        Ok(Self { socket, name })
    }

    fn request(&self, body: libc::__c_anonymous_ifr_ifru) -> libc::ifreq {
        interface_request(self.name, body)
    }

    /// One of the `SIOCGIF*` questions.
    fn ask(&self, question: libc::Ioctl) -> Result<libc::ifreq, Error> {
        // SAFETY: all zero is a value of every member of the union.
        let mut request = self.request(unsafe { std::mem::zeroed() });
        // SAFETY: the questions take an ifreq and write into it.
        unsafe { ioctl(&self.socket, question, &mut request) }.map_err(|e| self.failed("SIOCGIF", e))?;
        Ok(request)
    }

    fn failed(&self, call: &'static str, e: io::Error) -> Error {
        refused(self.name, call, "CAP_NET_ADMIN", e)
    }

    fn flags(&self) -> Result<i32, Error> {
        // SAFETY: SIOCGIFFLAGS fills in the flags.
        let flags = unsafe { self.ask(libc::SIOCGIFFLAGS)?.ifr_ifru.ifru_flags };
        Ok(i32::from(flags))
    }

    /// Receive and transmit queues by `ETHTOOL_GCHANNELS`, which needs no privilege; a driver without channels has one
    /// of each.
    fn queues(&self) -> (usize, usize) {
        let mut channels = Channels { command: 0x3c, ..Channels::default() };
        let body = libc::__c_anonymous_ifr_ifru { ifru_data: std::ptr::from_mut(&mut channels).cast() };
        let mut request = self.request(body);
        // SAFETY: SIOCETHTOOL takes an ifreq whose data points to the structure of the command, here ours.
        let asked = unsafe { ioctl(&self.socket, libc::SIOCETHTOOL, &mut request) };
        let with_combined =
            |one: u32| usize::try_from(one.saturating_add(channels.combined)).unwrap_or(1).max(1);
        if asked.is_ok() { (with_combined(channels.rx), with_combined(channels.tx)) } else { (1, 1) }
    }
}

/// `struct ethtool_channels` (linux/ethtool.h).
#[repr(C)]
#[derive(Default)]
struct Channels {
    command: u32,
    max_rx: u32,
    max_tx: u32,
    max_other: u32,
    max_combined: u32,
    rx: u32,
    tx: u32,
    other: u32,
    combined: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loopback_is_found() {
        let lo = Interface::find("lo").unwrap();
        assert_eq!((lo.name.as_str(), lo.index, lo.mac, lo.rx_queues), ("lo", 1, Mac::ZERO, 1));
        assert!(lo.mtu >= 1500);
    }

    #[test]
    fn names_are_checked_before_the_kernel_is_asked() {
        for bad in ["", ".", "..", "a/b", "a b", "a\tb", "a:b", "tap%d", "a\0b", "sixteen-bytes-xx"] {
            assert!(matches!(Interface::find(bad), Err(Error::Invalid { .. })), "{bad:?}");
        }
        let error = Interface::find("fifteen-bytes-x").unwrap_err();
        assert_eq!(error.to_string(), "fifteen-bytes-x: no such interface (try: ip link)");
    }

    #[test]
    fn an_interface_that_is_down_says_so() {
        let down = Interface { up: false, ..Interface::find("lo").unwrap() };
        assert_eq!(
            down.require_up().unwrap_err().to_string(),
            "lo: interface is down (try: ip link set lo up)"
        );
    }
}
