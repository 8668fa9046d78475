//! `nowcast checkpoints`: what a job can go on from.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Result, bail};
use clap::{Args, Subcommand};
use nowcast_engine::checkpoint::{Checkpoints, Manifest};
use object_store::ObjectStore;

use crate::checkpoint_store;

#[derive(Subcommand)]
pub enum Command {
    /// Prints each checkpoint: epoch, state, workers, and what its sources had read.
    List {
        /// This job alone.
        job: Option<String>,
        #[command(flatten)]
        place: Place,
    },
    /// Reads checkpoints whole and compares their checksums; exit code 1 if one is torn or altered.
    Verify {
        /// This job alone.
        job: Option<String>,
        /// This checkpoint alone.
        #[arg(long, requires = "job")]
        epoch: Option<u64>,
        #[command(flatten)]
        place: Place,
    },
    /// Copies a checkpoint into a folder or bucket of its own.
    Export {
        job: String,
        /// Which one [default: the newest].
        #[arg(long)]
        epoch: Option<u64>,
        /// Folder, or s3://bucket/path.
        #[arg(long)]
        to: String,
        #[command(flatten)]
        place: Place,
    },
    /// Puts an exported checkpoint in front: the job goes on from it at its next start.
    Restore {
        job: String,
        /// Where it was exported to.
        #[arg(long)]
        from: String,
        /// Which one [default: the newest].
        #[arg(long)]
        epoch: Option<u64>,
        #[command(flatten)]
        place: Place,
    },
}

#[derive(Args)]
pub struct Place {
    #[arg(long, default_value = "nowcast-data", env = "NOWCAST_DATA_DIR")]
    data_dir: PathBuf,
    /// Folder, or s3://bucket/path [default: `checkpoints` beneath the data folder].
    #[arg(long, env = "NOWCAST_CHECKPOINTS")]
    checkpoints: Option<String>,
}

impl Place {
    fn open(&self) -> Result<Arc<dyn ObjectStore>> {
        let settings = Default::default();
        checkpoint_store::open(self.checkpoints.as_deref(), &settings, &self.data_dir)
    }
}

pub async fn checkpoints(command: Command) -> Result<()> {
    match command {
        Command::List { job, place } => list(place.open()?, job).await,
        Command::Verify { job, epoch, place } => verify(place.open()?, job, epoch).await,
        Command::Export { job, epoch, to, place } => {
            let from = Checkpoints::new(place.open()?, &job);
            let to = checkpoint_store::open(Some(&to), &Default::default(), &place.data_dir)?;
            copy(&job, &from, epoch, &Checkpoints::new(to, &job)).await
        }
        Command::Restore { job, from, epoch, place } => {
            let from = checkpoint_store::open(Some(&from), &Default::default(), &place.data_dir)?;
            let to = Checkpoints::new(place.open()?, &job);
            copy(&job, &Checkpoints::new(from, &job), epoch, &to).await
        }
    }
}

async fn jobs(store: &Arc<dyn ObjectStore>, job: Option<String>) -> Result<Vec<String>> {
    match job {
        Some(job) => Ok(vec![job]),
        None => Ok(Checkpoints::jobs(store.as_ref()).await?),
    }
}

async fn list(store: Arc<dyn ObjectStore>, job: Option<String>) -> Result<()> {
    for job in jobs(&store, job).await? {
        let checkpoints = Checkpoints::new(Arc::clone(&store), &job);
        for epoch in checkpoints.epochs().await? {
            match checkpoints.manifest(epoch).await {
                Ok(manifest) => say!("{job} {epoch} {}", words(&manifest)),
                Err(error) => say!("{job} {epoch} unreadable: {error}"),
            }
        }
    }
    Ok(())
}

fn words(manifest: &Manifest) -> String {
    let tables = manifest.stages.iter().flat_map(|stage| &stage.tables);
    let (rows, bytes) =
        tables.fold((0, 0), |(rows, bytes), file| (rows + file.rows.rows, bytes + file.bytes()));
    let read = manifest.sources.iter().map(|source| {
        let offsets: i64 = source.positions.iter().map(|position| position.offset).sum();
        format!("{} at {offsets} in {} splits", source.name, source.positions.len())
    });
    let read: Vec<String> = read.collect();
    let before = manifest.files().filter(|file| file.epoch != manifest.epoch);
    let before: usize = before.map(|file| file.bytes).sum();
    let before = match before {
        0 => String::new(),
        bytes => format!(", {bytes} of them written by checkpoints before it"),
    };
    let end = if manifest.finished { ", at the end of all input" } else { "" };
    format!(
        "{rows} rows of state in {bytes} bytes{before}, {} workers; {}{end}",
        manifest.workers,
        read.join(", ")
    )
}

async fn verify(
    store: Arc<dyn ObjectStore>,
    job: Option<String>,
    epoch: Option<u64>,
) -> Result<()> {
    let (mut sound, mut unsound) = (0, 0);
    for job in jobs(&store, job).await? {
        let checkpoints = Checkpoints::new(Arc::clone(&store), &job);
        let epochs = match epoch {
            Some(epoch) => vec![epoch],
            None => checkpoints.epochs().await?,
        };
        for epoch in epochs {
            match checkpoints.read(epoch).await {
                Ok(_) => {
                    sound += 1;
                    say!("{job} {epoch} sound");
                }
                Err(error) => {
                    unsound += 1;
                    say!("{job} {epoch} {error}");
                }
            }
        }
    }
    match unsound {
        0 => Ok(()),
        unsound => bail!("{unsound} of {} checkpoints cannot be restored", sound + unsound),
    }
}

async fn copy(job: &str, from: &Checkpoints, epoch: Option<u64>, to: &Checkpoints) -> Result<()> {
    let epoch = match epoch {
        Some(epoch) => epoch,
        None => match from.epochs().await?.last() {
            Some(newest) => *newest,
            None => bail!("job {job}: no checkpoint there"),
        },
    };
    let copied = from.copy(epoch, to).await?;
    say!("checkpoint {epoch} of {job} is checkpoint {copied} there");
    Ok(())
}
