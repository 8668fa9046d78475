//! `nowcast dlq`: what was set aside, and sending it again.

use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::Subcommand;

use crate::producer::Events;
use crate::set_aside::{Letter, read_letters};

#[derive(Subcommand)]
pub enum DeadLetters {
    /// Prints the dead letters of a job, one JSON object a line.
    List {
        job: String,
        #[arg(long, default_value = "nowcast-data", env = "NOWCAST_DATA_DIR")]
        data_dir: PathBuf,
    },
    /// Sends the messages of a job's dead letters to their topics again.
    Replay {
        job: String,
        #[arg(long, default_value = "nowcast-data", env = "NOWCAST_DATA_DIR")]
        data_dir: PathBuf,
        #[arg(long, env = "KAFKA_BOOTSTRAP_SERVERS", default_value = "127.0.0.1:9092")]
        bootstrap: String,
        /// Sends all of them here instead.
        #[arg(long)]
        topic: Option<String>,
    },
}

pub fn dead_letters(command: DeadLetters) -> Result<()> {
    match command {
        DeadLetters::List { job, data_dir } => {
            for letter in read_letters(&data_dir, &job)? {
                say!("{}", serde_json::to_string(&letter)?);
            }
            Ok(())
        }
        DeadLetters::Replay { job, data_dir, bootstrap, topic } => {
            let letters = read_letters(&data_dir, &job)?;
            if letters.is_empty() {
                bail!("job {job}: no dead letters");
            }
            let producer = Events::connect(&bootstrap)?;
            let mut sent = 0;
            for letter in &letters {
                sent += usize::from(send(&producer, letter, topic.as_deref())?);
            }
            producer.finish()?;
            say!(
                "{sent} of {} dead letters sent again; the others are rows without a topic",
                letters.len()
            );
            Ok(())
        }
    }
}

fn send(producer: &Events, letter: &Letter, topic: Option<&str>) -> Result<bool> {
    let Some(topic) = topic.or(letter.topic.as_deref()) else { return Ok(false) };
    producer.send(topic, "", &letter.bytes(), letter.timestamp.unwrap_or(0))?;
    Ok(true)
}
