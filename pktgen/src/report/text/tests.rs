//! The lines, compared with recorded ones of netmap's pkt-gen.

use std::time::Duration;

use super::*;
use crate::Function;
use crate::Printer;

/// What goes to stdout and stderr, the latter with the line numbers, which are ours, replaced by `#`.
fn print(config: Config, events: &[Event]) -> (String, String, u8) {
    print_in(Style::default(), config, events)
}

fn print_in(style: Style, config: Config, events: &[Event]) -> (String, String, u8) {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let clock = || Duration::from_micros(1_700_000_130_360_039);
    let mut printer = Printer::with_clock(config, style, clock);
    for event in events {
        printer.event(event, &mut out, &mut err).unwrap();
    }
    let mut err = String::from_utf8(err).unwrap();
    let mut at = 0;
    while let Some(open) = err[at..].find(" [").map(|i| at + i + 1) {
        let close = open + err[open..].find(']').unwrap();
        if err[open + 1..close].parse::<u32>().is_ok() {
            err.replace_range(open + 1..close, "#");
        }
        at = open + 1;
    }
    (String::from_utf8(out).unwrap(), err, printer.exit_status())
}

fn interval(packets: u64, size: u64, usec: u64, batches: u64) -> Event {
    Event::Interval { packets, bytes: packets * size, usec, batches, min_space: None }
}

#[test]
fn threads_are_stated_with_their_rate() {
    let threads = crate::Threads { count: 3, pins: vec![0, 1, 0] };
    let config = Config { threads, cpus: 2, rate: Rate::Pps(1000), ..Config::new("p", Function::Tx) };
    let start = Event::Start { src_mac: Mac::ZERO, burst: 3, period_ns: 3_000_000 };
    let (out, err, _) = print(config, &[start]);
    assert!(out.starts_with("Sending on p: 3 queues, 3 threads and 2 cpus.\n"), "{out}");
    assert!(err.contains("main [#] 3 threads, each at that rate: 3000 packets/s\n"), "{err}");
}

/// The run recorded in a guest with netmap's own pkt-gen.
#[test]
fn a_senders_lines_are_netmaps() {
    let events = [
        Event::Start { src_mac: Mac::ZERO, burst: 512, period_ns: 0 },
        Event::Ready,
        interval(4_003_328, 60, 1_000_386, 7819),
        interval(4_090_880, 60, 1_002_582, 7990),
        Event::Final {
            packets: 23_448_576,
            bytes: 1_406_914_560,
            events: 45_798,
            errors: 0,
            drops: 0,
            seconds: 5.861_972,
        },
    ];
    let (out, err, status) = print(Config::new("vale0:tx", Function::Tx), &events);
    assert_eq!(
        out,
        "Sending on vale0:tx: 1 queues, 1 threads and 1 cpus.\n\
         10.0.0.1 -> 10.1.0.1 (00:00:00:00:00:00 -> ff:ff:ff:ff:ff:ff)\n\
         Sent 23448576 packets 1406914560 bytes 45798 events 60 bytes each in 5.86 seconds.\n\
         Speed: 4.000 Mpps Bandwidth: 1.920 Gbps (raw 1.920 Gbps). Average batch: 512.00 pkts\n"
    );
    assert_eq!(
        err,
        "130.360039 main [#] interface is vale0:tx\n\
         130.360039 extract_ip_range [#] range is 10.0.0.1:1234 to 10.0.0.1:1234\n\
         130.360039 extract_ip_range [#] range is 10.1.0.1:1234 to 10.1.0.1:1234\n\
         130.360039 main [#] Sending 512 packets every  0.000000000 s\n\
         130.360039 start_threads [#] Wait 0 secs for phy reset\n\
         130.360039 start_threads [#] Ready...\n\
         130.360039 main_thread [#] 4.002 Mpps (4.003 Mpkts 1.921 Gbps in 1000386 usec) 512.00 avg_batch 0 min_space\n\
         130.360039 main_thread [#] 4.080 Mpps (4.091 Mpkts 1.959 Gbps in 1002582 usec) 512.00 avg_batch 99999 min_space\n"
    );
    assert_eq!(status, 0);
}

