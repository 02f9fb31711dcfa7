//! What a peer says on the control connection of iperf3.

use super::params::Params;
use super::results::Results;
use super::wire::{COOKIE_LEN, Control, Cookie, MAX_PARAMS, MAX_RESULTS};
use crate::transport::Connection;

/// Reads what a client says, in the order of a test: its cookie, what it asks for, a state, its results.
///
/// # Panics
/// If parameters do not survive being written and read again.
pub fn control(input: &[u8]) {
    let mut control = Control::with(Connection(0), input);
    let cookie: Option<[u8; COOKIE_LEN]> = control.take_cookie();
    let _ = cookie.and_then(Cookie::parse).map(|cookie| cookie.text());
    if let Ok(Some(json)) = control.take_message(MAX_PARAMS)
        && let Ok(params) = Params::parse(&json)
    {
        params.connections();
        assert_eq!(Params::parse(&params.to_json()), Ok(params));
    }
    control.take_state();
    if let Ok(Some(json)) = control.take_message(MAX_RESULTS)
        && let Some(results) = Results::parse(&json)
    {
        assert!(Results::parse(&results.to_json(0)).is_some());
    }
}

#[cfg(test)]
mod tests {
    use ports::contract::corpus;

    #[test]
    fn the_corpus_does_no_harm() {
        for (name, input) in corpus("iperf3-control") {
            eprintln!("{name}");
            super::control(&input);
        }
    }
}
