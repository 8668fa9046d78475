//! Fetches from all brokers that lead something we read: one request a broker is on its way while
//! what came before it is read.

use std::collections::{BTreeMap, VecDeque};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use futures::future::{BoxFuture, Either, select};
use futures::stream::{FuturesUnordered, StreamExt as _};
use kafka_protocol::ResponseError;
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::{BrokerId, FetchRequest, FetchResponse};

use super::super::offsets::Span;
use super::backoff::Backoff;
use super::cluster::{Cluster, Leader, by_topic, code, is_unknown};
use super::connection::{Connection, Door, Failure};
use super::part::{Asked, Come, Part, State};

/// Before topics' ids take the place of their names.
const FETCH: i16 = 12;

/// One answer, or none.
struct Landed {
    broker: i32,
    connection: Result<Connection, Failure>,
    answer: Option<FetchResponse>,
    asked: Vec<Asked>,
}

/// The way to a broker.
enum Line {
    Free(Connection),
    Busy,
    /// Not before then.
    Away(Instant),
}

pub struct Fetcher {
    door: Arc<Door>,
    pub parts: Vec<Part>,
    lines: BTreeMap<i32, Line>,
    flights: FuturesUnordered<BoxFuture<'static, Landed>>,
    come: VecDeque<Come>,
    /// What answers were read to.
    spare: Option<BytesMut>,
    backoffs: BTreeMap<i32, Backoff>,
    /// When brokers are asked again who leads what.
    refresh_at: Instant,
    refresh_backoff: Backoff,
}

impl Fetcher {
    pub fn new(door: Arc<Door>) -> Self {
        let (first, most) = door.settings.backoff;
        Self {
            parts: vec![],
            lines: BTreeMap::new(),
            flights: FuturesUnordered::new(),
            come: VecDeque::new(),
            spare: None,
            backoffs: BTreeMap::new(),
            refresh_at: Instant::now() + door.settings.metadata_age,
            refresh_backoff: Backoff::new(first, most),
            door,
        }
    }

    pub fn add(&mut self, span: &Span) {
        self.parts.push(Part::new(span));
        self.refresh_at = Instant::now();
    }

    /// Goes on from another offset; what is on its way is thrown away when it comes.
    pub fn jump(&mut self, at: usize, offset: i64) {
        self.parts[at].jump(offset);
    }

    pub fn finish(&mut self, at: usize) {
        self.parts[at].state = State::Finished;
    }

    /// Takes back what has been read: the next answer may go there.
    pub fn give_back(&mut self, records: Bytes) {
        if let Ok(buffer) = records.try_into_mut() {
            self.spare = Some(buffer);
        }
    }

    /// Nothing is fetched of a partition any more, without a word to those who wait for it.
    #[cfg(test)]
    pub fn hold(&mut self, at: usize) {
        self.parts[at].state = State::Lost;
    }

    /// The next thing that has come, if there is one without waiting.
    pub fn take(&mut self) -> Option<Come> {
        loop {
            let come = self.come.pop_front()?;
            match &come {
                Come::Given(given) if self.parts[given.at].is_stale(given) => {}
                _ => return Some(come),
            }
        }
    }

    /// Keeps a request on its way to each broker, and waits for an answer or until something else
    /// is to be done. Cancel-safe.
    pub async fn wait(&mut self, cluster: &Cluster) {
        self.launch(cluster);
        let soon = tokio::time::sleep_until(self.due().into());
        if self.flights.is_empty() {
            return soon.await;
        }
        let landed = match select(self.flights.next(), pin!(soon)).await {
            Either::Left((landed, _)) => landed,
            Either::Right(_) => None,
        };
        if let Some(landed) = landed {
            self.land(landed);
            self.launch(cluster);
            // The next request leaves before this answer is read.
            if let Poll::Ready(Some(landed)) = futures::poll!(self.flights.next()) {
                self.land(landed);
            }
        }
    }

    /// Whether brokers are to be asked who leads what.
    pub fn is_unsure(&self) -> bool {
        Instant::now() >= self.refresh_at
    }

