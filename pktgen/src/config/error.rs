//! What cannot be done, in words for the user.

/// The generator cannot do what was asked. A program that says so exits with status 1.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A flag of netmap's pkt-gen that this one does not have yet.
    #[error("{0}: not available yet (pkt-gen -h lists what is)")]
    Unavailable(String),
    /// A number is out of range.
    #[error("{flag} {value}: out of range ({least} to {most})")]
    Range {
        /// The flag, as on the command line.
        flag: &'static str,
        /// What was asked.
        value: i64,
        /// Least value allowed.
        least: u32,
        /// Greatest value allowed.
        most: u32,
    },
    /// A frame to send has no room for its headers.
    #[error("-l {frame_len}: too short to send: {headers} take {least} bytes (try: -l {least})")]
    Short {
        /// What was asked, bytes.
        frame_len: u32,
        /// The headers.
        headers: String,
        /// Their bytes.
        least: u32,
    },
    /// The least size is above the greatest.
    #[error(
        "-l {most} -l {least}: the second is the least size, and must not exceed the first (try: -l {least} -l {most})"
    )]
    Reversed {
        /// The first, bytes.
        most: u32,
        /// The second, bytes.
        least: u32,
    },
    /// Addresses of different families.
    #[error("-s {src} -d {dst}: one is {}, the other {} (try: both of one)", version(src), version(dst))]
    Families {
        /// Source.
        src: String,
        /// Destination.
        dst: String,
    },
    /// `-4` or `-6`, and an address of the other family.
    #[error("{flag} {range}: with -{family} it cannot be {} (try: without -{family})", version(range))]
    Family {
        /// The flag of the address.
        flag: &'static str,
        /// The address.
        range: String,
        /// 4 or 6.
        family: u8,
    },
    /// More VLAN tags than a frame has.
    #[error("--vlan: {value} tags, but a frame has at most {0} (try: the first {0})", crate::Tag::MOST)]
    TooManyTags {
        /// What was asked.
        value: usize,
    },
    /// `-l imix` beside another `-l`.
    #[error("-l: imix stands alone (try: one -l, or two numbers)")]
    Mix,
    /// Sizes that differ where they cannot.
    #[error("-l: frames of -f ping, or of a search, are all of one size (try: -l 60)")]
    ManySizes,
    /// `-H` is no length of a virtio-net header.
    #[error("-H {value}: a virtio-net header has 0, 10 or 12 bytes (try: without -H)")]
    VirtioHeader {
        /// What was asked, bytes.
        value: u32,
    },
    /// A frame to stamp has no room for it.
    #[error("-l {frame_len}: too short for a number and a time (try: -l {least})")]
    NoStamp {
        /// What was asked, bytes.
        frame_len: u32,
        /// Least that will do, bytes.
        least: u32,
    },
    /// A flag is about latency, and none is measured.
    #[error("{0}: only with {1}")]
    NoLatency(&'static str, &'static str),
    /// A frame to send is longer than the port takes.
    #[error(
        "{port}: -l {frame_len}: the port takes frames of up to {most} bytes at MTU {mtu} (try: -l {most})"
    )]
    Long {
        /// The port.
        port: String,
        /// What was asked, bytes.
        frame_len: u32,
        /// What the port takes, bytes.
        most: u32,
        /// IP MTU of the port, bytes.
        mtu: u32,
    },
    /// A function, or what a flag asks for, runs in one thread.
    #[error("-p {count}: {function} runs in one thread (leave -p out)")]
    OneThread {
        /// Its name, or the flag.
        function: &'static str,
        /// Threads asked for.
        count: u32,
    },
    /// There are more threads than frames.
    #[error("-n {frames}: not a frame for each of {count} threads (try: -p {frames})")]
    FewFrames {
        /// Frames asked for.
        frames: u64,
        /// Threads asked for.
        count: u32,
    },
    /// A frame has no room for the mark of a trial.
    #[error("-l {frame_len}: too short for the mark of a trial (try: -l {least})")]
    NoMark {
        /// What was asked, bytes.
        frame_len: u32,
        /// What has room, bytes.
        least: u32,
    },
    /// A flag is for searches.
    #[error("{0}: only with -f throughput and -f back-to-back")]
    NoSearch(&'static str),
    /// A flag that a search would not heed.
    #[error("{flag}: -f {function} {why} (leave {flag} out, or use -f tx and rx)")]
    Unsearched {
        /// The flag.
        flag: &'static str,
        /// The search.
        function: &'static str,
        /// What it does instead.
        why: &'static str,
    },
    /// `--to` names the port that `-i` names.
    #[error("--to {0}: the frames are sent by it (leave --to out for a device that returns them)")]
    SamePort(String),
    /// A fraction is out of range.
    #[error("{flag} {value}: out of range ({least} to {most})")]
    Fraction {
        /// The flag.
        flag: &'static str,
        /// What was asked.
        value: String,
        /// Least value allowed.
        least: String,
        /// Greatest value allowed.
        most: String,
    },
    /// A capture has frames that the port does not take.
    #[error(
        "{port}: {frames} of {of} frames are too long: the port takes up to {most} bytes (try: a port of a larger MTU)"
    )]
    LongCapture {
        /// The port.
        port: String,
        /// Frames that are too long.
        frames: usize,
        /// Frames of the capture.
        of: usize,
        /// What the port takes, bytes.
        most: u32,
    },
    /// `-P` without anything to send.
    #[error("-P: only for -f tx (try: -i pcap:FILE, which is received from)")]
    ReplaysNothing,
    /// `-a` names a CPU that is not there.
    #[error("-a {value}: no such CPU (this machine has 0 to {})", have.saturating_sub(1))]
    NoCpu {
        /// What was asked.
        value: u32,
        /// CPUs of the machine.
        have: u32,
    },
    /// `-c` asks for more CPUs than there are.
    #[error("-c {value}: more CPUs than this machine has (0 to {have})")]
    TooManyCpus {
        /// What was asked.
        value: u32,
        /// CPUs of the machine.
        have: u32,
    },
    /// `-f` names no function.
    #[error("-f {0}: no such function (tx, rx, ping, pong, txseq, rxseq, throughput, back-to-back)")]
    UnknownFunction(String),
}

fn version(range: &str) -> &'static str {
    let end = range.split('-').next().unwrap_or(range);
    if end.matches(':').count() > 1 { "IPv6" } else { "IPv4" }
}
