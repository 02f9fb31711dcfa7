//! A TAP: an Ethernet interface whose other end is a file descriptor of ours (Documentation/networking/tuntap).
//!
//! `IFF_VNET_HDR` puts the offload metadata before every frame, and with `TUNSETOFFLOAD` the kernel hands us
//! its super-frames whole and its checksums unfilled. Plain reads and writes, one a frame: `io_uring` is slower
//! here, since the cost of a frame is in the driver and not in the system call.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

pub use crate::descriptor::Options;
use crate::descriptor::{self, Descriptor, Message};
use crate::interface::{check_name, refused};
use crate::kernel::{interface_request, ioctl, ioctl_number, while_busy};
use crate::offload::Offloads;
use crate::{Capabilities, Error, Interface, Link, Offload, Port};

/// A port on the TAP `name`, which is made if it is not there, and brought up. One that we made vanishes with
/// the port, also when the process is killed. One that was there is joined and stays.
///
/// The port has no station address: the interface's own belongs to the host, which is beyond the port.
///
/// # Errors
/// [`Error::Invalid`] for a name that cannot be one; [`Error::Permission`] without `CAP_NET_ADMIN`;
/// [`Error::Taken`] if another process has it open, or an interface of that name is no TAP;
/// [`Error::Unsupported`] without `/dev/net/tun`.
pub fn open(name: &str, options: Options) -> Result<Port, Error> {
    open_prepared(name, options, |_| Ok(()))
}

/// As [`open`], with something done to the interface before it is brought up.
pub(crate) fn open_prepared(
    name: &str,
    options: Options,
    prepare: impl FnOnce(&mut Interface) -> Result<(), Error>,
) -> Result<Port, Error> {
    check_name(name)?;
    let there = Interface::find(name).is_ok();
    let file = attach(name, there, Queues::One)?;
    let offloads = negotiate(name, &file, options.offloads)?;
    let mut interface = Interface::find(name)?;
    prepare(&mut interface)?;
    interface.bring_up()?;
    let tap = Tap::new(name, file, there, Arc::default());
    let mut port = port(tap, Capabilities { offloads, ..Capabilities::all(interface.mtu) });
    port.notes.extend(lacks(name, options.offloads - offloads));
    Ok(port)
}

/// As [`open`], with a port for each of `count` queues (`IFF_MULTI_QUEUE`), to be used by threads of their own. The
/// kernel sends a flow by one queue, that by which it last came in, else by its hash. What is to be said of the TAP is
/// said of the first port.
///
/// # Errors
/// As [`open`]; [`Error::Taken`] also if the TAP is there and has one queue only.
pub fn open_queues(name: &str, options: Options, count: u32) -> Result<Vec<Port>, Error> {
    check_name(name)?;
    let there = Interface::find(name).is_ok();
    let seen = Arc::<AtomicU64>::default();
    let queue = |_| {
        let file = attach(name, there, Queues::Several)?;
        let offloads = negotiate(name, &file, options.offloads)?;
        Ok((Tap::new(name, file, there, seen.clone()), offloads))
    };
    let queues = (0..count).map(queue).collect::<Result<Vec<_>, Error>>()?;
    let mut interface = Interface::find(name)?;
    interface.bring_up()?;
    let missing = queues.first().map_or_else(Offloads::empty, |(_, granted)| options.offloads - *granted);
    let of_queue = |(tap, offloads)| port(tap, Capabilities { offloads, ..Capabilities::all(interface.mtu) });
    let mut ports = queues.into_iter().map(of_queue).collect::<Vec<_>>();
    ports.iter_mut().take(1).for_each(|first| first.notes.extend(lacks(name, missing)));
    Ok(ports)
}

fn port(tap: Tap, capabilities: Capabilities) -> Port {
    let tap = Arc::new(tap);
    let link = Link::new(&tap.name, &tap);
    Port { link: Some(link), ..descriptor::port(tap, capabilities) }
}

/// What there is to say of offloads that were not granted.
fn lacks(name: &str, missing: Offloads) -> Option<String> {
    (!missing.is_empty()).then(|| format!("{name}: without offloads: {}", names(missing)))
}

/// What a TAP has. The kernel joins nobody to one of the other kind.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Queues {
    One,
    Several,
}

fn names(offloads: Offloads) -> String {
    offloads.iter_names().map(|(name, _)| name).collect::<Vec<_>>().join(" ")
}

/// A descriptor of the TAP, attached to its only queue, or to a new one.
fn attach(name: &str, there: bool, queues: Queues) -> Result<OwnedFd, Error> {
    let flags = OFlags::RDWR | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = rustix::fs::open("/dev/net/tun", flags, Mode::empty()).map_err(|e| match e {
        Errno::NOENT | Errno::NODEV | Errno::NXIO => {
            let what = "no /dev/net/tun (try: modprobe tun)".to_owned();
            Error::Unsupported { name: name.to_owned(), what }
        }
        _ => refused("/dev/net/tun", "open", "CAP_NET_ADMIN", e.into()),
    })?;
    let taken = |what: &str| Error::Taken { name: name.to_owned(), what: what.to_owned() };
    while_busy(|| join(name, &file, queues)).map_err(|e| match e.raw_os_error() {
        Some(libc::EBUSY) => taken("open in another process (try: fuser -v /dev/net/tun)"),
        Some(libc::EINVAL) if there && queues == Queues::One => {
            taken("an interface that is no TAP, or one of several queues (try: another name)")
        }
        Some(libc::EINVAL) if there => {
            taken("an interface that is no TAP, or one of a single queue (try: another name, or -p 1)")
        }
        _ => refused(name, "TUNSETIFF", "CAP_NET_ADMIN", e),
    })?;
    Ok(file)
}

