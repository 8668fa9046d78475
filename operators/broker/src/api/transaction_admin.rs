//! ListTransactions, DescribeTransactions, DescribeProducers.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::describe_producers_request::TopicRequest;
use kafka_protocol::messages::describe_producers_response::{
    PartitionResponse, ProducerState, TopicResponse,
};
use kafka_protocol::messages::describe_transactions_response::{
    TopicData, TransactionState as Described,
};
use kafka_protocol::messages::list_transactions_response::TransactionState as Listed;
use kafka_protocol::messages::{
    DescribeProducersRequest, DescribeProducersResponse, DescribeTransactionsRequest,
    DescribeTransactionsResponse, ListTransactionsRequest, ListTransactionsResponse, ProducerId,
    TopicName, TransactionalId,
};
use kafka_protocol::protocol::StrBytes;

use super::text;
use crate::pattern;
use crate::producers::Active;
use crate::server::Shared;
use crate::transactions::{State, Transaction, now_ms};

pub(super) fn list(shared: &Shared, request: ListTransactionsRequest) -> ListTransactionsResponse {
    let pattern = request.transactional_id_pattern.as_deref().filter(|text| !text.is_empty());
    let Ok(pattern) = pattern.map(pattern::whole).transpose() else {
        let code = ResponseError::InvalidRegularExpression.code();
        return ListTransactionsResponse::default().with_error_code(code);
    };
    let now_ms = now_ms();
    // An empty filter lets all through.
    let is_wanted = |transaction: &Transaction| {
        let (states, producers) = (&request.state_filters, &request.producer_id_filters);
        let runs_ms = now_ms.saturating_sub(transaction.started_ms);
        let of_state =
            states.is_empty() || states.iter().any(|state| **state == *transaction.state.name());
        let of_producer = producers.is_empty()
            || producers.iter().any(|producer| producer.0 == transaction.producer_id);
        let is_long = request.duration_filter < 0
            || (!transaction.is_over() && runs_ms > request.duration_filter);
        let fits = pattern.as_ref().is_none_or(|pattern| pattern.is_match(&transaction.id));
        of_state && of_producer && is_long && fits
    };
    let listed = |transaction: &Transaction| {
        is_wanted(transaction).then(|| {
            Listed::default()
                .with_transactional_id(TransactionalId(text(&transaction.id)))
                .with_producer_id(ProducerId(transaction.producer_id))
                .with_transaction_state(StrBytes::from_static_str(transaction.state.name()))
        })
    };
    let is_unknown = |name: &&StrBytes| State::ALL.iter().all(|state| *state.name() != ***name);
    let unknown = request.state_filters.iter().filter(is_unknown).map(|name| text(name));
    ListTransactionsResponse::default()
        .with_unknown_state_filters(unknown.collect())
        .with_transaction_states(shared.transactions.look(listed))
}

pub(super) fn describe(
    shared: &Shared,
    request: DescribeTransactionsRequest,
) -> DescribeTransactionsResponse {
    let describe = |id: &TransactionalId| {
        let of_id = |transaction: &Transaction| {
            (transaction.id == id.as_str()).then(|| described(transaction))
        };
        shared.transactions.look(of_id).pop().unwrap_or_else(|| {
            Described::default()
                .with_error_code(ResponseError::TransactionalIdNotFound.code())
                .with_transactional_id(TransactionalId(text(id)))
        })
    };
    let states = request.transactional_ids.iter().map(describe).collect();
    DescribeTransactionsResponse::default().with_transaction_states(states)
}

fn described(transaction: &Transaction) -> Described {
    let topics = transaction.partitions.iter().map(|(topic, partitions)| {
        TopicData::default()
            .with_topic(TopicName(text(topic)))
            .with_partitions(partitions.iter().copied().collect())
    });
    let started_ms = if transaction.is_over() { -1 } else { transaction.started_ms };
    Described::default()
        .with_transactional_id(TransactionalId(text(&transaction.id)))
        .with_transaction_state(StrBytes::from_static_str(transaction.state.name()))
        .with_transaction_timeout_ms(transaction.timeout_ms as i32)
        .with_transaction_start_time_ms(started_ms)
        .with_producer_id(ProducerId(transaction.producer_id))
        .with_producer_epoch(transaction.epoch)
        .with_topics(topics.collect())
}

pub(super) fn describe_producers(
    shared: &Shared,
    request: DescribeProducersRequest,
) -> DescribeProducersResponse {
    let of_topic = |topic: &TopicRequest| {
        let of_partition = |&index: &i32| {
            let response = PartitionResponse::default().with_partition_index(index);
            match shared.topics.partition(&topic.name, index) {
                Some((_, log)) => {
                    let producers = log.producers().into_iter().map(producer);
                    response.with_active_producers(producers.collect())
                }
                None => response.with_error_code(ResponseError::UnknownTopicOrPartition.code()),
            }
        };
        TopicResponse::default()
            .with_name(TopicName(text(&topic.name)))
            .with_partitions(topic.partition_indexes.iter().map(of_partition).collect())
    };
    DescribeProducersResponse::default().with_topics(request.topics.iter().map(of_topic).collect())
}

/// Times of batches are not kept, and there has been one coordinator only.
fn producer(active: Active) -> ProducerState {
    ProducerState::default()
        .with_producer_id(ProducerId(active.id))
        .with_producer_epoch(active.epoch.into())
        .with_last_sequence(active.last_sequence)
        .with_last_timestamp(-1)
        .with_coordinator_epoch(0)
        .with_current_txn_start_offset(active.open.unwrap_or(-1))
}
