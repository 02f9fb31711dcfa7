//! The daemon's life: started, doubled, killed, left alone.

use std::io::{IoSlice, Read};
use std::mem::MaybeUninit;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::common::{Valed, program, text, wait};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, prlimit};

#[test]
fn netmaps_flags_and_lines() {
    let valed = Valed::start();
    assert_eq!(valed.ctl_ok(&[]), "");
    assert_eq!(valed.ctl_ok(&["-a", "vale0:a@null"]), "");
    assert_eq!(valed.ctl_ok(&["-v", "-a", "vale0:b@null"]), "port_index: 1\n");
    assert_eq!(valed.ctl_ok(&["attach", "vale1:a@null"]), "vale1:a bridge_idx 1 port_idx 0\n");
    let list =
        "vale0:a bridge_idx 0 port_idx 0\nvale0:b bridge_idx 0 port_idx 1\nvale1:a bridge_idx 1 port_idx 0\n";
    assert_eq!(valed.ctl_ok(&[]), list);
    assert_eq!(valed.ctl_ok(&["-l", "vale0:b"]), "bridge_idx: 0\nport_idx:   1\n");
    valed.ctl_ok(&["-a", "vale0:v@virtual:slots=1024"]);
    let ring = "memsize:    4194304\ntx_slots:   1024\nrx_slots:   1024\ntx_rings:   1\nrx_rings    1\n\
                mem_id:     4\n";
    for name in ["vale0:v", "v"] {
        assert_eq!(valed.ctl_ok(&["-g", name]), ring);
    }
    let more = valed.ctl_ok(&["-v", "-g", "vale0:b"]);
    assert!(
        more.contains("mem_id:     2\npage_size:  4096\n") && more.contains("\nvale0:b  null "),
        "{more}"
    );
    valed.ctl_ok(&["-d", "vale0:v"]);
    assert!(valed.ctl_ok(&["stats", "vale0"]).contains("\nvale0:b "));
    assert!(valed.ctl_ok(&["stats", "--json"]).starts_with(r#"{"switches":[{"#));
    assert_eq!(valed.ctl_ok(&["fdb", "vale0", "--json"]), "[]\n");
    assert!(valed.ctl_ok(&["ports"]).contains("vale1:a  null"));
    for (args, says) in [
        (&["-a", "vale0:eth9"][..], "failed to attach vale0:eth9: no such interface (try: ip link)\n"),
        (
            &["-a", "vale0:a@null"],
            "failed to attach vale0:a@null: already attached (try: vale-ctl -d vale0:a)\n",
        ),
        (&["-d", "vale0:c"], "failed to detach vale0:c: no such port (try: vale-ctl)\n"),
        (&["-l", "vale0:c"], "failed to list vale0:c: no such port (try: vale-ctl ports)\n"),
        (&["-g", "c"], "failed to obtain info for c: no such port (try: vale-ctl ports)\n"),
        (
            &["-r", "c"],
            "failed to remove c: no persistent port (try: vale-ctl ports; -r removes what -n made)\n",
        ),
        (&["-n", "vale0:c"], "failed to create vale0:c: an interface, not a port of a switch"),
        (&["stats", "vale9"], "failed to show vale9: no such switch (try: vale-ctl)\n"),
        (&["-p", "vale0:a"], "-p: not available (polling is valed's"),
        (&["-C", "1,1"], "-C: not available (slots and rings are options"),
        (&["-m", "1"], "-m: not available (there are no regions"),
        (&["-a", "eth0"], "failed to attach eth0: names no switch (try: vale0:eth0)\n"),
    ] {
        let said = valed.ctl_fails(args);
        assert!(said.starts_with(says), "{args:?}: {said}");
    }
    assert_eq!(valed.ctl_ok(&["-d", "vale0:a"]), "");
    assert_eq!(valed.ctl_ok(&["-v", "-d", "vale0:b"]), "port_index: 1\n");
    assert_eq!(valed.ctl_ok(&[]), "vale1:a bridge_idx 1 port_idx 0\n");
}

#[test]
fn ends_with_a_summary_and_nothing_left() {
    for signal in [Signal::TERM, Signal::INT] {
        let mut valed = Valed::start();
        valed.ctl_ok(&["-a", "vale0:a@null"]);
        let sent = program(env!("CARGO_BIN_EXE_pkt-gen"), &valed.socket())
            .args(["-i", "vale0:tx", "-f", "tx", "-n", "1000"])
            .output()
            .unwrap();
        assert!(sent.status.success(), "{}", text(&sent.stderr));
        assert!(text(&sent.stdout).contains("Sent 1000 packets 60000 bytes"), "{}", text(&sent.stdout));
        valed.signal(signal);
        let (code, out, err) = valed.end();
        assert_eq!(code, Some(0), "{err}");
        assert!(out.contains("vale0:a ") && out.contains("balance 0"), "{out}");
        let row = out.lines().find(|l| l.starts_with("vale0:a")).unwrap();
        assert_eq!(row.split_whitespace().nth(3), Some("1000"), "{out}");
        assert_eq!(std::fs::read_dir(valed.dir.path()).unwrap().count(), 0, "socket and lock are gone");
    }
}

/// Whoever starts it says whether it is to outlive its terminal, as nohup(1) does; who runs the tests may have, too.
#[test]
fn ends_with_its_terminal_unless_told_otherwise() {
    let started_with = |hangup: &str| {
        let dir = tempfile::tempdir().unwrap();
        let mut env = program("env", &dir.path().join("s"));
        env.args([hangup, env!("CARGO_BIN_EXE_valed")]).stdout(Stdio::piped()).stderr(Stdio::piped());
        let valed = Valed { child: env.spawn().unwrap(), dir };
        wait("valed answers", || UnixStream::connect(valed.socket()).is_ok());
        valed.ctl_ok(&["-a", "vale0:a@null"]);
        valed.signal(Signal::HUP);
        valed
    };
    let (code, out, err) = started_with("--default-signal=HUP").end();
    assert!(code == Some(0) && out.contains("balance 0"), "{out}{err}");
    let mut stays = started_with("--ignore-signal=HUP");
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(stays.child.try_wait().unwrap(), None);
    stays.signal(Signal::TERM);
    assert_eq!(stays.end().0, Some(0));
}

#[test]
fn one_a_socket_and_a_killed_one_is_no_obstacle() {
    let mut valed = Valed::start();
    let second = program(env!("CARGO_BIN_EXE_valed"), &valed.socket()).output().unwrap();
    assert_eq!(second.status.code(), Some(1));
    assert!(text(&second.stderr).contains("running there already"), "{}", text(&second.stderr));
    valed.ctl_ok(&["-a", "vale0:a@null"]);
    valed.child.kill().unwrap();
    valed.child.wait().unwrap();
    assert!(valed.socket().exists(), "left behind");
    assert_eq!(valed.ctl_ok(&[]), "", "nobody there: nothing to list");
    let said = valed.ctl_fails(&["-d", "vale0:a"]);
    assert!(said.contains("no valed is running"), "{said}");
    let dir = tempfile::tempdir().unwrap();
    let old = std::mem::replace(&mut valed.dir, dir);
    let again = Valed::start_in(old, &[]);
    assert_eq!(again.ctl_ok(&[]), "");
    assert_eq!(again.ctl_ok(&["-a", "vale0:a@null"]), "");
}

/// A daemon started by a shell with this limit of descriptors.
fn limited(ulimit: &str) -> Valed {
    let dir = tempfile::tempdir().unwrap();
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("ulimit {ulimit} && exec \"$0\""), env!("CARGO_BIN_EXE_valed")]);
    let child = shell.env("VALE_SOCKET", dir.path().join("s")).stderr(Stdio::null()).spawn().unwrap();
    let valed = Valed { child, dir };
    wait("valed answers", || UnixStream::connect(valed.socket()).is_ok());
    valed
}

