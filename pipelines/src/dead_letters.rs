//! `nowcast dlq`: what was set aside, and sending it again.

mod list;
mod replay;
mod show;

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use chrono::{DateTime, NaiveDate, NaiveDateTime};
use clap::{Args, Subcommand};
use nowcast_engine::Millis;
use nowcast_engine::world::{Clock, SystemClock};

use crate::home::{EMBEDDED, Home};
use crate::letter_topic::TopicPlace;
use crate::letters::{Letters, Wanted};
use crate::letters_to::Note;

#[derive(Subcommand)]
pub enum DeadLetters {
    /// Prints the jobs that have dead letters: how many of each reason, and the newest.
    List {
        /// This job alone.
        job: Option<String>,
        #[command(flatten)]
        place: Place,
    },
    /// Prints the newest dead letters of a job, oldest first.
    Show {
        job: String,
        #[command(flatten)]
        which: Which,
        /// How many at most; 0 for all [default: 20, with --json all].
        #[arg(long)]
        limit: Option<usize>,
        /// One JSON object a line.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        place: Place,
    },
    /// Sends the messages of a job's dead letters to their topics again, each once.
    Replay {
        job: String,
        /// Sends all of them here instead, also rows that came from no topic.
        #[arg(long, value_name = "TOPIC")]
        to: Option<String>,
        #[command(flatten)]
        which: Which,
        /// Says what would be sent, and sends nothing.
        #[arg(long)]
        dry_run: bool,
        /// Also those that were sent already.
        #[arg(long)]
        again: bool,
        #[command(flatten)]
        place: Place,
    },
}

/// Which letters.
#[derive(Args)]
pub struct Which {
    /// Of this table or operator.
    #[arg(long)]
    stage: Option<String>,
    /// Whose reason has this in it.
    #[arg(long)]
    reason: Option<String>,
    /// Set aside since then: `2 h` ago, or `2026-01-31 12:00:00` (UTC).
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
}

impl Which {
    fn wanted(self) -> Result<Wanted> {
        let since = self.since.as_deref().map(|text| since(text, SystemClock.now())).transpose()?;
        Ok(Wanted { stage: self.stage, reason: self.reason, since })
    }
}

/// Where letters are, and the brokers.
#[derive(Args)]
pub struct Place {
    #[arg(long, default_value = "nowcast-data", env = "NOWCAST_DATA_DIR")]
    data_dir: PathBuf,
    /// Where messages came from and go to, and of the dead-letter topic [default: what the job
    /// last said of its dead-letter topic, else 127.0.0.1:9092]; `embedded` for the broker in the
    /// data folder.
    #[arg(long, env = "KAFKA_BOOTSTRAP_SERVERS")]
    bootstrap: Option<String>,
    /// The job's dead-letter topic, where the data folder does not know it.
    #[arg(long, value_name = "TOPIC")]
    dlq_topic: Option<String>,
    /// For the clients of Kafka, such as `security.protocol=SASL_SSL`; repeatable.
    #[arg(long = "property", value_name = "KEY=VALUE")]
    properties: Vec<String>,
}

const BOOTSTRAP: &str = "127.0.0.1:9092";

impl Place {
    fn properties(&self) -> Result<BTreeMap<String, String>> {
        let pair = |text: &String| match text.split_once('=') {
            Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
            _ => bail!("--property {text}: expected KEY=VALUE"),
        };
        self.properties.iter().map(pair).collect()
    }

    /// The brokers of a job as they are named: by the command, else by the note of its topic.
    fn bootstrap(&self, note: Option<&Note>) -> String {
        let noted = note.map(|note| note.bootstrap.clone());
        self.bootstrap.clone().or(noted).unwrap_or_else(|| BOOTSTRAP.to_owned())
    }
}

/// The brokers, and with them the one in the data folder where it is meant.
struct Brokers {
    home: Option<Home>,
}

