//! A running job: its workers' threads and the task that keeps its checkpoints.

use std::convert::Infallible;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::runtime::{Builder, Handle};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use crate::alignment::Alignments;
use crate::checkpoint::{Checkpoints, Restored, Run, Writer};
use crate::complete::{Completed, complete};
use crate::coordinator::{Begin, Coordinator, Outcome, pause};
use crate::error::{Error, ErrorKind, Result};
use crate::evolve::StagePlan;
use crate::exchange::{Message, QUEUE_ELEMENTS};
use crate::graph::{Graph, NodeKind};
use crate::operator::Epoch;
use crate::rejects::{ErrorPolicy, Rejects};
use crate::sink::JobRun;
use crate::stats::JobStats;
use crate::worker::{Control, Flow, Report, Wiring, Worker};
use crate::world::World;

/// How a job runs.
#[derive(Debug, Clone)]
pub struct JobOptions {
    /// Names the job's checkpoints and transactions: unique in its stores.
    pub name: String,
    pub workers: usize,
    /// Rows a source hands over at once at most.
    pub rows_max: usize,
    /// How long a split is quiet until it holds the watermark back no longer; `None`: never.
    pub idle_timeout: Option<Duration>,
    /// Time between the beginnings of two checkpoints; `None`: only when stopped.
    pub checkpoint_interval: Option<Duration>,
    /// How long a checkpoint may take from its beginning until it is written; then it is given up.
    pub checkpoint_timeout: Duration,
    /// Failed checkpoints in a row that the job goes on after; `None`: any number.
    pub tolerable_failed_checkpoints: Option<u64>,
    /// Whether a checkpoint writes what has changed since the one before, where state is large and
    /// little of it has changed.
    pub incremental_checkpoints: bool,
    /// Whether to go on from the newest checkpoint, if there is one.
    pub resume: bool,
    /// Names this run among all runs of the job.
    pub run: String,
    /// What becomes of rows that cannot be processed.
    pub errors: ErrorPolicy,
    /// What the operators do, by which they find their state; by the names of nodes alone where it is
    /// empty.
    pub plan: Vec<StagePlan>,
    /// Bytes of memory that the state of all operators may take, about; `None`: any number.
    pub state_bytes_max: Option<u64>,
    /// Whether to go on where state of the checkpoint would be lost.
    pub allow_state_loss: bool,
}

/// As Flink's.
const CHECKPOINT_TIMEOUT: Duration = Duration::from_mins(10);

impl Default for JobOptions {
    fn default() -> Self {
        Self {
            name: "job".into(),
            workers: 1,
            rows_max: 4_096,
            idle_timeout: None,
            checkpoint_interval: None,
            checkpoint_timeout: CHECKPOINT_TIMEOUT,
            tolerable_failed_checkpoints: None,
            incremental_checkpoints: true,
            resume: true,
            run: String::new(),
            errors: ErrorPolicy::default(),
            plan: vec![],
            state_bytes_max: None,
            allow_state_loss: false,
        }
    }
}

pub(crate) enum Command {
    Checkpoint,
    Stop,
}

/// A handle on a running job. Dropping it stops the job without a checkpoint.
pub struct Job {
    stats: Arc<JobStats>,
    commands: mpsc::UnboundedSender<Command>,
    done: JoinHandle<Result<()>>,
    restored: Epoch,
}

/// How often a start is tried while other runs of the job are faster.
const STARTS: usize = 16;

/// The channels that join a job's workers.
pub(crate) struct Parts {
    pub wirings: Vec<Wiring>,
    pub controls: Vec<mpsc::UnboundedSender<Control>>,
    pub reports: mpsc::UnboundedReceiver<Report>,
    /// Ends when all sinks are gone.
    pub open_sinks: mpsc::Receiver<Infallible>,
    /// Tells sinks of complete checkpoints.
    pub complete: Completed,
}

