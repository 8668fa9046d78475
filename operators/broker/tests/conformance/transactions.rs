//! Transactions: what readers see of them, who may write in them, and how they end.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::add_partitions_to_txn_request::AddPartitionsToTxnTopic;
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::offset_fetch_request::{
    OffsetFetchRequestGroup, OffsetFetchRequestTopics,
};
use kafka_protocol::messages::produce_response::PartitionProduceResponse;
use kafka_protocol::messages::txn_offset_commit_request::{
    TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
};
use kafka_protocol::messages::{
    AddOffsetsToTxnRequest, AddPartitionsToTxnRequest, BrokerId, EndTxnRequest,
    FindCoordinatorRequest, GroupId, InitProducerIdRequest, ListOffsetsRequest, OffsetFetchRequest,
    ProducerId, TransactionalId, TxnOffsetCommitRequest,
};
use kafka_protocol::protocol::StrBytes;
use rdkafka::Message;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};

use crate::raw::{Raw, batch, name, produce_request, transactional_batch};
use crate::support::{PATIENCE, client, fresh, reader, topic, until};

/// The values of partition 0, as a reader of this isolation level sees them.
pub fn read(bootstrap: &str, topic: &str, level: &str) -> Vec<String> {
    let settings = [("enable.partition.eof", "true"), ("isolation.level", level)];
    let consumer: BaseConsumer = reader(bootstrap, topic, &settings);
    let mut open = consumer.assignment().unwrap().count();
    let mut values = Vec::new();
    while open > 0 {
        match consumer.poll(PATIENCE).expect("records, or the end") {
            Ok(message) if message.partition() == 0 => {
                values.push(String::from_utf8(message.payload().unwrap().to_vec()).unwrap());
            }
            Ok(_) => {}
            Err(KafkaError::PartitionEOF(_)) => open -= 1,
            Err(error) => panic!("{error}"),
        }
    }
    values
}

/// Where the records end for a reader of committed ones.
pub fn stable(bootstrap: &str, topic: &str) -> i64 {
    let asked = ListOffsetsPartition::default().with_timestamp(-1);
    let asked = ListOffsetsTopic::default().with_name(name(topic)).with_partitions(vec![asked]);
    // A node's own number would make it a replica, which sees all.
    let request = ListOffsetsRequest::default().with_replica_id(BrokerId(-1));
    let request = request.with_isolation_level(1).with_topics(vec![asked]);
    Raw::connect(bootstrap).call(5, &request).topics[0].partitions[0].offset
}

/// Code and offset that a reader who wants stable offsets is told of partition 0.
pub fn committed(bootstrap: &str, group: &str, topic: &str) -> (i16, i64) {
    let topic = OffsetFetchRequestTopics::default().with_name(name(topic));
    let group = OffsetFetchRequestGroup::default()
        .with_group_id(GroupId(s(group)))
        .with_topics(Some(vec![topic.with_partition_indexes(vec![0])]));
    let request = OffsetFetchRequest::default().with_require_stable(true).with_groups(vec![group]);
    let mut raw = Raw::connect(bootstrap);
    settled("the group is known", || {
        let answer = raw.call(8, &request);
        let group = &answer.groups[0];
        let code = group.error_code;
        (code, group.topics.first().map(|topic| &topic.partitions[0]).map_or((code, -1), told))
    })
}

fn told(
    partition: &kafka_protocol::messages::offset_fetch_response::OffsetFetchResponsePartitions,
) -> (i16, i64) {
    (partition.error_code, partition.committed_offset)
}

