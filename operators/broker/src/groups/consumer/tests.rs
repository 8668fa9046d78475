//! Heartbeats of a consumer group, one at a time, under a clock that the test moves.

use super::*;

const SESSION: Duration = Duration::from_secs(45);
const PATIENCE: Duration = Duration::from_secs(300);

type Topics = BTreeMap<String, (Uuid, i32)>;

impl Known for Topics {
    fn named(&self, name: &str) -> Option<(Uuid, i32)> {
        self.get(name).copied()
    }

    fn names(&self) -> Vec<String> {
        self.keys().cloned().collect()
    }
}

struct Bench {
    group: ConsumerGroup,
    topics: Topics,
    now: Instant,
}

/// What a member knows of itself.
struct One {
    id: &'static str,
    epoch: i32,
    owned: Partitions,
}

impl Bench {
    fn new(topics: &[(&str, i32)]) -> Bench {
        let topics = topics.iter().enumerate();
        let topics =
            topics.map(|(i, (name, n))| (name.to_string(), (Uuid::from_u128(i as u128), *n)));
        Bench {
            group: ConsumerGroup::new(5, SESSION),
            topics: topics.collect(),
            now: Instant::now(),
        }
    }

    fn send(&mut self, beat: Beat) -> Result<Beaten, ResponseError> {
        self.group.heartbeat(beat, &self.topics, self.now).map_err(|refusal| refusal.code)
    }

    fn join(&mut self, id: &'static str) -> One {
        self.join_as(Beat { member_id: id.into(), ..joining(&["t"]) }, id)
    }

    fn join_as(&mut self, beat: Beat, id: &'static str) -> One {
        let beaten = self.send(beat).unwrap();
        One { id, epoch: beaten.epoch, owned: beaten.assigned.unwrap() }
    }

    /// A heartbeat that says what the member owns, and takes what it is given.
    fn beat(&mut self, one: &mut One) -> Result<(), ResponseError> {
        let beat = Beat {
            member_id: one.id.into(),
            epoch: one.epoch,
            owned: Some(one.owned.clone()),
            ..Beat::default()
        };
        let beaten = self.send(beat)?;
        one.epoch = beaten.epoch;
        if let Some(assigned) = beaten.assigned {
            one.owned = assigned;
        }
        Ok(())
    }

    /// All members send heartbeats until nothing changes; no partition is ever with two.
    fn settle(&mut self, members: &mut [&mut One]) {
        for _ in 0..10 {
            for i in 0..members.len() {
                self.beat(members[i]).unwrap();
                let all: Vec<_> = members.iter().flat_map(|one| &one.owned).collect();
                let unique: BTreeSet<_> = all.iter().collect();
                assert_eq!(unique.len(), all.len(), "a partition with two members");
            }
        }
        assert_eq!(self.group.state(), "Stable");
    }
}

fn joining(topics: &[&str]) -> Beat {
    Beat {
        rebalance_timeout: Some(PATIENCE),
        names: Some(topics.iter().map(|topic| topic.to_string()).collect()),
        owned: Some(Partitions::new()),
        ..Beat::default()
    }
}

fn sizes(members: &[&mut One]) -> Vec<usize> {
    members.iter().map(|one| one.owned.len()).collect()
}

#[test]
fn members_share_and_hand_over_one_by_one() {
    let mut bench = Bench::new(&[("t", 6)]);
    let mut a = bench.join("a");
    assert_eq!((a.owned.len(), a.epoch, bench.group.state()), (6, 1, "Stable"));
    let mut b = bench.join("b");
    assert!(b.owned.is_empty(), "a still has them");
    assert_eq!(bench.group.state(), "Reconciling");
    // The first heartbeat says what to give up, the next that it has been.
    bench.beat(&mut a).unwrap();
    assert_eq!((a.owned.len(), a.epoch), (3, 1));
    bench.beat(&mut b).unwrap();
    assert!(b.owned.is_empty());
    bench.beat(&mut a).unwrap();
    assert_eq!((a.owned.len(), a.epoch), (3, 2));
    bench.beat(&mut b).unwrap();
    assert_eq!((b.owned.len(), b.epoch), (3, 2));
    let before = a.owned.clone();
    let mut c = bench.join("c");
    bench.settle(&mut [&mut a, &mut b, &mut c]);
    assert_eq!(sizes(&[&mut a, &mut b, &mut c]), [2, 2, 2]);
    assert!(a.owned.is_subset(&before), "what need not move stays");
    let leave = Beat { member_id: "b".into(), epoch: LEAVE, ..Beat::default() };
    bench.send(leave).unwrap();
    bench.settle(&mut [&mut a, &mut c]);
    assert_eq!(sizes(&[&mut a, &mut c]), [3, 3]);
}

