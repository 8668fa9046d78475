//! Flink SQL to a graph for the engine.

mod as_of;
mod build;
mod catalog;
mod context;
mod error;
mod evaluate;
mod explain;
mod expressions;
mod functions;
mod insert;
mod lateral;
mod models;
mod node;
mod parse;
mod planner;
mod relation;
mod tables;
mod translate;
mod types;
mod typing;
mod values;
mod variables;

pub use build::NodeNote;
pub use error::{SqlError, SqlResult};
pub use explain::explain;
pub use functions::table::table as function_table;
pub use planner::{Job, Planner, Settings};
pub use variables::substitute;
