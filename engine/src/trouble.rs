//! Why the outside of a sink does not answer, told while it is asked again.
//!
//! A client that repeats its requests sits several calls below the sink's task: what it says reaches
//! the task's stage through the task itself.

use std::fmt;
use std::sync::Arc;

use crate::graph::NodeId;
use crate::stats::JobStats;

tokio::task_local! {
    static STAGE: (Arc<JobStats>, NodeId);
}

/// Says why a request of this task is repeated; nothing outside of a sink's task. Forgotten as soon
/// as the sink's call returns.
pub fn report(trouble: impl fmt::Display) {
    let _ = STAGE.try_with(|(stats, node)| stats.stages[*node].set_trouble(trouble.to_string()));
}

/// Runs a sink's task so that it can [`report`].
pub(crate) async fn noted<F: Future>(stats: Arc<JobStats>, node: NodeId, task: F) -> F::Output {
    STAGE.scope((stats, node), task).await
}