#[test]
fn a_receivers_lines_are_netmaps() {
    let events = [
        Event::Start { src_mac: Mac::ZERO, burst: 512, period_ns: 0 },
        Event::Ready,
        Event::Waiting,
        interval(0, 0, 1_000_100, 0),
        Event::Interval {
            packets: 80_202_600,
            bytes: 80_202_600 * 2048,
            usec: 1_001_040,
            batches: 156_800,
            min_space: Some(1),
        },
        Event::Final {
            packets: 23_032_973,
            bytes: 1_381_978_380,
            events: 44_987,
            errors: 0,
            drops: 0,
            seconds: 7.866,
        },
    ];
    let (out, err, status) = print(Config::new("vale0:rx", Function::Rx), &events);
    assert_eq!(
        out,
        "Receiving from vale0:rx: 1 queues, 1 threads and 1 cpus.\n\
         Received 23032973 packets 1381978380 bytes 44987 events 60 bytes each in 7.87 seconds.\n\
         Speed: 2.928 Mpps Bandwidth: 1.406 Gbps (raw 1.406 Gbps). Average batch: 511.99 pkts\n"
    );
    let tail: Vec<_> = err.lines().rev().take(3).collect();
    assert_eq!(
        tail,
        [
            "130.360039 main_thread [#] 80.119 Mpps (80.203 Mpkts 1.313 Tbps in 1001040 usec) 511.50 avg_batch 1 min_space",
            "130.360039 main_thread [#] 0.000 pps (0.000 pkts 0.000 bps in 1000100 usec) 0.00 avg_batch 0 min_space",
            "130.360039 receiver_body [#] waiting for initial packets, poll returns 0 0",
        ]
    );
    assert_eq!(status, 0);
}

#[test]
fn more_is_said_on_request() {
    let style = Style { verbose: 1, ..Style::default() };
    let start = Event::Start { src_mac: Mac::ZERO, burst: 3, period_ns: 3_000_000 };
    let (_, err, _) = print_in(style, Config::new("p", Function::Tx), &[start]);
    assert!(err.contains("extract_mac_range [#] ff:ff:ff:ff:ff:ff starts at ff:ff:ff:ff:ff:ff\n"), "{err}");
    assert!(err.contains("main [#] Sending 3 packets every  0.003000000 s\n"), "{err}");
}

#[test]
fn plain_numbers_on_request() {
    let style = Style { normalize: false, ..Style::default() };
    let end = Event::Final {
        packets: 1_000_000,
        bytes: 60_000_000,
        events: 2000,
        errors: 3,
        drops: 0,
        seconds: 0.25,
    };
    let config = Config::new("vale0:tx", Function::Tx);
    let (out, err, _) = print_in(style, config, &[interval(1_000_000, 60, 1_001_340, 1954), end]);
    assert_eq!(
        err,
        "130.360039 main_thread [#] 998662 pps (1000000 pkts 479357661 bps in 1001340 usec) 511.77 avg_batch 0 min_space\n\
         130.360039 main_thread [#] the port failed to send 3 of these packets\n"
    );
    assert!(
        out.ends_with(
            "Speed: 4000000 pps Bandwidth: 1920000000 bps (raw 1920000000 bps). Average batch: 500.00 pkts\n"
        ),
        "{out}"
    );
}

#[test]
fn what_a_receiver_did_not_get_is_told_of() {
    let end = Event::Final { packets: 1, bytes: 60, events: 1, errors: 0, drops: 3, seconds: 0.0 };
    let (out, err, _) = print(Config::new("eth0", Function::Rx), &[end]);
    assert!(out.starts_with("Received 1 packets"), "{out}");
    assert_eq!(err, "130.360039 main_thread [#] the port dropped 3 packets more than these\n");
}

#[test]
fn nothing_is_said_of_nothing() {
    let end = |packets| Event::Final {
        packets,
        bytes: packets * 60,
        events: packets,
        errors: 0,
        drops: 0,
        seconds: 0.0,
    };
    assert_eq!(print(Config::new("p", Function::Tx), &[end(0)]).0, "Sent nothing.\n");
    assert_eq!(print(Config::new("p", Function::Rx), &[end(0)]).0, "Received nothing.\n");
    let (out, err, _) = print(Config::new("p", Function::Rx), &[interval(1, 60, 9999, 1), end(1)]);
    assert_eq!(err, "", "too short an interval");
    assert!(
        out.contains("in 0.00 seconds.\nSpeed: 0.000 pps Bandwidth: 0.000 bps (raw 0.000 bps)."),
        "{out}"
    );
}

#[test]
fn failure_and_silence_exit_with_one() {
    let failed = Event::Failed { message: "vale0:tx: -l 9000: too long".to_owned() };
    let (out, err, status) = print(Config::new("vale0:tx", Function::Tx), &[failed]);
    assert_eq!((out.as_str(), err.as_str()), ("", "pkt-gen: vale0:tx: -l 9000: too long\n"));
    assert_eq!(status, 1);
    assert_eq!(print(Config::default(), &[Event::Ready]).2, 1, "no end was told");
}

#[test]
fn averages_stand_where_netmap_has_them() {
    let style = Style { average: true, ..Style::default() };
    let events = [interval(1000, 60, 1_000_000, 10), interval(2000, 60, 1_000_000, 10)];
    let (_, err, _) = print_in(style, Config::new("vale0:tx", Function::Tx), &events);
    assert!(
        err.ends_with(
            "2.000 Kpps [avg/std 1.500 K/500.000  pps](2.000 Kpkts 960.000 Kbps in 1000000 usec) \
             200.00 avg_batch 99999 min_space\n"
        ),
        "{err}"
    );
}

