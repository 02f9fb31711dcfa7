use super::*;
use crate::search::Terms;
use crate::{Rate, Replay, Speed, Threads};

fn parse(line: &str) -> Result<Config, String> {
    let args = Args::try_parse_from(line.split_whitespace()).map_err(|e| e.to_string())?;
    args.into_config(2).map_err(|e| e.to_string())
}

#[test]
fn the_definition_is_consistent() {
    <Args as clap::CommandFactory>::command().debug_assert();
}

#[test]
fn defaults_are_netmaps() {
    assert_eq!(parse("pkt-gen -i vale0:1").unwrap(), Config::new("vale0:1", Function::Rx));
    let eth = parse("pkt-gen -i eth0 -f tx").unwrap();
    assert_eq!(eth, Config { wait_s: 2, ..Config::new("eth0", Function::Tx) });
    assert_eq!(parse("pkt-gen -i eth0 -w 0").unwrap().wait_s, 0);
    assert_eq!(parse("pkt-gen -i pcap:/tmp/x").unwrap().wait_s, 0);
    assert_eq!(parse("pkt-gen -i null -b 0").unwrap(), Config::new("null", Function::Rx));
}

#[test]
fn every_flag_arrives() {
    let line = "pkt-gen -i vale0:2 -f tx -n 7 -l 1514 -b 32 -R 1000 -s 10.0.0.1:5-10.0.0.2:6 -d 10.9.0.1 \
                -S 02:00:00:00:00:01 -D 02:00:00:00:00:02 -p 2 -a 1 -c 0 -T 500 -w 3 -W -N -v -v";
    let expected = Config {
        count: 7,
        burst: 32,
        rate: Rate::Pps(1000),
        frames: Frames {
            size: 1514.into(),
            src: "10.0.0.1:5-10.0.0.2:6".parse().unwrap(),
            dst: "10.9.0.1".parse().unwrap(),
            src_mac: Some("02:00:00:00:00:01".parse().unwrap()),
            dst_mac: "02:00:00:00:00:02".parse().unwrap(),
            ..Frames::default()
        },
        cpus: 2,
        threads: Threads { count: 2, pins: vec![1, 0] },
        interval_ms: 500,
        wait_s: 3,
        until_idle: true,
        ..Config::new("vale0:2", Function::Tx)
    };
    assert_eq!(parse(line).unwrap(), expected);
    assert_eq!(parse("pkt-gen -ivale0:2 -ftx -a -1 -n 3 -n 4").unwrap().count, 4, "the last one counts");
}

#[test]
fn rates_are_in_packets_or_in_bits() {
    let rate = |flags: &str| parse(&format!("pkt-gen -i vale0:2 -f tx {flags}")).unwrap().rate;
    let bits = |framing| Rate::Bps { bits: 10_000_000_000, framing };
    assert_eq!(rate(""), Rate::UNLIMITED);
    assert_eq!(rate("-R 5000000000"), Rate::Pps(5_000_000_000));
    assert_eq!(rate("--rate 1.5Mpps -B"), Rate::Pps(1_500_000));
    assert_eq!(rate("--rate 10Gbps"), bits(0));
    assert_eq!(rate("-B --rate=10Gbit/s"), bits(24), "on the wire");
}

#[test]
fn a_capture_is_replayed_as_asked() {
    let replay = |line: &str| parse(&format!("pkt-gen -i vale0:1 -f tx -P /c.pcap {line}")).unwrap().replay;
    let expected = |timing, loops| Some(Replay { file: "/c.pcap".into(), timing, loops });
    assert_eq!(replay(""), expected(None, 1));
    assert_eq!(replay("-n 7"), expected(None, 0), "as often as it takes");
    assert_eq!(replay("-n 7 --loop 2 -R 1000"), expected(None, 2));
    assert_eq!(replay("--timing original --loop 0"), expected(Some(Speed::ORIGINAL), 0));
    assert_eq!(replay("--timing 0.5"), expected("0.5".parse().ok(), 1));
    let here = parse("pkt-gen -i vale0:1 -f tx -P c.pcap").unwrap().replay.unwrap().file;
    assert_eq!(here, std::env::current_dir().unwrap().join("c.pcap"), "a daemon has a directory of its own");
    assert_eq!(parse("pkt-gen -i vale0:1 -f tx").unwrap().replay, None);
}

