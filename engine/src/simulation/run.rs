//! One run of a simulated job, turned by hand. Dropping it is a crash: nothing more of it happens.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::FutureExt;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use super::chance::Chance;
use crate::checkpoint::Checkpoints;
use crate::coordinator::Coordinator;
use crate::error::{Error, Result};
use crate::graph::Graph;
use crate::job::{Command, Gone, JobOptions, Parts, keep, restore, wire};
use crate::operator::Epoch;
use crate::stats::JobStats;
use crate::worker::{Flow, Report, Worker};
use crate::world::World;

/// How many turns there are to a checkpoint.
const CHECKPOINT: usize = 30;

/// How many turns there are to one in which the worker is told the clock.
const TICK: usize = 8;

/// A run has a thread's scheduler of its own. It goes first: tasks that are gone do not see that
/// their peers are.
pub(super) struct Run {
    runtime: Runtime,
    workers: BTreeMap<usize, Turned>,
    commands: mpsc::UnboundedSender<Command>,
    done: Option<JoinHandle<Result<()>>>,
    stats: Arc<JobStats>,
    pub restored: Epoch,
    pub name: String,
}

struct Turned {
    worker: Worker,
    reports: mpsc::UnboundedSender<Report>,
    left: oneshot::Sender<()>,
}

impl Run {
    pub fn start(graph: &Graph, options: &JobOptions, world: &World) -> Result<Self> {
        let runtime = Builder::new_current_thread().enable_time().build().map_err(Error::bug)?;
        let stats = JobStats::new(graph, options.workers);
        let checkpoints = world.store.clone().map(|store| Checkpoints::new(store, &options.name));
        let (commands, command) = mpsc::unbounded_channel();
        let doors = runtime.handle().clone();
        let opened: Result<_> = runtime.block_on(async {
            let (restored, begin) = restore(graph, checkpoints.as_ref(), options).await?;
            let from = begin.restored;
            let parts = wire(graph, options, world, &stats, &doors, &begin);
            let Parts { wirings, controls, reports, open_sinks, complete } = parts;
            let (clock, told) = (Arc::clone(&world.clock), Arc::clone(&stats));
            let coordinator =
                Coordinator::new(checkpoints, controls, told, clock, begin, complete, options);
            let (mut workers, mut left) = (BTreeMap::new(), vec![]);
            for mut wiring in wirings {
                wiring.ticking = false;
                let (index, reports) = (wiring.index, wiring.reports.clone());
                let worker = Worker::open(graph, wiring, restored.as_ref()).await?;
                let (leaves, gone) = oneshot::channel();
                left.push(gone);
                workers.insert(index, Turned { worker, reports, left: leaves });
            }
            let gone = Gone { workers: left, sinks: open_sinks };
            let done = tokio::spawn(keep(coordinator, reports, command, None, gone));
            Ok((workers, done, from))
        });
        let (workers, done, restored) = opened?;
        let (done, name) = (Some(done), options.run.clone());
        Ok(Self { runtime, workers, commands, done, stats, restored, name })
    }

    /// The last complete checkpoint.
    pub fn epoch(&self) -> Epoch {
        self.stats.epoch.load(std::sync::atomic::Ordering::Relaxed).max(self.restored)
    }

    /// One turn; how the job has ended, once it has.
    pub fn turn(&mut self, chance: &Chance) -> Option<Result<()>> {
        if chance.one_in(CHECKPOINT) {
            // A job that is about to end takes none.
            let _ = self.commands.send(Command::Checkpoint);
        }
        let turn = chance.below(self.workers.len());
        let index = self.workers.keys().nth(turn).copied();
        let tick = chance.one_in(TICK);
        let workers = &mut self.workers;
        let done = &mut self.done;
        self.runtime.block_on(async {
            if let Some(index) = index
                && let Some(turned) = workers.get_mut(&index)
            {
                let turn = match tick {
                    true => Some(turned.worker.tick_now()),
                    false => turned.worker.step().now_or_never(),
                };
                if let Some(Turned { reports, left, .. }) = match turn {
                    None | Some(Ok(Flow::Continue)) => None,
                    Some(Ok(Flow::Finished | Flow::Stopped)) => workers.remove(&index),
                    Some(Err(error)) => {
                        let _ = turned.reports.send(Report::Failed(error));
                        workers.remove(&index)
                    }
                } {
                    drop(reports);
                    let _ = left.send(());
                }
            }
            tokio::task::yield_now().await;
            match done {
                Some(task) if task.is_finished() => {
                    let ended = done.take()?.await;
                    Some(ended.unwrap_or_else(|error| Err(Error::bug(error))))
                }
                _ => None,
            }
        })
    }
}
