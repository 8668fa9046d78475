//! The turns of a rebalance, one request at a time, under a clock that the test moves.

use super::*;

const SESSION: Duration = Duration::from_secs(10);
const PATIENCE: Duration = Duration::from_secs(60);

struct Bench {
    group: Group,
    now: Instant,
}

impl Bench {
    fn new() -> Bench {
        Bench { group: Group::new(3, Offsets::new()), now: Instant::now() }
    }

    fn join(&mut self, member_id: &str, protocols: &[&str]) -> oneshot::Receiver<Joined> {
        self.join_as(member_id, None, protocols)
    }

    fn join_as(
        &mut self,
        member_id: &str,
        instance: Option<&str>,
        protocols: &[&str],
    ) -> oneshot::Receiver<Joined> {
        let (reply, answer) = oneshot::channel();
        let request = JoinRequest {
            member_id: member_id.into(),
            instance: instance.map(Into::into),
            client_id: "client".into(),
            client_host: "host".into(),
            session_timeout: SESSION,
            rebalance_timeout: PATIENCE,
            protocol_type: "consumer".into(),
            protocols: protocols
                .iter()
                .map(|p| (p.to_string(), Bytes::from(format!("{p} of {member_id}"))))
                .collect(),
            comes_back: false,
        };
        self.group.join(request, self.now, Duration::ZERO, reply);
        answer
    }

    fn sync(
        &mut self,
        joined: &Joined,
        parts: &[(&str, &'static str)],
    ) -> oneshot::Receiver<Synced> {
        let (reply, answer) = oneshot::channel();
        let parts = parts.iter().map(|&(id, part)| (id.into(), Bytes::from(part))).collect();
        self.group.sync(&caller(joined), (None, None), parts, self.now, reply);
        answer
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        self.group.tick(self.now);
    }
}

fn caller(joined: &Joined) -> Caller<'_> {
    Caller { member_id: &joined.member_id, instance: None, generation: joined.generation }
}

fn got<T>(mut answer: oneshot::Receiver<T>) -> T {
    answer.try_recv().expect("answered by now")
}

/// A stable group of two: leader and follower.
fn pair(bench: &mut Bench) -> (Joined, Joined) {
    let first = got(bench.join("", &["range"]));
    got(bench.sync(&first, &[(&first.member_id, "all")]));
    let second = bench.join("", &["range"]);
    let first = got(bench.join(&first.member_id, &["range"]));
    let second = got(second);
    let waiting = bench.sync(&second, &[]);
    got(bench.sync(&first, &[(&first.member_id, "left"), (&second.member_id, "right")]));
    assert_eq!(got(waiting).assignment, "right");
    (first, second)
}

#[test]
fn two_members_share_by_the_leaders_word() {
    let mut bench = Bench::new();
    let (first, second) = pair(&mut bench);
    assert_eq!((first.generation, second.generation), (2, 2));
    assert_eq!((first.members.len(), second.members.len()), (2, 0));
    assert_eq!(second.leader, first.member_id);
    assert_eq!(bench.group.state, State::Stable);
}

#[test]
fn a_joiner_makes_the_others_join_again() {
    let mut bench = Bench::new();
    let first = got(bench.join("", &["range"]));
    got(bench.sync(&first, &[(&first.member_id, "all")]));
    let mut second = bench.join("", &["range"]);
    assert!(second.try_recv().is_err(), "waits for the first");
    let beat = bench.group.heartbeat(&caller(&first), bench.now);
    assert_eq!(beat, Err(ResponseError::RebalanceInProgress));
}

#[test]
fn the_round_closes_without_those_who_do_not_come_in_time() {
    let mut bench = Bench::new();
    let first = got(bench.join("", &["range"]));
    got(bench.sync(&first, &[(&first.member_id, "all")]));
    let second = bench.join("", &["range"]);
    for _ in 0..12 {
        bench.pass(PATIENCE / 12);
        let _ = bench.group.heartbeat(&caller(&first), bench.now);
    }
    let second = got(second);
    assert_eq!((second.code, second.members.len()), (0, 1));
    let stale = bench.group.heartbeat(&caller(&first), bench.now);
    assert_eq!(stale, Err(ResponseError::UnknownMemberId));
}

#[test]
fn a_silent_member_is_dropped_and_a_leaving_one_at_once() {
    let mut bench = Bench::new();
    let (first, second) = pair(&mut bench);
    bench.pass(SESSION / 2);
    bench.group.heartbeat(&caller(&first), bench.now).unwrap();
    bench.pass(SESSION / 2);
    assert!(!bench.group.members.contains_key(&second.member_id));
    let alone = got(bench.join(&first.member_id, &["range"]));
    assert_eq!((alone.generation, alone.members.len()), (3, 1));
    bench.group.leave(&alone.member_id, None, bench.now).unwrap();
    assert_eq!(bench.group.state, State::Empty);
    assert!(bench.group.is_idle());
}

#[test]
fn a_member_of_an_older_generation_may_not_commit() {
    let mut bench = Bench::new();
    let (first, second) = pair(&mut bench);
    bench.group.check_commit(&caller(&first), bench.now).unwrap();
    let stale = Caller { generation: 1, ..caller(&second) };
    let refused = bench.group.check_commit(&stale, bench.now);
    assert_eq!(refused, Err(ResponseError::IllegalGeneration));
    let stranger = Caller { member_id: "", instance: None, generation: -1 };
    let refused = bench.group.check_commit(&stranger, bench.now);
    assert_eq!(refused, Err(ResponseError::UnknownMemberId));
}

#[test]
fn the_protocol_is_one_that_all_know() {
    let mut bench = Bench::new();
    let first = got(bench.join("", &["sticky", "range"]));
    got(bench.sync(&first, &[]));
    let alien = got(bench.join("", &["other"]));
    assert_eq!(alien.code, ResponseError::InconsistentGroupProtocol.code());
    let second = bench.join("", &["range"]);
    let first = got(bench.join(&first.member_id, &["sticky", "range"]));
    assert_eq!((first.protocol.as_str(), got(second).protocol.as_str()), ("range", "range"));
}

#[test]
fn a_restarted_instance_takes_the_place_of_its_former_self() {
    let mut bench = Bench::new();
    let before = got(bench.join_as("", Some("a"), &["range"]));
    let after = got(bench.join_as("", Some("a"), &["range"]));
    assert_eq!((after.code, bench.group.members.len()), (0, 1));
    let stale = Caller { instance: Some("a"), ..caller(&before) };
    let refused = bench.group.heartbeat(&stale, bench.now);
    assert_eq!(refused, Err(ResponseError::FencedInstanceId));
}

#[test]
fn a_full_group_takes_no_more() {
    let mut bench = Bench::new();
    let _waiting: Vec<_> = (0..3).map(|_| bench.join("", &["range"])).collect();
    let refused = got(bench.join("", &["range"]));
    assert_eq!(refused.code, ResponseError::GroupMaxSizeReached.code());
}
