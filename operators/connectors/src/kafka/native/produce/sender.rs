//! The thread that sends: batches to the leaders of their partitions, one request a broker at a time.
//!
//! A batch whose fate is not known goes out again, with the same numbers: the leader knows what it has. As
//! no later batch of the partition is under way meanwhile, order cannot be lost.

use std::collections::{BTreeMap, HashMap};
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::future::{BoxFuture, Either, select};
use futures::stream::{FuturesUnordered, StreamExt as _};
use kafka_protocol::ResponseError;
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::{ProduceRequest, ProduceResponse, TransactionalId};
use kafka_protocol::protocol::StrBytes;
use nowcast_engine::{Epoch, Result};
use tokio::sync::{mpsc, oneshot};

use super::super::backoff::Backoff;
use super::super::cluster::{Cluster, Refused, by_topic, code, is_unknown};
use super::super::connection::{Connection, Door, Failure};
use super::super::topics;
use super::batch::Identity;
use super::queue::{Failed, Part, Queue};
use super::settings::WriteSettings;
use super::transaction::{Transactions, is_fenced};
use crate::kafka::contact::Name;
use crate::kafka::options::KafkaOptions;

/// The newest version that is spoken here: later ones belong to KIP-890, whose errors end a transaction
/// where this one has the batch sent again.
const PRODUCE: i16 = 10;
/// A request takes so many bytes, or one batch.
const REQUEST_BYTES: usize = 8 << 20;
/// A broker that answers in time has its answer under way for so long at most.
const GRACE: Duration = Duration::from_secs(1);
/// How long in-flight batches have to arrive before a transaction is aborted.
const LAST_TIMEOUT: Duration = Duration::from_millis(1_500);

/// What the thread is asked for.
pub enum Command {
    /// The partitions of a topic.
    Partitions(String, oneshot::Sender<Result<Vec<i32>>>),
    /// The mark that a topic carries.
    Mark(String, oneshot::Sender<Result<Option<i64>, String>>),
    /// Ends the transaction, whose batches have arrived, with this mark of these topics.
    Commit(Vec<String>, Epoch, oneshot::Sender<Result<(), Failed>>),
    /// Ends the transaction without its batches, and with it all work.
    Abort(std::sync::mpsc::Sender<()>),
}

pub struct Sender {
    pub options: Arc<KafkaOptions>,
    pub settings: WriteSettings,
    pub door: Arc<Door>,
    pub cluster: Cluster,
    pub queue: Arc<Queue>,
    pub commands: mpsc::UnboundedReceiver<Command>,
    pub identity: Identity,
    pub transactions: Option<(String, Transactions)>,
    /// Of brokers that are not asked just now.
    pub idle: HashMap<i32, Connection>,
    pub trips: FuturesUnordered<BoxFuture<'static, Trip>>,
    pub busy: Vec<i32>,
    /// When the leaders were last asked for; `None`: they are to be asked for.
    pub asked: Option<Instant>,
    pub backoff: Backoff,
    /// Nothing goes out before, for brokers cannot be asked.
    pub held_until: Option<Instant>,
    /// Since when a partition has been unknown.
    pub unknown: HashMap<Name, Instant>,
    /// Whether messages have to be sent again.
    pub in_trouble: bool,
    /// How often something was sent.
    pub turn: usize,
}

/// A request to a broker and what came of it.
pub struct Trip {
    broker: i32,
    places: Vec<usize>,
    connection: Option<Connection>,
    answer: Result<ProduceResponse, Failure>,
}

enum Event {
    Trip(Trip),
    Command(Option<Command>),
    More,
}

impl Sender {
    /// Until nobody writes any more.
    pub async fn run(mut self) {
        loop {
            if self.queue.lock().failure.is_none() {
                self.send().await;
            }
            match self.next().await {
                Event::Trip(trip) => self.settle(trip),
                Event::More => {}
                Event::Command(None) => return,
                Event::Command(Some(Command::Abort(done))) => {
                    self.abort().await;
                    // Nobody may wait for it any more.
                    let _ = done.send(());
                    return;
                }
                Event::Command(Some(command)) => self.obey(command).await,
            }
        }
    }

