//! Ports that others come to by a unix socket: what becomes of frames to those who are not there, or do not read.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::os::unix::net::{UnixDatagram, UnixStream};

use ports::Mac;
use rustix::process::Signal;
use serde_json::Value;

use crate::common::{PATIENCE, Valed, text, wait};

/// A broadcast of this station.
fn hello(station: u8) -> Vec<u8> {
    let mut frame = vec![0xff; 60];
    frame[6..12].copy_from_slice(&[2, 0, 0, 0, 0, station]);
    [&60_u32.to_be_bytes()[..], &frame].concat()
}

fn stats(valed: &Valed) -> Value {
    serde_json::from_str(&valed.ctl_ok(&["stats", "vale0", "--json"])).unwrap()
}

fn port<'a>(stats: &'a Value, name: &str) -> &'a Value {
    let ports = stats["switches"][0]["ports"].as_array().unwrap();
    ports.iter().find(|port| port["name"] == name).unwrap()
}

/// One who never reads: its frames are dropped and counted, and its neighbour has all of its own.
#[test]
fn who_never_reads_holds_up_nobody() {
    let valed = Valed::start();
    for name in ["deaf", "busy", "reader"] {
        let output = valed.ctl(&["-a", &format!("vale0:{name}@stream")]);
        let note = String::from_utf8_lossy(&output.stderr).into_owned();
        let path = valed.dir.path().join(format!("vale0-{name}.sock"));
        let pasted = format!("-netdev stream,id=n0,server=off,addr.type=unix,addr.path={}", path.display());
        assert!(note.contains(&pasted), "{note}");
    }
    let connect =
        |name: &str| UnixStream::connect(valed.dir.path().join(format!("vale0-{name}.sock"))).unwrap();
    let (mut deaf, mut busy, mut reader) = (connect("deaf"), connect("busy"), connect("reader"));
    reader.set_read_timeout(Some(PATIENCE)).unwrap();
    deaf.write_all(&hello(1)).unwrap();
    reader.write_all(&hello(2)).unwrap();
    wait("both are known", || {
        let fdb = valed.ctl_ok(&["fdb", "vale0"]);
        fdb.contains("deaf") && fdb.contains("reader")
    });
    const ROUNDS: usize = 200;
    const FRAMES: usize = 100; // which the reader's socket holds
    let mut frame = [0; 64];
    for _ in 0..ROUNDS {
        busy.write_all(&hello(3).repeat(FRAMES)).unwrap();
        let mut seen = 0;
        while seen < FRAMES {
            reader.read_exact(&mut frame).unwrap();
            seen += usize::from(frame[..] == hello(3)); // and not another's
        }
    }
    wait("what the deaf one does not take is counted", || {
        let stats = stats(&valed);
        let deaf = port(&stats, "vale0:deaf");
        let dropped = |reason| deaf["drops"][reason].as_u64().unwrap_or(0);
        let all = deaf["tx_frames"].as_u64().unwrap() + dropped("full") + dropped("error");
        // The reader's own was for it, too.
        stats["switches"][0]["balance"] == 0 && dropped("full") > 0 && all == (ROUNDS * FRAMES) as u64 + 1
    });
    assert_eq!(port(&stats(&valed), "vale0:reader")["drops"]["full"], Value::Null);
    assert!(!valed.ctl_ok(&["stats"]).contains("nobody is connected"));
    // Gone, its frames fail, until the next comes.
    drop(deaf);
    wait("it is noticed", || {
        busy.write_all(&hello(3)).unwrap();
        port(&stats(&valed), "vale0:deaf")["drops"]["error"].as_u64() > Some(0)
    });
    let told = valed.ctl_ok(&["stats", "vale0:deaf"]);
    assert!(told.contains("\nvale0:deaf: nobody is connected (try: start the guest"), "{told}");
    let mut next = connect("deaf");
    wait("its successor hears", || {
        busy.write_all(&hello(3)).unwrap();
        next.set_nonblocking(true).unwrap();
        next.read(&mut [0; 64]).is_ok_and(|n| n == 64)
    });
}

