//! A capture as a port.

use std::fs;
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ports::contract::{Far, egress_suite, frame, sequence};
use ports::pcap::{self, Capture, Files};
use ports::{Burst, Capabilities, End, Frame, Offload, Port, Reason};

use crate::build::{Ng, classic, parse, times_ns};

fn reader(path: &Path) -> Port {
    pcap::open(Files { read: Some(path), write: None }).expect("a sound capture")
}

fn writer(path: &Path) -> Port {
    pcap::open(Files { read: None, write: Some(path) }).expect("a file to write")
}

/// Reads the file that a port writes, record by record, without this crate's reader.
struct File {
    _directory: tempfile::TempDir,
    file: fs::File,
}

impl Far for File {
    fn send(&mut self, _: &[u8], _: Offload) -> bool {
        false
    }

    fn receive(&mut self) -> Option<(Vec<u8>, Offload)> {
        let mut header = [0; 16];
        loop {
            self.file.read_exact(&mut header).ok()?;
            let [len, original] =
                [8, 12].map(|at| u32::from_le_bytes(header[at..at + 4].try_into().expect("four bytes")));
            assert_eq!(len, original);
            let mut bytes = vec![0; len as usize];
            self.file.read_exact(&mut bytes).expect("records are written whole");
            if sequence(&bytes).is_some() {
                return Some((bytes, Offload::NONE));
            }
        }
    }
}

#[test]
fn what_is_sent_keeps_the_contract() {
    egress_suite(&mut || {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("out.pcap");
        let port = writer(&path);
        let mut file = fs::File::open(&path).unwrap();
        file.read_exact(&mut [0; 24]).unwrap();
        (port, Box::new(File { _directory: directory, file }) as Box<dyn Far>)
    });
}

/// Everything a port gives, in releases of whatever size `keep` chooses of what waits.
fn drain(port: &mut Port, mut keep: impl FnMut(usize) -> usize) -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    while port.rx.end().is_none() {
        assert!(port.rx.arm(), "frames wait");
        let mut burst = Burst::new();
        port.rx.receive(&mut burst);
        let kept = keep(burst.len()).min(burst.len());
        frames.extend(burst[..kept].iter().map(|f| f.to_vec()));
        drop(burst);
        port.rx.release(kept);
    }
    assert!(!port.rx.arm());
    port.rx.release(9);
    let mut burst = Burst::new();
    port.rx.receive(&mut burst);
    assert!(burst.is_empty(), "nothing behind the end");
    frames
}

#[test]
fn what_was_written_is_read_back() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("with a space.pcap");
    let mut sent: Vec<_> = (0..3000).map(|i| frame(i, 60 + i as usize % 1455)).collect();
    sent.push(vec![7; Capabilities::MAX_SUPER_FRAME as usize]);
    sent.push(vec![7; Frame::HEADER]);
    let mut port = writer(&path);
    for chunk in sent.chunks(700) {
        let frames: Vec<_> = chunk.iter().map(|f| Frame::new(f)).collect();
        assert_eq!(port.tx.transmit(&frames).frames, frames.len() as u64);
        assert_eq!(port.rx.end(), None);
    }
    drop(port); // without a flush
    let mut seed = 1_usize;
    let mut some = |waiting: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (seed >> 33) % (waiting + 1)
    };
    let mut port = reader(&path);
    assert!(drain(&mut port, &mut some) == sent);
    assert_eq!(port.rx.end(), Some(End::Complete));
    assert_eq!((port.counters.read().drops(), port.notes.len()), (0, 0));
    // A burst that is full is left alone, and one with room for a few gets these.
    let mut port = reader(&path);
    let old = frame(7, 60);
    let mut burst: Burst<'_> = (0..ports::BURST - 1).map(|_| Frame::new(&old)).collect();
    port.rx.receive(&mut burst);
    assert_eq!(burst.last().map(|f| f.to_vec()), Some(sent[0].clone()));
}

