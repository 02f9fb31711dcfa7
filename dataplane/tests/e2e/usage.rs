//! Objective: bad input gets a clear error that names the thing and the way out, and nothing half-made.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::Duration;

use crate::bed::{Bed, Running, privileged, text, until};

#[test]
fn errors_name_the_thing_and_the_way_out() {
    let Some(bed) = Bed::new() else { return };
    let far = bed.namespace("c1");
    bed.veth("veth0", &far, "eth0", "10.0.0.1/24");
    bed.switch.ok("ip", &["link", "set", "veth0", "down"]);
    let cases: [(&[&str], &[&str]); 9] = [
        (&["-a", "vale0:eth9"], &["failed to attach vale0:eth9", "no such interface", "ip link"]),
        (&["-a", "vale0:veth0"], &["veth0", "down", "ip link set veth0 up"]),
        (&["-a", "veth0"], &["veth0", "vale"]),
        (&["-a", "vale0:veth0@floppy"], &["floppy", "afxdp", "tap", "packet"]),
        (&["-d", "vale0:nobody"], &["failed to detach vale0:nobody"]),
        (&["-l", "vale0:nobody"], &["nobody"]),
        (&["-p", "vale0:veth0"], &["not available"]),
        (&["-m", "1"], &["not available"]),
        (&["stats", "vale7"], &["vale7"]),
    ];
    for (args, words) in cases {
        let output = bed.try_ctl(args);
        let said = text(&output);
        assert_eq!(output.status.code(), Some(1), "{args:?}: {said}");
        for word in words {
            assert!(said.contains(word), "{args:?} should say {word:?}: {said}");
        }
        assert!(!said.contains("panicked"), "{said}");
    }
    assert_eq!(bed.ctl(&[]).trim(), "", "nothing half-attached stays");
}

#[test]
fn a_port_is_taken_once() {
    let Some(bed) = Bed::new() else { return };
    bed.ctl(&["-a", "vale0:tap5@tap"]);
    for name in ["vale0:tap5@tap", "vale1:tap5@tap"] {
        let output = bed.try_ctl(&["-a", name]);
        assert_eq!(output.status.code(), Some(1), "{}", text(&output));
        assert!(text(&output).contains("tap5"), "{}", text(&output));
    }
    assert_eq!(bed.ctl(&[]).trim(), "vale0:tap5 bridge_idx 0 port_idx 0");
}

/// netmap's lines, which scripts parse.
#[test]
fn lists_as_netmap_does() {
    let Some(bed) = Bed::new() else { return };
    bed.ctl(&["-n", "vi0"]);
    bed.ctl(&["-a", "vale0:vi0"]);
    bed.ctl(&["-a", "vale0:tap5@tap"]);
    assert_eq!(bed.ctl(&[]), "vale0:vi0 bridge_idx 0 port_idx 0\nvale0:tap5 bridge_idx 0 port_idx 1\n");
    assert_eq!(bed.ctl(&["-l", "vale0:tap5"]), "bridge_idx: 0\nport_idx:   1\n");
    let busy = bed.try_ctl(&["-r", "vi0"]);
    assert!(text(&busy).contains("failed to remove vi0"), "{}", text(&busy));
    bed.ctl(&["-d", "vale0:vi0"]);
    bed.ctl(&["-r", "vi0"]);
    assert!(!bed.switch.ok("ip", &["link"]).contains("vi0"));
}

#[test]
fn flags_out_of_range_are_named() {
    let Some(bed) = Bed::new() else { return };
    for args in [
        &["-f", "tx", "-l", "10"][..],
        &["-f", "tx", "-a", "4096"],
        &["-f", "sideways"],
        &["-f", "tx", "-R", "-5"],
    ] {
        let args = [&["-i", "vale0:1"], args].concat();
        let output = bed.pkt_gen(&args).wait(Duration::from_secs(20));
        assert!(!output.status.success(), "{args:?}: {}", text(&output));
        assert!(!text(&output).contains("panicked"), "{}", text(&output));
    }
    for args in
        [&["--ip", "10.0.0.300/24", "-s"][..], &["--ip", "10.0.0.2/24", "-c", "10.0.0.1", "-P", "129"]]
    {
        let args = [&["--on", "vale0:ep"], args].concat();
        let output = bed.endpoint(&args).wait(Duration::from_secs(20));
        assert!(!output.status.success(), "{args:?}: {}", text(&output));
    }
    assert_eq!(bed.ctl(&[]).trim(), "");
}

/// An address that somebody has already is given up, with his station's name; who had it first keeps it.
#[test]
fn a_taken_address_is_noticed() {
    let Some(bed) = Bed::new() else { return };
    let client = bed.namespace("c1");
    bed.tap("tap7", &client, "10.0.0.1/24");
    let mut first = bed.server("vale0:ep", "10.0.0.2/24", &[]);
    for address in ["10.0.0.1/24", "10.0.0.2/24"] {
        let second =
            bed.endpoint(&["--on", "vale0:ep2", "--ip", address, "-s"]).wait(Duration::from_secs(20));
        assert_eq!(second.status.code(), Some(1), "{}", text(&second));
        assert!(text(&second).contains(&format!("{}: taken by ", &address[..8])), "{}", text(&second));
    }
    assert!(first.is_running());
    client.ping("10.0.0.2", 2);
}

/// Somebody without privileges measures two endpoints on a switch, and is told what the rest takes.
#[test]
fn nobody_needs_no_privileges() {
    const NOBODY: u32 = 65_534;
    if !privileged() {
        return;
    }
    let home = tempfile::tempdir().unwrap();
    let open = |path: &std::path::Path| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
    };
    open(home.path());
    let runtime = home.path().join("run");
    std::fs::create_dir(&runtime).unwrap();
    std::os::unix::fs::chown(&runtime, Some(NOBODY), Some(NOBODY)).unwrap();
    for program in
        [env!("CARGO_BIN_EXE_valed"), env!("CARGO_BIN_EXE_vale-ctl"), env!("CARGO_BIN_EXE_iperf-endpoint")]
    {
        let copy = home.path().join(std::path::Path::new(program).file_name().unwrap());
        std::fs::copy(program, &copy).unwrap();
        open(&copy);
    }
    let nobody = |program: &str, args: &str| {
        let mut command = Command::new(home.path().join(program));
        command.args(args.split(' ')).env_remove("VALE_SOCKET").env("XDG_RUNTIME_DIR", &runtime);
        command.current_dir("/").uid(NOBODY).gid(NOBODY);
        Running::start(&mut command)
    };
    let _server = nobody("iperf-endpoint", "--on vale0:a --ip 10.0.0.2/24 -s");
    until("the server is listed", Duration::from_secs(20), || {
        text(&nobody("vale-ctl", "list").wait(Duration::from_secs(20))).contains("vale0:a ")
    });
    let client = nobody("iperf-endpoint", "--on vale0:b --ip 10.0.0.3/24 -c 10.0.0.2 -t 1");
    let said = text(&client.wait(Duration::from_secs(20)));
    assert!(said.contains("iperf Done."), "{said}");
    for (port, capability) in [("vale0:t1@tap", "CAP_NET_ADMIN"), ("vale0:lo@packet", "CAP_NET_RAW")] {
        let refused = nobody("vale-ctl", &format!("-a {port}")).wait(Duration::from_secs(20));
        assert_eq!(refused.status.code(), Some(1));
        assert!(text(&refused).contains(capability), "{}", text(&refused));
    }
}
