//! A server and its clients on a network in memory, run in virtual time.

use iperf_endpoint::config::{ClientConfig, ServerConfig};
use iperf_endpoint::cpu::CpuTime;
use iperf_endpoint::event::{Event, Interval, TestEnd};
use iperf_endpoint::iperf3::{Client, Server};
use iperf_endpoint::loopback::{HostId, Network};
use ports::Time;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

pub(crate) const SERVER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);

/// Events as they come, readable while their maker runs.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<Event>>>);

impl Log {
    pub(crate) fn sink(&self) -> iperf_endpoint::EventSink {
        let log = self.0.clone();
        Box::new(move |e| log.lock().unwrap().push(e))
    }

    pub(crate) fn events(&self) -> Vec<Event> {
        self.0.lock().unwrap().clone()
    }

    pub(crate) fn intervals(&self) -> Vec<Interval> {
        self.events()
            .into_iter()
            .filter_map(|e| if let Event::Interval(i) = e { Some(i) } else { None })
            .collect()
    }

    pub(crate) fn ends(&self) -> Vec<TestEnd> {
        self.events()
            .into_iter()
            .filter_map(|e| if let Event::TestEnd(t) = e { Some(t) } else { None })
            .collect()
    }

    pub(crate) fn errors(&self) -> Vec<String> {
        self.events()
            .into_iter()
            .filter_map(|e| if let Event::Error(f) = e { Some(f.message) } else { None })
            .collect()
    }
}

pub(crate) fn no_cpu() -> CpuTime {
    CpuTime::default()
}

pub(crate) struct Guest {
    pub(crate) host: HostId,
    pub(crate) client: Client,
    pub(crate) log: Log,
}

/// One server, any number of clients, each on a machine of its own.
pub(crate) struct Bench {
    pub(crate) net: Network,
    pub(crate) now: Time,
    pub(crate) server_host: HostId,
    pub(crate) server: Server,
    pub(crate) server_log: Log,
    pub(crate) guests: Vec<Guest>,
}

impl Bench {
    pub(crate) fn new(config: ServerConfig) -> Self {
        Self::with_network(config, Network::new(Duration::from_micros(200), 1_000_000_000))
    }

    pub(crate) fn with_network(config: ServerConfig, mut net: Network) -> Self {
        let server_log = Log::default();
        let server_host = net.add_host(SERVER);
        let server = Server::new(config, no_cpu, server_log.sink());
        Self { net, now: Time::ZERO, server_host, server, server_log, guests: Vec::new() }
    }

    pub(crate) fn add_client(&mut self, config: ClientConfig) -> usize {
        let n = self.guests.len();
        let host = self.net.add_host(Ipv4Addr::new(10, 0, 1, u8::try_from(n).unwrap()));
        let log = Log::default();
        let client = Client::new(config, 7 + n as u64, no_cpu, log.sink());
        self.guests.push(Guest { host, client, log });
        n
    }

    /// Polls everybody until nobody has anything to do at this instant.
    pub(crate) fn settle(&mut self) {
        for _ in 0..100_000 {
            let mut busy = self.net.advance(self.now);
            busy |= self.server.poll(&mut self.net.host(self.server_host), self.now);
            for g in &mut self.guests {
                busy |= g.client.poll(&mut self.net.host(g.host), self.now);
            }
            if !busy {
                return;
            }
        }
        panic!("nothing settles at {:?}", self.now);
    }

    /// When somebody has something to do next.
    pub(crate) fn next(&self) -> Time {
        let guests = self.guests.iter().map(|g| g.client.deadline(self.now));
        guests.fold(self.net.next_arrival().min(self.server.deadline(self.now)), Ord::min)
    }

    /// Runs until `until` says so or `limit` is reached; whether `until` did.
    pub(crate) fn run(&mut self, limit: Time, mut until: impl FnMut(&Self) -> bool) -> bool {
        loop {
            self.settle();
            if until(self) {
                return true;
            }
            let next = self.next();
            if next > limit {
                self.now = limit;
                self.settle();
                return until(self);
            }
            self.now = next.max(Time(self.now.0 + 1));
        }
    }

    /// Runs until every client has ended, and checks that none failed.
    pub(crate) fn finish(&mut self, limit_s: u64) {
        let done =
            self.run(Time::from_secs(limit_s), |b| b.guests.iter().all(|g| g.client.status().is_some()));
        let errors: Vec<_> = self.guests.iter().flat_map(|g| g.log.errors()).collect();
        assert!(done, "clients did not end: {errors:?}, server: {:?}", self.server_log.errors());
        assert!(self.guests.iter().all(|g| g.client.status() == Some(0)), "{errors:?}");
    }
}

/// Client configuration for `seconds` against [`SERVER`].
pub(crate) fn seconds(seconds: u64) -> ClientConfig {
    let until = iperf_endpoint::config::Until::Time(Duration::from_secs(seconds));
    ClientConfig { until, ..ClientConfig::new(SERVER) }
}
