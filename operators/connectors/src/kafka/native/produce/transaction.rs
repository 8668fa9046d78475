//! A producer's talk with the coordinators: who it is, what belongs to its transaction, how that ends.
//!
//! The protocol is that of before KIP-890's second part: partitions are added by their own request, and
//! the epoch stays from one transaction to the next. All brokers speak it, and those from 4.0 on look
//! with each batch whether its transaction is open.

use std::time::{Duration, Instant};

use kafka_protocol::ResponseError;
use kafka_protocol::messages::add_partitions_to_txn_request::AddPartitionsToTxnTopic;
use kafka_protocol::messages::txn_offset_commit_request::{
    TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
};
use kafka_protocol::messages::{
    AddOffsetsToTxnRequest, AddPartitionsToTxnRequest, EndTxnRequest, GroupId,
    InitProducerIdRequest, ProducerId, TransactionalId, TxnOffsetCommitRequest,
};
use kafka_protocol::protocol::{Request, StrBytes};

use super::super::cluster::{Cluster, Coordinates, Refused, by_topic, code};
use super::super::connection::Failure;
use super::batch::Identity;

/// How long a coordinator has to do what it is asked.
pub const COORDINATE_TIMEOUT: Duration = Duration::from_secs(120);
/// How long it has for a start: a transaction that an earlier run has left is ended meanwhile.
pub const INIT_TIMEOUT: Duration = Duration::from_secs(30);
/// Between two tries; the first is short, as the end of the transaction before is mostly near.
const PAUSES: [Duration; 2] = [Duration::from_millis(5), Duration::from_millis(50)];

/// The newest versions that are spoken here: later ones belong to the second part of KIP-890.
const INIT_PRODUCER_ID: i16 = 4;
const ADD_PARTITIONS: i16 = 3;
const ADD_OFFSETS: i16 = 3;
const TXN_OFFSET_COMMIT: i16 = 3;
const END: i16 = 3;

/// A transactional id, which is also the group whose offsets are the job's marks.
pub struct Transactions {
    id: String,
    timeout: Duration,
    /// Where they are, as was last said.
    addresses: [Option<String>; 2],
    /// Whether a request may be under way that was given up.
    unsure: bool,
}

/// The id of a producer that has no transactions.
pub async fn identity(cluster: &mut Cluster) -> Result<Identity, Refused> {
    let request = InitProducerIdRequest::default()
        .with_transactional_id(None)
        .with_transaction_timeout_ms(i32::MAX)
        .with_producer_id(ProducerId(-1))
        .with_producer_epoch(-1);
    let deadline = Instant::now() + INIT_TIMEOUT;
    let mut tries = 0;
    loop {
        let asked = match cluster.ask_any(&request, INIT_PRODUCER_ID).await {
            Ok(answer) => match code(answer.error_code) {
                None => {
                    return Ok(Identity { id: answer.producer_id.0, epoch: answer.producer_epoch });
                }
                Some(code) => Refused::Code(code),
            },
            Err(failure) => Refused::Away(failure),
        };
        if !passes(&asked) || Instant::now() >= deadline {
            return Err(asked);
        }
        pause(&mut tries).await;
    }
}

impl Transactions {
    pub fn new(id: String, timeout: Duration) -> Self {
        Self { id, timeout, addresses: [None, None], unsure: false }
    }

    fn transactional_id(&self) -> TransactionalId {
        TransactionalId(StrBytes::from_string(self.id.clone()))
    }

    fn group_id(&self) -> GroupId {
        GroupId(StrBytes::from_string(self.id.clone()))
    }

    /// Ends what an earlier run has left open, and keeps it from ever writing again.
    pub async fn init(&mut self, cluster: &mut Cluster) -> Result<Identity, Refused> {
        self.init_as(cluster, Identity { id: -1, epoch: -1 }).await
    }

    /// Behind the end of a transaction: where a request of it was given up, which may come to the broker
    /// yet and would then touch the next transaction, the epoch that it carries is made an old one.
    pub async fn settle(
        &mut self,
        cluster: &mut Cluster,
        producer: Identity,
    ) -> Result<Option<Identity>, Refused> {
        if !std::mem::take(&mut self.unsure) {
            return Ok(None);
        }
        let bumped = self.init_as(cluster, producer).await.map(Some);
        self.unsure = false;
        bumped
    }

    async fn init_as(
        &mut self,
        cluster: &mut Cluster,
        known: Identity,
    ) -> Result<Identity, Refused> {
        let timeout = i32::try_from(self.timeout.as_millis()).unwrap_or(i32::MAX);
        let request = InitProducerIdRequest::default()
            .with_transactional_id(Some(self.transactional_id()))
            .with_transaction_timeout_ms(timeout)
            .with_producer_id(ProducerId(known.id))
            .with_producer_epoch(known.epoch);
        let deadline = Instant::now() + INIT_TIMEOUT;
        let answer = self
            .ask(
                cluster,
                Coordinates::Transactions,
                &request,
                INIT_PRODUCER_ID,
                deadline,
                |answer| code(answer.error_code),
            )
            .await?;
        Ok(Identity { id: answer.producer_id.0, epoch: answer.producer_epoch })
    }

