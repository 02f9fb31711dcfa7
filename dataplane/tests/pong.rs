//! A hosted pong, asked over a switch.
#![expect(clippy::unwrap_used, reason = "a test may")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use dataplane::appliance::{Appliance, Options};
use dataplane::name::ValePort;
use pktgen::{Config, Frames, Function, Generator};
use ports::wire::{Headers, Ip};
use ports::{App, Burst, Capabilities, Frame, Mac, Port, Time, checksum, virtual_port};

const ASKS: Mac = Mac::new([2, 0, 0, 0, 0, 1]);

fn vale(name: &str) -> ValePort {
    name.parse().unwrap()
}

/// Frames as a generator makes them.
fn frames(frames: Frames, count: u64) -> Vec<Vec<u8>> {
    let config = Config { frames, count, ..Config::new("test", Function::Tx) };
    let (mut far, mut near) = virtual_port::pair("test", 256, Capabilities::all(1500)).unwrap();
    let mut app = Generator::new(config, Some(ASKS), Box::new(drop)).unwrap();
    let mut made = Vec::new();
    while (made.len() as u64) < count {
        app.poll(&mut near, Time::ZERO);
        near.tx.flush();
        made.extend(take(&mut far));
    }
    made
}

fn take(port: &mut Port) -> Vec<Vec<u8>> {
    let mut burst = Burst::new();
    port.rx.receive(&mut burst);
    let frames: Vec<_> = burst.iter().map(|f| f.to_vec()).collect();
    drop(burst);
    port.rx.release(frames.len());
    frames
}

/// This many frames, when they have come.
fn collect(port: &mut Port, count: usize) -> Vec<Vec<u8>> {
    let begin = Instant::now();
    let mut frames = Vec::new();
    while frames.len() < count {
        assert!(begin.elapsed() < Duration::from_secs(20), "{} of {count}", frames.len());
        frames.extend(take(port));
        std::thread::sleep(Duration::from_millis(1));
    }
    frames
}

/// Source, destination and whether all sums are right.
fn read(frame: &[u8]) -> (Vec<u8>, Vec<u8>, bool) {
    let h = Headers::parse(frame, frame.len()).unwrap();
    let (src, dst) = h.addresses(frame).unwrap();
    let udp = &frame[h.l4..h.end];
    let sum = checksum::pseudo_header(src, dst, h.protocol, udp.len()) + checksum::sum(udp);
    let ip = h.ip == Ip::V6 || checksum::fold(checksum::sum(&frame[h.l3..h.l4])) == 0xffff;
    (src.to_vec(), dst.to_vec(), ip && checksum::fold(sum) == 0xffff)
}

#[test]
fn answers_are_sound_and_come_back_to_who_asked() {
    let appliance = Arc::new(Appliance::new(Options::default()).unwrap());
    let (near, mut far) = virtual_port::pair("asks", 256, Capabilities::wire(1500)).unwrap();
    appliance.attach_port(&vale("vale0:asks"), near).unwrap();
    let (near, mut bystander) = virtual_port::pair("other", 256, Capabilities::wire(1500)).unwrap();
    appliance.attach_port(&vale("vale0:other"), near).unwrap();
    let config = Config::new("vale0:pong", Function::Pong);
    let host = |port: &Port| {
        let app = Generator::new(config, port.mac, Box::new(drop)).map_err(|e| e.to_string())?;
        Ok(Box::new(app) as Box<dyn App>)
    };
    let _pong = appliance.host(&vale("vale0:pong"), None, host).unwrap();
    let v4 = Frames { src: "10.0.0.1:1-10.0.0.3:9".parse().unwrap(), ..Frames::default() };
    let v6 = Frames {
        size: 90.into(),
        src: Frames::SRC_V6.into(),
        dst: Frames::DST_V6.into(),
        ..Frames::default()
    };
    let tagged = Frames { vlans: vec!["7".parse().unwrap()], ..Frames::default() };
    let asked = [frames(v4, 30), frames(v6, 30), frames(tagged, 30)].concat();
    for frame in &asked {
        assert_eq!(far.tx.transmit(&[Frame::new(frame)]).taken, 1);
    }
    far.tx.flush();
    let answers = collect(&mut far, asked.len());
    let pong = Frame::new(&answers[0]).stations().unwrap().1;
    assert!(pong.is_unicast(), "no frame comes from a group");
    for (asked, answer) in asked.iter().zip(&answers) {
        assert_eq!(Frame::new(answer).stations(), Some((ASKS, pong)));
        let ((src, dst, _), (back_src, back_dst, sound)) = (read(asked), read(answer));
        assert!(sound && (back_src, back_dst) == (dst, src));
        let h = Headers::parse(asked, asked.len()).unwrap();
        assert_eq!(asked[h.l4..], answer[h.l4..], "ports, sums and payload stay");
    }
    let questions = collect(&mut bystander, asked.len());
    assert_eq!(questions, asked, "questions go to all, answers to whoever asked");
    assert!(take(&mut bystander).is_empty());
}
