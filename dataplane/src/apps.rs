//! The apps that the dataplane hosts: how they cross the control socket, and how they are made.

use crossbeam::channel::Sender;
use ports::{App, Port};
use serde::{Deserialize, Serialize};

use crate::identity;

/// Which app, and what it is to do.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Config {
    /// A generator or receiver of frames.
    Pktgen(pktgen::Config),
    /// A TCP endpoint that speaks iperf3.
    Iperf(iperf_endpoint::Config),
}

/// What an app has to say. In JSON it is the app's own event: who started the app knows which it is.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Event {
    /// Of a generator.
    Pktgen(pktgen::Event),
    /// Of an endpoint.
    Iperf(iperf_endpoint::Event),
}

impl TryFrom<Event> for pktgen::Event {
    type Error = ();

    fn try_from(event: Event) -> Result<Self, ()> {
        if let Event::Pktgen(event) = event { Ok(event) } else { Err(()) }
    }
}

impl TryFrom<Event> for iperf_endpoint::Event {
    type Error = ();

    fn try_from(event: Event) -> Result<Self, ()> {
        if let Event::Iperf(event) = event { Ok(event) } else { Err(()) }
    }
}

impl Config {
    /// The app, for this port. What it has to say goes to `events`; while nobody takes them off there, more
    /// are lost, and the app goes on.
    ///
    /// # Errors
    /// If the config is out of range, or does not suit the port.
    pub fn build(self, port: &Port, events: Sender<Event>) -> Result<Box<dyn App>, String> {
        match self {
            Self::Pktgen(config) => {
                config.check_port(port.tx.capabilities()).map_err(|e| e.to_string())?;
                let sink = Box::new(move |event| drop(events.try_send(Event::Pktgen(event))));
                let app = pktgen::Generator::new(config, port.mac, sink).map_err(|e| e.to_string())?;
                Ok(Box::new(app))
            }
            Self::Iperf(config) => {
                let mac = port.mac.unwrap_or_else(|| identity::station(&config.address.to_string()));
                let sink = Box::new(move |event| drop(events.try_send(Event::Iperf(event))));
                let app = iperf_endpoint::Endpoint::new(config, mac, port.tx.capabilities(), sink);
                Ok(Box::new(app.map_err(|e| e.to_string())?))
            }
        }
    }
}