#[test]
fn how_frames_are_made_has_no_meaning_with_a_capture() {
    let args = |flags: &str| {
        let line = format!("pkt-gen -i vale0:1 -f tx {flags}");
        Args::try_parse_from(line.split_whitespace()).unwrap()
    };
    let lone = args("-P /c.pcap -l 100");
    assert_eq!(lone.notes(), ["-l has no meaning with -P: frames are as they are in the file"]);
    let all = args(
        "-P /c.pcap -l 41 -l 40 -6 -s 10.0.0.1 -d fd00::1 -zZr -S 02:00:00:00:00:01 -D 02:00:00:00:00:02",
    );
    let note = "-l -6 -s -d -z -Z -S -D -r have no meaning with -P: frames are as they are in the file";
    assert_eq!(all.notes(), [note]);
    assert_eq!(all.into_config(2), args("-P /c.pcap").into_config(2), "and do no harm");
    assert!(args("-P /c.pcap").notes().is_empty() && args("-l 100 -z").notes().is_empty());
}

#[test]
fn searches_are_planned() {
    let task = |line: &str| {
        let args = Args::try_parse_from(line.split_whitespace()).map_err(|e| e.to_string())?;
        args.into_task(2).map_err(|e| e.to_string())
    };
    let Ok(Task::Search(plan)) = task("pkt-gen -i vale0:1 -f throughput --to vale0:2 --trial 0.5 --loss 0.1")
    else {
        panic!()
    };
    assert_eq!(
        (plan.goal, plan.to.as_deref(), &plan.sizes[..]),
        (Goal::Throughput, Some("vale0:2"), &Plan::SIZES[..])
    );
    assert_eq!((plan.trial.as_millis(), plan.terms), (500, Terms { loss: 0.001, resolution: 0.01 }));
    assert_eq!((plan.config.function, plan.config.burst), (Function::Tx, 32));
    let Ok(Task::Search(plan)) = task("pkt-gen -i eth0 -f back-to-back -l 1514") else { panic!() };
    assert_eq!((plan.goal, plan.to.as_deref(), &plan.sizes[..]), (Goal::BackToBack, None, &[1518][..]));
    assert_eq!((plan.config.burst, plan.trial.as_secs()), (32, 2));
    assert!(matches!(task("pkt-gen -i null -f tx"), Ok(Task::Run(_))));
    for (flags, expected) in [
        ("-f tx --to vale0:2", "--to: only with -f throughput and -f back-to-back"),
        ("-f throughput --to vale0:1", "--to vale0:1: the frames are sent by it"),
        ("-f throughput --trial 0", "--trial 0: out of range (0.01 to 3600)"),
        ("-f throughput --loss 101", "--loss 101: out of range (0 to 100)"),
        ("-f throughput --resolution -1", "--resolution -1: out of range (0.001 to 50)"),
        ("-f throughput -l imix", "all of one size (try: -l 60)"),
        ("-f back-to-back -p 2", "-p 2: back-to-back runs in one thread (leave -p out)"),
    ] {
        let error = task(&format!("pkt-gen -i vale0:1 {flags}")).unwrap_err();
        assert!(error.contains(expected), "{flags}: {error}");
    }
}

