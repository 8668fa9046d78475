//! The worker: one thread, one copy of every stage, one loop.
//!
//! A turn takes one event (rows of a source, a message of a peer, a word of control, a tick), hands
//! it to the stages and lets what follows run through the graph until nothing is left to do. All
//! that waits, waits in [`Worker::next_event`].

mod opening;
mod saving;
mod telling;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use arrow::array::RecordBatch;
use futures::future::select_all;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;

use crate::alignment::{Alignments, Member};
use crate::batch::Batch;
use crate::checkpoint::WorkerState;
use crate::complete::Complete;
use crate::error::{Error, Result};
use crate::evaluate::{Projection, kept_indices, stamped};
use crate::exchange::{Element, Message, Outbox, Partitioner};
use crate::graph::NodeId;
use crate::operator::{Epoch, Operator, Output, Reply};
use crate::rejects::Rejects;
use crate::sink_task::{OpenSink, SinkCommand};
use crate::source::{Position, Source, SourceEvent};
use crate::stage::{Inputs, Step};
use crate::stats::{JobStats, add};
use crate::time::{Millis, TIME_MAX, TIME_MIN, Time};
use crate::watermark::{Progress, Watermarks};
use crate::world::World;

/// Requests to the outside that may be open at once; beyond it no source is read.
const REQUESTS_MAX: usize = 256;

/// Elements held back by barriers before sources pause.
const HELD_MAX: usize = 1_024;

/// How often operators are told the wall clock.
const TICK: Duration = Duration::from_millis(200);

/// A word to a worker from its job, its sinks or its own requests.
pub(crate) enum Control {
    /// Start checkpoint `epoch` at the sources.
    Trigger(Epoch),
    /// Checkpoint `epoch` is complete.
    Commit(Epoch),
    /// Checkpoint `epoch` never will be.
    GiveUp(Epoch),
    /// The next checkpoint needs all state.
    SaveAll,
    /// Read no more rows.
    Drain,
    /// Leave at once.
    Stop,
    SinkFlushed {
        node: NodeId,
        epoch: Epoch,
    },
    SinkEnded {
        node: NodeId,
    },
    Replied {
        node: NodeId,
        reply: Reply,
    },
}

/// A word from a worker to its job.
pub(crate) enum Report {
    Saved {
        worker: usize,
        epoch: Epoch,
        state: WorkerState,
    },
    /// All input has ended and all sinks have flushed; the last positions.
    Finished {
        worker: usize,
        state: WorkerState,
    },
    /// The state takes more than it may: the job is to end.
    Outgrown(Error),
    Failed(Error),
}

/// Whether a worker wants another turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flow {
    Continue,
    Finished,
    Stopped,
}

enum Event {
    Control(Control),
    Message(Message),
    Source(usize, Result<SourceEvent>),
    Drained(Result<()>),
    Tick,
}

struct SourceSlot {
    node: NodeId,
    source: Box<dyn Source>,
    watermarks: Watermarks,
    computed: Option<Projection>,
    /// Of the group that it is aligned with.
    member: Option<Member>,
    bounded: bool,
    emitted: Option<Progress>,
    ended: bool,
}

impl SourceSlot {
    /// Whether it may be read: it has not ended and is not ahead of its group.
    fn is_open(&self) -> bool {
        !self.ended && !self.member.as_ref().is_some_and(Member::waits)
    }
}

enum Runner {
    Source,
    Operator(Box<dyn Operator>),
    Sink(Outbox<SinkCommand>),
}

struct Edge {
    to: NodeId,
    /// Channel of `to` that this worker's copy of the upstream node feeds.
    channel: usize,
    exchange: Exchange,
}

enum Exchange {
    Forward,
    Hash(Partitioner),
    Single,
}

/// A checkpoint under way on this worker.
struct Saving {
    state: WorkerState,
    waiting: BTreeSet<NodeId>,
}

