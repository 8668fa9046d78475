//! `nowcast replay`: rows of a file into a topic, in event-time order, at a multiple of real time.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use nowcast_bench::Event;
use nowcast_bench::disorder::{Delays, Disorder};
use nowcast_bench::replay::Speed;
use nowcast_bench::rows::{Row, Rows};
use nowcast_bench::timestamp::TimeFormat;

use serde_json::{Map, Value};

use crate::feed::{Progress, feed};
use crate::producer::{Events, ensure_topic};

#[derive(Args)]
pub struct Replay {
    /// CSV, JSON lines or Parquet; also .gz and .zst.
    file: PathBuf,
    /// Topic to write to; made with retention off if it is missing.
    #[arg(long)]
    topic: String,
    /// Kafka bootstrap servers.
    #[arg(long, env = "KAFKA_BOOTSTRAP_SERVERS", default_value = "127.0.0.1:9092")]
    bootstrap: String,
    /// Column of the event time.
    #[arg(long, default_value = "event_time")]
    time_column: String,
    /// How the time is written: epoch-s, epoch-ms, iso or sql.
    #[arg(long, default_value = "sql")]
    time_format: String,
    /// `600x`: so many seconds of event time a second; `max`: as fast as the broker takes it.
    #[arg(long, default_value = "max")]
    speed: Speed,
    /// Delays each event by up to so many milliseconds, seeded: rows then arrive out of order.
    #[arg(long, default_value_t = 0)]
    disorder_ms: u64,
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Partitions of a topic that is made.
    #[arg(long, default_value_t = 4)]
    partitions: i32,
    /// Column whose value is the message key.
    #[arg(long)]
    key: Option<String>,
}

pub async fn replay(command: Replay) -> Result<()> {
    let rows = if command.file.extension().is_some_and(|extension| extension == "parquet") {
        crate::parquet_rows::read(&command.file, &command.time_column)?
    } else {
        let format = command.time_format.parse::<TimeFormat>()?;
        Rows::read(&command.file, &command.time_column, format)?
    };
    if rows.is_empty() {
        bail!("{}: no rows", command.file.display());
    }
    ensure_topic(&command.bootstrap, &command.topic, command.partitions).await?;
    let bar = ProgressBar::new(rows.len() as u64).with_style(style()?);
    bar.set_message(command.topic.clone());
    let progress = Arc::new(Progress::default());
    let shared = Arc::clone(&progress);
    let sending = tokio::task::spawn_blocking(move || {
        let producer = Events::connect(&command.bootstrap)?;
        let (topic, speed) = (command.topic.as_str(), command.speed);
        let key = command.key.as_deref();
        let rows = rows.iter().map(|row| Keyed { row, key });
        match command.disorder_ms {
            0 => feed(&producer, topic, rows, speed, &shared),
            bound_ms => {
                let delays = Delays::Uniform { bound_ms };
                let rows = Disorder::new(rows, delays, command.seed);
                feed(&producer, topic, rows, speed, &shared)
            }
        }
    });
    let started = Instant::now();
    let mut sending = sending;
    let mut signal = Box::pin(crate::signal::asked_to_stop(crate::signal::STOP_TIMEOUT));
    let sent = loop {
        tokio::select! {
            sent = &mut sending => break sent??,
            () = tokio::time::sleep(Duration::from_millis(100)) => {
                bar.set_position(progress.sent.load(Ordering::Relaxed));
            }
            () = &mut signal, if !progress.stop.load(Ordering::Relaxed) => {
                progress.stop.store(true, Ordering::Relaxed);
            }
        }
    };
    bar.finish_and_clear();
    let seconds = started.elapsed().as_secs_f64();
    say!("{sent} events sent in {seconds:.1} s ({:.0} events/s)", sent as f64 / seconds.max(1e-9));
    Ok(())
}

/// A row whose key is the value of one of its columns.
struct Keyed<'a> {
    row: Row<'a>,
    key: Option<&'a str>,
}

impl Event for Keyed<'_> {
    fn event_time_ms(&self) -> i64 {
        self.row.event_time_ms
    }

    fn key(&self) -> String {
        let Some(column) = self.key else { return String::new() };
        let row: Result<Map<String, Value>, _> = serde_json::from_slice(self.row.json);
        match row.ok().and_then(|mut row| row.remove(column)) {
            Some(Value::String(key)) => key,
            Some(Value::Null) | None => String::new(),
            Some(other) => other.to_string(),
        }
    }

    fn write_json(&self, out: &mut Vec<u8>) {
        self.row.write_json(out);
    }
}

fn style() -> Result<ProgressStyle> {
    Ok(ProgressStyle::with_template("{msg} [{bar:30}] {pos}/{len} events, {per_sec}, {eta} left")?)
}