    /// From now on these partitions belong to the transaction, which begins with the first of them.
    pub async fn add(
        &mut self,
        cluster: &mut Cluster,
        producer: Identity,
        partitions: &[(&str, i32)],
    ) -> Result<(), Refused> {
        let topics = by_topic(partitions.iter().copied()).into_iter().map(|(name, partitions)| {
            AddPartitionsToTxnTopic::default().with_name(name).with_partitions(partitions)
        });
        let request = AddPartitionsToTxnRequest::default()
            .with_v3_and_below_transactional_id(self.transactional_id())
            .with_v3_and_below_producer_id(ProducerId(producer.id))
            .with_v3_and_below_producer_epoch(producer.epoch)
            .with_v3_and_below_topics(topics.collect());
        let deadline = Instant::now() + COORDINATE_TIMEOUT;
        self.ask(cluster, Coordinates::Transactions, &request, ADD_PARTITIONS, deadline, |answer| {
            let topics = answer.results_by_topic_v3_and_below.iter();
            let codes = topics.flat_map(|topic| &topic.results_by_partition);
            let codes = codes.filter_map(|result| code(result.partition_error_code));
            // What is wrong with one keeps the others from being tried at all.
            let tried = codes.filter(|code| *code != ResponseError::OperationNotAttempted);
            tried.max_by_key(|code| !passes(&Refused::Code(*code)))
        })
        .await
        .map(drop)
    }

    /// The mark of these topics within the transaction.
    pub async fn mark(
        &mut self,
        cluster: &mut Cluster,
        producer: Identity,
        topics: &[String],
        mark: i64,
    ) -> Result<(), Refused> {
        let deadline = Instant::now() + COORDINATE_TIMEOUT;
        let request = AddOffsetsToTxnRequest::default()
            .with_transactional_id(self.transactional_id())
            .with_producer_id(ProducerId(producer.id))
            .with_producer_epoch(producer.epoch)
            .with_group_id(self.group_id());
        self.ask(cluster, Coordinates::Transactions, &request, ADD_OFFSETS, deadline, |answer| {
            code(answer.error_code)
        })
        .await?;
        let marks = topics.iter().map(|topic| {
            let mark = TxnOffsetCommitRequestPartition::default()
                .with_partition_index(0)
                .with_committed_offset(mark)
                .with_committed_metadata(Some(StrBytes::default()));
            (topic.as_str(), mark)
        });
        let topics = by_topic(marks).into_iter().map(|(name, partitions)| {
            TxnOffsetCommitRequestTopic::default().with_name(name).with_partitions(partitions)
        });
        let request = TxnOffsetCommitRequest::default()
            .with_transactional_id(self.transactional_id())
            .with_group_id(self.group_id())
            .with_producer_id(ProducerId(producer.id))
            .with_producer_epoch(producer.epoch)
            .with_generation_id(-1)
            .with_topics(topics.collect());
        self.ask(cluster, Coordinates::Group, &request, TXN_OFFSET_COMMIT, deadline, |answer| {
            let partitions = answer.topics.iter().flat_map(|topic| &topic.partitions);
            partitions.filter_map(|partition| code(partition.error_code)).next()
        })
        .await
        .map(drop)
    }

    /// Ends the transaction. One that was ended so already is taken for done.
    pub async fn end(
        &mut self,
        cluster: &mut Cluster,
        producer: Identity,
        committed: bool,
    ) -> Result<(), Refused> {
        let request = EndTxnRequest::default()
            .with_transactional_id(self.transactional_id())
            .with_producer_id(ProducerId(producer.id))
            .with_producer_epoch(producer.epoch)
            .with_committed(committed);
        let deadline = Instant::now() + COORDINATE_TIMEOUT;
        self.ask(cluster, Coordinates::Transactions, &request, END, deadline, |answer| {
            code(answer.error_code)
        })
        .await
        .map(drop)
    }

    /// Asks the coordinator until it has done it, or says that it will not.
    async fn ask<R: Request>(
        &mut self,
        cluster: &mut Cluster,
        what: Coordinates,
        request: &R,
        ceiling: i16,
        deadline: Instant,
        code_of: impl Fn(&R::Response) -> Option<ResponseError>,
    ) -> Result<R::Response, Refused> {
        let mut tries = 0;
        loop {
            let asked = self.try_ask(cluster, what, request, ceiling).await;
            let refused = match asked {
                Ok(answer) => match code_of(&answer) {
                    None => return Ok(answer),
                    Some(code) => Refused::Code(code),
                },
                Err(refused) => refused,
            };
            if !passes(&refused) || Instant::now() >= deadline {
                return Err(refused);
            }
            self.unsure |= matches!(refused, Refused::Away(_));
            if !matches!(refused, Refused::Code(ResponseError::ConcurrentTransactions)) {
                tracing::debug!("transactional id {}: {refused}", self.id);
                self.addresses[what as usize] = None;
            }
            pause(&mut tries).await;
        }
    }

    async fn try_ask<R: Request>(
        &mut self,
        cluster: &mut Cluster,
        what: Coordinates,
        request: &R,
        ceiling: i16,
    ) -> Result<R::Response, Refused> {
        let address = match &self.addresses[what as usize] {
            Some(address) => address.clone(),
            None => {
                let address = cluster.coordinator(&self.id, what).await?;
                self.addresses[what as usize].insert(address).clone()
            }
        };
        Ok(cluster.ask(&address, request, ceiling).await?)
    }
}

async fn pause(tries: &mut usize) {
    let pause = PAUSES[(*tries / 4).min(PAUSES.len() - 1)];
    *tries += 1;
    tokio::time::sleep(pause).await;
}

/// Whether it is worth asking again.
pub fn passes(refused: &Refused) -> bool {
    match refused {
        Refused::Away(Failure { refused, .. }) => !refused,
        Refused::Code(code) => {
            code.is_retriable() || matches!(code, ResponseError::ConcurrentTransactions)
        }
    }
}

/// Whether another producer has come with the same transactional id.
pub fn is_fenced(code: ResponseError) -> bool {
    use ResponseError::{InvalidProducerEpoch, ProducerFenced};
    matches!(code, InvalidProducerEpoch | ProducerFenced)
}
