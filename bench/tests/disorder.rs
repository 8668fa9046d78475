//! Seeded delays: nothing lost, nothing beyond the bound, the same order for the same seed.

use nowcast_bench::Event;
use nowcast_bench::disorder::{Delays, Disorder};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct At(i64, u32);

impl Event for At {
    fn event_time_ms(&self) -> i64 {
        self.0
    }

    fn key(&self) -> String {
        String::new()
    }

    fn write_json(&self, _: &mut Vec<u8>) {}
}

fn events(count: u32) -> impl Iterator<Item = At> {
    (0..count).map(|number| At(i64::from(number / 3) * 10, number))
}

#[test]
fn every_event_comes_once_and_within_the_bound() {
    for delays in
        [Delays::Uniform { bound_ms: 500 }, Delays::Exponential { mean_ms: 300, bound_ms: 500 }]
    {
        let arrived: Vec<At> = Disorder::new(events(10_000), delays, 3).collect();
        assert!(!arrived.is_sorted());
        let (mut newest_ms, mut furthest_ms) = (i64::MIN, 0);
        for event in &arrived {
            newest_ms = newest_ms.max(event.0);
            furthest_ms = furthest_ms.max(newest_ms - event.0);
        }
        assert!((400..=500).contains(&furthest_ms), "{delays:?}: {furthest_ms}");
        let mut sorted = arrived.clone();
        sorted.sort();
        assert!(sorted.into_iter().eq(events(10_000)));
    }
}

#[test]
fn a_seed_fixes_the_order() {
    let order = |seed| {
        Disorder::new(events(1000), Delays::Uniform { bound_ms: 200 }, seed).collect::<Vec<_>>()
    };
    assert_eq!(order(1), order(1));
    assert_ne!(order(1), order(2));
}

#[test]
fn without_delay_nothing_moves() {
    assert!(Disorder::new(events(1000), Delays::Uniform { bound_ms: 0 }, 1).eq(events(1000)));
    assert_eq!(Disorder::new(events(0), Delays::Uniform { bound_ms: 9 }, 1).count(), 0);
}