    async fn next(&mut self) -> Event {
        let due = self.due();
        let pause = pin!(async {
            match due {
                Some(due) => tokio::time::sleep_until(due.into()).await,
                None => std::future::pending().await,
            }
        });
        let trips = &mut self.trips;
        let trip = pin!(async {
            match trips.next().await {
                Some(trip) => trip,
                None => std::future::pending().await,
            }
        });
        let more = pin!(self.queue.more.notified());
        let command = pin!(self.commands.recv());
        match select(trip, select(command, select(more, pause))).await {
            Either::Left((trip, _)) => Event::Trip(trip),
            Either::Right((Either::Left((command, _)), _)) => Event::Command(command),
            Either::Right((Either::Right(_), _)) => Event::More,
        }
    }

    /// When something that is held back is to be sent.
    fn due(&self) -> Option<Instant> {
        let state = self.queue.lock();
        if state.failure.is_some() {
            return None;
        }
        let waiting = state.parts.iter().filter(|part| !part.asked && part.has_some());
        waiting.filter_map(|part| part.held_until.max(self.held_until)).min()
    }

    /// Sends what can be sent.
    async fn send(&mut self) {
        let now = Instant::now();
        if self.held_until.is_some_and(|until| until > now) {
            return;
        }
        self.held_until = None;
        let mut due: Vec<(usize, Name, bool)> = {
            let mut state = self.queue.lock();
            for part in &mut state.parts {
                part.held_until.take_if(|until| *until <= now);
            }
            let parts = state.parts.iter().enumerate().filter(|(_, part)| part.is_due());
            parts.map(|(at, part)| (at, (part.topic.clone(), part.partition), part.added)).collect()
        };
        if due.is_empty() {
            return;
        }
        // All have their turn, also where a request cannot take them all.
        self.turn = self.turn.wrapping_add(1);
        let turn = self.turn % due.len();
        due.rotate_left(turn);
        let leads = |cluster: &Cluster, (topic, partition): &Name| {
            let leader = cluster.leader(topic, *partition)?;
            cluster.address(leader.broker).map(|_| leader.broker)
        };
        let old = self.asked.is_none_or(|asked| asked.elapsed() > self.settings.reach.metadata_age);
        if old || due.iter().any(|(_, name, _)| leads(&self.cluster, name).is_none()) {
            self.refresh().await;
        }
        let mut pause = None;
        let mut by_broker: BTreeMap<i32, Vec<(usize, Name, bool)>> = BTreeMap::new();
        for (at, name, added) in due {
            match leads(&self.cluster, &name) {
                Some(broker) if self.busy.contains(&broker) => {}
                Some(broker) => by_broker.entry(broker).or_default().push((at, name, added)),
                None => {
                    let pause = *pause.get_or_insert_with(|| self.backoff.next());
                    self.troubled(&format!("partition {}/{} has no leader", name.0, name.1));
                    self.hold(at, "it has no leader", pause);
                }
            }
        }
        if let Err(refused) = self.add(&by_broker).await {
            return self.give_up(&refused, "no partition of it was added to its transaction");
        }
        // The queue may have been given up meanwhile.
        if self.queue.lock().failure.is_some() {
            return;
        }
        for (broker, parts) in by_broker {
            self.start(broker, parts.into_iter().map(|(at, name, _)| (at, name)).collect());
        }
    }

    /// Adds partitions to the transaction that are not part of it yet.
    async fn add(
        &mut self,
        parts: &BTreeMap<i32, Vec<(usize, Name, bool)>>,
    ) -> Result<(), Refused> {
        let Some((_, transactions)) = &mut self.transactions else { return Ok(()) };
        let new: Vec<&(usize, Name, bool)> =
            parts.values().flatten().filter(|(_, _, added)| !added).collect();
        if new.is_empty() {
            return Ok(());
        }
        let names: Vec<(&str, i32)> =
            new.iter().map(|(_, (topic, partition), _)| (topic.as_str(), *partition)).collect();
        transactions.add(&mut self.cluster, self.identity, &names).await?;
        let mut state = self.queue.lock();
        for (at, ..) in new {
            state.parts[*at].added = true;
        }
        Ok(())
    }

