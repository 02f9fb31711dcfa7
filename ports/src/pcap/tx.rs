//! Frames into a capture.

use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::Arc;

use rustix::time::{ClockId, clock_gettime};

use super::{Broken, CAPABILITIES, name};
use crate::{Capabilities, Counters, Error, Frame, Offload, Reason, Sent, Tx};

/// Bytes of the headers of a file and of a record.
const FILE_HEADER: usize = 24;
const RECORD_HEADER: usize = 16;
/// Frames are handed to the kernel at the end of a pass, or when there are so many bytes of them.
const BATCH: usize = 256 << 10;

/// Writes frames to a pcap file with times in nanoseconds.
///
/// Records are made in one piece of memory, frames reserved included, and written by one call a pass. The clock is
/// read once a pass, too: frames sent in one pass have one time.
pub(super) struct PcapTx {
    file: File,
    name: String,
    /// Whole records that the file does not have yet, then the one that is reserved.
    records: Vec<u8>,
    /// Frames in `records` without the one reserved, and their bytes, headers included.
    frames: u64,
    whole: usize,
    /// Bytes of the file, whole records all.
    written: u64,
    /// The time of this pass: seconds and nanoseconds since the epoch.
    now: Option<[u32; 2]>,
    reserved: Option<usize>,
    counters: Arc<Counters>,
    broken: Broken,
}

impl PcapTx {
    /// Makes the file, or empties it.
    pub(super) fn create(path: &Path, counters: Arc<Counters>, broken: Broken) -> Result<Self, Error> {
        let name = name(path);
        let mut file = File::create(path).map_err(|e| Error::io(&name, "create", e))?;
        file.write_all(&file_header()).map_err(|e| Error::io(&name, "write", e))?;
        Ok(Self {
            file,
            name,
            records: Vec::with_capacity(BATCH + RECORD_HEADER + Capabilities::MAX_SUPER_FRAME as usize),
            frames: 0,
            whole: 0,
            written: FILE_HEADER as u64,
            now: None,
            reserved: None,
            counters,
            broken,
        })
    }

    pub(super) const fn memory_bytes(&self) -> u64 {
        self.records.capacity() as u64
    }

    fn takes(&self, len: usize, offload: Offload) -> bool {
        len >= Frame::HEADER && CAPABILITIES.takes(len, offload) && self.broken.get().is_none()
    }

    /// The header of a record of `len` bytes, of this pass.
    fn record_header(&mut self, len: usize) -> [u8; RECORD_HEADER] {
        let [secs, nanos] = *self.now.get_or_insert_with(|| {
            let now = clock_gettime(ClockId::Realtime);
            // The format ends in 2106.
            [now.tv_sec as u32, now.tv_nsec as u32]
        });
        let len = len as u32; // `takes` knows better than 64 KiB
        words([secs, nanos, len, len])
    }

    fn append(&mut self, frame: &Frame<'_>) {
        let header = self.record_header(frame.len());
        self.records.extend_from_slice(&header);
        let at = self.records.len();
        self.records.resize(at + frame.len(), 0);
        frame.copy_at(0, &mut self.records[at..]);
        self.settle();
    }

    /// What is in memory is whole: counts the last record, and makes room if there is little.
    fn settle(&mut self) {
        self.frames += 1;
        self.whole = self.records.len();
        if self.whole >= BATCH {
            self.write();
        }
    }

    fn abandon(&mut self) {
        self.reserved = None;
        self.records.truncate(self.whole);
    }

    /// Writes what there is. What cannot be written is cut off, so that the file ends with a whole record, and was
    /// the last: a disk that is full would leave holes in the capture otherwise.
    fn write(&mut self) {
        let records = self.records.get(..self.whole).unwrap_or_default();
        if let Err(e) = self.file.write_all(records) {
            let _ = self.file.set_len(self.written); // not for pipes
            let _ = self.file.seek(SeekFrom::Start(self.written));
            self.counters.add_drops(Reason::Error, self.frames);
            let _ = self.broken.set(format!("writing {}: {e}", self.name));
        } else {
            self.written += records.len() as u64;
        }
        self.records.drain(..self.whole);
        self.whole = 0;
        self.frames = 0;
    }
}

impl Tx for PcapTx {
    fn capabilities(&self) -> Capabilities {
        CAPABILITIES
    }

    fn transmit(&mut self, frames: &[Frame<'_>]) -> Sent {
        self.abandon();
        let mut sent = Sent { taken: frames.len(), ..Sent::default() };
        for frame in frames {
            if self.takes(frame.len(), frame.offload()) {
                self.append(frame);
                sent.frames += 1;
                sent.bytes += frame.len() as u64;
            }
        }
        sent
    }

    fn reserve(&mut self, len: usize) -> Option<&mut [u8]> {
        if len > Capabilities::MAX_SUPER_FRAME as usize {
            self.abandon();
            return None;
        }
        // Not cut first: what was written into a reservation stays there when more or less is reserved.
        self.reserved = Some(len);
        self.records.resize(self.whole + RECORD_HEADER + len, 0);
        self.records.get_mut(self.whole + RECORD_HEADER..)
    }

    fn commit(&mut self, len: usize, offload: Offload) {
        if self.reserved.take().is_none_or(|reserved| len > reserved) {
            return self.abandon();
        }
        if !self.takes(len, offload) {
            self.counters.add_drops(Reason::Error, 1);
            return self.abandon();
        }
        let header = self.record_header(len);
        let (at, end) = (self.whole, self.whole + RECORD_HEADER);
        if let Some(place) = self.records.get_mut(at..end) {
            place.copy_from_slice(&header);
        }
        self.records.truncate(end + len);
        self.settle();
    }

    fn flush(&mut self) -> bool {
        if self.whole > 0 {
            self.write();
        }
        self.now = None;
        true
    }
}

impl Drop for PcapTx {
    fn drop(&mut self) {
        self.flush();
    }
}

/// Version 2.4, times in nanoseconds, Ethernet, and a snap length that is tcpdump's.
fn file_header() -> [u8; FILE_HEADER] {
    let mut header = [0; FILE_HEADER];
    let fields = words::<6, FILE_HEADER>([0xa1b2_3c4d, 2 | 4 << 16, 0, 0, 262_144, 1]);
    header.copy_from_slice(&fields);
    header
}

/// Words of 32 bits, little-endian.
fn words<const N: usize, const BYTES: usize>(words: [u32; N]) -> [u8; BYTES] {
    let mut bytes = [0; BYTES];
    for (to, word) in bytes.chunks_exact_mut(4).zip(words) {
        to.copy_from_slice(&word.to_le_bytes());
    }
    bytes
}
