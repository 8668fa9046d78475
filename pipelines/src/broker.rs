//! `nowcast broker`: the embedded broker as a server of its own.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;

use crate::home::start_broker;

#[derive(Args)]
pub struct Broker {
    /// Where to listen.
    #[arg(long, default_value = "127.0.0.1:9092")]
    listen: String,
    /// Folder of topics and offsets.
    #[arg(long, default_value = "nowcast-data/broker")]
    dir: PathBuf,
}

pub async fn broker(command: Broker) -> Result<()> {
    let broker = start_broker(&command.dir, &command.listen).await?;
    say!("kafka protocol on {}, data in {}; Ctrl-C ends", broker.address(), command.dir.display());
    crate::signal::asked_to_stop(crate::signal::STOP_TIMEOUT).await;
    broker.shutdown().await;
    Ok(())
}