#[test]
fn a_stale_or_strange_member_is_fenced() {
    let mut bench = Bench::new(&[("t", 2)]);
    let mut a = bench.join("a");
    let mut b = bench.join("b");
    bench.settle(&mut [&mut a, &mut b]);
    let beat = |id: &str, epoch| Beat { member_id: id.into(), epoch, ..Beat::default() };
    let fenced = Err(ResponseError::FencedMemberEpoch);
    assert_eq!(bench.send(beat("a", a.epoch + 1)), fenced);
    assert_eq!(bench.send(beat("a", a.epoch - 1)), fenced);
    assert_eq!(bench.send(beat("x", 1)), Err(ResponseError::UnknownMemberId));
    // An answer that was lost: the epoch before, with nothing that is not its own.
    let again = Beat { owned: Some(a.owned.clone()), ..beat("a", a.epoch - 1) };
    assert_eq!(bench.send(again).unwrap().epoch, a.epoch);
    let more = a.owned.union(&b.owned).copied().collect();
    let claims = Beat { owned: Some(more), ..beat("a", a.epoch - 1) };
    assert_eq!(bench.send(claims), fenced);
    assert_eq!(bench.group.check_epoch("a", a.epoch), Ok(()));
    assert_eq!(bench.group.check_epoch("a", a.epoch - 1), Err(ResponseError::StaleMemberEpoch));
    assert_eq!(bench.group.check_epoch("x", 1), Err(ResponseError::UnknownMemberId));
}

#[test]
fn a_static_member_comes_back_to_what_it_had() {
    let mut bench = Bench::new(&[("t", 4)]);
    let static_join =
        |id: &str| Beat { member_id: id.into(), instance: Some("i".into()), ..joining(&["t"]) };
    let mut a = bench.join_as(static_join("a"), "a");
    let mut b = bench.join("b");
    // A heartbeat of a static member names its instance.
    for _ in 0..4 {
        let beat = Beat {
            member_id: "a".into(),
            instance: Some("i".into()),
            epoch: a.epoch,
            owned: Some(a.owned.clone()),
            ..Beat::default()
        };
        let beaten = bench.send(beat).unwrap();
        a.epoch = beaten.epoch;
        a.owned = beaten.assigned.unwrap_or(a.owned);
        bench.beat(&mut b).unwrap();
    }
    let epoch = bench.group.epoch;
    assert_eq!(bench.send(static_join("c")), Err(ResponseError::UnreleasedInstanceId));
    let rest = Beat { epoch: LEAVE_FOR_NOW, ..static_join("a") };
    assert_eq!(bench.send(rest).unwrap().epoch, LEAVE_FOR_NOW);
    bench.beat(&mut b).unwrap();
    assert_eq!(b.owned.len(), 2, "b gets nothing of it");
    let c = bench.join_as(static_join("c"), "c");
    assert_eq!((&c.owned, bench.group.epoch), (&a.owned, epoch));
    let late = Beat { epoch: a.epoch, ..static_join("a") };
    assert_eq!(bench.send(late), Err(ResponseError::FencedInstanceId));
}