pub(crate) fn wire(
    graph: &Graph,
    options: &JobOptions,
    world: &World,
    stats: &Arc<JobStats>,
    doors: &Handle,
    begin: &Begin,
) -> Parts {
    let (report_sender, reports) = mpsc::unbounded_channel();
    let (peers, inboxes): (Vec<mpsc::Sender<Message>>, Vec<_>) =
        (0..options.workers).map(|_| mpsc::channel(QUEUE_ELEMENTS)).unzip();
    let (open_sink, open_sinks) = mpsc::channel(1);
    let (complete, completed) = complete(begin.restored, begin.run.transactions);
    let completed = world.store.is_some().then_some(completed);
    let alignments = Arc::new(Alignments::new(graph, options.workers));
    let rejects = Arc::new(Rejects::new(&options.errors, world, stats));
    let mut controls = vec![];
    let wirings = inboxes.into_iter().enumerate().map(|(index, inbox)| {
        let (control_sender, control) = mpsc::unbounded_channel();
        controls.push(control_sender.clone());
        Wiring {
            index,
            workers: options.workers,
            job: options.name.clone(),
            inbox,
            peers: peers.clone(),
            control,
            control_sender,
            reports: report_sender.clone(),
            rows_max: options.rows_max,
            idle_timeout: options.idle_timeout,
            alignments: Arc::clone(&alignments),
            checkpoint_interval: options.checkpoint_interval,
            incremental: options.incremental_checkpoints,
            allow_state_loss: options.allow_state_loss,
            complete: completed.clone(),
            last: begin.last,
            generation: begin.writer.generation,
            ticking: true,
            world: world.clone(),
            stats: Arc::clone(stats),
            rejects: Arc::clone(&rejects),
            doors: doors.clone(),
            open_sink: open_sink.clone(),
        }
    });
    let wirings = wirings.collect();
    Parts { wirings, controls, reports, open_sinks, complete }
}

impl Job {
    /// Opens all sources and sinks, restores the newest checkpoint and starts the workers. Errors
    /// of opening come from here, later ones from [`Job::wait`].
    pub async fn start(graph: Graph, options: JobOptions, world: World) -> Result<Self> {
        let graph = Arc::new(graph);
        let stats = JobStats::new(&graph, options.workers);
        let bound = options.state_bytes_max.unwrap_or(0);
        stats.state_bytes_max.store(bound, Ordering::Relaxed);
        let checkpoints = world
            .store
            .clone()
            .map(|store| Checkpoints::new(store, &options.name).with_plan(options.plan.clone()));
        let (restored, begin) = restore(&graph, checkpoints.as_ref(), &options).await?;
        let (restored, from) = (restored.map(Arc::new), begin.restored);
        let Parts { wirings, controls, reports, open_sinks, complete } =
            wire(&graph, &options, &world, &stats, &Handle::current(), &begin);
        let clock = Arc::clone(&world.clock);
        let told = Arc::clone(&stats);
        let coordinator =
            Coordinator::new(checkpoints, controls, told, clock, begin, complete, &options)
                .flushing(Arc::clone(&world.aside));
        let mut opened = vec![];
        let mut left = vec![];
        for wiring in wirings {
            let (open_sender, open) = oneshot::channel();
            let (left_sender, gone) = oneshot::channel();
            opened.push(open);
            left.push(gone);
            let (graph, restored) = (Arc::clone(&graph), restored.clone());
            let name = format!("worker-{}", wiring.index);
            let spawned = std::thread::Builder::new().name(name).spawn(move || {
                let reports = wiring.reports.clone();
                let run = || run_worker(&graph, wiring, restored.as_deref(), open_sender);
                let result = catch_unwind(AssertUnwindSafe(run));
                let result = result.unwrap_or_else(|_| Err(Error::bug("a worker panicked")));
                if let Err(error) = result {
                    // The job may have given up on us already.
                    let _ = reports.send(Report::Failed(error));
                }
                let _ = left_sender.send(());
            });
            spawned.map_err(|error| Error::outside(format!("cannot start a thread: {error}")))?;
        }
        let mut failure = None;
        for open in opened {
            let result = open.await.unwrap_or_else(|_| Err(Error::bug("a worker failed to open")));
            failure = failure.or(result.err());
        }
        if let Some(error) = failure {
            coordinator.stop();
            return Err(error);
        }
        let (commands, command) = mpsc::unbounded_channel();
        let gone = Gone { workers: left, sinks: open_sinks };
        let keeper = keep(coordinator, reports, command, options.checkpoint_interval, gone);
        Ok(Self { stats, commands, done: tokio::spawn(keeper), restored: from })
    }

    pub fn stats(&self) -> Arc<JobStats> {
        Arc::clone(&self.stats)
    }

    /// The epoch this run went on from; 0 at a first start.
    pub fn restored(&self) -> Epoch {
        self.restored
    }

    /// Asks for a checkpoint now.
    pub fn checkpoint(&self) {
        // A job that has ended needs none.
        let _ = self.commands.send(Command::Checkpoint);
    }

    /// A handle that asks the job to read no more, to take a checkpoint and end; [`Job::wait`] then
    /// returns. A checkpoint that fails is tried again.
    pub fn stopper(&self) -> impl Fn() + Send + Sync + 'static {
        let commands = self.commands.clone();
        move || {
            let _ = commands.send(Command::Stop);
        }
    }

    /// Waits for the end: of all input, by a stop, or by the first error.
    pub async fn wait(self) -> Result<()> {
        self.done.await.unwrap_or_else(|error| Err(Error::bug(error)))
    }
}

