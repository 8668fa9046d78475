//! Consumer groups: sharing, handing over, resuming from what was committed.

use std::collections::BTreeSet;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::{
    DescribeGroupsRequest, GroupId, HeartbeatRequest, JoinGroupRequest, OffsetCommitRequest,
};
use kafka_protocol::protocol::StrBytes;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::{Message, Offset, TopicPartitionList};

use crate::raw::Raw;
use crate::support::{
    PATIENCE, admin, client, fresh, options, producer, runtime, send_numbers, topic, until,
};

pub fn member(bootstrap: &str, group: &str, topic: &str, strategy: &str) -> BaseConsumer {
    let settings = [
        ("group.id", group),
        ("auto.offset.reset", "earliest"),
        ("enable.auto.commit", "false"),
        ("partition.assignment.strategy", strategy),
        ("session.timeout.ms", "6000"),
        ("heartbeat.interval.ms", "300"),
    ];
    let consumer: BaseConsumer = client(bootstrap, &settings).create().unwrap();
    consumer.subscribe(&[topic]).unwrap();
    consumer
}

pub fn fill(bootstrap: &str, topic: &str, numbers: std::ops::Range<i32>) {
    let producer = producer(bootstrap, &[]);
    for i in numbers {
        let value = i.to_string();
        let record = rdkafka::producer::BaseRecord::<str, str>::to(topic);
        producer.send(record.partition(i % 4).payload(&value)).map_err(|(e, _)| e).unwrap();
    }
    rdkafka::producer::Producer::flush(&producer, PATIENCE).unwrap();
}

/// Polls all, adding what they get, until `done`.
pub fn poll_until(
    what: &str,
    members: &[&BaseConsumer],
    got: &mut Vec<i32>,
    done: impl Fn(&[i32]) -> bool,
) {
    until(what, || {
        for member in members {
            if let Some(message) = member.poll(std::time::Duration::from_millis(5)) {
                let message = message.unwrap();
                let text = std::str::from_utf8(message.payload().unwrap()).unwrap();
                got.push(text.parse().unwrap());
            }
        }
        done(got).then_some(())
    });
}

pub fn assigned(member: &BaseConsumer) -> usize {
    member.assignment().unwrap().count()
}

pub fn two_consumers_share_and_resume(bootstrap: &str) {
    share_and_resume(bootstrap, "range");
}

pub fn cooperative_consumers_share(bootstrap: &str) {
    share_and_resume(bootstrap, "cooperative-sticky");
}

