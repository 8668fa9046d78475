//! A Kafka client of our own. Reading: batches of messages are decoded where they lie, in the answers of
//! the brokers; writing is in [`produce`].
//!
//! One thread a source, no thread besides: the connections are served while the reader waits, and
//! the next request to a broker is on its way while an answer is read. What is not here, librdkafka
//! does (`client`): Kerberos, OAUTHBEARER, messages of before Kafka 0.11, followers that are nearer.

mod backoff;
mod batch;
#[cfg(test)]
mod batch_tests;
mod cluster;
mod codec;
mod commit;
mod connection;
mod fetch;
mod part;
pub mod produce;
mod scram;
pub mod settings;
mod topics;

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::{Either, select};
use kafka_protocol::ResponseError;
use nowcast_engine::{Error, Result};
use tokio::runtime::Runtime;

use self::batch::{Batches, Located, Malformed};
use self::cluster::{Cluster, Refused, is_unknown};
use self::codec::Codecs;
use self::commit::{Beside, Commits};
use self::connection::Door;
use self::fetch::Fetcher;
use self::part::{Come, Given};
use self::settings::Settings;
use super::contact::{
    Brokers, Cause, End, Heard, Name, Outlook, Stop, Take, Taken, Trouble, failed,
};
use super::offsets::Span;
use super::options::{KafkaOptions, Topics};

/// How often bytes are asked for whose checksum does not fit.
const TRIES: u32 = 3;

pub struct Native {
    options: Arc<KafkaOptions>,
    cluster: Cluster,
    fetcher: Fetcher,
    codecs: Codecs,
    commits: Commits,
    beside: Arc<Beside>,
    /// How often the same bytes were malformed, and the offset.
    malformed: (i64, u32),
    /// `None` when all is over.
    runtime: Option<Runtime>,
}