    /// When something is to be done even if nothing comes.
    fn due(&self) -> Instant {
        let away = self.lines.values().filter_map(|line| match line {
            Line::Away(until) => Some(*until),
            _ => None,
        });
        away.chain([self.refresh_at]).min().unwrap_or(self.refresh_at)
    }

    /// Asks who leads what. Not to be left in the middle: a slow answer would never be heard.
    pub async fn refresh(&mut self, cluster: &mut Cluster) {
        let now = Instant::now();
        let mut topics: Vec<String> = vec![];
        for part in self.parts.iter().filter(|part| part.state != State::Finished) {
            if !topics.iter().any(|topic| **topic == *part.topic) {
                topics.push(part.topic.to_string());
            }
        }
        self.refresh_at = now + self.door.settings.metadata_age;
        if topics.is_empty() {
            return;
        }
        let found = match cluster.metadata(Some(&topics)).await {
            Ok(found) => found,
            Err(failure) => {
                self.come.push_back(Come::Passing(failure.reason));
                self.refresh_at = Instant::now() + self.refresh_backoff.next();
                return;
            }
        };
        let mut all_led = true;
        for at in 0..self.parts.len() {
            let part = &mut self.parts[at];
            if part.state == State::Finished {
                continue;
            }
            let topic = found.iter().find(|topic| {
                topic.name.as_ref().is_some_and(|name| name.as_str() == &*part.topic)
            });
            let error = topic.and_then(|topic| code(topic.error_code));
            let gone = error.is_some_and(is_unknown)
                || topic.is_some_and(|topic| {
                    error.is_none()
                        && topic.partitions.iter().all(|it| it.partition_index != part.partition)
                });
            let leader = cluster.leader(&part.topic, part.partition);
            let reachable = |leader: &Leader| !gone && cluster.address(leader.broker).is_some();
            part.leader = leader.filter(reachable);
            all_led &= part.leader.is_some();
            match (gone, part.unknown_since) {
                (false, _) => part.unknown_since = None,
                (true, None) => part.unknown_since = Some(now),
                (true, Some(since)) if since.elapsed() >= self.door.settings.propagation => {
                    part.unknown_since = Some(now);
                    self.come.push_back(Come::Unknown(at));
                }
                (true, Some(_)) => {}
            }
            if error == Some(ResponseError::TopicAuthorizationFailed) {
                self.come.push_back(Come::Denied(at, ResponseError::TopicAuthorizationFailed));
            }
        }
        match all_led {
            true => self.refresh_backoff.reset(),
            false => self.refresh_at = Instant::now() + self.refresh_backoff.next(),
        }
    }

    /// Sends a request to each broker that leads something and has none.
    fn launch(&mut self, cluster: &Cluster) {
        let now = Instant::now();
        self.lines.retain(|_, line| !matches!(line, Line::Away(until) if *until <= now));
        let mut by_broker: BTreeMap<i32, Vec<usize>> = BTreeMap::new();
        for (at, part) in self.parts.iter().enumerate() {
            if let (State::Wanted, Some(leader)) = (part.state, part.leader) {
                by_broker.entry(leader.broker).or_default().push(at);
            }
        }
        for (broker, mut wanted) in by_broker {
            let connection = match self.lines.remove(&broker) {
                None => None,
                Some(Line::Free(mut connection)) => {
                    self.spare.take().into_iter().for_each(|spare| connection.lend(spare));
                    Some(connection)
                }
                Some(line) => {
                    self.lines.insert(broker, line);
                    continue;
                }
            };
            let Some(address) = cluster.address(broker).cloned() else {
                // It has left since. Who leads instead is asked soon.
                let pause = self.refresh_backoff.next();
                self.lines.insert(broker, Line::Away(now + pause));
                self.refresh_at = self.refresh_at.min(now + pause);
                continue;
            };
            // Brokers give to the first partitions of a request first: those that were passed over,
            // then those that are furthest behind in time.
            wanted.sort_by_key(|at| (!self.parts[*at].passed_over, self.parts[*at].newest));
            let request = self.request(&wanted);
            let asked = wanted.into_iter().map(|at| {
                let part = &self.parts[at];
                Asked { at, from: part.next, jumps: part.jumps }
            });
            let flight = fly(Arc::clone(&self.door), broker, address, connection, request);
            let asked: Vec<_> = asked.collect();
            self.flights.push(Box::pin(async move {
                let (connection, answer) = flight.await;
                Landed { broker, connection, answer, asked }
            }));
            self.lines.insert(broker, Line::Busy);
        }
    }