#[test]
fn netmaps_way_to_size_rings_is_understood() {
    let args = |line: &str| Args::try_parse_from(line.split_whitespace()).unwrap();
    let both = args("pkt-gen -i vale0:1@conf:rings=4,slots=2048 -C 64,64,2");
    let notes = both.notes();
    assert!(notes.len() == 3 && notes[2].starts_with("vale0:1@conf:rings=4: without meaning"), "{notes:?}");
    assert_eq!(both.into_config(2).unwrap().port, "vale0:1@virtual:slots=2048", "the name goes before -C");
    let search = args("pkt-gen -i vale0:1 -f throughput --to vale0:2@conf:slots=64,rings=2");
    assert_eq!(search.notes().len(), 1);
    let Ok(Task::Search(plan)) = search.into_task(2) else { panic!() };
    assert_eq!(plan.to.as_deref(), Some("vale0:2@virtual:slots=64"));
}

#[test]
fn what_is_wrong_is_named() {
    for (line, expected) in [
        ("", "-i <PORT>"),
        ("-i vale0:1 -q", "unexpected argument '-q'"),
        ("-i vale0:1 extra", "unexpected argument 'extra'"),
        ("-i vale0:1 -f nothing", "-f nothing: no such function (tx, rx, ping"),
        ("-i vale0:1 -l 15", "invalid value '15' for '-l <BYTES>': 15 is not in 16..=65536 (try: 60)"),
        ("-i vale0:1 -l -5", "invalid value '-5' for '-l <BYTES>'"),
        ("-i vale0:1 -l many", "invalid value 'many' for '-l <BYTES>'"),
        ("-i vale0:1 -f tx -l 41", "-l 41: too short"),
        ("-i vale0:1 -b 65537", "65537 is not in 0..=65536"),
        ("-i vale0:1 -T 9", "9 is not in 10..=3600000"),
        ("-i vale0:1 -R -1", "invalid value '-1' for '-R <PPS>'"),
        ("-i vale0:1 -R 18446744073709551616", "invalid value '18446744073709551616' for '-R <PPS>'"),
        ("-i vale0:1 --rate 10G", "for '--rate <RATE>': packets or bits? (try: 10Gpps or 10Gbit/s)"),
        ("-i vale0:1 --rate fast", "for '--rate <RATE>': no rate (try: 1000000, 1.5Mpps, 10Gbit/s)"),
        ("-i vale0:1 --rate 1M -R 7", "cannot be used with"),
        ("-i vale0:1 -n -1", "invalid value '-1' for '-n <COUNT>'"),
        ("-i vale0:1 -a 2", "-a 2: no such CPU (this machine has 0 to 1)"),
        ("-i vale0:1 -p 0", "0 is not in 1..=64"),
        ("-i vale0:1 -p 3 -n 2", "-n 2: not a frame for each of 3 threads (try: -p 2)"),
        ("-i vale0:1 -a -2", "-2 is not in -1..=2147483647"),
        ("-i vale0:1 -c 3", "-c 3: more CPUs than this machine has (0 to 2)"),
        ("-i vale0:1 -D 02:00", "no MAC address"),
        ("-i vale0:1 -s 10.0.0.300", "no IPv4 address"),
        ("-i vale0:1 -d fd00::1 -s 10.0.0.1", "-s 10.0.0.1 -d fd00::1: one is IPv4, the other IPv6"),
        (
            "-i vale0:1 -f txseq -l 45",
            "IPv4 and UDP headers and a sequence number take 46 bytes (try: -l 46)",
        ),
        ("-i vale0:1 -f tx -l 60 -l 1514", "must not exceed the first (try: -l 1514 -l 60)"),
        ("-i vale0:1 -H 11", "-H 11: a virtio-net header"),
        ("-i vale0:1 -P f", "-P: only for -f tx (try: -i pcap:FILE"),
        ("-i vale0:1 -f tx -P f --vlan 7", "cannot be used with"),
        ("-i vale0:1 -f tx -P f -R 7 --timing 2", "cannot be used with"),
        ("-i vale0:1 -f tx -P f --timing 0", "no timing (try: original, or a factor"),
        ("-i vale0:1 -f tx --timing 2", "-P <FILE>"),
        ("-i vale0:1 -f tx --loop 2", "-P <FILE>"),
        ("-i vale0:1 -f tx -P f --loop -1", "unexpected argument '-1'"),
    ] {
        let error = parse(&format!("pkt-gen {line}")).unwrap_err();
        assert!(error.contains(expected), "{line}: {error}");
    }
}