/// The checkpoint to go on from, and how the numbers go on.
pub(crate) async fn restore(
    graph: &Graph,
    checkpoints: Option<&Checkpoints>,
    options: &JobOptions,
) -> Result<(Option<Restored>, Begin)> {
    let committed = committed(graph, &JobRun::new(&options.name)).await?;
    let Some(checkpoints) = checkpoints else {
        let last = committed.unwrap_or(0);
        let (writer, run) = (Writer::default(), Run::default());
        return Ok((None, Begin { writer, last, restored: 0, run }));
    };
    for _ in 0..STARTS {
        let last = checkpoints.numbers().await?.last().copied().unwrap_or(0);
        let last = last.max(committed.unwrap_or(0)) + 1;
        let restored = if options.resume { checkpoints.latest(committed).await? } else { None };
        // What is refused starts no run.
        let restored = match restored {
            Some(restored) if !options.plan.is_empty() => {
                let blanks = |name: &str| graph.blank(name);
                Some(restored.evolve(&options.plan, &blanks, options.allow_state_loss)?)
            }
            restored => restored,
        };
        let manifest = restored.as_ref().map(|restored| &restored.manifest);
        let run = Run {
            since: manifest.map_or(last + 1, |manifest| manifest.run.since),
            transactions: committed.is_some(),
        };
        let writer = Writer { by: options.run.clone(), generation: last };
        let from = manifest.map_or(0, |manifest| manifest.epoch);
        // An earlier run may have completed a checkpoint meanwhile.
        if checkpoints.start(&writer, from).await? {
            return Ok((restored, Begin { writer, last, restored: from, run }));
        }
    }
    Err(Error::outside(format!("{STARTS} other runs of this job have started meanwhile")))
}

/// The last epoch that the transactions of all tables have committed; `None` without any.
async fn committed(graph: &Graph, run: &JobRun) -> Result<Option<Epoch>> {
    let mut first: Option<(&str, Epoch)> = None;
    for node in &graph.nodes {
        let NodeKind::Sink(factory) = &node.kind else { continue };
        let named = |error: Error| error.context(format_args!("sink `{}`", node.name));
        let Some(epoch) = factory.committed(run).await.map_err(named)? else { continue };
        match first {
            // A table that is new in the job has committed nothing.
            _ if epoch == 0 && first.is_some() => {}
            Some((other, known)) if known != epoch && known != 0 => {
                return Err(Error::user(format!(
                    "tables `{other}` and `{}` have committed different checkpoints, {known} and \
                     {epoch}: exactly-once needs one transaction for all tables of a job",
                    node.name
                )));
            }
            _ => first = Some((&node.name, epoch)),
        }
    }
    Ok(first.map(|(_, epoch)| epoch))
}

fn run_worker(
    graph: &Graph,
    wiring: Wiring,
    restored: Option<&Restored>,
    opened: oneshot::Sender<Result<()>>,
) -> Result<()> {
    let runtime = Builder::new_current_thread().enable_all().build();
    let runtime =
        runtime.map_err(|error| Error::outside(format!("cannot start a runtime: {error}")))?;
    runtime.block_on(async {
        let mut worker = match Worker::open(graph, wiring, restored).await {
            Ok(worker) => worker,
            Err(error) => {
                let _ = opened.send(Err(error));
                return Ok(());
            }
        };
        let _ = opened.send(Ok(()));
        while worker.step().await? == Flow::Continue {}
        Ok(())
    })
}