    fn request(&self, wanted: &[usize]) -> FetchRequest {
        let settings = &self.door.settings;
        let parts = wanted.iter().map(|at| {
            let part = &self.parts[*at];
            let partition = FetchPartition::default()
                .with_partition(part.partition)
                .with_current_leader_epoch(part.leader.map_or(-1, |leader| leader.epoch))
                .with_fetch_offset(part.next)
                .with_partition_max_bytes(settings.partition_bytes_max);
            (&*part.topic, partition)
        });
        let topics = by_topic(parts).into_iter().map(|(topic, partitions)| {
            FetchTopic::default().with_topic(topic).with_partitions(partitions)
        });
        FetchRequest::default()
            .with_replica_id(BrokerId(-1))
            .with_max_wait_ms(i32::try_from(settings.fetch_wait.as_millis()).unwrap_or(i32::MAX))
            .with_min_bytes(settings.fetch_bytes_min)
            .with_max_bytes(settings.fetch_bytes_max)
            .with_isolation_level(i8::from(!settings.uncommitted))
            // No session: each request says all.
            .with_session_epoch(-1)
            .with_topics(topics.collect())
    }

    fn land(&mut self, landed: Landed) {
        let Landed { broker, connection, answer, asked } = landed;
        match connection {
            Ok(connection) => drop(self.lines.insert(broker, Line::Free(connection))),
            Err(failure) => {
                let pause = self.backoff(broker).next();
                self.lines.insert(broker, Line::Away(Instant::now() + pause));
                self.come.push_back(Come::Passing(failure.reason));
                // Somebody else may lead its partitions now.
                for asked in &asked {
                    self.parts[asked.at].leader = None;
                }
                self.refresh_at = self.refresh_at.min(Instant::now() + pause);
            }
        }
        let Some(answer) = answer else { return };
        self.backoff(broker).reset();
        if let Some(code) = code(answer.error_code) {
            let pause = self.backoff(broker).next();
            self.lines.insert(broker, Line::Away(Instant::now() + pause));
            self.come.push_back(Come::Passing(format!("fetch: {code}")));
            return;
        }
        // Answers come in the order of what was asked.
        let (mut doubtful, mut guess) = (false, 0);
        for topic in answer.responses {
            for data in topic.partitions {
                let is_of = |asked: &&Asked| {
                    let part = &self.parts[asked.at];
                    part.partition == data.partition_index && *part.topic == *topic.topic.as_str()
                };
                let guessed = asked.get(guess).filter(is_of);
                let Some(asked) = guessed.or_else(|| asked.iter().find(is_of)) else { continue };
                guess += 1;
                let part = &mut self.parts[asked.at];
                self.come.extend(part.receive(asked, data, self.door.settings.uncommitted));
                doubtful |= part.leader.is_none();
            }
        }
        if doubtful {
            let pause = self.refresh_backoff.next();
            self.refresh_at = self.refresh_at.min(Instant::now() + pause);
        }
    }

    fn backoff(&mut self, broker: i32) -> &mut Backoff {
        let (first, most) = self.door.settings.backoff;
        self.backoffs.entry(broker).or_insert_with(|| Backoff::new(first, most))
    }
}

/// Asks a broker, over a new connection if there is none.
async fn fly(
    door: Arc<Door>,
    broker: i32,
    address: String,
    connection: Option<Connection>,
    request: FetchRequest,
) -> (Result<Connection, Failure>, Option<FetchResponse>) {
    let opened = match connection {
        Some(connection) => Ok(connection),
        None => Connection::open(&door, &address).await,
    };
    let mut connection = match opened {
        Ok(connection) => connection,
        Err(failure) => return (Err(failure), None),
    };
    tracing::trace!("{}: asks broker {broker}", door.settings.name);
    let timeout = door.settings.fetch_wait + door.settings.request_timeout;
    match connection.ask(&request, FETCH, timeout).await {
        Ok(answer) => (Ok(connection), Some(answer)),
        Err(failure) => (Err(failure), None),
    }
}
