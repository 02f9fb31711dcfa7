//! The cores that this process may run on.

/// A core that was asked for is not there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("core {core}: not available (try: {})", list(.available))]
pub struct NoCore {
    /// The core asked for.
    pub core: usize,
    /// Those that could have been.
    pub available: Vec<usize>,
}

fn list(cores: &[usize]) -> String {
    cores.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// The cores that this thread may run on, lowest first.
#[must_use]
pub fn available() -> Vec<usize> {
    let mut cores =
        core_affinity::get_core_ids().unwrap_or_default().iter().map(|c| c.id).collect::<Vec<_>>();
    cores.sort_unstable();
    cores
}

/// How many cores the machine has, whether this thread may run on them or not: one more than the highest number.
#[must_use]
pub fn of_machine() -> usize {
    let online = std::fs::read_to_string("/sys/devices/system/cpu/online").unwrap_or_default();
    let listed = highest(&online).map(|core| core + 1);
    listed.or_else(|| available().last().map(|core| core + 1)).unwrap_or(1)
}

/// The highest number of a list like `0-3,6`.
fn highest(list: &str) -> Option<usize> {
    list.trim().split(['-', ',']).filter_map(|number| number.parse().ok()).max()
}

/// Finds `core` among `available`.
///
/// # Errors
/// If it is not there; the error says which are.
pub fn check(core: usize, available: &[usize]) -> Result<usize, NoCore> {
    if available.contains(&core) { Ok(core) } else { Err(NoCore { core, available: available.to_vec() }) }
}

/// Binds this thread to `core`.
///
/// # Errors
/// If the core is not there.
pub fn pin(core: usize) -> Result<(), NoCore> {
    if core_affinity::set_for_current(core_affinity::CoreId { id: core }) {
        Ok(())
    } else {
        Err(NoCore { core, available: available() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_has_at_least_what_we_may_use() {
        assert!(of_machine() > *available().last().unwrap());
        assert_eq!([highest("0-3,6\n"), highest("0\n"), highest("")], [Some(6), Some(0), None]);
    }

    #[test]
    fn a_missing_core_is_named_with_those_there() {
        assert_eq!(check(7, &[0, 1]).unwrap_err().to_string(), "core 7: not available (try: 0, 1)");
        assert_eq!(check(1, &[0, 1]), Ok(1));
        assert!(!available().is_empty());
    }
}