/// The task beside the workers: checkpoints on time, the end of the job.
pub(crate) async fn keep(
    mut coordinator: Coordinator,
    mut reports: mpsc::UnboundedReceiver<Report>,
    mut commands: mpsc::UnboundedReceiver<Command>,
    interval: Option<Duration>,
    mut gone: Gone,
) -> Result<()> {
    let mut timer = interval.map(every);
    // The first checkpoint behind which nothing is read any more.
    let mut stopping: Option<Epoch> = None;
    // Why the job ends behind that one.
    let mut outgrown: Option<Error> = None;
    let mut left = false;
    let result = loop {
        let due = async {
            match &mut timer {
                Some(timer) => timer.tick().await,
                None => std::future::pending().await,
            }
        };
        let report = tokio::select! {
            biased;
            // Workers that have finished leave while the last checkpoint is written.
            report = reports.recv(), if !left => report,
            command = commands.recv() => {
                match command {
                    Some(Command::Checkpoint) => coordinator.trigger(),
                    Some(Command::Stop) if coordinator.keeps_checkpoints() => {
                        stopping.get_or_insert_with(|| coordinator.drain());
                        coordinator.trigger();
                    }
                    Some(Command::Stop) | None => break Ok(()),
                }
                continue;
            }
            _ = due => {
                coordinator.trigger();
                continue;
            }
            outcome = coordinator.settled() => {
                match (outcome, stopping) {
                    (Ok(Outcome::Finished), _) => break Ok(()),
                    (Ok(Outcome::Complete(epoch)), Some(last)) if epoch >= last => {
                        break ended(outgrown, Ok(epoch));
                    }
                    (Ok(Outcome::Complete(_)), Some(_)) => coordinator.trigger(),
                    (Ok(Outcome::Failed { .. }), Some(_)) if outgrown.is_some() => {
                        break ended(outgrown, Err(coordinator.last_failure()));
                    }
                    (Ok(Outcome::Failed { in_a_row }), Some(_)) => {
                        timer = Some(every(pause(in_a_row)));
                    }
                    (Ok(Outcome::Failed { .. } | Outcome::Complete(_)), None) => {}
                    (Err(error), _) if outgrown.is_some() => break ended(outgrown, Err(error)),
                    (Err(error), _) => break Err(error),
                }
                continue;
            }
        };
        let Some(report) = report else {
            left = true;
            match coordinator.writes() {
                true => continue,
                false => break Err(Error::bug("all workers left without a word")),
            }
        };
        match report {
            // It reads no more: what it has grows no further while the last checkpoint is taken.
            Report::Outgrown(error) if coordinator.keeps_checkpoints() => {
                outgrown.get_or_insert(error);
                stopping.get_or_insert_with(|| coordinator.drain());
                coordinator.trigger();
            }
            report => {
                if let Err(error) = coordinator.handle(report) {
                    break Err(error);
                }
            }
        }
    };
    // What a failure does not cover any more is still worth keeping: people look at it.
    let result = result.and(coordinator.flush().await);
    coordinator.stop();
    // With it goes the hope of sinks that wait for a checkpoint: none will be complete any more.
    drop(coordinator);
    for worker in gone.workers {
        // A thread that is gone already has dropped its end.
        let _ = worker.await;
    }
    // A sink that closes a file does it before the process ends.
    while gone.sinks.recv().await.is_some() {}
    let left = std::iter::from_fn(|| reports.try_recv().ok());
    let errors = left.filter_map(|report| match report {
        Report::Failed(error) => Some(error),
        _ => None,
    });
    cause(result, errors)
}

/// The end of a job that was told to stop, or whose state has outgrown its bound: then with what became of
/// the last checkpoint.
fn ended(outgrown: Option<Error>, last: Result<Epoch>) -> Result<()> {
    let Some(error) = outgrown else { return last.map(|_| ()) };
    Err(match last {
        Ok(epoch) => error.with(format_args!("the next start goes on from checkpoint {epoch}")),
        Err(why) => error.with(format_args!("the last checkpoint failed: {why}")),
    })
}

fn every(interval: Duration) -> tokio::time::Interval {
    let mut timer = tokio::time::interval_at(tokio::time::Instant::now() + interval, interval);
    timer.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    timer
}

/// How a job ends. Parts that fail because another one has ended may well say so before that one
/// does.
fn cause(end: Result<()>, mut errors: impl Iterator<Item = Error>) -> Result<()> {
    let own = |error: &Error| error.kind() != ErrorKind::Stopped;
    match end {
        Err(error) if own(&error) => Err(error),
        end => errors.find(own).map_or(end, Err),
    }
}

/// What ends after the workers were told to.
pub(crate) struct Gone {
    pub workers: Vec<oneshot::Receiver<()>>,
    pub sinks: mpsc::Receiver<Infallible>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_part_that_failed_first_is_the_one_that_is_named() {
        let stopped = || Error::stopped("another part of the job has ended");
        let failed = || Error::outside("sink `a`: no room left");
        let named = |end, errors: Vec<Error>| {
            cause(end, errors.into_iter()).map_err(|error| error.to_string())
        };
        let expected = Err(failed().to_string());
        assert_eq!(named(Err(stopped()), vec![stopped(), failed()]), expected);
        assert_eq!(named(Err(failed()), vec![stopped()]), expected);
        assert_eq!(named(Ok(()), vec![stopped(), failed()]), expected);
        assert_eq!(named(Ok(()), vec![stopped()]), Ok(()));
        assert_eq!(named(Err(stopped()), vec![]), Err(stopped().to_string()));
    }
}
