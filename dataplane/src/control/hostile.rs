//! What comes by the control socket, up to where something is done about it.

use super::lines::{Lines, MAX_REQUEST};
use super::message::Request;
use crate::apps::Config;
use crate::name::ValePort;

/// Reads lines as a session does, and what stands in them.
///
/// # Panics
/// If a name does not survive being written and read again.
pub fn lines(input: &[u8]) {
    let mut lines = Lines::new(input, MAX_REQUEST);
    while let Ok(Some(line)) = lines.next_line() {
        match serde_json::from_str(line) {
            Ok(Request::Attach { port, .. } | Request::Detach { port }) => name(&port),
            Ok(Request::Host { on, app, others, .. }) => {
                name(&on);
                check(&app);
                others.iter().for_each(|thread| check(&thread.app));
            }
            Ok(_) | Err(_) => {}
        }
    }
}

fn name(text: &str) {
    if let Ok(port) = text.parse::<ValePort>() {
        assert_eq!(port.to_string().parse::<ValePort>().as_ref(), Ok(&port));
    }
}

/// What is checked of an app before it runs.
fn check(app: &Config) {
    match app {
        Config::Pktgen(config) => drop(config.check()),
        Config::Trial(trial) => drop(trial.config.check()),
        Config::Iperf(config) => drop(config.validate()),
    }
}

#[cfg(test)]
mod tests {
    use ports::contract::corpus;

    #[test]
    fn the_corpus_does_no_harm() {
        for (name, input) in corpus("control-lines") {
            eprintln!("{name}");
            super::lines(&input);
        }
    }
}
