//! Fetch: waits until there is enough to give, then reads whole batches.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use kafka_protocol::ResponseError;
use kafka_protocol::messages::fetch_request::FetchRequest;
use kafka_protocol::messages::fetch_response::{
    AbortedTransaction, FetchResponse, FetchableTopicResponse, PartitionData,
};
use kafka_protocol::messages::{ProducerId, TopicName};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::text;
use crate::log::{Allowance, Bounds, Found, Isolation, Partition};
use crate::memory::Held;
use crate::server::Shared;

/// Longest wait for records, whatever the client asks for: its connection is held meanwhile.
const WAIT_MAX: Duration = Duration::from_secs(60);

/// One partition of the request.
struct Wanted {
    /// Index of the topic in the request.
    topic: usize,
    partition: i32,
    offset: i64,
    bytes_max: usize,
    log: Option<Arc<Partition>>,
}

type Look = (Result<Option<Found>, ResponseError>, Bounds);

pub(super) async fn answer(
    shared: &Shared,
    request: FetchRequest,
    scratch: &mut BytesMut,
) -> (FetchResponse, Option<Held>) {
    // We open no sessions (a full fetch each time is the protocol's fallback), so none is known.
    if request.session_id != 0 {
        let code = ResponseError::FetchSessionIdNotFound;
        return (FetchResponse::default().with_error_code(code.code()), None);
    }
    let wanted = wanted(shared, &request);
    let isolation = Isolation::of(request.isolation_level);
    let bytes_max = usize::try_from(request.max_bytes).unwrap_or(0);
    let bytes_max = bytes_max.min(shared.config.limits.fetch_bytes_max);
    let looks = wait(shared, &request, &wanted, bytes_max).await;
    let planned = plan(&wanted, &looks, bytes_max);
    let held = shared.memory.hold(planned.iter().map(|planned| planned.bytes).sum()).await;
    let mut topics: Vec<FetchableTopicResponse> = request
        .topics
        .iter()
        .map(|topic| FetchableTopicResponse::default().with_topic(TopicName(text(&topic.topic))))
        .collect();
    for ((wanted, (mut found, bounds)), planned) in wanted.iter().zip(looks).zip(planned) {
        let aborted = aborted(isolation, found.as_mut().ok().and_then(Option::as_mut));
        let records = found.and_then(|found| match found {
            Some(found) if planned.bytes > 0 => found.read(planned.allowed, scratch).map_err(|e| {
                tracing::error!(error = %e, "records could not be read");
                ResponseError::KafkaStorageError
            }),
            _ => Ok(Bytes::new()),
        });
        let data = PartitionData::default().with_partition_index(wanted.partition);
        let data = match records {
            Ok(records) => data
                .with_high_watermark(bounds.end)
                .with_last_stable_offset(bounds.stable)
                .with_log_start_offset(bounds.start)
                .with_records(Some(records)),
            Err(code) => data
                .with_error_code(code.code())
                .with_high_watermark(-1)
                .with_last_stable_offset(-1)
                .with_log_start_offset(-1)
                .with_records(Some(Bytes::new())),
        };
        topics[wanted.topic].partitions.push(data.with_aborted_transactions(aborted));
    }
    (FetchResponse::default().with_responses(topics), held)
}

/// `None` for a reader that asked for uncommitted records as well.
fn aborted(isolation: Isolation, found: Option<&mut Found>) -> Option<Vec<AbortedTransaction>> {
    if isolation == Isolation::ReadUncommitted {
        return None;
    }
    let aborted = found.map(|found| std::mem::take(&mut found.aborted)).unwrap_or_default();
    let told = aborted.into_iter().map(|aborted| {
        AbortedTransaction::default()
            .with_producer_id(ProducerId(aborted.producer_id))
            .with_first_offset(aborted.first_offset)
    });
    Some(told.collect())
}

