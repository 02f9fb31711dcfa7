//! The MAC table against a map.

use std::collections::HashMap;

use proptest::prelude::*;

use super::*;

const AGEING: Duration = Duration::from_secs(300);

#[derive(Clone, Debug)]
enum Event {
    Hear { station: u64, port: usize },
    Sleep { ms: u64 },
    Age,
    Purge { port: usize },
    Forget { station: u64, port: usize },
}

fn event() -> impl Strategy<Value = Event> {
    let (station, port) = (1u64..60, 0usize..4);
    prop_oneof![
        20 => (station.clone(), port.clone()).prop_map(|(station, port)| Event::Hear { station, port }),
        5 => (0u64..20_000).prop_map(|ms| Event::Sleep { ms }),
        1 => (0u64..4_000_000).prop_map(|ms| Event::Sleep { ms }),
        3 => Just(Event::Age),
        1 => port.clone().prop_map(|port| Event::Purge { port }),
        1 => (station, port).prop_map(|(station, port)| Event::Forget { station, port }),
    ]
}

fn mac(n: u64) -> Mac {
    Mac::from_bits(0x0200_0000_0000 | n)
}

fn port(n: usize) -> PortIndex {
    PortIndex::new(n).unwrap()
}

fn at(table: &MacTable, station: Mac, tick: Tick) -> Option<PortIndex> {
    table.port_of(station, tick).map(|number| port(number.into()))
}

/// What was heard last, in plain words.
#[derive(Default)]
struct Model(HashMap<u64, (PortIndex, Time)>);

impl Model {
    /// Where a station must be said to be, as far as it is certain: it may be remembered a sixteenth longer.
    fn expected(&self, station: u64, now: Time) -> Option<Option<PortIndex>> {
        match self.0.get(&station) {
            Some((port, heard)) if now.since(*heard) <= AGEING => Some(Some(*port)),
            Some((_, heard)) if now.since(*heard) <= AGEING + AGEING / 16 => None,
            _ => Some(None),
        }
    }
}

proptest! {
    #[test]
    fn agrees_with_a_map(events in proptest::collection::vec(event(), 1..300)) {
        let table = MacTable::new(1 << 10, AGEING); // so large that no window fills up with 60 stations
        let (mut model, mut now) = (Model::default(), Time::from_secs(7));
        for event in events {
            match event {
                Event::Hear { station, port: n } => {
                    table.age(now);
                    let tick = table.ageing().tick(now);
                    let before = at(&table, mac(station), tick);
                    let changed = table.learn(mac(station), port(n), tick);
                    prop_assert_eq!(changed, before != Some(port(n)));
                    model.0.insert(station, (port(n), now));
                }
                Event::Sleep { ms } => now = now + Duration::from_millis(ms),
                Event::Age => table.age(now),
                Event::Purge { port: n } => {
                    table.purge(port(n));
                    model.0.retain(|_, (p, _)| *p != port(n));
                }
                Event::Forget { station, port: n } => {
                    table.forget(mac(station), port(n));
                    if model.0.get(&station).is_some_and(|(p, _)| *p == port(n)) {
                        model.0.remove(&station);
                    }
                }
            }
            table.age(now);
            let tick = table.ageing().tick(now);
            let listed: HashMap<_, _> = table.stations(now).iter().map(|s| (s.mac, s.port)).collect();
            for station in 1..60 {
                let found = at(&table, mac(station), tick);
                prop_assert_eq!(found, listed.get(&mac(station)).copied());
                if let Some(expected) = model.expected(station, now) {
                    prop_assert_eq!(found, expected, "station {} at {:?}", station, now);
                }
            }
        }
    }

    /// Evicts only when a window is full, and then who was not heard for the longest time.
    #[test]
    fn evicts_the_longest_unheard(order in proptest::collection::vec(1u64..40, 1..400)) {
        let table = MacTable::new(1, AGEING); // one window
        prop_assert_eq!(table.lines.len() * LINE, 16);
        let mut recent = Vec::<(u64, Time)>::new();
        let mut now = Time::from_secs(7);
        for station in order {
            now = now + table.ageing().time(1); // so that no two stations are of one age
            let tick = table.ageing().tick(now);
            table.learn(mac(station), port(0), tick);
            recent.retain(|(s, heard)| *s != station && now.since(*heard) <= AGEING);
            recent.insert(0, (station, now));
            recent.truncate(16);
            for (station, _) in &recent {
                prop_assert_eq!(at(&table, mac(*station), tick), Some(port(0)), "{}", station);
            }
        }
    }

    #[test]
    fn ages_survive_a_new_ageing_time(age in 0u64..290, new in 1u64..100_000) {
        let table = MacTable::new(16, AGEING);
        let heard = Time::from_secs(1_000_000);
        table.age(heard);
        table.learn(mac(1), port(0), table.ageing().tick(heard));
        let now = heard + Duration::from_secs(age);
        table.age(now);
        let new = Duration::from_secs(new);
        table.set_ageing(new, now);
        prop_assert_eq!(Duration::from_nanos(table.ageing().ns()), new);
        // A tick of the old or the new time either way.
        let slack = (AGEING + new) / 32;
        let age = Duration::from_secs(age);
        match table.stations(now)[..] {
            [station] => {
                prop_assert!(age <= new + slack);
                prop_assert!(station.age.abs_diff(age) <= slack, "{:?} {:?}", station.age, age);
            }
            _ => prop_assert!(age + slack > new),
        }
    }
}

#[test]
fn a_table_takes_twice_its_stations() {
    for stations in [1, 8, 9, 1000, 1 << 16] {
        assert!(MacTable::new(stations, AGEING).lines.len() * LINE >= 2 * stations, "{stations}");
    }
}

/// Stations numbered one after the other, in the ways that vendors and virtual machines do, with many secrets.
#[test]
fn numbered_stations_find_room() {
    for step in [1, 2, 16, 256, 1 << 16, 1 << 24] {
        for _ in 0..100 {
            let table = MacTable::new(1 << 10, AGEING);
            let tick = table.ageing().tick(Time::ZERO);
            for n in 0..1 << 10 {
                table.learn(mac((n + 1) * step), port(0), tick);
            }
            let known = table.stations(Time::ZERO).len();
            assert!(known > (1 << 10) - 40, "{known} of {} found room, step {step}", 1 << 10);
        }
    }
}

/// As two workers leave them that hear a new station at once while room comes free in its window.
#[test]
fn of_doubles_the_first_stays() {
    let table = MacTable::new(1, AGEING);
    let slots: Vec<_> = table.window(mac(1)).collect();
    for (slot, behind) in [(3, 1), (9, 2), (15, 3)] {
        slots[slot].store(Entry::new(mac(1), port(behind), 0).0, Ordering::Relaxed);
    }
    table.drop_doubles(mac(1));
    let known: Vec<_> = table.stations(Time::ZERO).iter().map(|s| s.port).collect();
    assert_eq!(known, [port(1)]);
}

#[test]
fn a_long_silence_makes_nobody_young_again() {
    let heard = Time::from_secs(1_000_000);
    for seconds in (320..10_000).step_by(7) {
        let table = MacTable::new(1, AGEING);
        table.age(heard);
        table.learn(mac(1), port(0), table.ageing().tick(heard));
        let now = heard + Duration::from_secs(seconds);
        table.age(now);
        assert_eq!(table.stations(now), [], "after {seconds} s");
    }
}