pub(crate) struct Wiring {
    pub index: usize,
    pub workers: usize,
    pub job: String,
    pub inbox: mpsc::Receiver<Message>,
    /// To every worker by index; the own one is never used.
    pub peers: Vec<mpsc::Sender<Message>>,
    pub control: mpsc::UnboundedReceiver<Control>,
    pub control_sender: mpsc::UnboundedSender<Control>,
    pub reports: mpsc::UnboundedSender<Report>,
    pub rows_max: usize,
    pub idle_timeout: Option<Duration>,
    pub alignments: Arc<Alignments>,
    pub checkpoint_interval: Option<Duration>,
    /// Whether checkpoints build on those before.
    pub incremental: bool,
    /// Whether an operator that cannot take its state begins without it.
    pub allow_state_loss: bool,
    /// The last complete checkpoint; none where the job keeps no checkpoints.
    pub complete: Option<Complete>,
    /// The greatest epoch that an earlier run has begun.
    pub last: Epoch,
    /// The number of this run.
    pub generation: Epoch,
    /// Whether workers look at the clock by themselves; in a simulation they are told.
    pub ticking: bool,
    pub world: World,
    pub stats: Arc<JobStats>,
    pub rejects: Arc<Rejects>,
    /// Where sinks and requests run.
    pub doors: Handle,
    pub open_sink: OpenSink,
}

pub struct Worker {
    wiring: Wiring,
    outboxes: Vec<Outbox<Message>>,
    names: Vec<String>,
    inputs: Vec<Inputs>,
    runners: Vec<Runner>,
    edges: Vec<Vec<Edge>>,
    sources: Vec<SourceSlot>,
    /// Stages and sinks that have not ended.
    live: BTreeSet<NodeId>,
    queue: VecDeque<(NodeId, usize, Element)>,
    saving: BTreeMap<Epoch, Saving>,
    positions: BTreeMap<Epoch, Vec<Vec<Position>>>,
    triggered: Epoch,
    committed: Epoch,
    /// The checkpoint whose state the operators of this worker have changed since; `None` where the
    /// next one needs all of it.
    builds_on: Option<Epoch>,
    requests: usize,
    /// The open requests of each node.
    asking: Vec<usize>,
    turn: usize,
    /// Whether it has said that the state of the job has outgrown its bound.
    outgrown: bool,
    /// Whether sources are read no more, since the job stops.
    draining: bool,
    tick: Option<tokio::time::Interval>,
    /// The wall clock as this turn sees it.
    now: Millis,
}

impl Worker {
    /// One turn: waits for one event and carries out all that follows from it.
    pub async fn step(&mut self) -> Result<Flow> {
        let event = self.next_event().await;
        self.now = self.wiring.world.clock.now();
        self.handle(event)
    }

    /// A turn whose event is a tick, for those who give them.
    pub(crate) fn tick_now(&mut self) -> Result<Flow> {
        self.now = self.wiring.world.clock.now();
        self.handle(Event::Tick)
    }

    /// The one place that waits. Cancel-safe.
    async fn next_event(&mut self) -> Event {
        let full = self.outboxes.iter().any(Outbox::is_full)
            || self
                .runners
                .iter()
                .any(|runner| matches!(runner, Runner::Sink(outbox) if outbox.is_full()));
        let held: usize = self.inputs.iter().map(Inputs::held).sum();
        let open = !full && held < HELD_MAX && self.requests < REQUESTS_MAX;
        if !open {
            self.wiring.stats.back_pressure.fetch_add(1, Ordering::Relaxed);
        }
        let reading = open && !self.draining && self.sources.iter().any(SourceSlot::is_open);
        let tick = self.wiring.ticking.then(|| {
            self.tick.get_or_insert_with(|| {
                let mut tick = tokio::time::interval(TICK);
                tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
                tick
            })
        });
        let tick = async {
            match tick {
                Some(tick) => tick.tick().await,
                None => std::future::pending().await,
            }
        };
        self.turn = self.turn.wrapping_add(1);
        let sources = &mut self.sources;
        let turn = self.turn;
        let read = async move {
            let mut order: Vec<(usize, &mut SourceSlot)> =
                sources.iter_mut().enumerate().filter(|(_, slot)| slot.is_open()).collect();
            if order.is_empty() {
                // Others of its group have fallen back since.
                return std::future::pending().await;
            }
            let live = order.len();
            order.rotate_left(turn % live);
            let (slots, reads): (Vec<usize>, Vec<_>) =
                order.into_iter().map(|(index, slot)| (index, slot.source.next())).unzip();
            let (event, first, _) = select_all(reads).await;
            (slots[first], event)
        };
        let outboxes = &mut self.outboxes;
        let runners = &mut self.runners;
        let drain = async move {
            for outbox in outboxes {
                outbox.drain().await?;
            }
            for runner in runners {
                if let Runner::Sink(outbox) = runner {
                    outbox.drain().await?;
                }
            }
            Ok(())
        };
        tokio::select! {
            biased;
            Some(control) = self.wiring.control.recv() => Event::Control(control),
            drained = drain, if full => Event::Drained(drained),
            // Before what may never be without work.
            _ = tick => Event::Tick,
            Some(message) = self.wiring.inbox.recv() => Event::Message(message),
            (slot, event) = read, if reading => Event::Source(slot, event),
        }
    }

