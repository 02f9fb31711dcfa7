//! What servers should not do: stay away, hang up, talk nonsense. Our client ends, and says why.

use crate::bench::{Log, SERVER, no_cpu, seconds};
use crate::rogue_client::PORT;
use iperf_endpoint::iperf3::Client;
use iperf_endpoint::loopback::Network;
use iperf_endpoint::transport::{SocketOptions, Transport};
use ports::Time;
use proptest::prelude::*;
use std::net::Ipv4Addr;
use std::time::Duration;

/// A client of ours against a machine that sends `answers` to every connection and then `closes`.
fn against_rogue_server(answers: &[&[u8]], closes: bool) -> Log {
    let mut net = Network::new(Duration::from_micros(200), 1_000_000_000);
    let (server, host) = (net.add_host(SERVER), net.add_host(Ipv4Addr::new(10, 0, 1, 1)));
    net.host(server).listen(PORT, SocketOptions::default());
    let log = Log::default();
    let mut client = Client::new(seconds(1), 5, no_cpu, log.sink());
    let (mut now, mut control) = (Time::ZERO, None);
    let mut answers = answers.iter();
    for _ in 0..1_000_000 {
        net.advance(now);
        let busy = client.poll(&mut net.host(host), now);
        if client.status().is_some() {
            return log;
        }
        let mut tcp = net.host(server);
        control = control.or_else(|| tcp.accept(PORT));
        if let Some(c) = control {
            tcp.discard(c, usize::MAX);
            match answers.next() {
                Some(words) => _ = tcp.send(c, words),
                None if closes => tcp.close(c),
                None => {}
            }
        }
        if !busy {
            now = net.next_arrival().min(client.deadline(now)).max(Time(now.0 + 1));
        }
    }
    panic!("the client never ends: {:?}", log.events());
}

#[test]
fn a_client_ends_with_a_reason_whatever_the_server_does() {
    let denied: &[u8] = &[0xff];
    let refused: &[u8] = &[0xfe, 0, 0, 0, 131, 0, 0, 0, 0];
    let one_word: &[u8] = &[0xfe, 0, 0, 0, 142];
    for (answers, closes, word) in [
        (&[][..], true, "closed unexpectedly"),
        (&[], false, "no answer from the server"),
        (&[denied], true, "busy"),
        (&[refused], true, "protocol"),
        (&[one_word], true, "not authorized"),
        (&[b"SSH-2.0-OpenSSH_9.2p1\r\n"], false, "is it an iperf3 server?"),
        (&[&[9]], true, "while the parameters were exchanged"),
        (&[&[9], &[10]], true, "data connections"),
        (&[&[9], &[11]], true, "the server has terminated"),
        (&[&[9], &[13]], false, "unknown message 13"),
    ] {
        let log = against_rogue_server(answers, closes);
        assert_eq!(log.errors().len(), 1);
        assert!(log.errors()[0].contains(word), "{answers:?}: {:?}", log.errors());
        assert_eq!(log.events().last(), Some(&iperf_endpoint::Event::Done { status: 1 }));
    }
}

#[test]
fn nobody_and_nothing_there_differ() {
    let run = |with_host| {
        let mut net = Network::new(Duration::from_micros(200), 1_000_000_000);
        let host = net.add_host(Ipv4Addr::new(10, 0, 1, 1));
        if with_host {
            net.add_host(SERVER);
        }
        let log = Log::default();
        let mut client = Client::new(seconds(1), 5, no_cpu, log.sink());
        let mut now = Time::ZERO;
        while client.status().is_none() {
            net.advance(now);
            client.poll(&mut net.host(host), now);
            if client.status().is_some() {
                break;
            }
            now = net.next_arrival().min(client.deadline(now)).max(Time(now.0 + 1));
        }
        assert!(now <= Time::from_secs(11), "{now:?}");
        log.errors().concat()
    };
    assert!(run(true).contains("connection refused"), "{}", run(true));
    assert!(run(false).contains("no answer in 10 s"), "{}", run(false));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn a_server_that_answers_garbage(answers in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..60), 0..4), closes in any::<bool>()) {
        let mut all: Vec<&[u8]> = vec![&[9], &[10]];
        all.extend(answers.iter().map(Vec::as_slice));
        for from in 0..3 {
            let log = against_rogue_server(&all[from.min(all.len())..], closes);
            prop_assert_eq!(log.errors().len(), 1);
        }
    }
}
