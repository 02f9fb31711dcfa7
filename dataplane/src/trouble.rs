//! What counters say that a user should do something about.

use ports::counters::Totals;
use ports::{Counters, Reason};

/// The trouble with the port that users know as `name`, on `interface`, and the cure; one line.
pub(crate) fn hint(name: &str, interface: &str, totals: &Totals) -> Option<String> {
    (totals.dropped(Reason::BadChecksum) > 0).then(|| {
        format!(
            "{name}: peer leaves checksums to be filled in (try: ethtool -K PEER tx off, or attach {interface}@packet)"
        )
    })
}

/// Tells of trouble once.
#[derive(Default)]
pub(crate) struct Watchman {
    told: bool,
}

impl Watchman {
    /// The trouble that a port has, if it has not been told before.
    pub(crate) fn look(&mut self, name: &str, interface: &str, counters: &Counters) -> Option<String> {
        if self.told {
            return None;
        }
        let hint = hint(name, interface, &counters.read());
        self.told = hint.is_some();
        hint
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trouble_is_told_once() {
        let (counters, mut watchman) = (Counters::default(), Watchman::default());
        assert_eq!(watchman.look("vale0:veth0", "veth0", &counters), None);
        counters.add_drops(Reason::BadChecksum, 1);
        let told = watchman.look("vale0:veth0", "veth0", &counters).unwrap();
        assert!(told.starts_with("vale0:veth0: peer") && told.contains("veth0@packet"), "{told}");
        assert_eq!(watchman.look("vale0:veth0", "veth0", &counters), None);
    }
}
