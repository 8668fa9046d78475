//! The generators: threads that send each event when it is due, whatever became of those before it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nowcast_bench::curve::Curve;
use nowcast_bench::generate::workload::Events;
use nowcast_bench::histogram::Recorder;
use nowcast_bench::workload::Workload;
use rdkafka::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseRecord, Producer, ProducerContext, ThreadedProducer};

/// How long the broker may take to acknowledge the last events.
const FLUSH: Duration = Duration::from_secs(10);

/// Between two looks at a full queue of the producer, or at the wish to stop.
const NAP: Duration = Duration::from_millis(1);

/// Longer waits are cut, so that a stop is heard.
const SLEEP_MAX: Duration = Duration::from_millis(50);

/// What is to be sent.
pub struct Plan {
    pub workload: Arc<Workload>,
    pub curve: Curve,
    pub events: u64,
    pub warm_up: Duration,
    pub bootstrap: String,
    pub topic: String,
    pub started: Instant,
    /// The wall clock at that moment, microseconds since 1970.
    pub started_us: i64,
}

impl Plan {
    /// Time since the start; none before it.
    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }
}

/// Numbers of sound events by sampled key, in their order, until they have been seen.
pub type Pending = BTreeMap<u64, Mutex<VecDeque<u64>>>;

/// How far the generators have come.
pub struct Sent {
    pub events: AtomicU64,
    pub bytes: AtomicU64,
    pub late: AtomicU64,
    pub poison: AtomicU64,
    /// Events that have to come out.
    pub sound: AtomicU64,
    pub acknowledged: AtomicU64,
    pub refused: AtomicU64,
    pub stop: AtomicBool,
    pub publish: Mutex<Recorder>,
    pub slip: Mutex<Recorder>,
    /// Empty unless the output is polled.
    pub pending: Pending,
}

impl Sent {
    pub fn new(warm_up: Duration, pending: Pending) -> Self {
        let zero = || AtomicU64::new(0);
        Self {
            events: zero(),
            bytes: zero(),
            late: zero(),
            poison: zero(),
            sound: zero(),
            acknowledged: zero(),
            refused: zero(),
            stop: AtomicBool::new(false),
            publish: Mutex::new(Recorder::new(warm_up)),
            slip: Mutex::new(Recorder::new(warm_up)),
            pending,
        }
    }

