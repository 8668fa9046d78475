//! How a worker comes up: its copy of every node, joined, and from a checkpoint if there is one.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use tokio::sync::mpsc;

use super::telling::within_bound;
use super::{Edge, Exchange, Runner, SourceSlot, Wiring, Worker};
use crate::checkpoint::{PIECES_AHEAD, Restored};
use crate::error::{ErrorKind, Result};
use crate::evolve::LOSS;
use crate::exchange::{Outbox, Partitioner, QUEUE_ELEMENTS};
use crate::graph::{Graph, NodeId, NodeKind, OperatorContext, Route};
use crate::sink::SinkContext;
use crate::sink_task::SinkTask;
use crate::source::SourceContext;
use crate::stage::Inputs;
use crate::time::TIME_MIN;
use crate::watermark::Watermarks;

impl Worker {
    /// Opens this worker's copy of every node, from a checkpoint if there is one.
    pub(crate) async fn open(
        graph: &Graph,
        wiring: Wiring,
        restored: Option<&Restored>,
    ) -> Result<Self> {
        let (index, workers) = (wiring.index, wiring.workers);
        let mut worker = Self {
            outboxes: wiring.peers.iter().cloned().map(Outbox::new).collect(),
            names: graph.nodes.iter().map(|node| node.name.clone()).collect(),
            inputs: vec![],
            runners: vec![],
            edges: graph.nodes.iter().map(|_| vec![]).collect(),
            sources: vec![],
            live: (0..graph.nodes.len()).collect(),
            queue: VecDeque::new(),
            saving: BTreeMap::new(),
            positions: BTreeMap::new(),
            triggered: 0,
            committed: restored.map_or(0, |restored| restored.manifest.epoch),
            builds_on: restored
                .filter(|restored| wiring.incremental && restored.goes_on_as_it_was(workers))
                .map(|restored| restored.manifest.epoch),
            requests: 0,
            asking: vec![0; graph.nodes.len()],
            turn: 0,
            outgrown: false,
            draining: false,
            tick: None,
            now: wiring.world.clock.now(),
            wiring,
        };
        for (id, node) in graph.nodes.iter().enumerate() {
            let ports = worker.connect(graph, id)?;
            worker.inputs.push(Inputs::new(ports));
            let name = &node.name;
            let runner = match &node.kind {
                NodeKind::Source(source) => {
                    let state = restored.and_then(|restored| restored.source(name));
                    let context = SourceContext {
                        worker: index,
                        workers,
                        positions: state.map(|state| state.positions.clone()).unwrap_or_default(),
                        rows_max: worker.wiring.rows_max,
                        idle_timeout: source
                            .idle_timeout
                            .or(worker.wiring.idle_timeout)
                            .filter(|timeout| !timeout.is_zero()),
                    };
                    let opened = source.factory.open(context).await?;
                    let mut watermarks = Watermarks::new(source.watermark.clone(), opened.splits());
                    if let Some(state) = state {
                        watermarks.restore(&state.watermarks);
                    }
                    worker.sources.push(SourceSlot {
                        node: id,
                        source: opened,
                        watermarks,
                        computed: source.computed.clone(),
                        member: worker.wiring.alignments.member(id, index),
                        bounded: source.factory.bounded(),
                        emitted: None,
                        ended: false,
                    });
                    Runner::Source
                }
                NodeKind::Operator(make) => {
                    Runner::Operator(make(OperatorContext { worker: index, workers })?)
                }
                NodeKind::Sink(factory) => {
                    let context = SinkContext {
                        job: worker.wiring.job.clone(),
                        stage: name.clone(),
                        worker: index,
                        workers,
                        restored: worker.committed,
                        restored_generation: restored
                            .map_or(0, |restored| restored.manifest.generation),
                        generation: worker.wiring.generation,
                        keeps_checkpoints: worker.wiring.complete.is_some(),
                        checkpoint_interval: worker.wiring.checkpoint_interval,
                    };
                    let sink = factory.open(context).await?;
                    let (sender, commands) = mpsc::channel(QUEUE_ELEMENTS);
                    let complete = worker.wiring.complete.as_ref();
                    let complete = complete.map(|complete| complete.sink(sink.waits_for_commit()));
                    let task = SinkTask {
                        node: id,
                        worker: index,
                        sink,
                        commands,
                        control: worker.wiring.control_sender.clone(),
                        reports: worker.wiring.reports.clone(),
                        complete,
                        prepared: worker.wiring.last,
                        committed: worker.committed,
                        world: worker.wiring.world.clone(),
                        stats: Arc::clone(&worker.wiring.stats),
                        rejects: Arc::clone(&worker.wiring.rejects),
                        written: vec![],
                        _open: worker.wiring.open_sink.clone(),
                    };
                    worker.wiring.doors.spawn(task.run());
                    Runner::Sink(Outbox::new(sender))
                }
            };
            worker.runners.push(runner);
        }
        if let Some(restored) = restored {
            worker.load(graph, restored).await?;
        }
        worker.announce()?;
        Ok(worker)
    }