    /// Asks a broker to take the next batch of each of these partitions.
    fn start(&mut self, broker: i32, parts: Vec<(usize, Name)>) {
        let Some(address) = self.cluster.address(broker).cloned() else { return };
        let (mut places, mut data, mut bytes) = (vec![], vec![], 0);
        {
            let mut state = self.queue.lock();
            for (at, name) in parts {
                if bytes > REQUEST_BYTES {
                    break;
                }
                let Some(batch) = state.parts[at].next(self.identity) else { continue };
                state.parts[at].asked = true;
                bytes += batch.len();
                places.push(at);
                data.push((name, batch));
            }
        }
        let request = self.request(&data);
        let door = Arc::clone(&self.door);
        let timeout = self.settings.reach.request_timeout;
        let connection = self.idle.remove(&broker);
        self.busy.push(broker);
        self.trips.push(Box::pin(async move {
            let asked = ask(&door, &address, connection, &request, timeout).await;
            let (connection, answer) = match asked {
                Ok((connection, answer)) => (Some(connection), Ok(answer)),
                Err(failure) => (None, Err(failure)),
            };
            Trip { broker, places, connection, answer }
        }));
    }

    fn request(&self, data: &[(Name, Bytes)]) -> ProduceRequest {
        let partitions = data.iter().map(|((topic, partition), batch)| {
            let data = PartitionProduceData::default()
                .with_index(*partition)
                .with_records(Some(batch.clone()));
            (topic.as_str(), data)
        });
        let topics = by_topic(partitions).into_iter().map(|(name, partitions)| {
            TopicProduceData::default().with_name(name).with_partition_data(partitions)
        });
        let id = self.transactions.as_ref().map(|(id, _)| id.clone());
        let timeout = self.settings.reach.request_timeout.as_millis();
        ProduceRequest::default()
            .with_transactional_id(id.map(|id| TransactionalId(StrBytes::from_string(id))))
            .with_acks(-1)
            .with_timeout_ms(i32::try_from(timeout).unwrap_or(i32::MAX))
            .with_topic_data(topics.collect())
    }

    /// Takes in what a broker has said.
    fn settle(&mut self, trip: Trip) {
        let Trip { broker, places, connection, answer } = trip;
        self.busy.retain(|busy| *busy != broker);
        self.idle.extend(connection.map(|connection| (broker, connection)));
        let answer = match answer {
            Ok(answer) => answer,
            Err(failure) => {
                self.troubled(&failure.reason);
                // Its partitions may have another leader by now.
                self.asked = None;
                let pause = self.backoff.next();
                for at in places {
                    self.queue.lock().parts[at].unsure = true;
                    self.hold(at, &failure.reason, pause);
                }
                return;
            }
        };
        let mut said: HashMap<(&str, i32), (i16, Option<&StrBytes>)> = HashMap::new();
        for topic in &answer.responses {
            for partition in &topic.partition_responses {
                let why = partition.error_message.as_ref();
                said.insert((topic.name.as_str(), partition.index), (partition.error_code, why));
            }
        }
        let mut refused = vec![];
        {
            let mut state = self.queue.lock();
            for at in places {
                let part = &state.parts[at];
                match said.get(&(part.topic.as_str(), part.partition)) {
                    None => refused.push((at, None, None)),
                    Some((0, _)) => state.taken(at),
                    Some((number, why)) => {
                        let why = why.map(|why| why.to_string());
                        refused.push((at, code(*number), why));
                    }
                }
            }
            refused.retain(|(at, code, _)| {
                // It has come already, though we have not heard of it.
                let come = *code == Some(ResponseError::DuplicateSequenceNumber);
                if come {
                    state.taken(*at);
                }
                !come
            });
        }
        if refused.is_empty() {
            self.unknown.clear();
            self.backoff.reset();
            if std::mem::take(&mut self.in_trouble) {
                tracing::info!("{}: messages are taken again", self.options.name());
            }
        }
        let pause = if refused.is_empty() { Duration::ZERO } else { self.backoff.next() };
        for (at, code, why) in refused {
            self.refused(at, code, why, pause);
        }
        self.queue.news.notify_waiters();
    }

