//! A capture in memory.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::time::Duration;

use super::name;
use super::records::{self, Record};
use crate::{Capabilities, Error, Frame};

/// Where a frame is.
struct Place {
    /// Since the first.
    time: Duration,
    start: u32,
    len: u32,
}

/// The frames of a capture file, with their times. At least one.
pub struct Capture {
    name: String,
    bytes: Vec<u8>,
    places: Vec<Place>,
    /// Records left out: parts of frames, runts, and frames longer than anybody takes.
    left_out: [u64; 3],
    broken: Option<String>,
}

impl Capture {
    /// Largest file, bytes: it is held in memory whole.
    pub const LIMIT: u64 = 1 << 30;

    /// Reads a pcap or pcapng file into memory.
    ///
    /// # Errors
    /// [`Error::Io`] if it cannot be read; [`Error::Invalid`] if it is no capture of Ethernet frames, has none, or
    /// is larger than [`Self::LIMIT`]. A file that ends in the middle is read as far as it goes: see
    /// [`broken`](Self::broken).
    pub fn load(path: &Path) -> Result<Self, Error> {
        let name = name(path);
        let io = |call| move |e| Error::io(&path.display().to_string(), call, e);
        // Asked before it is opened: opening a pipe waits for who writes into it.
        if !std::fs::metadata(path).map_err(io("open"))?.is_file() {
            return Err(Error::Invalid { name, what: "not a regular file".to_owned() });
        }
        let mut bytes = Vec::new();
        let file = File::open(path).map_err(io("open"))?;
        file.take(Self::LIMIT + 1).read_to_end(&mut bytes).map_err(io("read"))?;
        Self::parse(&name, bytes)
    }

    /// The capture in the bytes of a file called `name`.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn parse(name: &str, bytes: Vec<u8>) -> Result<Self, Error> {
        let invalid = |what: String| Error::Invalid { name: name.to_owned(), what };
        if bytes.len() as u64 > Self::LIMIT {
            let most = Self::LIMIT >> 20;
            return Err(invalid(format!("larger than {most} MiB (try: editcap -c, which splits captures)")));
        }
        let mut index = Index { base: bytes.as_ptr() as usize, ..Index::default() };
        let broken_at = records::read(&bytes, &mut |record| index.add(&record)).map_err(invalid)?;
        let Index { places, left_out, .. } = index;
        let broken =
            broken_at.map(|at| format!("{name} breaks off at byte {at}, after {} frames", places.len()));
        if places.is_empty() {
            let records = left_out.iter().sum::<u64>();
            return Err(invalid(match (broken, records) {
                (Some(broken), _) => broken,
                (None, 0) => "no frames in it".to_owned(),
                (None, _) => format!("no whole frame in it, {records} parts (try: tcpdump -s 0)"),
            }));
        }
        Ok(Self { name: name.to_owned(), bytes, places, left_out, broken })
    }

    /// Frames in it, from 1.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "it never is")]
    pub const fn len(&self) -> usize {
        self.places.len()
    }

    /// The bytes of a frame; none beyond the last.
    #[must_use]
    pub fn frame(&self, number: usize) -> &[u8] {
        let bytes =
            self.places.get(number).and_then(|p| self.bytes.get(p.start as usize..)?.get(..p.len as usize));
        bytes.unwrap_or_default()
    }

    /// When a frame was captured, since the first. Never earlier than the frame before it.
    #[must_use]
    pub fn time(&self, number: usize) -> Duration {
        self.places.get(number).map_or(Duration::ZERO, |p| p.time)
    }

    /// Why there is no more of it, if the file ends in the middle of a record or stops making sense: for the user.
    #[must_use]
    pub fn broken(&self) -> Option<&str> {
        self.broken.as_deref()
    }

    /// What was left out, in one line, if anything was.
    #[must_use]
    pub fn note(&self) -> Option<String> {
        let [cut, runts, oversize] = self.left_out;
        let records = cut + runts + oversize;
        (records > 0).then(|| {
            format!(
                "{}: left out {records} records: {cut} cut short, {runts} runts, {oversize} too long",
                self.name
            )
        })
    }

    /// Records left out: parts of frames, runts, and frames longer than anybody takes.
    pub(super) const fn left_out(&self) -> [u64; 3] {
        self.left_out
    }

    pub(super) const fn memory_bytes(&self) -> u64 {
        (self.bytes.len() + self.places.len() * size_of::<Place>()) as u64
    }
}

impl std::fmt::Debug for Capture {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Capture")
            .field("name", &self.name)
            .field("frames", &self.len())
            .finish_non_exhaustive()
    }
}

/// The index of a capture as it grows.
#[derive(Default)]
struct Index {
    /// Address of the file's first byte.
    base: usize,
    /// When the first and the latest were captured.
    span_ns: Option<(u64, u64)>,
    places: Vec<Place>,
    left_out: [u64; 3],
}

impl Index {
    fn add(&mut self, record: &Record<'_>) {
        let left_out = match record.bytes.len() {
            _ if record.is_cut => Some(0),
            ..Frame::HEADER => Some(1),
            len if len > Capabilities::MAX_SUPER_FRAME as usize => Some(2),
            _ => None,
        };
        if let Some(why) = left_out {
            self.left_out[why] += 1;
            return;
        }
        let (first, latest) = self.span_ns.unwrap_or((record.time_ns, record.time_ns));
        let latest = latest.max(record.time_ns);
        self.span_ns = Some((first, latest));
        let [start, len] = [record.bytes.as_ptr() as usize - self.base, record.bytes.len()].map(|n| n as u32);
        self.places.push(Place { time: Duration::from_nanos(latest - first), start, len });
    }
}
