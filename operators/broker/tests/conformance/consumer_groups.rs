//! Groups of the newer protocol (KIP-848), whose partitions the broker assigns: librdkafka's
//! `group.protocol=consumer`, and plain heartbeats.

use std::collections::{BTreeSet, HashMap};
use std::mem::ManuallyDrop;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::consumer_group_heartbeat_request::TopicPartitions;
use kafka_protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use kafka_protocol::messages::offset_fetch_request::{
    OffsetFetchRequestGroup, OffsetFetchRequestTopics,
};
use kafka_protocol::messages::{
    ConsumerGroupDescribeRequest, ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse,
    FindCoordinatorRequest, GroupId, ListGroupsRequest, OffsetCommitRequest, OffsetFetchRequest,
};
use kafka_protocol::protocol::StrBytes;
use rdkafka::Offset;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::RDKafkaErrorCode;
use uuid::Uuid;

use crate::groups::{assigned, fill, poll_until};
use crate::raw::{Raw, name};
use crate::support::{
    Embedded, admin, client, fresh, options, runtime, send_numbers, topic, until,
};

fn s(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

fn member(bootstrap: &str, group: &str, topic: &str, more: &[(&str, &str)]) -> BaseConsumer {
    let settings = [
        ("group.id", group),
        ("group.protocol", "consumer"),
        ("auto.offset.reset", "earliest"),
        ("enable.auto.commit", "false"),
        ("topic.metadata.refresh.interval.ms", "500"),
    ];
    let settings = [&settings[..], more].concat();
    let consumer: BaseConsumer = client(bootstrap, &settings).create().unwrap();
    consumer.subscribe(&[topic]).unwrap();
    consumer
}

pub fn two_members_share_and_resume(bootstrap: &str) {
    let topic = topic(bootstrap, 4, &[]);
    let group = fresh("group");
    fill(bootstrap, &topic, 0..40);
    let mut got = Vec::new();
    let first = member(bootstrap, &group, &topic, &[]);
    poll_until("one reads all", &[&first], &mut got, |got| got.len() == 40);
    first.commit_consumer_state(CommitMode::Sync).unwrap();

    let second = member(bootstrap, &group, &topic, &[]);
    let both = [&first, &second];
    poll_until("both have a share", &both, &mut got, |_| {
        assigned(&first) == 2 && assigned(&second) == 2
    });
    assert_eq!(got.len(), 40, "the second began at what was committed");
    fill(bootstrap, &topic, 40..80);
    poll_until("both read on", &both, &mut got, |got| got.len() == 80);
    for member in both {
        member.commit_consumer_state(CommitMode::Sync).unwrap();
    }
    drop(first);
    poll_until("the second has all", &[&second], &mut got, |_| assigned(&second) == 4);
    fill(bootstrap, &topic, 80..100);
    poll_until("the second reads on", &[&second], &mut got, |got| got.len() == 100);
    let all: BTreeSet<i32> = got.into_iter().collect();
    assert_eq!(all, (0..100).collect());
}

pub fn a_pattern_finds_topics_that_come_later(bootstrap: &str) {
    let prefix = fresh("pattern");
    let group = fresh("group");
    let consumer = member(bootstrap, &group, &format!("^{prefix}.*"), &[]);
    let create = |name: &str| {
        use rdkafka::admin::{NewTopic, TopicReplication};
        let new = NewTopic::new(name, 2, TopicReplication::Fixed(1));
        let created = runtime().block_on(admin(bootstrap).create_topics([&new], &options()));
        created.unwrap().remove(0).unwrap();
    };
    for (suffix, partitions) in [("a", 2), ("b", 4)] {
        create(&format!("{prefix}-{suffix}"));
        let mut none = Vec::new();
        let what = "the new topic's partitions";
        until(what, || {
            // It may not be known for a moment.
            if let Some(Ok(_)) = consumer.poll(std::time::Duration::from_millis(20)) {
                none.push(());
            }
            (assigned(&consumer) == partitions).then_some(())
        });
    }
}

pub fn a_static_member_keeps_its_partitions(bootstrap: &str) {
    let topic = topic(bootstrap, 4, &[]);
    let group = fresh("group");
    let instance = |name| [("group.instance.id", name)];
    let one = member(bootstrap, &group, &topic, &instance("one"));
    let two = member(bootstrap, &group, &topic, &instance("two"));
    let mut got = Vec::new();
    poll_until("both have a share", &[&one, &two], &mut got, |_| {
        assigned(&one) == 2 && assigned(&two) == 2
    });
    let had = one.assignment().unwrap().to_topic_map();
    drop(one);
    let again = member(bootstrap, &group, &topic, &instance("one"));
    poll_until("it has its share again", &[&again, &two], &mut got, |_| assigned(&again) == 2);
    let has = again.assignment().unwrap().to_topic_map();
    let keys = |map: &HashMap<(String, i32), Offset>| -> BTreeSet<(String, i32)> {
        map.keys().cloned().collect()
    };
    assert_eq!(keys(&had), keys(&has));
    assert_eq!(assigned(&two), 2);
}

pub fn the_range_assignor_is_asked_for(bootstrap: &str) {
    let topic = topic(bootstrap, 6, &[]);
    let group = fresh("group");
    let range = [("group.remote.assignor", "range")];
    let one = member(bootstrap, &group, &topic, &range);
    let two = member(bootstrap, &group, &topic, &range);
    poll_until("both have a share", &[&one, &two], &mut Vec::new(), |_| {
        assigned(&one) == 3 && assigned(&two) == 3
    });
    for member in [&one, &two] {
        let list = member.assignment().unwrap();
        let mut indexes: Vec<_> = list.elements().iter().map(|e| e.partition()).collect();
        indexes.sort_unstable();
        assert!(indexes == [0, 1, 2] || indexes == [3, 4, 5], "{indexes:?}");
    }
}

/// A member in plain protocol, that does only what it is told.
struct One {
    raw: Raw,
    group: String,
    id: String,
    instance: Option<String>,
    epoch: i32,
    owned: Vec<TopicPartitions>,
}

type Answer = ConsumerGroupHeartbeatResponse;

impl One {
    fn new(bootstrap: &str, group: &str, instance: Option<&str>) -> One {
        let mut raw = Raw::connect(bootstrap);
        let find = FindCoordinatorRequest::default().with_coordinator_keys(vec![s(group)]);
        until("there is a coordinator", || {
            (raw.call(4, &find).coordinators[0].error_code == 0).then_some(())
        });
        let id = Uuid::new_v4().to_string();
        let instance = instance.map(str::to_owned);
        One { raw, group: group.to_owned(), id, instance, epoch: 0, owned: Vec::new() }
    }

    fn request(&self) -> ConsumerGroupHeartbeatRequest {
        ConsumerGroupHeartbeatRequest::default()
            .with_group_id(GroupId(s(&self.group)))
            .with_member_id(s(&self.id))
            .with_member_epoch(self.epoch)
            .with_rebalance_timeout_ms(-1)
            .with_instance_id(self.instance.as_deref().map(s))
    }

    fn joining(&self, topic: &str) -> ConsumerGroupHeartbeatRequest {
        self.request()
            .with_rebalance_timeout_ms(30_000)
            .with_subscribed_topic_names(Some(vec![name(topic)]))
            .with_topic_partitions(Some(Vec::new()))
    }

    fn send(&mut self, request: &ConsumerGroupHeartbeatRequest) -> Answer {
        until("the coordinator is loaded", || {
            let answer = self.raw.call(1, request);
            let passing = [
                ResponseError::CoordinatorLoadInProgress.code(),
                ResponseError::CoordinatorNotAvailable.code(),
                ResponseError::NotCoordinator.code(),
            ];
            (!passing.contains(&answer.error_code)).then_some(answer)
        })
    }

    fn take(&mut self, answer: Answer) {
        assert_eq!(answer.error_code, 0, "{:?}", answer.error_message);
        assert_eq!(answer.member_id.as_deref(), Some(self.id.as_str()));
        self.epoch = answer.member_epoch;
        if let Some(assignment) = answer.assignment {
            self.owned = assignment
                .topic_partitions
                .into_iter()
                .map(|t| {
                    TopicPartitions::default()
                        .with_topic_id(t.topic_id)
                        .with_partitions(t.partitions)
                })
                .collect();
        }
    }

    fn join(&mut self, topic: &str) {
        let answer = self.send(&self.joining(topic));
        self.take(answer);
    }

    /// Joins and says what it owns until that is `partitions`.
    fn beat_until(&mut self, partitions: usize) {
        until("its share", || {
            let request = self.request().with_topic_partitions(Some(self.owned.clone()));
            let answer = self.send(&request);
            self.take(answer);
            (self.partitions() == partitions).then_some(())
        });
    }

    fn partitions(&self) -> usize {
        self.owned.iter().map(|topic| topic.partitions.len()).sum()
    }

    fn code(&mut self, request: ConsumerGroupHeartbeatRequest) -> i16 {
        self.send(&request).error_code
    }

    fn commit(&mut self, topic: &str, epoch: i32) -> i16 {
        let partition = OffsetCommitRequestPartition::default().with_committed_offset(1);
        let topic = OffsetCommitRequestTopic::default().with_name(name(topic));
        let request = OffsetCommitRequest::default()
            .with_group_id(GroupId(s(&self.group)))
            .with_member_id(s(&self.id))
            .with_generation_id_or_member_epoch(epoch)
            .with_topics(vec![topic.with_partitions(vec![partition])]);
        self.raw.call(9, &request).topics[0].partitions[0].error_code
    }

    fn fetch_committed(&mut self, topic: &str, epoch: i32) -> i16 {
        let topic = OffsetFetchRequestTopics::default().with_name(name(topic));
        let group = OffsetFetchRequestGroup::default()
            .with_group_id(GroupId(s(&self.group)))
            .with_member_id(Some(s(&self.id)))
            .with_member_epoch(epoch)
            .with_topics(Some(vec![topic.with_partition_indexes(vec![0])]));
        let request = OffsetFetchRequest::default().with_groups(vec![group]);
        self.raw.call(9, &request).groups[0].error_code
    }

    fn leave(&mut self, epoch: i32) -> i16 {
        self.code(self.request().with_member_epoch(epoch))
    }
}

pub fn members_follow_their_epochs(bootstrap: &str) {
    let topic = topic(bootstrap, 4, &[]);
    let group = fresh("group");
    let mut a = One::new(bootstrap, &group, None);
    a.join(&topic);
    a.beat_until(4);
    let mut b = One::new(bootstrap, &group, None);
    b.join(&topic);
    assert_eq!(b.partitions(), 0, "all are still with the first");
    let before = a.epoch;
    a.beat_until(2);
    assert_eq!(a.epoch, before, "it has still to say that it gave up the others");
    a.beat_until(2);
    b.beat_until(2);
    until("the first follows", || {
        a.beat_until(2);
        (a.epoch > before).then_some(())
    });
    assert_eq!((a.epoch, a.partitions(), b.partitions()), (b.epoch, 2, 2));

    let fenced = ResponseError::FencedMemberEpoch.code();
    assert_eq!(a.code(a.request().with_member_epoch(a.epoch + 1)), fenced);
    assert_eq!(a.code(a.request().with_member_epoch(a.epoch - 1)), fenced);
    let lost = a.request().with_member_epoch(before).with_topic_partitions(Some(a.owned.clone()));
    assert_eq!(a.code(lost), 0, "its last answer may have been lost");
    let stranger = a.request().with_member_id(s("stranger"));
    assert_eq!(a.code(stranger), ResponseError::UnknownMemberId.code());

    assert_eq!(a.commit(&topic, a.epoch), 0);
    assert_eq!(a.commit(&topic, a.epoch + 1), ResponseError::StaleMemberEpoch.code());
    assert_eq!(a.fetch_committed(&topic, a.epoch), 0);
    let stale = ResponseError::StaleMemberEpoch.code();
    assert_eq!(a.fetch_committed(&topic, a.epoch + 1), stale);
    assert_eq!(b.leave(-1), 0);
    assert_eq!(b.leave(-1), ResponseError::UnknownMemberId.code());
    assert_eq!(b.commit(&topic, b.epoch), ResponseError::UnknownMemberId.code());
    a.beat_until(4);
    assert_eq!(a.leave(-1), 0);
}

pub fn a_transaction_commits_for_a_member_in_its_epoch(bootstrap: &str) {
    let topic = topic(bootstrap, 1, &[]);
    let group = fresh("group");
    let mut a = One::new(bootstrap, &group, None);
    a.join(&topic);
    a.beat_until(1);
    let mut owner = crate::transactions::Owner::start(bootstrap, &fresh("tx"), 60_000);
    let stale = owner.try_add_offsets(&group, &topic, 5, (&a.id, a.epoch + 1));
    assert_eq!(stale, ResponseError::IllegalGeneration.code());
    let stranger = owner.try_add_offsets(&group, &topic, 5, ("stranger", a.epoch));
    assert_eq!(stranger, ResponseError::UnknownMemberId.code());
    assert_eq!(owner.try_add_offsets(&group, &topic, 7, (&a.id, a.epoch)), 0);
    owner.end(true);
    until("offset 7", || {
        (crate::transactions::committed(bootstrap, &group, &topic) == (0, 7)).then_some(())
    });
    assert_eq!(a.leave(-1), 0);
}

pub fn static_members_are_told_apart(bootstrap: &str) {
    let topic = topic(bootstrap, 2, &[]);
    let group = fresh("group");
    let mut a = One::new(bootstrap, &group, Some("i"));
    a.join(&topic);
    a.beat_until(2);
    let mut next = One::new(bootstrap, &group, Some("i"));
    let unreleased = ResponseError::UnreleasedInstanceId.code();
    assert_eq!(next.code(next.joining(&topic)), unreleased);
    assert_eq!(a.leave(-2), 0);
    next.join(&topic);
    assert_eq!(next.partitions(), 2, "what the instance had");
    let fenced = ResponseError::FencedInstanceId.code();
    assert_eq!(a.code(a.request()), fenced);
    assert_eq!(a.leave(-1), fenced);
    assert_eq!(next.leave(-1), 0);
}

pub fn bad_heartbeats_are_refused(bootstrap: &str) {
    let topic = topic(bootstrap, 1, &[]);
    let mut a = One::new(bootstrap, &fresh("group"), None);
    let invalid = ResponseError::InvalidRequest.code();
    let joining = a.joining(&topic);
    assert_eq!(a.code(joining.clone().with_rebalance_timeout_ms(-1)), invalid);
    assert_eq!(a.code(joining.clone().with_topic_partitions(None)), invalid);
    assert_eq!(a.code(joining.clone().with_subscribed_topic_names(None)), invalid);
    assert_eq!(a.code(joining.clone().with_member_id(s(""))), invalid);
    assert_eq!(a.code(joining.clone().with_member_epoch(-2)), invalid);
    assert_eq!(a.code(joining.clone().with_member_epoch(-3)), invalid);
    assert_eq!(a.code(joining.clone().with_group_id(GroupId(s("")))), invalid);
    let unsupported = ResponseError::UnsupportedAssignor.code();
    assert_eq!(a.code(joining.clone().with_server_assignor(Some(s("sticky")))), unsupported);
    let bad_regex = ResponseError::InvalidRegularExpression.code();
    let joining_regex = joining.clone().with_subscribed_topic_names(None);
    assert_eq!(a.code(joining_regex.with_subscribed_topic_regex(Some(s("(")))), bad_regex);
    assert_eq!(a.code(joining), 0);
}

pub fn a_group_changes_its_protocol_while_it_is_empty(bootstrap: &str) {
    let topic = topic(bootstrap, 4, &[]);
    let group = fresh("group");
    fill(bootstrap, &topic, 0..20);
    let mut got = Vec::new();
    let classic = crate::groups::member(bootstrap, &group, &topic, "range");
    poll_until("one reads all", &[&classic], &mut got, |got| got.len() == 20);
    classic.commit_consumer_state(CommitMode::Sync).unwrap();
    drop(classic);
    let newer = member(bootstrap, &group, &topic, &[]);
    fill(bootstrap, &topic, 20..40);
    poll_until("the newer goes on", &[&newer], &mut got, |got| got.len() == 40);
    newer.commit_consumer_state(CommitMode::Sync).unwrap();
    drop(newer);
    let classic = crate::groups::member(bootstrap, &group, &topic, "range");
    fill(bootstrap, &topic, 40..60);
    poll_until("and back", &[&classic], &mut got, |got| got.len() == 60);
    let all: BTreeSet<i32> = got.into_iter().collect();
    assert_eq!(all, (0..60).collect());
}

pub fn consumer_groups_are_listed_described_and_deleted(bootstrap: &str) {
    let topic = topic(bootstrap, 2, &[]);
    let group = fresh("group");
    let mut a = One::new(bootstrap, &group, None);
    a.join(&topic);
    a.beat_until(2);
    let mut raw = Raw::connect(bootstrap);
    let list = ListGroupsRequest::default().with_types_filter(vec![s("consumer")]);
    let listed = raw.call(5, &list).groups;
    let ours = listed.iter().find(|listed| *listed.group_id.0 == *group).unwrap();
    assert_eq!((&*ours.group_state, &*ours.group_type), ("Stable", "consumer"));
    assert_eq!(&*ours.protocol_type, "consumer");

    let ids = [&group, "no such group"].map(|id| GroupId(s(id)));
    let describe = ConsumerGroupDescribeRequest::default().with_group_ids(ids.to_vec());
    let described = raw.call(1, &describe).groups;
    assert_eq!(described[1].error_code, ResponseError::GroupIdNotFound.code());
    let ours = &described[0];
    assert_eq!((ours.error_code, &*ours.group_state), (0, "Stable"));
    assert_eq!((ours.group_epoch, ours.assignment_epoch), (a.epoch, a.epoch));
    assert_eq!(&*ours.assignor_name, "uniform");
    let told = &ours.members[0];
    assert_eq!((&*told.member_id, told.member_epoch, told.member_type), (&*a.id, a.epoch, 1));
    assert_eq!(told.subscribed_topic_names, [name(&topic)]);
    for assignment in [&told.assignment, &told.target_assignment] {
        let of_topic = &assignment.topic_partitions[0];
        assert_eq!((&of_topic.topic_name, &of_topic.partitions[..]), (&name(&topic), &[0, 1][..]));
    }

    let delete = || {
        let deleted = runtime().block_on(admin(bootstrap).delete_groups(&[&group], &options()));
        deleted.unwrap().remove(0).map_err(|(_, code)| code)
    };
    assert_eq!(delete(), Err(RDKafkaErrorCode::NonEmptyGroup));
    assert_eq!(a.commit(&topic, a.epoch), 0);
    assert_eq!(a.leave(-1), 0);
    assert_eq!(delete(), Ok(group.clone()));
}

/// Members are in memory: after a restart they are strangers, join again and go on.
#[test]
fn members_join_again_after_a_restart() {
    let mut broker = Embedded::start();
    let address = broker.bootstrap();
    broker.config.listen = address.clone();
    broker.broker().create_topic("t", 4, &[]).unwrap();
    fill(&address, "t", 0..40);
    // Not closed: now and then librdkafka 2.12 waits for ever when it closes after a restart, for an
    // answer from itself.
    let [one, two] = ["200", "300"].map(|backoff_max| {
        let settings = [("reconnect.backoff.max.ms", backoff_max)];
        ManuallyDrop::new(member(&address, "g", "t", &settings))
    });
    let mut got = Vec::new();
    let both: [&BaseConsumer; 2] = [&one, &two];
    let shared = |_: &[i32]| assigned(&one) == 2 && assigned(&two) == 2;
    poll_until("all is read", &both, &mut got, |got| got.len() >= 40 && shared(got));
    for member in both {
        let _ = member.commit_consumer_state(CommitMode::Sync);
    }
    broker.restart();
    send_numbers(&address, "t", 100..110);
    let mut seen = BTreeSet::new();
    let mut raw = Raw::connect(&address);
    until("they are members again and read on", || {
        for member in both {
            // The connection is lost in between. What they had is given up in a poll as well.
            if let Some(Ok(message)) = member.poll(std::time::Duration::from_millis(20)) {
                use rdkafka::Message;
                let text = std::str::from_utf8(message.payload().unwrap()).unwrap();
                seen.insert(text.parse::<i32>().unwrap());
            }
        }
        let described = raw.call(0, &describe_of("g")).groups.remove(0);
        let are_back = &*described.group_state == "Stable" && described.members.len() == 2;
        (are_back && (100..110).all(|i| seen.contains(&i)) && shared(&[])).then_some(())
    });
}

fn describe_of(group: &str) -> ConsumerGroupDescribeRequest {
    ConsumerGroupDescribeRequest::default().with_group_ids(vec![GroupId(s(group))])
}