    fn handle(&mut self, event: Event) -> Result<Flow> {
        match event {
            Event::Control(Control::Stop) => return Ok(Flow::Stopped),
            Event::Control(control) => self.control(control)?,
            Event::Message(message) => {
                self.queue.push_back((message.node, message.channel, message.element));
            }
            Event::Source(slot, event) => {
                let name = self.sources[slot].node;
                self.read(
                    slot,
                    event.map_err(|error| {
                        error.context(format_args!("source `{}`", self.names[name]))
                    })?,
                )?;
            }
            Event::Drained(drained) => drained?,
            Event::Tick => self.tick()?,
        }
        self.settle()?;
        self.tell_sometimes()?;
        self.report_saved()?;
        // Peers may still wait for what did not fit into their queues.
        match self.live.is_empty() && !self.outboxes.iter().any(Outbox::is_full) {
            true => {
                let state = self.source_states();
                self.report(Report::Finished { worker: self.wiring.index, state })?;
                Ok(Flow::Finished)
            }
            false => Ok(Flow::Continue),
        }
    }

    fn control(&mut self, control: Control) -> Result<()> {
        match control {
            Control::Trigger(epoch) => self.trigger(epoch),
            Control::Commit(epoch) => self.commit(epoch),
            Control::Drain => {
                self.draining = true;
                Ok(())
            }
            Control::GiveUp(epoch) => {
                self.give_up(epoch);
                Ok(())
            }
            Control::SaveAll => {
                self.builds_on = None;
                Ok(())
            }
            Control::SinkFlushed { node, epoch } => {
                if let Some(saving) = self.saving.get_mut(&epoch) {
                    saving.waiting.remove(&node);
                }
                Ok(())
            }
            Control::SinkEnded { node } => {
                self.leave(node);
                Ok(())
            }
            Control::Replied { node, reply } => {
                self.requests -= 1;
                self.asking[node] -= 1;
                self.run(node, |operator, out| operator.on_reply(reply, out))?;
                match self.asking[node] == 0 && self.inputs[node].ended() {
                    true => self.end(node),
                    false => Ok(()),
                }
            }
            Control::Stop => Ok(()),
        }
    }

    /// Takes rows or news of a source.
    fn read(&mut self, slot: usize, event: SourceEvent) -> Result<()> {
        let node = self.sources[slot].node;
        match event {
            SourceEvent::Rows { split, rows, weights, rejected } => {
                self.wiring.rejects.took(node, rows.num_rows() + rejected.len());
                self.wiring.rejects.take(node, rejected)?;
                if rows.num_rows() > 0 {
                    let batch = Batch::new(rows).with_weights(weights);
                    let batch = self.arrive(slot, &split, batch)?;
                    add(&self.wiring.stats.stages[node].rows_out, batch.num_rows());
                    self.send(node, Element::Rows(batch))?;
                }
            }
            SourceEvent::Idle { split } => self.sources[slot].watermarks.set_idle(&split),
            SourceEvent::Finished { split } => self.sources[slot].watermarks.finish(&split),
            SourceEvent::End => {
                self.sources[slot].ended = true;
                if let Some(member) = &self.sources[slot].member {
                    member.tell(Progress::At(TIME_MAX));
                }
                self.wiring.stats.stages[node].set_watermark(self.wiring.index, TIME_MAX);
                self.send(node, Element::Watermark(TIME_MAX))?;
                self.send(node, Element::End)?;
                self.leave(node);
                return Ok(());
            }
        }
        self.tell_progress(slot)
    }

