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
    /// Real clicks of the Globo data set, by click time.
    Globo,
    /// Real hourly member demand of the UCI bike sharing data set.
    Bikes,
}

/// Events of a generator that never ends.
const EVENTS: usize = 1_000;

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
