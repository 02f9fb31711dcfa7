//! Capture files, made byte by byte.

use ports::contract::frame;
use ports::pcap::Capture;

pub(crate) fn parse(bytes: Vec<u8>) -> Result<Capture, String> {
    Capture::parse("c", bytes).map_err(|e| e.to_string())
}

pub(crate) fn times_ns(capture: &Capture) -> Vec<u128> {
    (0..capture.len()).map(|n| capture.time(n).as_nanos()).collect()
}

/// A pcap file: magic number as written in the order of `word`, and records of seconds, fraction, bytes, original
/// length.
pub(crate) fn classic(magic: u32, link: u32, big: bool, records: &[(u32, u32, &[u8], u32)]) -> Vec<u8> {
    let word = |n: u32| if big { n.to_be_bytes() } else { n.to_le_bytes() };
    let half = |n: u16| if big { n.to_be_bytes() } else { n.to_le_bytes() };
    let mut file = [word(magic).to_vec(), half(2).to_vec(), half(4).to_vec()].concat();
    [0, 0, 96, link].iter().for_each(|n| file.extend(word(*n)));
    for (secs, fraction, bytes, original) in records {
        [*secs, *fraction, bytes.len() as u32, *original].iter().for_each(|n| file.extend(word(*n)));
        file.extend(*bytes);
    }
    file
}

/// A pcapng file, block by block.
pub(crate) struct Ng {
    big: bool,
    pub(crate) file: Vec<u8>,
}

impl Ng {
    pub(crate) fn new(big: bool) -> Self {
        let mut ng = Self { big, file: Vec::new() };
        ng.section();
        ng
    }

    pub(crate) fn word(&self, n: u32) -> [u8; 4] {
        if self.big { n.to_be_bytes() } else { n.to_le_bytes() }
    }

    pub(crate) fn half(&self, n: u16) -> [u8; 2] {
        if self.big { n.to_be_bytes() } else { n.to_le_bytes() }
    }

    pub(crate) fn block(&mut self, kind: u32, body: &[u8]) {
        let padded = body.len().next_multiple_of(4);
        let len = self.word(padded as u32 + 12);
        self.file.extend(self.word(kind));
        self.file.extend(len);
        self.file.extend(body);
        self.file.extend(&[0; 3][..padded - body.len()]);
        self.file.extend(len);
    }

    pub(crate) fn section(&mut self) {
        let body = [&self.word(0x1a2b_3c4d)[..], &self.half(1), &self.half(0), &[0xff; 8]].concat();
        self.block(0x0a0d_0d0a, &body);
    }

    pub(crate) fn interface(&mut self, link: u16, options: &[(u16, &[u8])]) {
        let mut body = [&self.half(link)[..], &self.half(0), &self.word(0)].concat();
        for (code, value) in options {
            body.extend(self.half(*code));
            body.extend(self.half(value.len() as u16));
            body.extend(*value);
            body.resize(body.len().next_multiple_of(4), 0);
        }
        if !options.is_empty() {
            body.extend([0; 4]);
        }
        self.block(1, &body);
    }

    pub(crate) fn packet(&mut self, interface: u32, ticks: u64, bytes: &[u8], original: usize) {
        let words = [interface, (ticks >> 32) as u32, ticks as u32, bytes.len() as u32, original as u32];
        let mut body: Vec<_> = words.iter().flat_map(|n| self.word(*n)).collect();
        body.extend(bytes);
        body.resize(body.len().next_multiple_of(4), 0);
        // A comment that is not even UTF-8 is nothing to us.
        body.extend([&self.half(1)[..], &self.half(3), b"\xff\xfe!\0", &[0; 4]].concat());
        self.block(6, &body);
    }
}

pub(crate) fn sound_files() -> Vec<Vec<u8>> {
    let mut files = Vec::new();
    for big in [false, true] {
        let frame = frame(3, 70);
        files.push(classic(0xa1b2_c3d4, 1, big, &[(0, 0, &frame, 70), (7, 7, &frame, 70)]));
        let mut ng = Ng::new(big);
        ng.interface(1, &[(2, b"eth0"), (9, &[9]), (14, &[1; 8])]);
        ng.packet(0, 5, &frame, 70);
        ng.block(3, &[&ng.word(70)[..], &frame].concat());
        for kind in [2, 4, 5, 7, 9, 10, 0xbad, 0x0bad] {
            ng.block(kind, &frame[..44]);
        }
        ng.packet(0, 6, &frame, 70);
        files.push(ng.file);
    }
    files
}
