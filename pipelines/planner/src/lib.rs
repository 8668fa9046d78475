//! Flink SQL to a graph for the engine.

mod as_of;
mod build;
mod catalog;
mod context;
mod describe;
mod error;
mod evaluate;
mod explain;
mod expressions;
mod functions;
mod grouping_sets;
mod insert;
mod lateral;
mod match_recognize;
mod models;
mod node;
mod parse;
mod planner;
mod portability;
mod relation;
mod tables;
mod text_table;
mod translate;
mod types;
mod typing;
mod values;
mod variables;
mod warnings;

pub use build::NodeNote;
pub use error::{SqlError, SqlResult};
pub use explain::{Format, explain};
pub use functions::table::{names as function_names, table as function_table};
pub use planner::{Job, Planner, QUERY, Settings};
pub use portability::{Version, portability};
pub use text_table::text_table;
pub use variables::substitute;