#[test]
fn datagrams_cross_the_switch() {
    let valed = Valed::start();
    let output = valed.ctl(&["-a", "vale0:one@dgram"]);
    let note = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(note.contains("local.path=") && note.contains("vale0-one.sock.q,remote.type=unix"), "{note}");
    let peer = valed.dir.path().join("named");
    valed.ctl(&["-a", &format!("vale0:two@dgram:peer={}", peer.display())]);
    let bind = |path| UnixDatagram::bind(path).unwrap();
    let (one, two) = (bind(valed.dir.path().join("vale0-one.sock.q")), bind(peer));
    two.set_read_timeout(Some(PATIENCE)).unwrap();
    one.send_to(&hello(1)[4..], valed.dir.path().join("vale0-one.sock")).unwrap();
    let mut frame = [0; 100];
    let n = two.recv(&mut frame).unwrap();
    assert_eq!(frame[..n], hello(1)[4..]);
    valed.ctl_ok(&["-d", "vale0:one"]);
    assert!(!valed.dir.path().join("vale0-one.sock").exists(), "the socket stays");
}

#[test]
fn what_is_no_socket_is_named_and_not_harmed() {
    let valed = Valed::start();
    let (file, link) = (valed.dir.path().join("file"), valed.dir.path().join("link"));
    std::fs::write(&file, "precious").unwrap();
    std::os::unix::fs::symlink(&file, &link).unwrap();
    for backend in ["vhost-user", "stream", "dgram", "memif"] {
        for path in [&file, &link, &valed.dir.path().to_owned()] {
            let said = valed.ctl_fails(&["-a", &format!("vale0:q@{backend}:path={}", path.display())]);
            let why = format!("{}: there already, and not a socket (try: another path=, or", path.display());
            assert!(said.contains(&why), "{backend}: {said}");
        }
    }
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "precious");
}

/// Guests by arguments that were pasted have addresses of their own, which stay the same.
#[test]
fn each_port_has_an_address_for_its_guest() {
    let valed = Valed::start();
    let mac = |name: &str| {
        let note = text(&valed.ctl(&["-a", name]).stderr);
        let (_, mac) = note.split_once("netdev=n0,mac=").unwrap_or_else(|| panic!("{note}"));
        mac.get(..17).unwrap().parse::<Mac>().unwrap()
    };
    let names =
        ["vale0:a@vhost-user", "vale0:b@vhost-user", "vale0:c@stream", "vale0:d@dgram", "vale1:a@stream"];
    let macs = names.map(mac);
    assert!(macs.iter().all(|mac| mac.octets()[0] & 3 == 2), "local, and no group: {macs:?}");
    assert_eq!(BTreeSet::from(macs).len(), names.len(), "{macs:?}");
    valed.ctl_ok(&["-d", "vale0:a"]);
    assert_eq!(mac("vale0:a@stream"), macs[0]);
}

/// Paths are where they are for who types them: the daemon is somewhere else.
#[test]
fn a_path_is_taken_from_where_it_was_typed() {
    let (valed, here) = (Valed::start(), tempfile::tempdir().unwrap());
    for name in [
        "a@vhost-user:path=a.sock",
        "b@stream:path=b.sock",
        "c@memif:path=c.sock",
        "d@dgram:path=./d.sock,peer=p",
    ] {
        let output = valed.ctl_in(here.path(), &["-a", &format!("vale0:{name}")]);
        assert!(output.status.success(), "{}", text(&output.stderr));
        let (socket, note) = (here.path().join(&name[..1]).with_extension("sock"), text(&output.stderr));
        assert!(socket.exists() && note.contains(&socket.display().to_string()), "{name}: {note}");
    }
    let note = valed.ctl_ok(&["-v", "-g", "vale0:d"]);
    assert!(note.contains(&format!("local.path={},", here.path().join("p").display())), "{note}");
}

/// What the log says of them is said under the name that users know.
#[test]
fn the_log_names_the_switch_too() {
    let mut valed = Valed::start();
    valed.ctl(&["-a", "vale0:c1@stream"]);
    let mut peer = UnixStream::connect(valed.dir.path().join("vale0-c1.sock")).unwrap();
    peer.write_all(&[0; 4]).unwrap();
    assert_eq!(peer.read(&mut [0]).unwrap(), 0, "it is hung up on");
    valed.signal(Signal::TERM);
    let (_, _, log) = valed.end();
    for line in [
        " INFO vale0:c1: connected, MTU 1500, no offloads",
        " INFO vale0:c1: disconnected (it announced a frame of 0 bytes)",
        " WARN vale0:c1: the conversation ends: it announced a frame of 0 bytes",
    ] {
        assert_eq!(log.matches(line).count(), 1, "{line}\n{log}");
    }
    assert!(!log.contains("DEBUG"), "{log}");
}
