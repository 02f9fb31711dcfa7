//! `PORT@conf:rings=4,slots=2048`, by which netmap's programs say how large the rings of a port are to be.

use std::borrow::Cow;

/// A port whose name says so: what is left of it here.
struct Conf<'a> {
    /// The name before it.
    head: &'a str,
    /// Slots of a ring; of netmap's two numbers the larger, since one is for both directions here.
    slots: Option<u32>,
    /// What is without meaning here, as it was given.
    unheeded: Vec<&'a str>,
}

/// The name of a port, with the slots of `@conf:` where a name takes them. What is no `@conf:` is as it was: who parses
/// the name says what is wrong.
pub(super) fn plain(port: &str) -> Cow<'_, str> {
    let Some(Conf { head, slots, .. }) = Conf::of(port) else { return Cow::Borrowed(port) };
    match slots.zip(backend(head)) {
        Some((slots, backend)) => Cow::Owned(format!("{head}@{backend}:slots={slots}")),
        None => Cow::Borrowed(head),
    }
}

/// A line for what of `@conf:` has no meaning here, if there is any.
pub(super) fn note(port: &str) -> Option<String> {
    let Conf { head, unheeded, .. } = Conf::of(port)?;
    let what = unheeded.join(",");
    let why = if backend(head).is_some() {
        "rings are those of the threads (-p)"
    } else {
        "slots are the port's own"
    };
    (!unheeded.is_empty()).then(|| format!("{head}@conf:{what}: without meaning here: {why}"))
}

/// What is behind a port that has a number of slots to ask for.
fn backend(head: &str) -> Option<&'static str> {
    if head == "null" || head.starts_with("tap") || head.contains('^') {
        return None;
    }
    Some(if head.starts_with("vale") { "virtual" } else { "afxdp" })
}

impl<'a> Conf<'a> {
    fn of(port: &'a str) -> Option<Self> {
        let (head, options) = port.split_once("@conf:").filter(|_| !port.starts_with("pcap:"))?;
        let mut conf = Self { head, slots: None, unheeded: Vec::new() };
        for option in options.split(',') {
            let (key, value) = option.split_once('=')?;
            let value = value.parse::<u32>().ok()?;
            // As in netmap, '-' and '_' are the same in a key.
            match key.replace('_', "-").as_str() {
                "slots" | "tx-slots" | "rx-slots" if backend(head).is_some() => {
                    conf.slots = conf.slots.max(Some(value).filter(|slots| *slots > 0));
                }
                "slots" | "tx-slots" | "rx-slots" | "rings" | "tx-rings" | "rx-rings" | "host-rings"
                | "host-tx-rings" | "host-rx-rings" => conf.unheeded.push(option),
                _ => return None,
            }
        }
        Some(conf)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_go_to_the_backend_and_the_rest_is_told() {
        let rings = "without meaning here: rings are those of the threads (-p)";
        let own = "without meaning here: slots are the port's own";
        for (port, expected, told) in [
            ("vale0:1", "vale0:1", String::new()),
            ("vale0:1@conf:slots=512", "vale0:1@virtual:slots=512", String::new()),
            ("vale0:1@conf:tx-slots=64,rx_slots=256", "vale0:1@virtual:slots=256", String::new()),
            (
                "vale0:1@conf:rings=4,slots=2048,host-rings=2",
                "vale0:1@virtual:slots=2048",
                format!("vale0:1@conf:rings=4,host-rings=2: {rings}"),
            ),
            ("vale0:1@conf:tx-rings=2", "vale0:1", format!("vale0:1@conf:tx-rings=2: {rings}")),
            ("vale0:1@conf:slots=0", "vale0:1", String::new()),
            ("netmap:eth0@conf:slots=512", "netmap:eth0@afxdp:slots=512", String::new()),
            ("eth0@conf:rings=2", "eth0", format!("eth0@conf:rings=2: {rings}")),
            ("tap7@conf:slots=64", "tap7", format!("tap7@conf:slots=64: {own}")),
            ("vale0:eth0^@conf:slots=64", "vale0:eth0^", format!("vale0:eth0^@conf:slots=64: {own}")),
            ("pcap:a@conf:slots=64", "pcap:a@conf:slots=64", String::new()),
            ("vale0:1@conf:slots=x", "vale0:1@conf:slots=x", String::new()),
            ("vale0:1@conf:holes=4", "vale0:1@conf:holes=4", String::new()),
        ] {
            assert_eq!((&*plain(port), note(port).unwrap_or_default()), (expected, told), "{port}");
        }
    }
}