impl Native {
    /// # Errors
    /// For certificates that cannot be used.
    pub fn new(options: Arc<KafkaOptions>, settings: Arc<Settings>) -> Result<Self> {
        let door = Door::new(settings);
        let door = door.map_err(|why| Error::user(format!("table \"{}\": {why}", options.table)));
        let door = Arc::new(door?);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| failed(&options, error))?;
        Ok(Self {
            cluster: Cluster::new(Arc::clone(&door)),
            fetcher: Fetcher::new(Arc::clone(&door)),
            codecs: Codecs::default(),
            commits: Commits::new(door),
            beside: Arc::default(),
            malformed: (0, 0),
            runtime: Some(runtime),
            options,
        })
    }

    /// Nothing is fetched of a partition any more, without a word to those who wait for it.
    #[cfg(test)]
    pub fn hold(&mut self, at: usize) {
        self.fetcher.hold(at);
    }

    fn trouble(&self, cause: Cause, why: impl std::fmt::Display) -> Trouble {
        Trouble { cause, error: failed(&self.options, why) }
    }

    fn refused(&self, refused: &Refused) -> Trouble {
        use ResponseError::{GroupAuthorizationFailed, TopicAuthorizationFailed};
        let cause = match refused {
            Refused::Code(code) if is_unknown(*code) => Cause::Unknown,
            Refused::Code(TopicAuthorizationFailed | GroupAuthorizationFailed) => Cause::Final,
            Refused::Code(_) | Refused::Away(_) => Cause::Passing,
        };
        self.trouble(cause, refused)
    }

    fn partitions_of(&mut self, topic: &str, deadline: Instant) -> Result<Vec<i32>> {
        let runtime = self.runtime.as_ref().expect("it is there until the end");
        runtime.block_on(topics::partitions(&mut self.cluster, &self.options, topic, deadline))
    }

    /// Drives connections until something has come or the time is over; without any time, what has
    /// come already is still found.
    fn drive(&mut self, patience: Duration) {
        let runtime = self.runtime.as_ref().expect("it is there until the end");
        let (fetcher, cluster) = (&mut self.fetcher, &mut self.cluster);
        if fetcher.is_unsure() {
            runtime.block_on(fetcher.refresh(cluster));
        }
        runtime.block_on(async {
            let (fetched, committed) = (pin!(fetcher.wait(cluster)), pin!(self.commits.wait()));
            let work = select(fetched, committed);
            let pause = pin!(async {
                match patience.is_zero() {
                    false => tokio::time::sleep(patience).await,
                    // What is there to be read is seen in the second turn.
                    true => {
                        tokio::task::yield_now().await;
                        tokio::task::yield_now().await;
                    }
                }
            });
            select(work, pause).await;
        });
    }

    /// Takes in what a broker gave.
    fn read_given(&mut self, given: &Given, into: &mut impl Take) -> Result<Heard, Stop> {
        self.beside.ends_at(given.at, given.high);
        match self.walk(given, into) {
            Ok(taken) => {
                self.malformed.1 = 0;
                if into.is_finished(given.at) {
                    self.fetcher.finish(given.at);
                }
                match given.next >= given.end {
                    true => Ok(Heard::Ends(vec![End { at: given.at, behind: Some(given.next) }])),
                    false => Ok(Heard::Messages(taken)),
                }
            }
            Err(Walk::Stop(stop)) => Err(stop),
            Err(Walk::Malformed(malformed)) => {
                let (trouble, from) = self.weigh_malformed(given, malformed);
                if trouble.cause == Cause::Passing {
                    self.fetcher.jump(given.at, from);
                }
                Ok(Heard::Trouble(trouble))
            }
        }
    }

    /// Hands the messages over one by one, as they lie in their batches.
    fn walk(&mut self, given: &Given, into: &mut impl Take) -> Result<Taken, Walk> {
        let part = &self.fetcher.parts[given.at];
        let mut aborted = given.aborted.iter().peekable();
        let mut given_up: Vec<i64> = vec![];
        let mut all = Taken::Kept;
        for batch in Batches(&given.records) {
            let batch = batch?;
            if batch.next_offset() <= given.from {
                continue;
            }
            batch.check()?;
            while let Some((_, producer)) =
                aborted.next_if(|(first, _)| *first < batch.next_offset())
            {
                given_up.push(*producer);
            }
            if batch.is_control() {
                if batch.is_abort() {
                    given_up.retain(|producer| *producer != batch.producer());
                }
                continue;
            }
            if batch.is_transactional() && given_up.contains(&batch.producer()) {
                continue;
            }
            for record in batch.records(&mut self.codecs)? {
                let record = record?;
                if record.offset < given.from {
                    continue;
                }
                let located = Located { topic: &part.topic, partition: part.partition, record };
                if into.take(given.at, &located).map_err(Walk::Stop)? == Taken::HandedOver {
                    all = Taken::HandedOver;
                    if into.is_finished(given.at) {
                        return Ok(all);
                    }
                }
            }
        }
        Ok(all)
    }

    /// Where messages are no messages. Those that may have been spoilt on their way are asked for
    /// some times more.
    fn weigh_malformed(&mut self, given: &Given, malformed: Malformed) -> (Trouble, i64) {
        let Malformed { offset, reason, whole } = malformed;
        let part = &self.fetcher.parts[given.at];
        let why = format!("partition {}/{} at {offset}: {reason}", part.topic, part.partition);
        self.malformed = match self.malformed {
            (at, times) if at == offset => (at, times + 1),
            _ => (offset, 1),
        };
        let again = !whole && self.malformed.1 < TRIES;
        let cause = if again { Cause::Passing } else { Cause::Final };
        (self.trouble(cause, why), offset.max(given.from))
    }
}

/// Why messages are read no further.
enum Walk {
    Stop(Stop),
    Malformed(Malformed),
}

impl From<Malformed> for Walk {
    fn from(malformed: Malformed) -> Self {
        Self::Malformed(malformed)
    }
}

impl Brokers for Native {
    fn partitions(&mut self) -> Result<Vec<(String, Vec<i32>)>> {
        let deadline = Instant::now() + topics::CONNECT_TIMEOUT;
        let options = Arc::clone(&self.options);
        let names = match &options.topics {
            Topics::Named(names) => names.clone(),
            Topics::Pattern(pattern) => {
                let runtime = self.runtime.as_ref().expect("it is there until the end");
                let all = topics::metadata(&mut self.cluster, &options, None, deadline);
                let all = runtime.block_on(all)?;
                let names = all.iter().filter_map(|topic| topic.name.as_ref());
                names.map(|name| name.to_string()).filter(|name| pattern.is_match(name)).collect()
            }
        };
        let mut found = vec![];
        for topic in names {
            let partitions = self.partitions_of(&topic, deadline)?;
            found.push((topic, partitions));
        }
        Ok(found)
    }