fn share_and_resume(bootstrap: &str, strategy: &str) {
    let topic = topic(bootstrap, 4, &[]);
    let group = fresh("group");
    fill(bootstrap, &topic, 0..40);
    let mut got = Vec::new();
    let first = member(bootstrap, &group, &topic, strategy);
    poll_until("one reads all", &[&first], &mut got, |got| got.len() == 40);
    first.commit_consumer_state(CommitMode::Sync).unwrap();

    let second = member(bootstrap, &group, &topic, strategy);
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

pub fn committed(consumer: &BaseConsumer, topic: &str) -> Offset {
    let mut list = TopicPartitionList::new();
    list.add_partition(topic, 0);
    consumer.committed_offsets(list, PATIENCE).unwrap().elements()[0].offset()
}

pub fn committed_offsets_are_kept_apart(bootstrap: &str) {
    let topic = topic(bootstrap, 1, &[]);
    send_numbers(bootstrap, &topic, 0..10);
    let of_group = |group: &str| -> BaseConsumer {
        client(bootstrap, &[("group.id", group)]).create().unwrap()
    };
    let (a, b) = (of_group(&fresh("a")), of_group(&fresh("b")));
    assert_eq!(committed(&a, &topic), Offset::Invalid);
    for (consumer, offset) in [(&a, 3), (&b, 7), (&a, 5)] {
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(&topic, 0, Offset::Offset(offset)).unwrap();
        consumer.commit(&list, CommitMode::Sync).unwrap();
    }
    assert_eq!(committed(&a, &topic), Offset::Offset(5));
    assert_eq!(committed(&b, &topic), Offset::Offset(7));
}

pub fn groups_are_listed_described_and_deleted(bootstrap: &str) {
    let topic = topic(bootstrap, 4, &[]);
    let group = fresh("group");
    let consumer = member(bootstrap, &group, &topic, "range");
    poll_until("a share", &[&consumer], &mut Vec::new(), |_| assigned(&consumer) == 4);
    let listed = consumer.fetch_group_list(Some(&group), PATIENCE).unwrap();
    assert_eq!((listed.groups()[0].state(), listed.groups()[0].members().len()), ("Stable", 1));
    let all = consumer.fetch_group_list(None, PATIENCE).unwrap();
    assert!(all.groups().iter().any(|listed| listed.name() == group));

    let delete = || {
        let deleted = runtime().block_on(admin(bootstrap).delete_groups(&[&group], &options()));
        deleted.unwrap().remove(0).map_err(|(_, code)| code)
    };
    assert_eq!(delete(), Err(RDKafkaErrorCode::NonEmptyGroup));
    fill(bootstrap, &topic, 0..4);
    let mut got = Vec::new();
    poll_until("records", &[&consumer], &mut got, |got| got.len() == 4);
    consumer.commit_consumer_state(CommitMode::Sync).unwrap();
    drop(consumer);
    let mut raw = Raw::connect(bootstrap);
    let name = || GroupId(StrBytes::from_string(group.clone()));
    let describe = DescribeGroupsRequest::default().with_groups(vec![name()]);
    until("the group is empty", || {
        let state = raw.call(5, &describe).groups[0].group_state.to_string();
        (state == "Empty").then_some(())
    });
    assert_eq!(delete(), Ok(group.clone()));
    assert_eq!(delete(), Err(RDKafkaErrorCode::GroupIdNotFound));
    assert_eq!(&*raw.call(5, &describe).groups[0].group_state, "Dead");
}

pub fn a_stranger_is_told_to_join(bootstrap: &str) {
    let topic = topic(bootstrap, 1, &[]);
    let group = GroupId(StrBytes::from_string(fresh("group")));
    let mut raw = Raw::connect(bootstrap);
    let join = JoinGroupRequest::default()
        .with_group_id(group.clone())
        .with_session_timeout_ms(10_000)
        .with_rebalance_timeout_ms(10_000)
        .with_protocol_type(StrBytes::from_static_str("consumer"))
        .with_protocols(vec![Default::default()]);
    // Kafka loads the coordinator's log at the first request.
    let answer = until("the coordinator is there", || {
        let answer = raw.call(5, &join);
        let loading = [
            ResponseError::CoordinatorLoadInProgress.code(),
            ResponseError::CoordinatorNotAvailable.code(),
            ResponseError::NotCoordinator.code(),
        ];
        (!loading.contains(&answer.error_code)).then_some(answer)
    });
    assert_eq!(answer.error_code, ResponseError::MemberIdRequired.code());
    assert!(!answer.member_id.is_empty());
    let mut unprotocoled = join.clone().with_member_id(StrBytes::from_static_str("x"));
    unprotocoled.protocols.clear();
    let refused = raw.call(5, &unprotocoled).error_code;
    assert_eq!(refused, ResponseError::InconsistentGroupProtocol.code());

    let stranger = StrBytes::from_static_str("stranger");
    let unknown = ResponseError::UnknownMemberId.code();
    let beat = HeartbeatRequest::default().with_group_id(group.clone());
    assert_eq!(raw.call(3, &beat.with_member_id(stranger.clone())).error_code, unknown);
    let commit = OffsetCommitRequest::default()
        .with_group_id(group)
        .with_member_id(stranger)
        .with_generation_id_or_member_epoch(3)
        .with_topics(vec![
            kafka_protocol::messages::offset_commit_request::OffsetCommitRequestTopic::default()
                .with_name(crate::raw::name(&topic))
                .with_partitions(vec![Default::default()]),
        ]);
    let code = raw.call(7, &commit).topics[0].partitions[0].error_code;
    let illegal = ResponseError::IllegalGeneration.code();
    assert!(code == unknown || code == illegal, "{code}");
}