    /// Makes a source's rows rows of its table: computed columns, event time, bounds.
    fn arrive(&mut self, slot: usize, split: &Arc<str>, mut batch: Batch) -> Result<Batch> {
        let node = self.sources[slot].node;
        if let Some(projection) = &self.sources[slot].computed {
            if projection.reads_clock() {
                let rows = stamped(batch.rows(), self.now)?;
                batch = batch.with_rows(rows);
            }
            let projected = projection.evaluate(batch.rows())?;
            if !projected.rejected.is_empty() {
                let kept = kept_indices(batch.num_rows(), &projected.rejected);
                self.reject(node, batch.rows(), projected.rejected)?;
                batch = batch.take(&kept)?;
            }
            batch = batch.with_rows(projected.rows);
        }
        let before = batch.rows().clone();
        let (batch, rejected) = self.sources[slot].watermarks.assign(split, batch)?;
        self.reject(node, &before, rejected)?;
        Ok(batch)
    }

    fn tell_progress(&mut self, slot: usize) -> Result<()> {
        let source = &mut self.sources[slot];
        let progress = source.watermarks.progress();
        if let Some(member) = &source.member {
            member.tell(progress);
        }
        let news = match progress {
            Progress::At(TIME_MIN) => None,
            Progress::Idle if source.bounded => None,
            progress => (source.emitted != Some(progress)).then_some(progress),
        };
        let Some(news) = news else { return Ok(()) };
        source.emitted = Some(news);
        let node = source.node;
        match news {
            Progress::At(watermark) => {
                self.wiring.stats.stages[node].set_watermark(self.wiring.index, watermark);
                self.send(node, Element::Watermark(watermark))
            }
            Progress::Idle => self.send(node, Element::Idle),
        }
    }

    fn tick(&mut self) -> Result<()> {
        self.look_around()?;
        let now = self.now;
        for node in 0..self.runners.len() {
            if !self.inputs[node].ended() {
                self.run(node, |operator, out| operator.on_time(Time::Processing(now), out))?;
            }
        }
        Ok(())
    }

    /// Lets elements run through the stages until none is left.
    fn settle(&mut self) -> Result<()> {
        let mut steps = vec![];
        while let Some((node, channel, element)) = self.queue.pop_front() {
            self.inputs[node].accept(channel, element, &mut steps);
            for step in steps.drain(..) {
                self.follow(node, step)?;
            }
        }
        Ok(())
    }

    fn follow(&mut self, node: NodeId, step: Step) -> Result<()> {
        match step {
            Step::Rows { port, element: Element::Rows(batch) } => {
                add(&self.wiring.stats.stages[node].rows_in, batch.num_rows());
                match &mut self.runners[node] {
                    Runner::Sink(outbox) => outbox.push(SinkCommand::Write(batch)),
                    _ => {
                        self.wiring.rejects.took(node, batch.num_rows());
                        self.run(node, |operator, out| operator.on_batch(port, batch, out))
                    }
                }
            }
            Step::Rows { .. } => Err(Error::bug("only rows are rows")),
            Step::Advance(watermark) => self.advance(node, watermark),
            Step::Idle => self.send(node, Element::Idle),
            Step::Aligned(epoch) => self.save(node, epoch),
            // What waits for an answer comes before the end.
            Step::Ended if self.asking[node] > 0 => Ok(()),
            Step::Ended => self.end(node),
        }
    }