fn s(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

/// Asks again while Kafka is loading, or still ending the last transaction.
fn settled<T>(what: &str, mut ask: impl FnMut() -> (i16, T)) -> T {
    let passing = [
        ResponseError::CoordinatorLoadInProgress,
        ResponseError::CoordinatorNotAvailable,
        ResponseError::NotCoordinator,
        ResponseError::ConcurrentTransactions,
        // What a producer is told while the last transaction ends.
        ResponseError::NotEnoughReplicas,
    ];
    until(what, || {
        let (code, answer) = ask();
        (!passing.iter().any(|error| error.code() == code)).then_some(answer)
    })
}

/// A transactional producer in plain protocol, that does only what it is told.
pub struct Owner {
    raw: Raw,
    name: TransactionalId,
    pub id: i64,
    pub epoch: i16,
    sequence: i32,
}

impl Owner {
    pub fn start(bootstrap: &str, transactional_id: &str, timeout_ms: i32) -> Owner {
        let mut raw = Raw::connect(bootstrap);
        let request = FindCoordinatorRequest::default().with_key_type(1);
        let request = request.with_coordinator_keys(vec![s(transactional_id)]);
        settled("there is a coordinator", || {
            (raw.call(4, &request).coordinators[0].error_code, ())
        });
        let request = InitProducerIdRequest::default()
            .with_transactional_id(Some(TransactionalId(s(transactional_id))))
            .with_transaction_timeout_ms(timeout_ms);
        let given = settled("a producer id is given", || {
            let given = raw.call(4, &request);
            (given.error_code, given)
        });
        assert_eq!(given.error_code, 0);
        let (id, epoch) = (given.producer_id.0, given.producer_epoch);
        Owner { raw, name: TransactionalId(s(transactional_id)), id, epoch, sequence: 0 }
    }

    pub fn reconnect(&mut self, bootstrap: &str) {
        self.raw = Raw::connect(bootstrap);
    }

    pub fn try_add(&mut self, topic: &str) -> i16 {
        let topic = AddPartitionsToTxnTopic::default().with_name(name(topic));
        let request = AddPartitionsToTxnRequest::default()
            .with_v3_and_below_transactional_id(self.name.clone())
            .with_v3_and_below_producer_id(ProducerId(self.id))
            .with_v3_and_below_producer_epoch(self.epoch)
            .with_v3_and_below_topics(vec![topic.with_partitions(vec![0])]);
        settled("a partition is added", || {
            let answer = self.raw.call(3, &request);
            let result = &answer.results_by_topic_v3_and_below[0].results_by_partition[0];
            (result.partition_error_code, result.partition_error_code)
        })
    }

    pub fn add(&mut self, topic: &str) {
        assert_eq!(self.try_add(topic), 0);
    }

    pub fn try_produce(&mut self, topic: &str, values: &[&str]) -> PartitionProduceResponse {
        let batch = transactional_batch((self.id, self.epoch, self.sequence), values);
        let request = produce_request(topic, batch).with_transactional_id(Some(self.name.clone()));
        settled("a batch is judged", || {
            let mut topics = self.raw.call(8, &request).responses;
            let judged = topics.remove(0).partition_responses.remove(0);
            (judged.error_code, judged)
        })
    }

    pub fn produce(&mut self, topic: &str, values: &[&str]) {
        assert_eq!(self.try_produce(topic, values).error_code, 0);
        self.sequence += values.len() as i32;
    }

    /// Offset of partition 0.
    pub fn add_offsets(&mut self, group: &str, topic: &str, offset: i64) {
        assert_eq!(self.try_add_offsets(group, topic, offset, ("", -1)), 0);
    }

    /// As a member of the group, in this generation or epoch.
    pub fn try_add_offsets(
        &mut self,
        group: &str,
        topic: &str,
        offset: i64,
        member: (&str, i32),
    ) -> i16 {
        let (id, group) = (ProducerId(self.id), GroupId(s(group)));
        let request = AddOffsetsToTxnRequest::default()
            .with_transactional_id(self.name.clone())
            .with_producer_id(id)
            .with_producer_epoch(self.epoch)
            .with_group_id(group.clone());
        let code = settled("a group is added", || {
            let code = self.raw.call(3, &request).error_code;
            (code, code)
        });
        assert_eq!(code, 0);
        let partition = TxnOffsetCommitRequestPartition::default().with_committed_offset(offset);
        let topic = TxnOffsetCommitRequestTopic::default().with_name(name(topic));
        let request = TxnOffsetCommitRequest::default()
            .with_transactional_id(self.name.clone())
            .with_producer_id(id)
            .with_producer_epoch(self.epoch)
            .with_group_id(group)
            .with_member_id(s(member.0))
            .with_generation_id(member.1)
            .with_topics(vec![topic.with_partitions(vec![partition])]);
        settled("offsets are taken", || {
            let code = self.raw.call(3, &request).topics[0].partitions[0].error_code;
            (code, code)
        })
    }

    pub fn try_end(&mut self, commit: bool) -> i16 {
        let request = EndTxnRequest::default()
            .with_transactional_id(self.name.clone())
            .with_producer_id(ProducerId(self.id))
            .with_producer_epoch(self.epoch)
            .with_committed(commit);
        settled("the transaction ends", || {
            let code = self.raw.call(3, &request).error_code;
            (code, code)
        })
    }

    pub fn end(&mut self, commit: bool) {
        assert_eq!(self.try_end(commit), 0);
    }
}

fn transactional(bootstrap: &str, id: &str) -> BaseProducer {
    let producer: BaseProducer = client(bootstrap, &[("transactional.id", id)]).create().unwrap();
    producer.init_transactions(PATIENCE).unwrap();
    producer
}

fn send(producer: &BaseProducer, topic: &str, value: &str) {
    let record = BaseRecord::<str, str>::to(topic).partition(0).payload(value);
    producer.send(record).map_err(|(e, _)| e).unwrap();
}

pub fn a_commit_is_seen_and_an_abort_is_not(bootstrap: &str) {
    let topic = topic(bootstrap, 1, &[]);
    let producer = transactional(bootstrap, &fresh("tx"));
    let (mut committed, mut all) = (Vec::new(), Vec::new());
    for round in 0..6 {
        producer.begin_transaction().unwrap();
        for i in 0..10 {
            let value = format!("{round} {i}");
            send(&producer, &topic, &value);
            all.push(value);
        }
        producer.flush(PATIENCE).unwrap();
        if round % 3 == 1 {
            producer.abort_transaction(PATIENCE).unwrap();
        } else {
            committed.extend(all[all.len() - 10..].iter().cloned());
            producer.commit_transaction(PATIENCE).unwrap();
        }
    }
    // A marker an offset: each is one behind its records.
    until("the last marker is there", || (stable(bootstrap, &topic) == 66).then_some(()));
    assert_eq!(read(bootstrap, &topic, "read_committed"), committed);
    assert_eq!(read(bootstrap, &topic, "read_uncommitted"), all);
}

pub fn two_producers_share_a_partition(bootstrap: &str) {
    let topic = topic(bootstrap, 1, &[]);
    let mut one = Owner::start(bootstrap, &fresh("one"), 60_000);
    let mut two = Owner::start(bootstrap, &fresh("two"), 60_000);
    one.add(&topic);
    two.add(&topic);
    one.produce(&topic, &["one"]);
    two.produce(&topic, &["two"]);
    let mut raw = Raw::connect(bootstrap);
    raw.produce(&topic, batch(crate::raw::NOBODY, &["plain"]));
    one.produce(&topic, &["one more"]);
    assert_eq!(stable(bootstrap, &topic), 0);
    assert!(read(bootstrap, &topic, "read_committed").is_empty());
    two.end(true);
    until("the marker is there", || {
        (read(bootstrap, &topic, "read_uncommitted").len() == 4).then_some(())
    });
    // Nothing is stable behind the first that is open.
    assert_eq!(stable(bootstrap, &topic), 0);
    one.end(false);
    until("all is stable", || (stable(bootstrap, &topic) == 6).then_some(()));
    assert_eq!(read(bootstrap, &topic, "read_committed"), ["two", "plain"]);
    assert_eq!(read(bootstrap, &topic, "read_uncommitted"), ["one", "two", "plain", "one more"]);
    let fetched = raw.call(11, &crate::raw::fetch_request(&topic, 1, 0, 1).with_isolation_level(1));
    let fetched = &fetched.responses[0].partitions[0];
    assert_eq!((fetched.high_watermark, fetched.last_stable_offset), (6, 6));
    let aborted = fetched.aborted_transactions.as_ref().unwrap();
    let aborted: Vec<_> = aborted.iter().map(|a| (a.producer_id.0, a.first_offset)).collect();
    assert_eq!(aborted, [(one.id, 0)]);
}

pub fn a_zombie_is_fenced(bootstrap: &str) {
    let topic = topic(bootstrap, 1, &[]);
    let id = fresh("tx");
    let mut zombie = Owner::start(bootstrap, &id, 60_000);
    zombie.add(&topic);
    zombie.produce(&topic, &["of the zombie"]);
    let mut next = Owner::start(bootstrap, &id, 60_000);
    assert!(next.id == zombie.id && next.epoch > zombie.epoch);
    let refused = zombie.try_produce(&topic, &["late"]).error_code;
    assert_eq!(refused, ResponseError::InvalidProducerEpoch.code());
    assert_eq!(zombie.try_end(true), ResponseError::ProducerFenced.code());
    assert_eq!(zombie.try_add(&topic), ResponseError::ProducerFenced.code());
    next.add(&topic);
    next.produce(&topic, &["of the next"]);
    next.end(true);
    until("all is stable", || (stable(bootstrap, &topic) == 4).then_some(()));
    assert_eq!(read(bootstrap, &topic, "read_committed"), ["of the next"]);
    // And as a client has it.
    let old = transactional(bootstrap, &id);
    old.begin_transaction().unwrap();
    let _new = transactional(bootstrap, &id);
    send(&old, &topic, "late");
    let error = old.commit_transaction(PATIENCE).unwrap_err().to_string();
    assert!(error.contains("fence"), "{error}");
}

pub fn offsets_go_with_their_transaction(bootstrap: &str) {
    let topic = topic(bootstrap, 1, &[]);
    let group = fresh("group");
    let mut owner = Owner::start(bootstrap, &fresh("tx"), 60_000);
    owner.add_offsets(&group, &topic, 7);
    let unstable = (ResponseError::UnstableOffsetCommit.code(), -1);
    assert_eq!(committed(bootstrap, &group, &topic), unstable);
    owner.end(true);
    until("offset 7", || (committed(bootstrap, &group, &topic) == (0, 7)).then_some(()));
    owner.add_offsets(&group, &topic, 9);
    assert_eq!(committed(bootstrap, &group, &topic), unstable);
    owner.end(false);
    until("offset 7", || (committed(bootstrap, &group, &topic) == (0, 7)).then_some(()));
    // An end sent again is the same end; the other one is none.
    owner.end(false);
    assert_eq!(owner.try_end(true), ResponseError::InvalidTxnState.code());
}

pub fn a_batch_outside_a_transaction_is_refused(bootstrap: &str) {
    let topic = topic(bootstrap, 1, &[]);
    let mut owner = Owner::start(bootstrap, &fresh("tx"), 60_000);
    let refused = owner.try_produce(&topic, &["x"]).error_code;
    assert_eq!(refused, ResponseError::InvalidTxnState.code());
    assert_eq!(owner.try_end(true), ResponseError::InvalidTxnState.code());
    owner.add(&topic);
    owner.produce(&topic, &["x"]);
    owner.end(true);
    until("it is stable", || (stable(bootstrap, &topic) == 2).then_some(()));
    let refused = owner.try_produce(&topic, &["y"]).error_code;
    assert_eq!(refused, ResponseError::InvalidTxnState.code());
    let request = InitProducerIdRequest::default()
        .with_transactional_id(Some(TransactionalId(s("tx"))))
        .with_transaction_timeout_ms(i32::MAX);
    let refused = owner.raw.call(4, &request).error_code;
    assert_eq!(refused, ResponseError::InvalidTransactionTimeout.code());
    assert_eq!(read(bootstrap, &topic, "read_uncommitted"), ["x"]);
}

pub fn a_transaction_that_takes_too_long_is_aborted(bootstrap: &str) {
    let topic = topic(bootstrap, 1, &[]);
    let mut owner = Owner::start(bootstrap, &fresh("tx"), 3_000);
    owner.add(&topic);
    owner.produce(&topic, &["x"]);
    until("it is aborted", || (stable(bootstrap, &topic) == 2).then_some(()));
    assert!(read(bootstrap, &topic, "read_committed").is_empty());
    assert_eq!(owner.try_end(true), ResponseError::ProducerFenced.code());
    let refused = owner.try_produce(&topic, &["y"]).error_code;
    assert_eq!(refused, ResponseError::InvalidProducerEpoch.code());
}
