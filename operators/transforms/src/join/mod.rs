//! Joins: rows of two inputs that belong together.

mod interval;
mod lookup;
mod pairs;
mod regular;
mod side;
mod temporal;
mod window;

pub use interval::{IntervalJoin, IntervalJoinSpec};
pub use lookup::{LookupJoin, LookupJoinSpec};
pub use regular::{Join, JoinKind, JoinSpec};
pub use temporal::{TemporalJoin, TemporalJoinSpec};
pub use window::{WindowJoin, WindowJoinSpec};