    /// Adds the edges into node `id` to the nodes upstream; returns the port of each channel.
    fn connect(&mut self, graph: &Graph, id: NodeId) -> Result<Vec<usize>> {
        let (index, workers) = (self.wiring.index, self.wiring.workers);
        let mut ports = vec![];
        for (port, input) in graph.nodes[id].inputs.iter().enumerate() {
            let first = ports.len();
            let exchange = match &input.route {
                Route::Hash(columns) if workers > 1 => {
                    let schema = &graph.nodes[input.from].schema;
                    Exchange::Hash(Partitioner::new(schema, columns, workers)?)
                }
                Route::Single if workers > 1 => Exchange::Single,
                Route::Forward | Route::Hash(_) | Route::Single => Exchange::Forward,
            };
            let channel = match exchange {
                Exchange::Forward => {
                    ports.push(port);
                    first
                }
                Exchange::Hash(_) | Exchange::Single => {
                    ports.extend(std::iter::repeat_n(port, workers));
                    first + index
                }
            };
            self.edges[input.from].push(Edge { to: id, channel, exchange });
        }
        Ok(ports)
    }

    async fn load(&mut self, graph: &Graph, restored: &Restored) -> Result<()> {
        for id in 0..self.runners.len() {
            if let (Runner::Operator(_), NodeKind::Operator(make)) =
                (&self.runners[id], &graph.nodes[id].kind)
            {
                match self.load_operator(id, restored).await {
                    Ok(()) => {}
                    // Nothing is said of the state itself.
                    Err(error) if error.kind() == ErrorKind::Outside => return Err(error),
                    Err(_) if within_bound(&self.wiring.stats).is_err() => {
                        return within_bound(&self.wiring.stats);
                    }
                    Err(error) if self.wiring.allow_state_loss => {
                        tracing::warn!("{LOSS}, as allowed: `{}`: {error}", self.names[id]);
                        let (worker, workers) = (self.wiring.index, self.wiring.workers);
                        self.runners[id] =
                            Runner::Operator(make(OperatorContext { worker, workers })?);
                        self.builds_on = None;
                    }
                    Err(error) => {
                        return Err(error.context(format_args!("{LOSS}: `{}`", self.names[id])));
                    }
                }
            }
            let watermark = restored.watermark(&self.names[id]);
            if let Some(watermark) = watermark.filter(|mark| *mark != TIME_MIN) {
                self.inputs[id].restore(watermark);
                self.advance(id, watermark)?;
            }
        }
        self.settle()
    }

    /// Hands an operator its state: as it comes, so that little of it is in memory twice, where the
    /// operator can take it so.
    async fn load_operator(&mut self, id: NodeId, restored: &Restored) -> Result<()> {
        let (index, workers) = (self.wiring.index, self.wiring.workers);
        let (sender, mut pieces) = mpsc::channel(PIECES_AHEAD);
        let restored = restored.clone();
        // Where the connections of the store live.
        self.wiring.doors.spawn(restored.send(self.names[id].clone(), index, workers, sender));
        let Runner::Operator(operator) = &mut self.runners[id] else { return Ok(()) };
        let mut tables = vec![];
        let stage = &self.wiring.stats.stages[id];
        while let Some(piece) = pieces.recv().await {
            match operator.loads_pieces() {
                true => operator.load(vec![piece?])?,
                false => tables.push(piece?),
            }
            stage.set_state_bytes(index, operator.state_bytes().unwrap_or(0));
            within_bound(&self.wiring.stats)?;
        }
        match tables.is_empty() {
            true => Ok(()),
            false => operator.load(tables),
        }
    }

    /// Instances without splits say so at once: they hold no one back.
    fn announce(&mut self) -> Result<()> {
        for slot in 0..self.sources.len() {
            self.tell_progress(slot)?;
        }
        self.settle()
    }
}