#[test]
fn a_silent_member_and_one_that_gives_nothing_up_are_dropped() {
    let mut bench = Bench::new(&[("t", 4)]);
    let mut a = bench.join("a");
    let mut b = bench.join("b");
    // `a` hears that it is to give up two, and only ever says that it has all four.
    let stubborn = Beat {
        member_id: "a".into(),
        epoch: a.epoch,
        owned: Some(a.owned.clone()),
        ..Beat::default()
    };
    for _ in 0..PATIENCE.as_secs() / 10 {
        bench.now += Duration::from_secs(10);
        bench.group.tick(bench.now);
        if bench.group.members.contains_key("a") {
            bench.send(stubborn.clone()).unwrap();
        }
        bench.beat(&mut b).unwrap();
    }
    bench.now += Duration::from_secs(10);
    bench.group.tick(bench.now);
    assert!(!bench.group.members.contains_key("a"));
    assert_eq!(bench.beat(&mut a), Err(ResponseError::UnknownMemberId));
    bench.beat(&mut b).unwrap();
    assert_eq!(b.owned.len(), 4);
    bench.now += SESSION;
    bench.group.tick(bench.now);
    assert_eq!(bench.group.state(), "Empty");
}

#[test]
fn new_partitions_and_topics_are_shared_out() {
    let mut bench = Bench::new(&[("t", 2), ("other", 3)]);
    let pattern = Beat { names: None, pattern: Some("t.*".into()), ..joining(&[]) };
    let mut a = bench.join_as(Beat { member_id: "a".into(), ..pattern.clone() }, "a");
    assert_eq!(a.owned.len(), 2);
    bench.topics.insert("t".into(), (Uuid::from_u128(0), 5));
    bench.topics.insert("t2".into(), (Uuid::from_u128(9), 1));
    bench.beat(&mut a).unwrap();
    assert_eq!(a.owned.len(), 6);
    bench.topics.remove("t");
    bench.settle(&mut [&mut a]);
    assert_eq!(a.owned.len(), 1);
    let bad = Beat { member_id: "b".into(), pattern: Some("(".into()), ..pattern };
    assert_eq!(bench.send(bad), Err(ResponseError::InvalidRegularExpression));
    assert_eq!(bench.group.members.len(), 1);
}

#[test]
fn a_full_group_takes_no_more() {
    let mut bench = Bench::new(&[("t", 1)]);
    for id in ["a", "b", "c", "d", "e"] {
        bench.join(id);
    }
    let more = Beat { member_id: "f".into(), ..joining(&["t"]) };
    assert_eq!(bench.send(more), Err(ResponseError::GroupMaxSizeReached));
}

#[test]
fn the_range_assignor_gives_the_same_indexes_of_several_topics() {
    let mut bench = Bench::new(&[("t", 5), ("u", 5)]);
    let range = || Beat { assignor: Some(Assignor::Range), ..joining(&["t", "u"]) };
    let mut a = bench.join_as(Beat { member_id: "a".into(), ..range() }, "a");
    let mut b = bench.join_as(Beat { member_id: "b".into(), ..range() }, "b");
    bench.settle(&mut [&mut a, &mut b]);
    let indexes = |one: &One| one.owned.iter().map(|(_, index)| *index).collect::<Vec<_>>();
    assert_eq!(indexes(&a), [0, 1, 2, 0, 1, 2]);
    assert_eq!(indexes(&b), [3, 4, 3, 4]);
}

#[test]
fn the_uniform_assignor_is_even_whoever_subscribes_to_what() {
    let mut bench = Bench::new(&[("t", 4), ("u", 7), ("v", 1)]);
    let of = |id: &str, topics: &[&str]| Beat { member_id: id.into(), ..joining(topics) };
    let mut a = bench.join_as(of("a", &["t", "u"]), "a");
    let mut b = bench.join_as(of("b", &["u"]), "b");
    let mut c = bench.join_as(of("c", &["t", "u", "v"]), "c");
    bench.settle(&mut [&mut a, &mut b, &mut c]);
    assert_eq!(sizes(&[&mut a, &mut b, &mut c]), [4, 4, 4]);
    assert!(b.owned.iter().all(|(topic, _)| *topic == Uuid::from_u128(1)));
}