#[test]
fn framing_counts_in_the_bits_of_intervals_and_the_raw_ones_of_the_total() {
    let style = Style { framing: Rate::FRAMING, ..Style::default() };
    let end = Event::Final { packets: 1000, bytes: 60_000, events: 10, errors: 0, drops: 0, seconds: 1.0 };
    let (out, err, _) =
        print_in(style, Config::new("vale0:tx", Function::Tx), &[interval(1000, 60, 1_000_000, 10), end]);
    assert!(err.contains("1.000 Kpps (1.000 Kpkts 672.000 Kbps in 1000000 usec)"), "{err}");
    assert!(out.contains("Bandwidth: 480.000 Kbps (raw 672.000 Kbps)."), "{out}");
}

#[test]
fn a_rate_in_bits_says_which_bits() {
    let rate = Rate::Bps { bits: 48_000_000, framing: 0 };
    let config = Config { rate, ..Config::new("p", Function::Tx) };
    let (_, err, _) = print(config, &[Event::Start { src_mac: Mac::ZERO, burst: 333, period_ns: 3_330_000 }]);
    let expected = "130.360039 main [#] Sending 333 packets every  0.003330000 s\n\
                    130.360039 main [#] rate is 48000000 bit/s of frames without CRC\n";
    assert!(err.contains(expected), "{err}");
}

#[test]
fn on_a_terminal_intervals_take_each_others_place() {
    let style = Style { columns: || Some(80), ..Style::default() };
    let room = Event::Interval { packets: 5, bytes: 300, usec: 1_000_000, batches: 1, min_space: Some(7) };
    let failed = Event::Failed { message: "valed hung up".to_owned() };
    let events = [
        Event::Ready,
        Event::Waiting,
        interval(0, 0, 1_000_000, 0),
        interval(1000, 60, 1_000_000, 10),
        room,
        failed,
        interval(1000, 60, 1_000_000, 10),
        Event::Final { packets: 0, bytes: 0, events: 0, errors: 0, drops: 0, seconds: 0.0 },
    ];
    let (out, err, _) = print_in(style, Config::new("p", Function::Rx), &events);
    let lines = [
        "130.360039 start_threads [#] Ready...\n",
        "\rwaiting for initial packets\x1b[K\r",
        "\r2 s: 1.000 Kpps 480.000 Kbps 100.00 avg_batch\x1b[K\r",
        "\r3 s: 5.000 pps 2.400 Kbps 5.00 avg_batch 7 min_space\x1b[K\r",
        "\r\x1b[Kpkt-gen: valed hung up\n",
        "\r4 s: 1.000 Kpps 480.000 Kbps 100.00 avg_batch\x1b[K\r\r\x1b[K",
    ];
    assert_eq!((err, out.as_str()), (lines.concat(), "Received nothing.\n"));
}

/// The addresses that are not written stand in no line.
#[test]
fn rubbish_has_no_addresses() {
    let frames = crate::Frames { rubbish: true, ..crate::Frames::default() };
    let start = Event::Start { src_mac: Mac::ZERO, burst: 512, period_ns: 0 };
    let (out, err, _) = print(Config { frames, ..Config::new("p", Function::Tx) }, &[start]);
    assert!(out.ends_with("cpus.\nRubbish, as it stands in the slots.\n"), "{out}");
    assert!(!err.contains("range is") && err.contains("Sending 512 packets every"), "{err}");
}

#[test]
fn what_broke_off_says_why_and_the_totals_so_far() {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let mut printer = Printer::new(Config::new("p", Function::Rx), Style::default());
    printer.broken_off("no valed", &mut out, &mut err).unwrap();
    assert_eq!((out.as_slice(), err.as_slice()), (&b""[..], &b"pkt-gen: no valed\n"[..]), "it never began");
    let start = Event::Start { src_mac: Mac::ZERO, burst: 1, period_ns: 0 };
    for event in [start, interval(10, 60, 500_000, 2), interval(20, 60, 500_000, 3)] {
        printer.event(&event, &mut out, &mut err).unwrap();
    }
    printer.broken_off("valed hung up", &mut out, &mut err).unwrap();
    let out = String::from_utf8(out).unwrap();
    assert!(
        out.contains("\nReceived 30 packets 1800 bytes 5 events 60 bytes each in 1.00 seconds.\nSpeed: "),
        "{out}"
    );
    assert!(err.ends_with(b"pkt-gen: valed hung up\n"));
    assert_eq!(printer.exit_status(), 1);
}