#[test]
fn times_go_up_and_are_of_today() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("t.pcap");
    let mut port = writer(&path);
    for _ in 0..3 {
        port.tx.transmit(&[Frame::new(&frame(1, 60)), Frame::new(&frame(2, 60))]);
        port.tx.flush();
        std::thread::sleep(Duration::from_millis(2));
    }
    let bytes = fs::read(&path).unwrap();
    let secs = u64::from(u32::from_le_bytes(bytes[24..28].try_into().unwrap()));
    let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs();
    assert!(now - secs < 3600);
    let times = times_ns(&parse(bytes).unwrap());
    assert!(times[0] == times[1] && times[2] == times[3], "one time a pass: {times:?}");
    assert!(times[2] >= 2_000_000 && times[4] >= times[2] + 2_000_000, "{times:?}");
}

#[test]
fn what_is_no_frame_is_left_out_and_counted() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("s.pcap");
    let whole = frame(1, 60);
    let long = vec![0; Capabilities::MAX_SUPER_FRAME as usize + 1];
    let records = [
        (0, 0, &whole[..], 61),
        (1, 0, &whole[..], 60),
        (2, 0, &whole[..13], 13),
        (3, 0, &long[..], long.len() as u32),
        (4, 0, &whole[..20], 1514),
    ];
    fs::write(&path, classic(0xa1b2_c3d4, 1, false, &records)).unwrap();
    let mut port = reader(&path);
    let dropped = |port: &Port, reason| port.counters.read().dropped(reason);
    assert_eq!([Reason::Error, Reason::Runt, Reason::Oversize].map(|r| dropped(&port, r)), [2, 1, 1]);
    let note = format!("{}: left out 4 records: 2 cut short, 1 runts, 1 too long", path.display());
    assert_eq!(port.notes, [note]);
    assert_eq!(drain(&mut port, |n| n), std::slice::from_ref(&whole));
    fs::write(&path, classic(0xa1b2_c3d4, 1, false, &records[..1])).unwrap();
    let refused = Capture::load(&path).unwrap_err().to_string();
    assert!(refused.ends_with(": no whole frame in it, 1 parts (try: tcpdump -s 0)"), "{refused}");
}

#[test]
fn refusals_are_one_line() {
    let sound = classic(0xa1b2_c3d4, 1, false, &[(0, 0, &frame(0, 60), 60)]);
    let mut wireless = Ng::new(false);
    wireless.interface(105, &[]);
    wireless.packet(0, 0, &frame(0, 60), 60);
    let mut nobody = Ng::new(false);
    nobody.packet(3, 0, &frame(0, 60), 60);
    let mut uncountable = Ng::new(false);
    uncountable.interface(1, &[(9, &[99])]);
    for (bytes, why) in [
        (vec![], "an empty file"),
        (b"GET / HTTP/1.1\r\n\r\nand so on".to_vec(), "neither pcap nor pcapng"),
        (vec![0; 1000], "neither pcap nor pcapng"),
        (vec![0x1f, 0x8b, 8, 0], "compressed (try: gunzip, unzstd or unxz)"),
        (sound[..20].to_vec(), "too short for a capture"),
        (sound[..2].to_vec(), "too short for a capture"),
        (sound[..24].to_vec(), "no frames in it"),
        (sound[..50].to_vec(), "c breaks off at byte 24, after 0 frames"),
        (classic(0xa1b2_c3d4, 113, true, &[]), "link type 113, and not Ethernet (1)"),
        (Ng::new(true).file, "no frames in it"),
        (Ng::new(true).file[..20].to_vec(), "c breaks off at byte 0, after 0 frames"),
        (wireless.file, "link type 105, and not Ethernet (1)"),
        (nobody.file, "c breaks off at byte 28, after 0 frames"),
        (uncountable.file, "c breaks off at byte 28, after 0 frames"),
    ] {
        let said = parse(bytes).unwrap_err();
        assert_eq!(said, format!("c: {why}"));
    }
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("f");
    fs::write(&path, &sound).unwrap();
    let refused = |read: &Path, write: Option<&Path>| {
        pcap::open(Files { read: Some(read), write }).map(drop).unwrap_err().to_string()
    };
    assert!(refused(&path.join("x"), None).contains("f/x: open: Not a directory"));
    assert!(refused(directory.path(), None).ends_with(": not a regular file"));
    assert!(refused(Path::new("/dev/null"), None).ends_with("/dev/null: not a regular file"));
    let link = directory.path().join("l");
    fs::hard_link(&path, &link).unwrap();
    assert!(refused(&path, Some(&link)).contains("would be written over"));
    assert_eq!(fs::read(&path).unwrap(), sound, "not touched");
    let nowhere = PathBuf::from("/nosuch/dir/f");
    assert!(refused(&path, Some(&nowhere)).contains("/nosuch/dir/f: create: No such file"));
    let full = pcap::open(Files { read: None, write: Some(Path::new("/dev/full")) }).map(drop).unwrap_err();
    assert!(full.to_string().starts_with("/dev/full: write: No space left"), "{full}");
}

