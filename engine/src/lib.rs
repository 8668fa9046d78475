//! The engine: batches, time, operators, keyed state, checkpoints, exchange and the worker loop.
//!
//! It names no outside system: sources, sinks, models, functions and expressions come in through traits.

pub mod alignment;
pub mod aside;
pub mod batch;
pub mod checkpoint;
mod complete;
mod coordinator;
mod duration;
pub mod error;
pub mod evaluate;
pub mod evolve;
pub mod exchange;
pub mod function;
pub mod graph;
pub mod job;
pub mod keys;
pub mod lease;
pub mod lookup;
pub mod model;
pub mod operator;
pub mod rejects;
pub mod secret;
pub mod simulation;
pub mod sink;
mod sink_task;
pub mod source;
mod stage;
pub mod stats;
pub mod table;
pub mod testing;
pub mod time;
pub mod trouble;
pub mod watermark;
pub mod worker;
pub mod world;

pub use alignment::Alignment;
pub use aside::{Aside, DeadLetter, LateRows};
pub use batch::Batch;
pub use duration::parse_duration;
pub use error::{Error, ErrorKind, Result};
pub use evaluate::Evaluate;
pub use evolve::StagePlan;
pub use function::{FunctionProvider, ScalarFunction};
pub use graph::{Graph, Input, Node, NodeKind, Route};
pub use job::{Job, JobOptions};
pub use lookup::{Lookup, LookupCache, LookupOptions};
pub use model::{Model, ModelProvider, Scores, Tensor};
pub use operator::{
    Epoch, Operator, Output, Reply, Request, StateChanges, StateTable, TableChanges,
};
pub use rejects::{ErrorPolicy, ErrorRate, OnError};
pub use sink::{ChangelogMode, JobRun, KeptRows, Sink, SinkContext, SinkFactory};
pub use source::{Position, Source, SourceContext, SourceEvent, SourceFactory};
pub use table::{Connectors, MetadataColumn, TableDefinition};
pub use time::{Millis, Time};
pub use world::World;