    fn stops(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

/// Notes acknowledgements; the opaque of a message is its intended start, microseconds since the run's.
struct Acknowledgements {
    started: Instant,
    sent: Arc<Sent>,
}

impl ClientContext for Acknowledgements {
    fn log(&self, level: RDKafkaLogLevel, _fac: &str, message: &str) {
        tracing::debug!(?level, "{message}");
    }
}

impl ProducerContext for Acknowledgements {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, due_us: usize) {
        if result.is_err() {
            self.sent.refused.fetch_add(1, Ordering::Relaxed);
            return;
        }
        self.sent.acknowledged.fetch_add(1, Ordering::Relaxed);
        let mut publish = self.sent.publish.lock().unwrap_or_else(PoisonError::into_inner);
        publish.record(Duration::from_micros(due_us as u64), self.started.elapsed());
    }
}

/// Starts all generators. Each has a producer of its own and the keys that fall to it, so that the events of one key keep
/// their order.
pub fn start(plan: &Arc<Plan>, sent: &Arc<Sent>) -> Result<Vec<JoinHandle<Result<()>>>> {
    (0..plan.workload.threads)
        .map(|thread| {
            let acknowledgements =
                Acknowledgements { started: plan.started, sent: Arc::clone(sent) };
            let producer = connect(plan, acknowledgements)?;
            let (plan, sent) = (Arc::clone(plan), Arc::clone(sent));
            std::thread::Builder::new()
                .name(format!("load-{thread}"))
                .spawn(move || send_all(&plan, &sent, &producer, thread))
                .context("no thread for a generator")
        })
        .collect()
}

fn connect(plan: &Plan, context: Acknowledgements) -> Result<ThreadedProducer<Acknowledgements>> {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", &plan.bootstrap)
        .set("enable.idempotence", "true")
        .set("linger.ms", "1")
        .set("queue.buffering.max.kbytes", "131072");
    for (name, value) in &plan.workload.input.properties {
        config.set(name, value);
    }
    let producer = config.create_with_context::<_, ThreadedProducer<_>>(context)?;
    producer
        .client()
        .fetch_metadata(Some(&plan.topic), FLUSH)
        .with_context(|| format!("kafka {}: broker unreachable", plan.bootstrap))?;
    Ok(producer)
}

fn send_all(
    plan: &Plan,
    sent: &Sent,
    producer: &ThreadedProducer<Acknowledgements>,
    thread: u64,
) -> Result<()> {
    let workload = &plan.workload;
    let mut events = Events::new(workload);
    let mut payload = Vec::with_capacity(512);
    for number in 0..plan.events {
        let fate = events.fate(number);
        if fate.key % workload.threads != thread {
            continue;
        }
        let due = plan.curve.due(number);
        payload.clear();
        let due_us = due.as_micros() as i64;
        let sequence = plan.started_us + number as i64;
        events.write(number, &fate, sequence, plan.started_us + due_us, &mut payload);
        if !wait_until(plan.started + due, sent) {
            break;
        }
        sent.slip
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .record(due, plan.started.elapsed());
        if fate.is_sound()
            && let Some(pending) = sent.pending.get(&fate.key)
        {
            pending.lock().unwrap_or_else(PoisonError::into_inner).push_back(number);
        }
        let key = workload.key(fate.key);
        if !send(plan, sent, producer, key.as_bytes(), &payload, due_us as usize)? {
            break;
        }
        count(sent, &fate, &payload, workload.is_sampled(fate.key));
    }
    let flushed = producer.flush(FLUSH);
    flushed.with_context(|| format!("kafka {}: events were not acknowledged", plan.bootstrap))
}

fn count(
    sent: &Sent,
    fate: &nowcast_bench::generate::workload::Fate,
    payload: &[u8],
    is_sampled: bool,
) {
    sent.events.fetch_add(1, Ordering::Relaxed);
    sent.bytes.fetch_add(payload.len() as u64, Ordering::Relaxed);
    sent.late.fetch_add(u64::from(fate.late_ms > 0), Ordering::Relaxed);
    sent.poison.fetch_add(u64::from(fate.poison), Ordering::Relaxed);
    sent.sound.fetch_add(u64::from(fate.is_sound() && is_sampled), Ordering::Relaxed);
}

/// Whether the moment has come, and not the wish to stop. It sleeps all of the time: a generator that spins takes the cores
/// from the system that it measures, and what a sleep overshoots counts as latency like all else.
fn wait_until(moment: Instant, sent: &Sent) -> bool {
    loop {
        let left = moment.saturating_duration_since(Instant::now());
        match left.is_zero() {
            _ if sent.stops() => return false,
            true => return true,
            false => std::thread::sleep(left.min(SLEEP_MAX)),
        }
    }
}

/// Queues a message, waiting while the queue is full; false if it was to stop meanwhile.
fn send(
    plan: &Plan,
    sent: &Sent,
    producer: &ThreadedProducer<Acknowledgements>,
    key: &[u8],
    payload: &[u8],
    due_us: usize,
) -> Result<bool> {
    let timestamp = (plan.started_us + due_us as i64) / 1000;
    while !sent.stops() {
        let record = BaseRecord::with_opaque_to(&plan.topic, due_us)
            .key(key)
            .payload(payload)
            .timestamp(timestamp);
        match producer.send(record) {
            Ok(()) => return Ok(true),
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), _)) => {
                std::thread::sleep(NAP);
            }
            Err((error, _)) => bail!("kafka topic \"{}\": {error}", plan.topic),
        }
    }
    Ok(false)
}