    /// All input of a node has ended and nothing more follows from it.
    fn end(&mut self, node: NodeId) -> Result<()> {
        self.send(node, Element::End)?;
        match &mut self.runners[node] {
            // It leaves when its task has flushed.
            Runner::Sink(outbox) => outbox.push(SinkCommand::End),
            _ => {
                self.leave(node);
                Ok(())
            }
        }
    }

    fn advance(&mut self, node: NodeId, watermark: i64) -> Result<()> {
        self.wiring.stats.stages[node].set_watermark(self.wiring.index, watermark);
        let told = self.called(node, |operator, out| operator.on_time(Time::Event(watermark), out));
        self.send(node, Element::Watermark(told?.unwrap_or(watermark)))
    }

    /// Calls an operator and sends on what it emitted; nothing for sources and sinks.
    fn run(
        &mut self,
        node: NodeId,
        call: impl FnOnce(&mut dyn Operator, &mut Output) -> Result<()>,
    ) -> Result<()> {
        match self.called(node, call)? {
            Some(watermark) => self.send(node, Element::Watermark(watermark)),
            None => Ok(()),
        }
    }

    /// As [`Worker::run`]; what the operator says of event time is returned.
    fn called(
        &mut self,
        node: NodeId,
        call: impl FnOnce(&mut dyn Operator, &mut Output) -> Result<()>,
    ) -> Result<Option<Millis>> {
        let Runner::Operator(operator) = &mut self.runners[node] else { return Ok(None) };
        let mut out = Output::at(self.now);
        let called = call(operator.as_mut(), &mut out);
        called.map_err(|error| error.context(format_args!("operator `{}`", self.names[node])))?;
        let Output { batches, late, rejected, requests, watermark, now: _ } = out;
        self.wiring.rejects.take(node, rejected)?;
        for rows in late {
            add(&self.wiring.stats.stages[node].late, rows.rows.num_rows());
            self.wiring.world.aside.late(&self.names[node], rows);
        }
        for request in requests {
            self.requests += 1;
            self.asking[node] += 1;
            let control = self.wiring.control_sender.clone();
            self.wiring.doors.spawn(async move {
                let reply = Reply { id: request.id, answer: request.answer.await };
                // The worker may have stopped meanwhile.
                let _ = control.send(Control::Replied { node, reply });
            });
        }
        for batch in batches {
            add(&self.wiring.stats.stages[node].rows_out, batch.num_rows());
            self.send(node, Element::Rows(batch))?;
        }
        Ok(watermark)
    }

    /// Sends an element to all nodes downstream of `node`: rows to their owner, all else to every
    /// worker that this one feeds.
    fn send(&mut self, node: NodeId, element: Element) -> Result<()> {
        for edge in &self.edges[node] {
            let (to, channel) = (edge.to, edge.channel);
            let parts: Vec<Element> = match (&edge.exchange, &element) {
                (Exchange::Forward, _) => {
                    self.queue.push_back((to, channel, element.clone()));
                    continue;
                }
                (Exchange::Hash(partitioner), Element::Rows(batch)) => {
                    partitioner.split(batch)?.into_iter().map(Element::Rows).collect()
                }
                (Exchange::Single, Element::Rows(_)) => vec![element.clone()],
                _ => vec![element.clone(); self.wiring.workers],
            };
            for (worker, element) in parts.into_iter().enumerate() {
                if matches!(&element, Element::Rows(batch) if batch.num_rows() == 0) {
                    continue;
                }
                match worker == self.wiring.index {
                    true => self.queue.push_back((to, channel, element)),
                    false => self.outboxes[worker].push(Message { node: to, channel, element })?,
                }
            }
        }
        Ok(())
    }

    fn reject(
        &mut self,
        node: NodeId,
        rows: &RecordBatch,
        rejected: Vec<(usize, String)>,
    ) -> Result<()> {
        let mut out = Output::default();
        out.reject(rows, rejected)?;
        self.wiring.rejects.take(node, out.rejected)
    }

    fn report(&self, report: Report) -> Result<()> {
        self.wiring.reports.send(report).map_err(|_| Error::stopped("its job has ended"))
    }
}
