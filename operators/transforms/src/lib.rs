//! Operators: filter and project, windows, Top-N, OVER, row patterns, upserts, scoring, nowcasts.
//!
//! Each is synchronous and deterministic: rows and time in, rows out, whatever the size of the
//! batches. State is cut by key group in `save`, so it can be loaded on another number of workers.

mod admission;
pub mod aggregate;
mod attached_window_aggregate;
mod calc;
mod changed;
mod changelog_normalize;
mod changes;
mod clock;
mod expiry;
mod first_row;
mod group_aggregate;
mod groups;
mod held;
mod join;
mod keyed_rows;
mod match_recognize;
mod merged;
mod over;
mod rank;
mod rounds;
mod saved;
mod score;
mod session_aggregate;
mod session_assign;
mod sessions;
mod set_all;
mod sort_key;
mod temporal_sort;
mod union;
mod unnest;
mod upsert_materialize;
mod window;
mod window_aggregate;
mod window_assign;
mod window_top_n;
pub mod zone;

pub use aggregate::{AggregateCall, AggregateFunction, Fraction, Spread};
pub use attached_window_aggregate::{AttachedWindowAggregate, AttachedWindowAggregateSpec};
pub use calc::Calc;
pub use changelog_normalize::{ChangelogNormalize, ChangelogNormalizeSpec};
pub use clock::{Clock, WindowClock};
pub use first_row::{FirstRow, FirstRowSpec};
pub use group_aggregate::{GroupAggregate, GroupAggregateSpec};
pub use join::{
    IntervalJoin, IntervalJoinSpec, Join, JoinKind, JoinSpec, LookupJoin, LookupJoinSpec,
    TemporalJoin, TemporalJoinSpec, WindowJoin, WindowJoinSpec,
};
pub use match_recognize::{
    COUNTED_MAX, Condition, End, MatchClock, MatchRecognize, MatchRecognizeSpec, Quantifier,
    Reference, Skip, VARIABLES_MAX,
};
pub use over::{
    ForecastCall, Frame, NowcastCall, Over, OverFunction, OverOrder, OverSpec, SortedFunction,
    SortedOver, SortedOverSpec, UpTo,
};
pub use rank::{Rank, RankSpec};
pub use score::{Score, ScoreSpec};
pub use session_aggregate::{SessionAggregate, SessionAggregateSpec};
pub use session_assign::{SessionAssign, SessionAssignSpec};
pub use set_all::{SetAll, SetAllSpec, SetKind};
pub use sort_key::{SortKey, Ties};
pub use temporal_sort::{TemporalSort, TemporalSortSpec};
pub use union::Union;
pub use unnest::{Unnest, UnnestSpec};
pub use upsert_materialize::{UpsertMaterialize, UpsertMaterializeSpec, Written};
pub use window::{Span, Window, WindowKind};
pub use window_aggregate::{WindowAggregate, WindowAggregateSpec};
pub use window_assign::{WindowAssign, WindowAssignSpec};
pub use window_top_n::{WindowTopN, WindowTopNSpec};