    fn topic_partitions(&mut self, topic: &str) -> Result<Vec<i32>> {
        self.partitions_of(topic, Instant::now() + cluster::ASK_TIMEOUT)
    }

    fn limits(&mut self, topic: &str, partition: i32) -> Result<(i64, i64), Trouble> {
        let runtime = self.runtime.as_ref().expect("it is there until the end");
        let limits = runtime.block_on(self.cluster.limits(topic, partition));
        limits.map_err(|refused| self.refused(&refused))
    }

    fn at_time(&mut self, partitions: &[Name], millis: i64) -> Result<BTreeMap<Name, i64>> {
        let runtime = self.runtime.as_ref().expect("it is there until the end");
        let mut found = BTreeMap::new();
        for (topic, partition) in partitions {
            let offset = self.cluster.offset_at(topic, *partition, millis);
            let offset = runtime.block_on(offset).map_err(|refused| self.refused(&refused))?;
            found.extend(offset.map(|offset| ((topic.clone(), *partition), offset)));
        }
        Ok(found)
    }

    fn committed(&mut self, partitions: &[Name]) -> Result<BTreeMap<Name, i64>> {
        let runtime = self.runtime.as_ref().expect("it is there until the end");
        let found = runtime.block_on(self.cluster.committed(partitions));
        Ok(found.map_err(|refused| self.refused(&refused))?)
    }

    fn read(&mut self, spans: &[Span]) -> Result<()> {
        for span in spans {
            self.fetcher.add(span);
            self.beside.add(span);
        }
        Ok(())
    }

    fn seek(&mut self, at: usize, _: &Span, offset: i64) -> Result<()> {
        self.fetcher.jump(at, offset);
        Ok(())
    }

    fn fetched(&self, at: usize, _: &Span) -> Option<i64> {
        Some(self.fetcher.parts[at].next)
    }

    fn poll(&mut self, patience: Duration, into: &mut impl Take) -> Result<Heard, Stop> {
        let deadline = Instant::now() + patience;
        let mut last = false;
        loop {
            match self.fetcher.take() {
                Some(Come::Given(given)) => {
                    let heard = self.read_given(&given, into);
                    self.fetcher.give_back(given.records);
                    return heard;
                }
                Some(Come::OutOfRange(at)) => {
                    let cause = Cause::OutOfRange(Some(at));
                    return Ok(Heard::Trouble(self.trouble(cause, "an offset is not there")));
                }
                Some(Come::Unknown(at)) => {
                    let topic = &self.fetcher.parts[at].topic;
                    let why = format!("the brokers do not know topic {topic}");
                    return Ok(Heard::Trouble(self.trouble(Cause::Unknown, why)));
                }
                Some(Come::Denied(at, code)) => {
                    let part = &self.fetcher.parts[at];
                    let why = format!("partition {}/{}: {code}", part.topic, part.partition);
                    return Ok(Heard::Trouble(self.trouble(Cause::Final, why)));
                }
                Some(Come::Passing(why)) => {
                    return Ok(Heard::Trouble(self.trouble(Cause::Passing, why)));
                }
                None if last => return Ok(Heard::Nothing),
                None => {}
            }
            self.commits.begin(&self.beside);
            self.drive(deadline.saturating_duration_since(Instant::now()));
            last = Instant::now() >= deadline;
        }
    }

    fn linger(&mut self, patience: Duration) {
        self.commits.begin(&self.beside);
        let runtime = self.runtime.as_ref().expect("it is there until the end");
        runtime.block_on(async {
            let (committed, rest) = (pin!(self.commits.wait()), pin!(tokio::time::sleep(patience)));
            if let Either::Left((_, rest)) = select(committed, rest).await {
                rest.await;
            }
        });
    }

    fn outlook(&self) -> Arc<dyn Outlook> {
        Arc::clone(&self.beside) as Arc<dyn Outlook>
    }
}

impl Drop for Native {
    fn drop(&mut self) {
        let Some(runtime) = self.runtime.take() else { return };
        // What was asked to be committed last is, if that is quick; a thread of another runtime is not
        // held up.
        if tokio::runtime::Handle::try_current().is_err() {
            self.commits.begin(&self.beside);
            runtime.block_on(self.commits.finish());
        }
        runtime.shutdown_background();
    }
}