/// A port for a guest has five descriptors, and five more when the guest is there: a shell's 1024 are not many.
#[test]
fn descriptors_are_as_many_as_may_be() {
    let valed = limited("-Sn 64");
    for port in 0..30 {
        valed.ctl_ok(&["-a", &format!("vale0:vm{port}@vhost-user")]);
    }
    let valed = limited("-n 64");
    let refused = (0..30).map(|port| valed.ctl(&["-a", &format!("vale0:vm{port}@vhost-user")]));
    let said = refused.map(|output| text(&output.stderr)).find(|said| said.contains("failed")).unwrap();
    assert!(said.contains("Too many open files") && said.contains("(try: a higher ulimit -n"), "{said}");
    assert_eq!(valed.ctl_ok(&["-d", "vale0:vm0"]), "", "it still answers");
}

/// Lets the daemon have up to so many more descriptors than it has, once it has let go of those for tools: who waits in
/// `accept` has one already.
fn leave(valed: &Valed, more: usize) {
    let pid = valed.child.id();
    let has = |fd: &u64| Path::new(&format!("/proc/{pid}/fd/{fd}")).exists();
    let open = || (0..1000).filter(has).count();
    let (mut before, mut now) = (0, open());
    wait("the tools are gone", || {
        std::thread::sleep(Duration::from_millis(100));
        (before, now) = (now, open());
        before == now
    });
    let limit = (0..).filter(|fd| !has(fd)).nth(more);
    let process = Pid::from_child(&valed.child);
    prlimit(Some(process), Resource::Nofile, Rlimit { current: limit, ..getrlimit(Resource::Nofile) })
        .unwrap();
}

