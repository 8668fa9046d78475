//! `nowcast dlq replay`: the messages of dead letters to their topics again, each once.

use std::collections::{BTreeMap, HashSet};
use std::path::PathBuf;

use anyhow::{Result, bail};
use indicatif::{ProgressBar, ProgressStyle};

use crate::letter::Letter;
use crate::letters::{Found, Letters, Wanted};
use crate::producer::{Events, Message};
use crate::replayed::Replayed;

/// Letters between two marks: as many are sent again if the replay dies.
const LETTERS_PER_MARK: usize = 1_000;

pub struct Replay {
    pub letters: Letters,
    pub data: PathBuf,
    pub wanted: Wanted,
    pub bootstrap: String,
    pub properties: BTreeMap<String, String>,
    pub to: Option<String>,
    pub dry_run: bool,
    pub again: bool,
}

/// What becomes of a letter.
enum Fate {
    Send,
    /// It was sent, or another letter of the same message was or will be.
    Sent,
    NoTopic,
    NotWanted,
}

/// How many letters have each fate.
#[derive(Default)]
struct Counts {
    /// By the topic that they go to.
    send: BTreeMap<String, u64>,
    sent: u64,
    no_topic: u64,
}

/// Messages that were sent or are about to be.
type Origins = HashSet<(String, i32, i64)>;

impl Replay {
    pub fn run(&self) -> Result<()> {
        let mut marks = Replayed::read(&self.data, &self.letters.job)?;
        let counts = self.count(&marks)?;
        let all: u64 = counts.send.values().sum();
        let job = &self.letters.job;
        if self.dry_run {
            for (topic, count) in &counts.send {
                say!("{count} dead letters of job {job} would go to topic {topic}");
            }
            if all == 0 {
                say!("no dead letter of job {job} would be sent");
            }
            self.say_others(&counts);
            return Ok(());
        }
        if all > 0 {
            let producer = Events::connect_to(&self.bootstrap, &self.properties)?;
            self.check_topics(&producer, counts.send.keys())?;
            let bar = ProgressBar::new(all).with_style(ProgressStyle::with_template(
                "{msg} [{bar:30}] {pos}/{len} letters, {per_sec}, {eta} left",
            )?);
            bar.set_message(job.clone());
            self.send(&producer, &mut marks, &bar)?;
            bar.finish_and_clear();
        }
        say!("{all} dead letters of job {job} sent again");
        self.say_others(&counts);
        Ok(())
    }

    fn say_others(&self, counts: &Counts) {
        if counts.sent > 0 {
            say!("{} were sent already; --again sends them too", counts.sent);
        }
        if counts.no_topic > 0 {
            say!("{} are rows without a topic; --to TOPIC sends them there", counts.no_topic);
        }
    }

    fn count(&self, marks: &Replayed) -> Result<Counts> {
        let mut counts = Counts::default();
        let mut origins = Origins::new();
        self.letters.read(&mut |found| {
            match self.fate(&found, marks, &mut origins) {
                Fate::Send => {
                    let topic = self.topic(&found.letter).unwrap_or_default().to_owned();
                    *counts.send.entry(topic).or_default() += 1;
                }
                Fate::Sent => counts.sent += 1,
                Fate::NoTopic => counts.no_topic += 1,
                Fate::NotWanted => {}
            }
            Ok(())
        })?;
        Ok(counts)
    }

    fn check_topics<'a>(
        &self,
        producer: &Events,
        topics: impl Iterator<Item = &'a String>,
    ) -> Result<()> {
        let known = producer.topics()?;
        for topic in topics {
            if !known.contains_key(topic) {
                let names: Vec<&str> = known.keys().map(String::as_str).collect();
                let names = names.join(", ");
                bail!(
                    "kafka topic \"{topic}\" does not exist at {}; there are {names}",
                    self.bootstrap
                );
            }
        }
        Ok(())
    }

    fn send(&self, producer: &Events, marks: &mut Replayed, bar: &ProgressBar) -> Result<()> {
        let partitions = producer.topics()?;
        let mut origins = Origins::new();
        // Letters that are marked once those before them are acknowledged.
        let mut open: Vec<(String, u64)> = vec![];
        let mark = |open: &mut Vec<(String, u64)>, marks: &mut Replayed| -> Result<()> {
            producer.finish()?;
            open.drain(..).for_each(|(place, number)| marks.mark(&place, number));
            marks.save()
        };
        self.letters.read(&mut |found| {
            match self.fate(&found, marks, &mut origins) {
                Fate::Send => {
                    let letter = &found.letter;
                    let Some(topic) = self.topic(letter) else { return Ok(()) };
                    let has = |partition: &i32| {
                        let count = partitions.get(topic).copied().unwrap_or(0);
                        self.to.is_none() && (*partition as usize) < count
                    };
                    producer.send_message(&Message {
                        topic,
                        partition: letter.partition.filter(has),
                        key: letter.key_bytes().as_deref(),
                        payload: &letter.bytes(),
                        timestamp: letter.timestamp,
                    })?;
                    bar.inc(1);
                    open.push((found.place, found.number));
                }
                // Another letter of the same message went or goes.
                Fate::Sent if !marks.has(&found.place, found.number) => {
                    open.push((found.place, found.number));
                }
                Fate::Sent | Fate::NoTopic | Fate::NotWanted => {}
            }
            if open.len() >= LETTERS_PER_MARK { mark(&mut open, marks) } else { Ok(()) }
        })?;
        mark(&mut open, marks)
    }

    fn fate(&self, found: &Found, marks: &Replayed, origins: &mut Origins) -> Fate {
        let letter = &found.letter;
        let origin = letter.origin().map(|(topic, part, offset)| (topic.to_owned(), part, offset));
        if !self.again && marks.has(&found.place, found.number) {
            origins.extend(origin);
            return if self.wanted.has(letter) { Fate::Sent } else { Fate::NotWanted };
        }
        if !self.wanted.has(letter) {
            return Fate::NotWanted;
        }
        if self.topic(letter).is_none() {
            return Fate::NoTopic;
        }
        match origin.is_none_or(|origin| origins.insert(origin)) {
            true => Fate::Send,
            false => Fate::Sent,
        }
    }

    /// Where a letter goes: files name their path as a topic, and have no partitions.
    fn topic<'a>(&'a self, letter: &'a Letter) -> Option<&'a str> {
        let own = letter.topic.as_deref().filter(|_| letter.partition.is_some());
        self.to.as_deref().or(own)
    }
}