    /// A partition's leader has not taken a batch.
    fn refused(
        &mut self,
        at: usize,
        code: Option<ResponseError>,
        why: Option<String>,
        pause: Duration,
    ) {
        let Some(code) = code else {
            return self.hold(at, "a broker answered for other partitions", pause);
        };
        if is_fenced(code) {
            return self.queue.fail(Failed { reason: code.to_string(), fenced: true });
        }
        let name = {
            let state = self.queue.lock();
            (state.parts[at].topic.clone(), state.parts[at].partition)
        };
        let lost = is_unknown(code) && self.has_been_unknown(&name);
        if !code.is_retriable() || lost {
            let (topic, partition) = name;
            let why = match (code, why) {
                (ResponseError::MessageTooLarge, _) => {
                    let most = self.settings.batch_bytes;
                    format!(" (batches have up to {most} bytes, \"properties.batch.size\")")
                }
                (_, Some(why)) => format!(" ({why})"),
                (_, None) => String::new(),
            };
            let reason = format!("partition {topic}/{partition}: {code}{why}");
            return self.queue.fail(Failed { reason, fenced: false });
        }
        if !is_unknown(code) {
            self.unknown.remove(&name);
        }
        self.asked = None;
        let why = format!("partition {}/{}: {code}", name.0, name.1);
        self.troubled(&why);
        self.hold(at, &why, pause);
    }

    /// Says once what is wrong for the time being.
    fn troubled(&mut self, why: &str) {
        if !std::mem::replace(&mut self.in_trouble, true) {
            tracing::warn!("{}: {why}; messages are sent again", self.options.name());
        }
    }

    /// The batch that is next waits before it goes out again, if it has not waited too long.
    fn hold(&mut self, at: usize, why: &str, pause: Duration) {
        let timeout = self.settings.delivery_timeout;
        let mut state = self.queue.lock();
        let part = &mut state.parts[at];
        part.asked = false;
        part.held_until = Some(Instant::now() + pause);
        let name = format!("partition {}/{}", part.topic, part.partition);
        if part.since().is_some_and(|since| since.elapsed() > timeout) {
            drop(state);
            let reason = format!("{name}: not taken for {timeout:?}: {why}");
            self.queue.fail(Failed { reason, fenced: false });
        }
    }

    /// Asks who leads what.
    async fn refresh(&mut self) {
        let topics: Vec<String> = {
            let state = self.queue.lock();
            let mut topics: Vec<String> =
                state.parts.iter().map(|part| part.topic.clone()).collect();
            topics.sort_unstable();
            topics.dedup();
            topics
        };
        match self.cluster.metadata(Some(&topics)).await {
            Ok(found) => {
                self.asked = Some(Instant::now());
                for topic in found {
                    let Some(name) = topic.name.as_ref().map(|name| name.to_string()) else {
                        continue;
                    };
                    let there: Vec<i32> =
                        topic.partitions.iter().map(|it| it.partition_index).collect();
                    match code(topic.error_code) {
                        None => self.hear(&name, &there),
                        Some(code) if is_unknown(code) => self.hear(&name, &[]),
                        Some(_) => {}
                    }
                }
            }
            Err(failure) if failure.refused => {
                self.queue.fail(Failed { reason: failure.reason, fenced: false });
            }
            Err(failure) => {
                self.troubled(&failure.reason);
                self.held_until = Some(Instant::now() + self.backoff.next());
            }
        }
    }

    /// These partitions of a topic are there.
    fn hear(&mut self, topic: &str, there: &[i32]) {
        let waiting: Vec<i32> = {
            let mut state = self.queue.lock();
            if !there.is_empty() {
                state.partitions.insert(topic.to_owned(), there.len());
            }
            let parts = state.parts.iter().filter(|part| part.topic == topic && part.has_some());
            parts.map(|part| part.partition).collect()
        };
        for partition in waiting {
            let name = (topic.to_owned(), partition);
            if !there.contains(&partition) && self.has_been_unknown(&name) {
                let reason = format!("the brokers do not know partition {topic}/{partition}");
                self.queue.fail(Failed { reason, fenced: false });
            }
        }
    }

    /// Whether a partition is unknown for longer than it takes brokers to hear of it.
    fn has_been_unknown(&mut self, name: &Name) -> bool {
        let since = *self.unknown.entry(name.clone()).or_insert_with(Instant::now);
        since.elapsed() > self.settings.reach.propagation
    }