impl Brokers {
    /// The letters of a job.
    async fn letters(&mut self, place: &Place, job: &str) -> Result<Letters> {
        let note = Note::read(&place.data_dir, job)?;
        let topic = place.dlq_topic.clone().or_else(|| note.as_ref().map(|it| it.topic.clone()));
        let topic = match topic {
            None => None,
            Some(topic) => {
                let bootstrap = self.address(place, &place.bootstrap(note.as_ref())).await?;
                Some(TopicPlace { topic, bootstrap, properties: place.properties()? })
            }
        };
        Ok(Letters::of(&place.data_dir, job, topic))
    }

    /// The address behind a name of brokers.
    async fn address(&mut self, place: &Place, bootstrap: &str) -> Result<String> {
        if !bootstrap.starts_with(EMBEDDED) {
            return Ok(bootstrap.to_owned());
        }
        if self.home.is_none() {
            let opened = Home::open(&place.data_dir, true).await;
            self.home = Some(opened.context("the broker in the data folder")?);
        }
        let home = self.home.as_ref().and_then(Home::bootstrap);
        home.context("the broker in the data folder has not started")
    }

    async fn close(self) {
        if let Some(broker) = self.home.and_then(|home| home.broker) {
            broker.shutdown().await;
        }
    }
}

pub async fn dead_letters(command: DeadLetters) -> Result<()> {
    let mut brokers = Brokers { home: None };
    let result = with(&mut brokers, command).await;
    brokers.close().await;
    result
}

async fn with(brokers: &mut Brokers, command: DeadLetters) -> Result<()> {
    match command {
        DeadLetters::List { job, place } => list::list(brokers, job, &place).await,
        DeadLetters::Show { job, which, limit, json, place } => {
            let letters = known(brokers, &place, &job).await?;
            let wanted = which.wanted()?;
            // The client of Kafka blocks, and the broker may be in this process.
            tokio::task::spawn_blocking(move || show::show(&letters, &wanted, limit, json)).await?
        }
        DeadLetters::Replay { job, to, which, dry_run, again, place } => {
            let letters = known(brokers, &place, &job).await?;
            let note = Note::read(&place.data_dir, &job)?;
            let bootstrap = brokers.address(&place, &place.bootstrap(note.as_ref())).await?;
            let replay = replay::Replay {
                letters,
                data: place.data_dir.clone(),
                wanted: which.wanted()?,
                bootstrap,
                properties: place.properties()?,
                to,
                dry_run,
                again,
            };
            tokio::task::spawn_blocking(move || replay.run()).await?
        }
    }
}

/// # Errors
/// Where nothing is known of the job.
async fn known(brokers: &mut Brokers, place: &Place, job: &str) -> Result<Letters> {
    if place.dlq_topic.is_none() {
        crate::letters::known(&place.data_dir, job)?;
    }
    brokers.letters(place, job).await
}

/// `2 h` ago, or a time of UTC.
fn since(text: &str, now: Millis) -> Result<Millis> {
    if let Ok(ago) = nowcast_engine::parse_duration(text) {
        return Ok(now - ago.as_millis() as Millis);
    }
    let text = text.trim();
    let time = ["%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M"]
        .iter()
        .find_map(|format| NaiveDateTime::parse_from_str(text.trim_end_matches('Z'), format).ok());
    let day = || NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?.and_hms_opt(0, 0, 0);
    match time.or_else(day) {
        Some(time) => Ok(time.and_utc().timestamp_millis()),
        None => bail!(
            "--since {text}: neither a duration such as 2 h nor a time such as 2026-01-31 12:00:00"
        ),
    }
}

/// A time as people read it, UTC.
fn time(at: Option<Millis>) -> Option<String> {
    let at = DateTime::from_timestamp_millis(at?)?;
    Some(at.format("%Y-%m-%d %H:%M:%S%.3f").to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn since_is_a_time_or_how_long_ago() {
        let day = 24 * 3_600_000;
        assert_eq!(since("2 h", 10 * 3_600_000).unwrap(), 8 * 3_600_000);
        assert_eq!(since("1970-01-02", 0).unwrap(), day);
        assert_eq!(since("1970-01-02 00:00:01", 0).unwrap(), day + 1_000);
        assert_eq!(since("1970-01-02T00:00:01.5Z", 0).unwrap(), day + 1_500);
        assert!(since("yesterday", 0).is_err());
    }
}
