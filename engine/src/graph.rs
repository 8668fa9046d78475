//! A job as the planner hands it over: sources, operators and sinks, and how rows get from one to
//! the next.

use std::sync::Arc;
use std::time::Duration;

use arrow::datatypes::SchemaRef;

use crate::alignment::Alignment;
use crate::error::Result;
use crate::evaluate::{Evaluate, Projection};
use crate::operator::{Operator, StateTable};
use crate::sink::SinkFactory;
use crate::source::SourceFactory;

/// Position of a node in [`Graph::nodes`].
pub type NodeId = usize;

/// Nodes in topological order: the inputs of a node come before it.
#[derive(Default)]
pub struct Graph {
    pub nodes: Vec<Node>,
}

impl Graph {
    /// The state of an operator that has seen no rows; see [`Operator::blank`].
    pub fn blank(&self, name: &str) -> Result<Vec<StateTable>> {
        let node = self.nodes.iter().find(|node| node.name == name);
        match node.map(|node| &node.kind) {
            Some(NodeKind::Operator(make)) => {
                make(OperatorContext { worker: 0, workers: 1 })?.blank()
            }
            _ => Ok(vec![]),
        }
    }
}

pub struct Node {
    /// Stable across restarts of the same SQL, unique in the graph: state is found by it.
    pub name: String,
    pub kind: NodeKind,
    pub inputs: Vec<Input>,
    /// Columns of the node's output; for a sink, of what it takes.
    pub schema: SchemaRef,
}

/// One input port of a node.
#[derive(Debug, Clone)]
pub struct Input {
    pub from: NodeId,
    pub route: Route,
}

/// Which worker's copy of the next node a row goes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Route {
    /// The same worker's.
    Forward,
    /// The one that owns the key group of these columns.
    Hash(Vec<usize>),
    /// Worker 0: for state over all rows.
    Single,
}

pub enum NodeKind {
    Source(SourceNode),
    Operator(OperatorFactory),
    Sink(Arc<dyn SinkFactory>),
}

/// A source and what belongs to its table: computed columns and the watermark.
pub struct SourceNode {
    pub factory: Arc<dyn SourceFactory>,
    /// Makes the table's columns of the source's.
    pub computed: Option<Projection>,
    pub watermark: Option<WatermarkStrategy>,
    /// How long a split is quiet until it is idle, where it differs from the job's; zero: never.
    pub idle_timeout: Option<Duration>,
    pub alignment: Option<Alignment>,
}

/// `WATERMARK FOR column AS bound`.
#[derive(Clone)]
pub struct WatermarkStrategy {
    /// The event-time column among the table's columns.
    pub column: usize,
    /// The bound over the table's columns, a time column itself.
    pub bound: Arc<dyn Evaluate>,
}

/// Where an operator runs.
#[derive(Debug, Clone, Copy)]
pub struct OperatorContext {
    pub worker: usize,
    pub workers: usize,
}

/// Makes one worker's copy of an operator.
pub type OperatorFactory = Arc<dyn Fn(OperatorContext) -> Result<Box<dyn Operator>> + Send + Sync>;