    fn give_up(&mut self, refused: &Refused, what: &str) {
        self.queue.fail(failure(refused, what));
    }

    async fn obey(&mut self, command: Command) {
        match command {
            Command::Partitions(topic, answer) => {
                let deadline = Instant::now() + topics::CONNECT_TIMEOUT;
                self.cluster.creates = true;
                let options = Arc::clone(&self.options);
                let found = topics::partitions(&mut self.cluster, &options, &topic, deadline).await;
                self.cluster.creates = false;
                let _ = answer.send(found);
            }
            Command::Mark(topic, answer) => {
                let asked = self.cluster.committed(&[(topic.clone(), 0)]).await;
                let mark = asked.map(|marks| marks.get(&(topic, 0)).copied());
                let _ = answer.send(mark.map_err(|refused| refused.to_string()));
            }
            Command::Commit(topics, epoch, answer) => {
                let committed = self.commit(&topics, epoch).await;
                if let Err(failed) = &committed {
                    self.queue.fail(failed.clone());
                }
                let _ = answer.send(committed);
            }
            Command::Abort(_) => unreachable!("it ends the loop"),
        }
    }

    async fn commit(&mut self, topics: &[String], epoch: Epoch) -> Result<(), Failed> {
        let Some((_, transactions)) = &mut self.transactions else { return Ok(()) };
        let failed = |refused: Refused| failure(&refused, "");
        let (cluster, producer) = (&mut self.cluster, self.identity);
        transactions.mark(cluster, producer, topics, epoch as i64).await.map_err(failed)?;
        transactions.end(cluster, producer, true).await.map_err(failed)?;
        let bumped = transactions.settle(cluster, producer).await.map_err(failed)?;
        let mut state = self.queue.lock();
        state.parts.iter_mut().for_each(|part| part.added = false);
        if let Some(bumped) = bumped {
            self.identity = bumped;
            // None of them has anything that waits: all has arrived before the commit.
            state.parts.iter_mut().for_each(Part::begin_anew);
        }
        Ok(())
    }

    /// Ends the transaction, if nothing of it is on its way: what comes later than its end would lie open
    /// in the log for ever.
    async fn abort(&mut self) {
        let last = Instant::now() + LAST_TIMEOUT;
        while !self.trips.is_empty() {
            match tokio::time::timeout_at(last.into(), self.trips.next()).await {
                Ok(Some(trip)) => self.settle(trip),
                Ok(None) => {}
                Err(_) => return,
            }
        }
        let (begun, unsure) = {
            let state = self.queue.lock();
            let any = |is: fn(&Part) -> bool| state.parts.iter().any(is);
            (any(|part| part.added), any(|part| part.unsure))
        };
        if unsure {
            return;
        }
        let Some((_, transactions)) = &mut self.transactions else { return };
        if begun
            && let Err(refused) = transactions.end(&mut self.cluster, self.identity, false).await
        {
            tracing::debug!("{}: not aborted: {refused}", self.options.name());
        }
    }
}

async fn ask(
    door: &Door,
    address: &str,
    connection: Option<Connection>,
    request: &ProduceRequest,
    timeout: Duration,
) -> Result<(Connection, ProduceResponse), Failure> {
    let timeout = timeout + GRACE;
    // A connection that has been quiet may be closed: then a new one is asked.
    if let Some(mut connection) = connection {
        let begun = Instant::now();
        match connection.ask(request, PRODUCE, timeout).await {
            Ok(answer) => return Ok((connection, answer)),
            Err(failure) if begun.elapsed() > GRACE => return Err(failure),
            Err(_) => {}
        }
    }
    let mut connection = Connection::open(door, address).await?;
    let answer = connection.ask(request, PRODUCE, timeout).await?;
    Ok((connection, answer))
}

fn failure(refused: &Refused, what: &str) -> Failed {
    let fenced = matches!(refused, Refused::Code(code) if is_fenced(*code));
    let reason = match what {
        "" => refused.to_string(),
        what => format!("{what}: {refused}"),
    };
    Failed { reason, fenced }
}