fn wanted(shared: &Shared, request: &FetchRequest) -> Vec<Wanted> {
    let mut wanted = Vec::new();
    for (topic, asked) in request.topics.iter().enumerate() {
        for partition in &asked.partitions {
            let log = shared.topics.partition(&asked.topic, partition.partition);
            wanted.push(Wanted {
                topic,
                partition: partition.partition,
                offset: partition.fetch_offset,
                bytes_max: usize::try_from(partition.partition_max_bytes).unwrap_or(0),
                log: log.map(|(_, partition)| partition),
            });
        }
    }
    wanted
}

/// Looks until `min_bytes` lie ready, something is wrong, or `max_wait` is over.
async fn wait(
    shared: &Shared,
    request: &FetchRequest,
    wanted: &[Wanted],
    bytes_max: usize,
) -> Vec<Look> {
    let max_wait = Duration::from_millis(u64::try_from(request.max_wait_ms).unwrap_or(0));
    let deadline = Instant::now() + max_wait.min(WAIT_MAX);
    let min_bytes = u64::try_from(request.min_bytes).unwrap_or(0).min(bytes_max as u64);
    let isolation = Isolation::of(request.isolation_level);
    let look = |waiter| look(wanted, isolation, bytes_max, waiter);
    let looks = look(None);
    if max_wait.is_zero() || is_enough(&looks, min_bytes) {
        return looks;
    }
    drop(looks);
    let waiting = Waiting { notify: Arc::new(Notify::new()), wanted };
    loop {
        let looks = look(Some(&waiting.notify));
        if is_enough(&looks, min_bytes) {
            return looks;
        }
        tokio::select! {
            () = waiting.notify.notified() => {}
            () = tokio::time::sleep_until(deadline) => {
                return look(None);
            }
            () = shared.stopped() => return look(None),
        }
    }
}

/// Once `bytes_max` lie ready, the other partitions are only asked for their bounds: a look may
/// open a file.
fn look(
    wanted: &[Wanted],
    isolation: Isolation,
    bytes_max: usize,
    waiter: Option<&Arc<Notify>>,
) -> Vec<Look> {
    let mut left = bytes_max.max(1) as u64;
    let look = |wanted: &Wanted| {
        let Some(log) = &wanted.log else {
            let unknown = ResponseError::UnknownTopicOrPartition;
            return (Err(unknown), Bounds { start: -1, end: -1, stable: -1 });
        };
        if left == 0 {
            let (checked, bounds) = log.check(wanted.offset);
            return (checked.map(|()| None), bounds);
        }
        let look = log.find(wanted.offset, isolation, waiter);
        if let Ok(Some(found)) = &look.0 {
            left = left.saturating_sub(found.available_bytes.min(wanted.bytes_max as u64).max(1));
        }
        look
    };
    wanted.iter().map(look).collect()
}

fn is_enough(looks: &[Look], min_bytes: u64) -> bool {
    let available = |look: &Look| match &look.0 {
        Ok(found) => found.as_ref().map_or(0, |found| found.available_bytes),
        Err(_) => 0,
    };
    looks.iter().any(|look| look.0.is_err())
        || looks.iter().map(available).sum::<u64>() >= min_bytes
}

/// Takes the waiter out of all partitions, however the wait ends.
struct Waiting<'a> {
    notify: Arc<Notify>,
    wanted: &'a [Wanted],
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        for log in self.wanted.iter().filter_map(|wanted| wanted.log.as_ref()) {
            log.stop_waiting(&self.notify);
        }
    }
}

struct Planned {
    allowed: Allowance,
    bytes: usize,
}

/// Shares the response out in the order asked, which clients rotate. Only the first batch of all
/// may be larger than what is allowed: a reader has to get past it.
fn plan(wanted: &[Wanted], looks: &[Look], bytes_max: usize) -> Vec<Planned> {
    let mut left = bytes_max;
    let mut first_whole = true;
    let plan = |(wanted, look): (&Wanted, &Look)| {
        let allowed = Allowance { bytes: wanted.bytes_max.min(left), first_whole };
        let found = look.0.as_ref().ok().and_then(|found| found.as_ref());
        let bytes = found.map_or(0, |found| found.bytes_to_read(allowed));
        left = left.saturating_sub(bytes);
        first_whole &= bytes == 0;
        Planned { allowed, bytes }
    };
    wanted.iter().zip(looks).map(plan).collect()
}
