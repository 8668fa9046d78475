//! The rows that a checkpoint keeps of a `redis` table, written anew.

use std::collections::HashSet;

use arrow::array::RecordBatch;
use nowcast_engine::{Epoch, Error, Result, TableDefinition};

use super::pending::Pending;
use super::{Place, RedisTable};
use crate::format::Cells;
use crate::registry::Environment;
use crate::store::{Fence, Store, Write};

/// What became of the rows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reconciled {
    pub written: usize,
    /// Rows of which the table has a newer version: the job has written it since.
    pub newer: usize,
    /// Rows that the checkpoint does not know, and no one has written since.
    pub removed: usize,
    /// Rows that cannot be written, as in the job itself.
    pub rejected: usize,
}

/// Makes a table what it was at a checkpoint of a job, but for what the job has written since: it may
/// run meanwhile. Of the rows that are there too many, those of this job go.
pub async fn reconcile(
    table: &TableDefinition,
    environment: &Environment,
    job: &str,
    epoch: Epoch,
    rows: &RecordBatch,
) -> Result<Reconciled> {
    let redis = RedisTable::read(table, environment)?;
    let (Some(remembered), Place::Redis(address)) = (redis.fenced, &redis.place) else {
        return Err(Error::bug("rows are kept of a table that is not fenced"));
    };
    let store = redis.connect(address, redis.patience).await?;
    let named = |error: Error| redis.named(error);
    let fence = Fence::standing(&store, job, &redis.key_prefix, remembered).await.map_err(named)?;
    let stamp = fence.last_stamp(epoch);
    let mut reconciled = Reconciled::default();
    let mut keys = HashSet::new();
    let columns = rows.columns().iter().map(Cells::new).collect::<Result<Vec<_>>>()?;
    let mut pending = Pending::default();
    let mut row = 0;
    while row < rows.num_rows() {
        let end = rows.num_rows().min(row + redis.buffer_rows);
        pending.clear();
        for row in row..end {
            let taken = pending.push(&redis, &columns, row, false);
            reconciled.rejected += usize::from(taken.is_err());
        }
        let writes = pending.writes(&redis)?;
        keys.extend(writes.iter().map(|write| write.key().to_owned()));
        let newer = store.put_older(&writes, &stamp).await.map_err(named)?;
        reconciled.newer += newer;
        reconciled.written += writes.len() - newer;
        row = end;
    }
    let there = store.scan(&format!("{}:", redis.key_prefix), usize::MAX).await.map_err(named)?;
    let unknown: Vec<String> = there.into_iter().filter(|key| !keys.contains(key)).collect();
    for unknown in unknown.chunks(redis.buffer_rows) {
        let ours = store.owned(unknown, &fence).await.map_err(named)?;
        let gone: Vec<Write<'_>> = ours.iter().map(|key| Write::Delete { key }).collect();
        let newer = store.put_older(&gone, &stamp).await.map_err(named)?;
        reconciled.removed += gone.len() - newer;
    }
    Ok(reconciled)
}
