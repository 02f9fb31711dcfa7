//! Names, and what is none.

use super::*;
use proptest::prelude::*;

fn vale(name: &str) -> ValePort {
    name.parse().unwrap()
}

fn plain(name: &str) -> (String, Backend) {
    match name.parse().unwrap() {
        Name::Plain(p) => (p.port, p.source.backend),
        Name::Vale(p) => panic!("{p}"),
    }
}

#[test]
fn ports_of_switches() {
    assert_eq!((vale("vale:1").switch.as_str(), vale("vale:1").port.as_str()), ("vale", "1"));
    assert_eq!(vale("vale0:1").source, None);
    assert_eq!(vale("vale0:tap7@tap").source, Some(Source::new(Backend::Tap)));
    assert!(vale("vale0:eth0^").is_host() && vale("vale0:eth0@host").is_host());
    assert_eq!(vale("vale0:eth0@host").to_string(), "vale0:eth0^");
    assert_eq!(vale("vale0:eth0^").short(), "vale0:eth0^");
    assert_eq!(vale("vale0:eth0@packet").short(), "vale0:eth0");
    let source = vale("vale0:br-lan@afxdp:core=1,zero-copy=off").source.unwrap();
    assert_eq!(source.options.value("core"), Some("1"));
    assert_eq!(source.options.value("zero_copy"), Some("off"));
}

#[test]
fn ports_by_themselves() {
    assert_eq!(plain("eth0"), ("eth0".into(), Backend::Afxdp));
    assert_eq!(plain("netmap:tap0"), ("tap0".into(), Backend::Afxdp));
    assert_eq!(plain("netmap:br-lan"), ("br-lan".into(), Backend::Afxdp));
    assert_eq!(plain("br-1"), ("br-1".into(), Backend::Afxdp));
    assert_eq!(plain("tap:x"), ("x".into(), Backend::Tap));
    assert_eq!(plain("tapx"), ("tapx".into(), Backend::Tap));
    assert_eq!(plain("eth0@packet"), ("eth0".into(), Backend::Packet));
    assert_eq!(plain("null"), ("null".into(), Backend::Null));
    assert_eq!(plain("eth0^"), ("eth0".into(), Backend::Host));
    for files in ["x", "/tmp/a b.pcap", "../@{1}*^:é", "in.pcap,/tmp/out.pcap", &"long/".repeat(99)] {
        assert_eq!(plain(&format!("pcap:{files}")), (files.to_owned(), Backend::Pcap));
    }
}

#[test]
fn refusals_name_the_fault_and_teach_the_grammar() {
    for (name, why) in [
        ("", "no name"),
        ("vale0", "missing ':'"),
        ("vale0:", "no name"),
        ("vale-0:1", "is no switch"),
        ("vale0:a:b", "':' in a port's name"),
        ("vale0:a{1", "pipes"),
        ("vale0:eth0*", "vale-ctl -h"),
        ("vale0:eth0/x", "/flags"),
        ("vale0:eth0^1", "'^' comes last"),
        ("vale0:eth0^@tap", "not tap"),
        ("vale0:eth0@vfio", "afxdp, tap, packet"),
        ("vale0:eth0@", "is no backend"),
        ("vale0:1@conf:slots=4", "(try: @virtual:slots=N"),
        ("vale0:eth0@tap:", "KEY=VALUE"),
        ("vale0:eth0@tap:mtu=", "no proper value"),
        ("vale0:eth0@tap:=1", "no proper key"),
        ("vale0:eth0@tap:mtu=1,mtu=2", "twice"),
        ("netmap:eth0-3", "try: eth0-3, if"),
        ("vale0:averyverylonginterface@tap", "15 bytes"),
        ("bpf:x", "neither a switch"),
        ("vale0:x@pcap", "on no switch (try: pcap:FILE"),
        ("eth0@pcap:x", "on no switch (try: pcap:FILE"),
        ("pcap:", "pcap:READ,WRITE"),
        ("pcap:,x", "pcap:READ,WRITE"),
        ("pcap:x,", "pcap:READ,WRITE"),
        ("pcap:x,y,z", "pcap:READ,WRITE"),
        ("x@virtual", "try: vale0:1"),
        ("x@null", "no other name"),
        ("x@stream", "try: vale0:x@stream"),
        ("x@dgram", "try: vale0:x@dgram"),
        ("vale0:\u{1b}[2J", "letters"),
        ("..", "is no name"),
    ] {
        let e = name.parse::<Name>().unwrap_err().to_string();
        assert!(e.contains(why) && (e.contains("valeX:PORT") || e.contains("(try: ")), "{name}: {e}");
        assert!(e.matches(" (").count() < 2 || e.contains("neither"), "{name}: {e}");
    }
    let long = format!("vale0:{}", "x".repeat(MAX_NAME));
    assert!(long.parse::<Name>().unwrap_err().to_string().contains("63"));
    assert!("eth0".parse::<ValePort>().unwrap_err().to_string().contains("names no switch"));
}

/// Of one of these backends, with any options.
fn source(backends: impl Fn(&Backend) -> bool) -> impl Strategy<Value = Source> {
    let backends = Backend::ALL.into_iter().filter(backends).collect::<Vec<_>>();
    let option = ("[a-z_]{1,6}", "[a-z0-9/.]{1,6}");
    (proptest::sample::select(backends), proptest::collection::hash_map(option.0, option.1, 0..3))
        .prop_map(|(backend, options)| Source { backend, options: Options(options.into_iter().collect()) })
}

proptest! {
    #[test]
    fn vale_names_survive_the_round_trip(
        switch in "vale[a-z0-9_]{0,3}", port in "[a-z][a-z0-9_-]{0,10}", source in proptest::option::of(source(|_| true)),
    ) {
        let name = Name::Vale(ValePort { switch, port, source });
        prop_assert_eq!(name.to_string().parse::<Name>(), Ok(name));
    }

    #[test]
    fn plain_names_survive_the_round_trip(
        port in "(tap|vale|null|netmap|)[a-z0-9]{1,6}",
        source in source(|backend| *backend != Backend::Virtual && !backend.has_socket()),
    ) {
        let port = if source.backend == Backend::Null { "null".to_owned() } else { port };
        let name = Name::Plain(PlainPort { port, source });
        prop_assert_eq!(name.to_string().parse::<Name>(), Ok(name));
    }

    #[test]
    fn no_string_trips_the_parser(name in "\\PC{0,40}|(vale0?:|tap:|pcap:|)[a-z^@:=,{}*/]{0,30}") {
        if let Ok(parsed) = name.parse::<Name>() {
            prop_assert_eq!(parsed.to_string().parse::<Name>(), Ok(parsed));
        }
    }
}