/// Who comes to a port when there is no descriptor for it does not wait without a word.
#[test]
fn that_nobody_can_be_let_in_is_said_once() {
    let mut valed = Valed::start();
    valed.ctl_ok(&["-a", "vale0:vm@vhost-user"]);
    valed.ctl_ok(&["-a", "vale0:st@stream"]);
    let connect = |port| UnixStream::connect(valed.dir.path().join(format!("vale0-{port}.sock"))).unwrap();
    leave(&valed, 0);
    let _guest = connect("vm");
    std::thread::sleep(Duration::from_millis(1200)); // time to fail several times
    leave(&valed, 8);
    wait("the guest is let in", || valed.ctl_ok(&["ports"]).contains("no rings yet"));
    // Until there is one for the socket, and none for the worker's half of it.
    for more in 0..4 {
        leave(&valed, more);
        let mut peer = connect("st");
        peer.set_read_timeout(Some(Duration::from_millis(700))).unwrap();
        let _ = peer.read(&mut [0; 8]);
    }
    valed.signal(Signal::TERM);
    let (_, _, said) = valed.end();
    let way = "Too many open files (os error 24) (try: a higher ulimit -n, or LimitNOFILE= of a service)";
    for what in ["vale0:vm: accept: ", "vale0:st: accept: ", "vale0:st: a second descriptor: "] {
        assert_eq!(said.matches(&format!("WARN {what}{way}")).count(), 1, "{what}: {said}");
    }
}

/// A guest is not told that it broke the rules when it is we who cannot take its descriptors.
#[test]
fn who_sends_descriptors_that_we_have_no_room_for_is_not_blamed() {
    let mut valed = Valed::start();
    valed.ctl_ok(&["-a", "vale0:vm@vhost-user"]);
    let guest = UnixStream::connect(valed.dir.path().join("vale0-vm.sock")).unwrap();
    wait("the guest is let in", || valed.ctl_ok(&["ports"]).contains("no rings yet"));
    leave(&valed, 0);
    // SET_LOG_FD, version 1, without payload; the descriptor is what matters.
    let header = [7u32, 1, 0].map(u32::to_ne_bytes).concat();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let fds = [guest.as_fd()];
    assert!(control.push(SendAncillaryMessage::ScmRights(&fds)));
    sendmsg(&guest, &[IoSlice::new(&header)], &mut control, SendFlags::empty()).unwrap();
    assert_eq!((&guest).read(&mut [0; 8]).unwrap_or(0), 0, "it hangs up");
    valed.signal(Signal::TERM);
    let (_, _, said) = valed.end();
    assert!(said.contains("we are out of descriptors (try: a higher ulimit -n"), "{said}");
}

#[test]
fn bad_flags_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let run = |args: &[&str]| {
        program(env!("CARGO_BIN_EXE_valed"), &dir.path().join("s")).args(args).output().unwrap()
    };
    for (args, says) in [
        (["--cores", "4096"], "core 4096: not available (try: 0"),
        (["--idle", "lazy"], "there are adaptive and busy"),
        (["--ageing", "0"], "0 is not in 1..=1000000"),
        (["--socket", "/nonexistent/s"], "/nonexistent: no such directory (try: mkdir -p /nonexistent)"),
    ] {
        let output = run(&args);
        assert!(!output.status.success());
        assert!(text(&output.stderr).contains(says), "{args:?}: {}", text(&output.stderr));
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}

/// The one that `vale-ctl` starts has a grace of ten seconds, which a test has no time for: what is started on
/// demand is looked at, and one with a shorter grace is started by hand.
#[test]
fn is_started_on_demand_by_many_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("s");
    let ctl = |args: &[&str]| program(env!("CARGO_BIN_EXE_vale-ctl"), &socket).args(args).output().unwrap();
    assert_eq!((ctl(&[]).status.code(), socket.exists()), (Some(0), false), "listing starts nothing");
    let bad = ctl(&["-a", "vale0:a{1"]);
    assert_eq!((bad.status.code(), socket.exists()), (Some(1), false), "nor does a name that is none");
    let tools = (0..6).map(|i| {
        let mut tool = program(env!("CARGO_BIN_EXE_vale-ctl"), &socket);
        tool.args(["-a", &format!("vale0:p{i}@null")]).spawn().unwrap()
    });
    for mut tool in tools.collect::<Vec<_>>() {
        assert!(tool.wait().unwrap().success());
    }
    assert_eq!(text(&ctl(&[]).stdout).lines().count(), 6);
    let pid = std::fs::read_to_string(dir.path().join("s.lock")).unwrap();
    let pid = Pid::from_raw(pid.trim().parse().unwrap()).unwrap();
    rustix::process::kill_process(pid, Signal::TERM).unwrap();
    let log = || std::fs::read_to_string(dir.path().join("s.log")).unwrap();
    wait("its summary", || log().contains("vale0:p5: attached") && log().contains("balance 0"));
    assert!(!socket.exists());
}

#[test]
fn leaves_when_nobody_needs_it() {
    const GRACE: Duration = Duration::from_secs(2);
    let mut valed = Valed::start_with(&["--on-demand", "--grace-ms", &GRACE.as_millis().to_string()]);
    valed.ctl_ok(&["-a", "vale0:a@null"]);
    std::thread::sleep(GRACE * 3 / 2);
    assert!(valed.child.try_wait().unwrap().is_none(), "a port is attached");
    let client = valed.connect();
    valed.ctl_ok(&["-d", "vale0:a"]);
    std::thread::sleep(GRACE * 3 / 2);
    assert!(valed.child.try_wait().unwrap().is_none(), "a client is connected");
    drop(client);
    assert_eq!(valed.end().0, Some(0));
    assert!(!valed.socket().exists());
}
