//! `nowcast bench`: what a system holds.

mod compare;
mod drain;
mod latency;
mod live;
mod load;
mod lookups;
mod record;
mod regress;
mod run;
mod system;
mod throughput;
mod trial;
mod watch;

use anyhow::Result;
use clap::{Args, Subcommand};

#[derive(Args)]
pub struct Bench {
    #[command(subcommand)]
    kind: Kind,
}

#[derive(Subcommand)]
enum Kind {
    /// A workload file against nowcast, Flink or a service of your own, open loop; or in search of the highest rate that holds.
    Run(Box<run::Run>),
    /// Two runs beside each other, with the noise of the difference.
    Compare(compare::Compare),
    /// Instructions of small fixed jobs beside those that are written down.
    Regress(regress::Regress),
    /// Look-ups under load beside Redis, the bare model and a Python stack.
    Lookups(lookups::Lookups),
    /// Open loop at a fixed rate: from an event's intended start to its feature readable in the store.
    Latency(latency::Latency),
    /// CPU-seconds per million events of the clickstream job beside a plain librdkafka drain.
    Throughput(throughput::Throughput),
    /// Reads a topic to its end and drops what it reads; prints one JSON line.
    Drain(drain::Drain),
}

/// What was measured does not meet the objectives: for the exit code, once all has been said.
#[derive(Debug, thiserror::Error)]
#[error("the objectives do not hold")]
pub struct Missed;

impl Missed {
    /// Told apart from a run that could not be measured.
    pub const EXIT_CODE: u8 = 4;
}

pub async fn bench(command: Bench) -> Result<()> {
    match command.kind {
        Kind::Run(command) => run::run(*command).await,
        Kind::Compare(command) => compare::compare(&command),
        Kind::Regress(command) => {
            tokio::task::spawn_blocking(move || regress::regress(&command)).await?
        }
        Kind::Lookups(command) => lookups::lookups(command).await,
        Kind::Latency(command) => latency::latency(command).await,
        Kind::Throughput(command) => throughput::throughput(command).await,
        Kind::Drain(command) => tokio::task::spawn_blocking(move || drain::drain(&command)).await?,
    }
}