#[test]
fn a_file_that_ends_in_the_middle_is_read_as_far_as_it_goes() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("t.pcap");
    let frames = [frame(0, 60), frame(1, 60)];
    let sound = classic(0xa1b2_c3d4, 1, false, &[(0, 0, &frames[0], 60), (0, 1, &frames[1], 60)]);
    for end in [100 + 1, 100 + 16, sound.len() - 1] {
        fs::write(&path, &sound[..end]).unwrap();
        let mut port = reader(&path);
        assert_eq!(drain(&mut port, |n| n), frames[..1]);
        let why = format!("{} breaks off at byte 100, after 1 frames", path.display());
        assert_eq!(port.rx.end(), Some(End::Broken(&why)));
    }
}

/// A pipe that nobody reads any more stands for a disk that is full.
#[test]
fn what_cannot_be_written_is_counted_and_ends_the_port() {
    let (mut far, near) = std::io::pipe().unwrap();
    let path = PathBuf::from(format!("/proc/self/fd/{}", near.as_raw_fd()));
    let mut port = writer(&path);
    drop(near);
    port.tx.transmit(&[Frame::new(&frame(1, 60))]);
    assert!(port.tx.flush());
    let mut seen = [0; 24 + 16 + 60];
    far.read_exact(&mut seen).unwrap();
    assert_eq!(seen[40..], frame(1, 60));
    drop(far);
    assert_eq!(port.tx.transmit(&[Frame::new(&frame(2, 60)), Frame::new(&frame(3, 60))]).frames, 2);
    assert!(port.tx.flush());
    assert_eq!(port.counters.read().dropped(Reason::Error), 2);
    let why = format!("writing {}: Broken pipe (os error 32)", path.display());
    assert_eq!(port.rx.end(), Some(End::Broken(&why)));
    let sent = port.tx.transmit(&[Frame::new(&frame(4, 60))]);
    assert_eq!((sent.taken, sent.frames), (1, 0), "nothing waits for a port that is no more");
    port.tx.reserve(60).unwrap().copy_from_slice(&frame(5, 60));
    port.tx.commit(60, Offload::NONE);
    assert_eq!(port.counters.read().dropped(Reason::Error), 3);
}

/// Both halves at once, and neither where it is not asked for.
#[test]
fn each_half_has_its_file() {
    let directory = tempfile::tempdir().unwrap();
    let (one, other) = (directory.path().join("a"), directory.path().join("b"));
    writer(&one).tx.transmit(&[Frame::new(&frame(1, 60))]);
    fs::write(&other, "what was there before").unwrap();
    let mut port = pcap::open(Files { read: Some(&one), write: Some(&other) }).unwrap();
    assert_eq!(drain(&mut port, |n| n), [frame(1, 60)]);
    port.tx.transmit(&[Frame::new(&frame(2, 60))]);
    drop(port);
    assert_eq!(drain(&mut reader(&other), |n| n), [frame(2, 60)]);
    let mut port = reader(&one);
    assert_eq!(port.tx.transmit(&[Frame::new(&frame(2, 60))]).taken, 1);
    assert_eq!(Capture::load(&one).unwrap().len(), 1);
}

#[test]
fn a_capture_of_a_stream_is_whole_at_any_moment() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("w.pcap");
    let mut port = writer(&path);
    let mut sent = 0;
    for round in 1..50_u32 {
        for number in 0..round {
            port.tx.reserve(1514).unwrap().copy_from_slice(&frame(number, 1514));
            port.tx.commit(1514, Offload::NONE);
            sent += 1;
        }
        port.tx.reserve(1514).unwrap().write_all(b"and nothing more").unwrap();
        port.tx.flush();
        let capture = Capture::load(&path).unwrap();
        assert_eq!((capture.len(), capture.broken()), (sent, None));
    }
}
