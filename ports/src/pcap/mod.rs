//! A capture as a port: frames come out of one file and go into another, in the formats that tcpdump and Wireshark
//! read and write.
//!
//! The file that is read, pcap or pcapng, is taken into memory whole when the port is opened ([`Capture`]), so that
//! receiving never waits for a disk. The file that is written is a pcap file with times in nanoseconds. Its frames
//! are collected and handed to the kernel in one write a pass, which waits for the disk when the kernel has no memory
//! left: this port is for a program by itself, and not for a switch, whose other ports would wait as well.
//!
//! The port ends ([`Rx::end`](crate::Rx::end)) when all has been received, or when a write fails.

mod capture;
mod records;
mod rx;
mod tx;

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::{Arc, OnceLock};

pub use capture::Capture;

use crate::{BURST, Capabilities, Counters, Error, Port, Reason, Rings, null};
use rx::PcapRx;
use tx::PcapTx;

/// What a capture file takes: every frame there is, but plain ones.
const CAPABILITIES: Capabilities = Capabilities::wire(Capabilities::MAX_SUPER_FRAME - 18);

/// The files of a port.
#[derive(Clone, Copy, Debug, Default)]
pub struct Files<'a> {
    /// Frames are received out of this one. Without it, none ever come.
    pub read: Option<&'a Path>,
    /// Frames are sent into this one, which is made anew. Without it, they are swallowed.
    pub write: Option<&'a Path>,
}

/// Why frames sent are not in their file; empty for as long as they are.
type Broken = Arc<OnceLock<String>>;

/// A port on capture files. What is in the way in the file that is read is told before the other is touched.
///
/// Records that hold only part of their frame are left out, counted as [`Reason::Error`] and noted; so are frames
/// shorter than a header or longer than anybody takes.
///
/// # Errors
/// [`Error::Io`] for a file that cannot be opened or written; [`Error::Invalid`] for one that is no capture of
/// Ethernet frames, has none, or is too large ([`Capture::LIMIT`]), or if both are the same.
pub fn open(files: Files<'_>) -> Result<Port, Error> {
    let counters = Arc::<Counters>::default();
    let broken = Broken::default();
    let capture = files.read.map(Capture::load).transpose()?;
    if let (Some(read), Some(write)) = (files.read, files.write) {
        are_two(read, write)?;
    }
    let tx = files.write.map(|path| PcapTx::create(path, counters.clone(), broken.clone())).transpose()?;
    let mut rings = Rings { tx_slots: 1, tx_rings: 1, ..Rings::default() };
    let mut notes = Vec::new();
    if let Some(capture) = &capture {
        rings = Rings { rx_slots: BURST as u32, rx_rings: 1, ..rings };
        rings.memory_bytes += capture.memory_bytes();
        let [cut, runts, oversize] = capture.left_out();
        counters.add_drops(Reason::Error, cut);
        counters.add_drops(Reason::Runt, runts);
        counters.add_drops(Reason::Oversize, oversize);
        notes.extend(capture.note());
    }
    rings.memory_bytes += tx.as_ref().map_or(0, PcapTx::memory_bytes);
    let rx = PcapRx::new(capture, broken);
    let tx = tx.map_or_else(|| null::open().tx, |tx| Box::new(tx) as _);
    let (mac, peer, link) = (None, None, None);
    Ok(Port { rx: Box::new(rx), more_rx: Vec::new(), tx, counters, rings, notes, mac, peer, link })
}

/// Refuses to write over a file that is to be read, by whatever name.
///
/// # Errors
/// [`Error::Invalid`] if both are one file.
pub fn are_two(read: &Path, write: &Path) -> Result<(), Error> {
    let identity = |path: &Path| std::fs::metadata(path).ok().map(|m| (m.dev(), m.ino()));
    match identity(write) {
        Some(written) if identity(read) == Some(written) => {
            let what = "is read, and would be written over (try: another file after the comma)".to_owned();
            Err(Error::Invalid { name: name(write), what })
        }
        _ => Ok(()),
    }
}

/// A file's name, for messages.
fn name(path: &Path) -> String {
    path.display().to_string()
}
