//! `nowcast bench`: what the system holds.

mod drain;
mod latency;
mod throughput;

use anyhow::Result;
use clap::{Args, Subcommand};

#[derive(Args)]
pub struct Bench {
    #[command(subcommand)]
    kind: Kind,
}

#[derive(Subcommand)]
enum Kind {
    /// Open loop at a fixed rate: from an event's intended start to its feature readable in the store.
    Latency(latency::Latency),
    /// CPU-seconds per million events of the clickstream job beside a plain librdkafka drain.
    Throughput(throughput::Throughput),
    /// Reads a topic to its end and drops what it reads; prints one JSON line.
    Drain(drain::Drain),
}

pub async fn bench(command: Bench) -> Result<()> {
    match command.kind {
        Kind::Latency(command) => latency::latency(command).await,
        Kind::Throughput(command) => throughput::throughput(command).await,
        Kind::Drain(command) => tokio::task::spawn_blocking(move || drain::drain(&command)).await?,
    }
}
