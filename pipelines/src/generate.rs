//! `nowcast generate`: events as JSON lines on standard output.

use std::io::{BufWriter, Write};
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};
use nowcast_bench::Event;
use nowcast_bench::datasets::{bike_sharing, globo_clicks};
use nowcast_bench::generate::clicks::{ClicksConfig, OrderedClicks, clicks};
use nowcast_bench::generate::demand::{DemandConfig, Demands};
use nowcast_bench::generate::sessions::Sessions;
use nowcast_bench::generate::subscriptions::{Subscriptions, SubscriptionsConfig};
use nowcast_connectors::format::{Format, JsonOptions};
use nowcast_connectors::nexmark::{self, Columns, Settings};

#[derive(Args)]
pub struct Generate {
    kind: Kind,
    /// How many; all of a real data set by default.
    #[arg(long)]
    events: Option<usize>,
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Clicks a second of event time.
    #[arg(long, default_value_t = 10.0)]
    clicks_per_s: f64,
    /// Nexmark's events a second of event time.
    #[arg(long, default_value_t = Settings::default().events_per_s, value_parser = clap::value_parser!(u64).range(1..))]
    events_per_s: u64,
    /// Folder of the real data sets.
    #[arg(long, env = "NOWCAST_DATA")]
    data: Option<PathBuf>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Kind {
    /// Synthetic clickstream, in order of arrival.
    Clicks,
    /// Synthetic sign-ups, cancellations and plan changes.
    Subscriptions,
    /// Synthetic hourly member demand with weather, holidays and promotions.
    Demand,
    /// Titles played by session, one session a line, for training recommenders.
    Sessions,
    /// Persons, auctions and bids of the Nexmark benchmark.
    Nexmark,
    /// Real clicks of the Globo data set, by click time.
    Globo,
    /// Real hourly member demand of the UCI bike sharing data set.
    Bikes,
}

/// Events of a generator that never ends.
const EVENTS: usize = 1_000;
/// Nexmark's events encoded at once: enough for columns to pay.
const NEXMARK_ROWS: u64 = 1_024;

pub fn generate(command: &Generate) -> Result<()> {
    let Generate { seed, clicks_per_s, .. } = *command;
    let some = command.events.unwrap_or(EVENTS);
    let all = command.events.unwrap_or(usize::MAX);
    let data =
        || command.data.as_deref().context("--data DIR names the folder of the real data sets");
    let config = ClicksConfig::seeded(seed).events_per_s(clicks_per_s);
    match command.kind {
        Kind::Clicks => print(clicks(&config).take(some)),
        Kind::Subscriptions => {
            let config = SubscriptionsConfig { seed, ..SubscriptionsConfig::default() };
            print(Subscriptions::new(config).take(some))
        }
        Kind::Demand => {
            print(Demands::new(DemandConfig { seed, ..DemandConfig::default() }).take(some))
        }
        Kind::Nexmark => {
            let settings =
                Settings { seed, events_per_s: command.events_per_s, ..Settings::default() };
            nexmark(settings, some as u64)
        }
        Kind::Globo => print(globo_clicks(data()?)?.into_iter().take(all)),
        Kind::Bikes => print(bike_sharing(data()?)?.into_iter().take(all)),
        Kind::Sessions => {
            let sessions =
                Sessions::new(OrderedClicks::new(&config)).filter(|titles| titles.len() > 1);
            let mut out = BufWriter::new(std::io::stdout().lock());
            for titles in sessions.take(some) {
                let titles: Vec<String> = titles.iter().map(ToString::to_string).collect();
                if writeln!(out, "{}", titles.join(" ")).is_err() {
                    break;
                }
            }
            // A reader that has gone away, as in `nowcast generate … | head`, is no error.
            let _ = out.flush();
            Ok(())
        }
    }
}

fn print<E: Event>(events: impl Iterator<Item = E>) -> Result<()> {
    let mut out = BufWriter::with_capacity(1 << 16, std::io::stdout().lock());
    let mut line = Vec::with_capacity(512);
    for event in events {
        line.clear();
        event.write_json(&mut line);
        line.push(b'\n');
        if out.write_all(&line).is_err() {
            return Ok(());
        }
    }
    // As above: a reader may have gone away.
    let _ = out.flush();
    Ok(())
}

/// Nexmark's events, the kinds that an event is not of left out.
fn nexmark(settings: Settings, events: u64) -> Result<()> {
    let options = JsonOptions { ignore_null_fields: true, ..JsonOptions::default() };
    let columns = Columns::new(settings);
    let encoder = Format::Json(options).encoder(nexmark::schema().fields())?;
    let mut out = BufWriter::with_capacity(1 << 16, std::io::stdout().lock());
    for from in (0..events).step_by(NEXMARK_ROWS as usize) {
        let rows = columns.rows(from..events.min(from + NEXMARK_ROWS))?;
        for line in encoder.encode(rows.columns(), None)?.rows() {
            if out.write_all(line).and_then(|()| out.write_all(b"\n")).is_err() {
                return Ok(());
            }
        }
    }
    // As above: a reader may have gone away.
    let _ = out.flush();
    Ok(())
}