#[test]
fn averages_are_not_for_tables() {
    let notes = |flags: &str| {
        Args::try_parse_from(format!("pkt-gen -i null {flags}").split_whitespace()).unwrap().notes()
    };
    for flags in ["-A --csv", "-o 2048 --csv"] {
        assert_eq!(notes(flags), ["-A has no meaning with --csv: the column pps has what to average"]);
    }
    assert!(notes("-A --json").is_empty() && notes("-A").is_empty() && notes("--csv").is_empty());
}

#[test]
fn an_imix_that_does_not_fit_is_told_of() {
    let notes = |flags: &str| {
        Args::try_parse_from(format!("pkt-gen -i null {flags}").split_whitespace()).unwrap().notes()
    };
    let told = "-l imix: the short frames have 66 bytes instead of 60, which is what their headers take";
    for flags in ["-f tx -l imix --vlan 100:5 -d 7@[fd00:1::1]-[fd00:1::ff] -z", "-f tx -l imix -6 --vlan 1"]
    {
        assert_eq!(notes(flags), [told], "{flags}");
    }
    for flags in [
        "-f tx -l imix",
        "-f tx -l imix --vlan 100",
        "-f rx -l imix -6 --vlan 1",
        "-f tx -l imix -6 --vlan 1 -r",
    ] {
        assert!(!notes(flags).iter().any(|note| note.starts_with("-l")), "{flags}");
    }
}

#[test]
fn frames_of_no_given_size_hold_what_they_take() {
    let size = |flags: &str| parse(&format!("pkt-gen -i null {flags}")).map(|config| config.frames.size);
    for (flags, len) in [
        ("-f tx", 60),
        ("-f tx -6", 62),
        ("-f tx -d fd00::9 --vlan 7 --vlan 8", 70),
        ("-f txseq -6", 66),
        ("-f tx --stamp -6", 74),
        ("-f ping -6", 74),
        ("-f ping --vlan 7 --vlan 8", 62),
        ("-f rx -6", 60),
    ] {
        assert_eq!(size(flags), Ok(len.into()), "{flags}");
    }
    for flags in ["-f tx -6 -l 60", "-f ping -6 -l 73"] {
        assert!(size(flags).unwrap_err().contains("too short"), "{flags}");
    }
}

#[test]
fn a_search_stretches_what_does_not_hold_the_headers_and_tells() {
    let sizes = |flags: &str| {
        let args = Args::try_parse_from(format!("pkt-gen -i null {flags}").split_whitespace())
            .map_err(|e| e.to_string())?;
        let notes = args.notes();
        let Task::Search(plan) = args.into_task(2).map_err(|e| e.to_string())? else { panic!() };
        Ok::<_, String>((plan.sizes, notes))
    };
    let told =
        "-f throughput: the first frames have 74 bytes instead of 64, which is what headers and mark take";
    let v6 = (vec![74, 128, 256, 512, 1024, 1280, 1518], vec![told.to_owned()]);
    assert_eq!(sizes("-f throughput -6"), Ok(v6.clone()));
    assert_eq!(sizes("-f throughput -d fd00::9"), Ok(v6));
    assert_eq!(sizes("-f throughput"), Ok((Plan::SIZES.to_vec(), vec![])));
    assert_eq!(sizes("-f throughput -6 -l 100"), Ok((vec![104], vec![])));
    assert!(
        sizes("-f back-to-back -6 --vlan 7").unwrap().1[0]
            .contains("-f back-to-back: the first frames have 78 ")
    );
}

#[test]
fn help_is_help() {
    let error = Args::try_parse_from(["pkt-gen", "-h"]).unwrap_err();
    assert_eq!(error.exit_code(), 0);
    let help = error.to_string();
    assert!(
        help.contains("Usage: pkt-gen") && help.contains("Examples:") && help.contains("-P <FILE>"),
        "{help}"
    );
}