fn join(name: &str, file: &OwnedFd, queues: Queues) -> io::Result<()> {
    let several = if queues == Queues::Several { libc::IFF_MULTI_QUEUE } else { 0 };
    #[expect(clippy::cast_possible_truncation, reason = "the flags are 16 bits")]
    let flags = (libc::IFF_TAP | libc::IFF_NO_PI | libc::IFF_VNET_HDR | several) as i16;
    let mut request = interface_request(name, libc::__c_anonymous_ifr_ifru { ifru_flags: flags });
    // SAFETY: TUNSETIFF takes an ifreq, whatever size its number claims.
    unsafe { ioctl(file, libc::TUNSETIFF, &mut request) }
}

/// Asks the kernel for offloads, and for fewer if it does not know them all. Returns those it granted.
fn negotiate(name: &str, file: &OwnedFd, wanted: Offloads) -> Result<Offloads, Error> {
    let mut len = i32::try_from(Offload::LEN).unwrap_or_default();
    // SAFETY: TUNSETVNETHDRSZ takes an int.
    unsafe { ioctl(file, libc::TUNSETVNETHDRSZ, &mut len) }
        .map_err(|e| Error::io(name, "TUNSETVNETHDRSZ", e))?;
    let segmentation = Offloads::TSO4 | Offloads::TSO6 | Offloads::TSO_ECN;
    let mut refusal = None;
    // USO came with Linux 6.2. Everything else stands on the checksum offload (set_offload in tun.c).
    for known in [Offloads::all(), segmentation | Offloads::CSUM, Offloads::CSUM, Offloads::empty()] {
        let mut granted = wanted & known;
        if !granted.contains(Offloads::CSUM) {
            granted = Offloads::empty();
        }
        match set_offloads(file, granted) {
            Ok(()) => return Ok(granted),
            Err(e) => refusal = Some(e),
        }
    }
    Err(Error::io(name, "TUNSETOFFLOAD", refusal.unwrap_or_else(|| Errno::INVAL.into())))
}

fn set_offloads(file: &OwnedFd, offloads: Offloads) -> io::Result<()> {
    let known = [
        (Offloads::CSUM, libc::TUN_F_CSUM),
        (Offloads::TSO4, libc::TUN_F_TSO4),
        (Offloads::TSO6, libc::TUN_F_TSO6),
        (Offloads::TSO_ECN, libc::TUN_F_TSO_ECN),
        (Offloads::USO, libc::TUN_F_USO4 | libc::TUN_F_USO6),
    ];
    let bits = known.iter().filter(|(one, _)| offloads.contains(*one)).fold(0, |bits, (_, bit)| bits | bit);
    // SAFETY: TUNSETOFFLOAD takes the bits themselves.
    unsafe { ioctl_number(file, libc::TUNSETOFFLOAD, bits.into()) }
}

/// The descriptor of a TAP.
struct Tap {
    file: OwnedFd,
    name: String,
    /// The TAP was there before us.
    joined: bool,
    /// `/proc/net/dev` of the namespace that the TAP is in; a reading of it takes no lock that others hold
    /// long, unlike netlink's. A TAP that is moved to another namespace is no longer found there.
    interfaces: Option<OwnedFd>,
    /// Frames dropped when last asked, by whichever queue: the kernel counts for the whole TAP.
    seen: Arc<AtomicU64>,
}

impl Tap {
    fn new(name: &str, file: OwnedFd, joined: bool, seen: Arc<AtomicU64>) -> Self {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let interfaces = rustix::fs::open("/proc/thread-self/net/dev", flags, Mode::empty()).ok();
        let tap = Self { file, name: name.to_owned(), joined, interfaces, seen };
        tap.dropped();
        tap
    }

    /// What the kernel's queue towards us had no room for, since the TAP was made.
    fn tx_dropped(&self) -> Option<u64> {
        let file = self.interfaces.as_ref()?;
        let mut chunk = [0; 4096];
        let mut at = 0;
        loop {
            let len = rustix::io::pread(file, &mut chunk, at).ok()?;
            let whole = chunk[..len].iter().rposition(|b| *b == b'\n')? + 1;
            let text = std::str::from_utf8(&chunk[..whole]).ok()?;
            if let Some(dropped) = text.lines().find_map(|line| self.parse(line)) {
                return Some(dropped);
            }
            at += whole as u64;
        }
    }

    /// `drop` of `Transmit` in our line of `/proc/net/dev`: the twelfth number.
    fn parse(&self, line: &str) -> Option<u64> {
        let (name, numbers) = line.split_once(':')?;
        if name.trim_start() == self.name {
            numbers.split_ascii_whitespace().nth(11)?.parse().ok()
        } else {
            None
        }
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        if self.joined {
            // Left as one finds a TAP that nobody has open: the kernel prepares its frames for a plain reader.
            let _ = set_offloads(&self.file, Offloads::empty());
        }
    }
}

impl AsFd for Tap {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

impl Descriptor for Tap {
    // A TAP queues 1000 frames unless told otherwise (`txqueuelen`); asking is dear.
    const QUEUE: usize = 32;

    fn read(&self, into: &mut [u8]) -> Result<Message, Errno> {
        // A VLAN tag is in its place: tun_put_user in drivers/net/tun.c.
        rustix::io::read(&self.file, into).map(|len| Message { len, tag: None })
    }

    fn dropped(&self) -> u64 {
        let Some(now) = self.tx_dropped() else { return 0 };
        now.saturating_sub(self.seen.fetch_max(now, Ordering::Relaxed))
    }
}
