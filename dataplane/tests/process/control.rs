//! The control socket, against clients that behave and clients that do not.

use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, Instant};

use crate::common::{Valed, wait};

const LIST: &str = r#"{"op":"list"}"#;
const RECEIVE: &str =
    r#"{"op":"host","on":"vale0:rx","app":{"pktgen":{"port":"vale0:rx","interval_ms":10}}}"#;

#[test]
fn answers_what_is_asked() {
    let valed = Valed::start();
    let mut client = valed.connect();
    assert_eq!(client.ask(LIST).to_string(), r#"{"ok":[]}"#);
    let attached = client.ask(r#"{"op":"attach","port":"vale0:x@null"}"#);
    let one = r#"{"bridge_idx":0,"name":"vale0:x","notes":[],"port_idx":0}"#;
    assert_eq!(attached.to_string(), format!(r#"{{"ok":[{one}]}}"#));
    assert!(client.refused(r#"{"op":"attach","port":"vale0:x@null"}"#).contains("already attached"));
    assert!(client.refused(r#"{"op":"stats","of":"vale7"}"#).contains("vale7: no such switch"));
    assert!(client.refused(r#"{"op":"stop"}"#).contains("no app"));
    let detached = client.ask(r#"{"op":"detach","port":"vale0:x"}"#);
    assert_eq!(detached.to_string(), r#"{"ok":{"port_idx":0}}"#);
    assert_eq!(client.ask(LIST).to_string(), r#"{"ok":[]}"#);
}

#[test]
fn only_the_owner_may_enter() {
    let valed = Valed::start();
    assert_eq!(std::fs::metadata(valed.socket()).unwrap().mode() & 0o777, 0o600);
}

#[test]
fn requests_that_make_no_sense_are_answered_and_forgotten() {
    let valed = Valed::start();
    let mut client = valed.connect();
    for nonsense in [
        "",
        "hello",
        "{",
        "[]",
        "7",
        r#"{"op":7}"#,
        r#"{"op":"fly"}"#,
        r#"{"op":"attach","port":["vale0:x"]}"#,
        r#"{"op":"attach","port":"vale0:x","host":"no"}"#,
        r#"{"op":"attach","port":"eth0"}"#,
        r#"{"op":"attach","port":"vale0:\u0000"}"#,
        r#"{"op":"host","on":"vale0:1","app":{"pktgen":{"burst":"many"}}}"#,
        r#"{"op":"host","on":"vale0:1","app":{"pktgen":{"burst":0}}}"#,
        "{\"op\":\"list\",\"op\":\"list\",\"x\":{{{{",
    ] {
        let why = client.refused(nonsense);
        assert!(!why.is_empty() && !why.contains('\n'), "{nonsense}: {why}");
        if nonsense.contains("host") && nonsense.contains("burst\":0") {
            client = valed.connect(); // who fails to host is done
        }
    }
    let deep = "[".repeat(50_000);
    client.refused(&deep);
    assert_eq!(client.ask(LIST).to_string(), r#"{"ok":[]}"#);
}

#[test]
fn lines_too_long_cut_short_or_in_no_language_end_the_conversation() {
    let valed = Valed::start();
    let mut long = valed.connect();
    let _ = long.stream.write_all(&vec![b'x'; 1 << 20]); // the daemon may hang up in the middle
    assert!(long.hear().is_none_or(|v| v["error"].as_str().unwrap().contains("65536")));
    let mut short = valed.connect();
    short.stream.write_all(br#"{"op":"li"#).unwrap();
    short.stream.shutdown(std::net::Shutdown::Write).unwrap();
    assert!(short.hear().unwrap()["error"].as_str().unwrap().contains("cut short"));
    assert!(short.hear().is_none());
    let mut binary = valed.connect();
    binary.stream.write_all(b"\xff\xfe\x00\n").unwrap();
    assert!(binary.hear().unwrap()["error"].as_str().unwrap().contains("UTF-8"));
    assert!(binary.hear().is_none());
    assert!(valed.connect().ask(LIST)["ok"].is_array());
}

#[test]
fn a_hundred_clients_come_and_go_and_too_many_at_once_are_told() {
    let valed = Valed::start();
    for _ in 0..100 {
        wait("an answer", || valed.connect().ask(LIST)["ok"].is_array());
    }
    let mut crowd = Vec::new();
    let refused = (0..100).find(|_| {
        let mut client = valed.connect();
        let _ = writeln!(client.stream, "{LIST}"); // who is one too many may have been hung up on
        let reply = client.hear();
        crowd.push(client);
        reply.is_none_or(|r| r["error"].as_str().is_some_and(|e| e.contains("too many clients")))
    });
    assert!(refused.is_some_and(|n| n <= 64), "{refused:?}");
    drop(crowd);
    wait("room again", || {
        let mut client = valed.connect();
        let _ = writeln!(client.stream, "{LIST}");
        client.hear().is_some_and(|r| r["ok"].is_array())
    });
}

#[test]
fn a_hosted_app_talks_stops_and_goes() {
    let valed = Valed::start();
    let mut client = valed.connect();
    assert_eq!(client.ask(RECEIVE).to_string(), r#"{"ok":{}}"#);
    assert_eq!(client.hear().unwrap()["event"]["event"], "start");
    for request in
        [RECEIVE, r#"{"op":"attach","port":"vale0:rx@null"}"#, r#"{"op":"detach","port":"vale0:rx"}"#]
    {
        let why = "vale0:rx: in use by pkt-gen (end that program, and the port goes)";
        assert_eq!(valed.connect().refused(request), why, "{request}");
    }
    let rows = valed.connect().ask(LIST);
    assert_eq!(
        (rows["ok"][0]["name"].as_str(), rows["ok"][0]["backend"].as_str()),
        (Some("vale0:rx"), Some("app"))
    );
    client.say(r#"{"op":"stop"}"#);
    let mut last = client.hear().unwrap();
    while last["done"].is_null() {
        let next = client.hear().unwrap();
        assert!(next["done"].is_null() || last["event"]["event"] == "final", "{last}");
        last = next;
    }
    assert_eq!(valed.connect().ask(LIST).to_string(), r#"{"ok":[]}"#, "gone when the client hears of it");
}

#[test]
fn the_app_of_a_client_that_vanishes_goes_too() {
    let valed = Valed::start();
    for goodbye in ["", "nonsense"] {
        let mut client = valed.connect();
        assert!(client.ask(RECEIVE)["ok"].is_object());
        if goodbye.is_empty() {
            drop(client);
        } else {
            client.say(goodbye);
        }
        wait("the port goes", || valed.connect().ask(LIST)["ok"].as_array().unwrap().is_empty());
    }
}

#[test]
fn a_client_that_never_reads_is_cut_and_holds_nobody_up() {
    let valed = Valed::start();
    let mut deaf = valed.connect();
    deaf.say(RECEIVE); // a hundred events a second
    wait("hosted", || valed.connect().ask(LIST)["ok"].as_array().unwrap().len() == 1);
    // Its socket buffer fills with the answers to requests that it goes on sending, or with events.
    let mut deaf_too = valed.connect();
    let _ = deaf_too.stream.set_write_timeout(Some(Duration::from_millis(200)));
    let stats = "{\"op\":\"stats\"}\n".repeat(1000);
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_secs(12) && deaf_too.stream.write_all(stats.as_bytes()).is_ok() {}
    let asked = Instant::now();
    assert!(valed.connect().ask(LIST)["ok"].is_array());
    assert!(asked.elapsed() < Duration::from_secs(2), "others are served meanwhile");
    wait("the one that never reads is cut", || {
        use std::io::ErrorKind::{BrokenPipe, ConnectionReset};
        let written = deaf_too.stream.write_all(b"\n");
        written.is_err_and(|e| matches!(e.kind(), BrokenPipe | ConnectionReset))
    });
}
