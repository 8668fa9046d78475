//! The `redis` sink: changes of rows, the last of each key, as writes of hashes.

use std::sync::Arc;

use async_trait::async_trait;
use futures::FutureExt;
use futures::future::BoxFuture;
use nowcast_engine::{
    Batch, ChangelogMode, DeadLetter, Epoch, Error, JobRun, KeptRows, Result, Sink, SinkContext,
    SinkFactory, TableDefinition,
};
use tokio::sync::Mutex;

use super::fences::{Fences, Writers};
use super::pending::Pending;
use super::{Place, RedisTable};
use crate::format::Cells;
use crate::registry::Environment;
use crate::store::{Fence, Store};

pub struct RedisSinkFactory {
    table: RedisTable,
    fences: Arc<Fences>,
    /// That of the run which is being opened.
    fence: Mutex<Option<Arc<Fence>>>,
}

impl RedisSinkFactory {
    pub fn new(table: &TableDefinition, environment: &Environment) -> Result<Self> {
        let table = RedisTable::read(table, environment)?;
        let fences = Arc::clone(&environment.fences);
        Ok(Self { table, fences, fence: Mutex::default() })
    }

    /// Fences earlier runs off; `None` where writes are not fenced.
    async fn fence(&self, run: &JobRun) -> Result<Option<Arc<Fence>>> {
        let (Some(remembered), Place::Redis(address)) = (self.table.fenced, &self.table.place)
        else {
            return Ok(None);
        };
        let store = self.table.connect(address, self.table.patience).await?;
        let writers = Writers {
            job: run.job.clone(),
            run: run.number,
            place: address.place(),
            prefix: self.table.key_prefix.clone(),
        };
        let fence = self.fences.of(writers, &store, remembered).await;
        fence.map(Some).map_err(|error| self.table.named(error))
    }
}

#[async_trait]
impl SinkFactory for RedisSinkFactory {
    fn changelog_mode(&self) -> ChangelogMode {
        ChangelogMode::Upsert
    }

    fn keeps_rows(&self) -> Option<KeptRows> {
        self.table.reconciled.then_some(KeptRows { ttl: self.table.ttl })
    }

    async fn committed(&self, run: &JobRun) -> Result<Option<Epoch>> {
        *self.fence.lock().await = self.fence(run).await?;
        Ok(None)
    }

    async fn open(&self, context: SinkContext) -> Result<Box<dyn Sink>> {
        let store: Arc<dyn Store> = match &self.table.place {
            Place::Embedded(store) => Arc::clone(store) as _,
            Place::Redis(address) => {
                let store = self.table.connect(address, self.table.patience).await?;
                let by_column = self.table.column_ttls.iter().any(Option::is_some);
                if by_column && !store.knows("HPEXPIRE").await? {
                    return Err(Error::user(format!(
                        "table \"{}\": columns have a time to live of their own from Redis 7.4 on, \
                         and redis {} is older",
                        self.table.table.name,
                        address.name()
                    )));
                }
                Arc::new(store)
            }
        };
        let mut fence = self.fence.lock().await;
        if fence.is_none() {
            *fence = self.fence(&JobRun::new(&context.job)).await?;
        }
        Ok(Box::new(RedisSink {
            table: Arc::new(self.table.clone()),
            store,
            fence: fence.clone(),
            epoch: context.restored + 1,
            pending: Pending::default(),
            spare: Pending::default(),
            under_way: None,
        }))
    }
}

struct RedisSink {
    table: Arc<RedisTable>,
    store: Arc<dyn Store>,
    fence: Option<Arc<Fence>>,
    /// Of the checkpoint that what is written now belongs to.
    epoch: Epoch,
    /// What is to be put next. It is encoded while what was before it is under way.
    pending: Pending,
    /// The room of the one before, empty.
    spare: Pending,
    /// Gives back the room of what is put. One at a time, for a later change of a key must not come
    /// first.
    under_way: Option<BoxFuture<'static, Result<Pending>>>,
}

impl RedisSink {
    /// Sends what waits once all before it has been put; does not wait for its answer.
    async fn send(&mut self) -> Result<()> {
        self.landed().await?;
        let pending = std::mem::replace(&mut self.pending, std::mem::take(&mut self.spare));
        let (table, store) = (Arc::clone(&self.table), Arc::clone(&self.store));
        let (fence, epoch) = (self.fence.clone(), self.epoch);
        let put =
            async move { put(pending, &table, store.as_ref(), fence.as_deref(), epoch).await };
        let mut put = put.boxed();
        // A connection writes and reads by itself what it has been given: the first pipeline, which is all of it
        // unless the buffer was set larger.
        match (&mut put).now_or_never() {
            Some(put) => self.spare = put?,
            None => self.under_way = Some(put),
        }
        Ok(())
    }

    /// Waits until what is under way has been put.
    async fn landed(&mut self) -> Result<()> {
        if let Some(put) = &mut self.under_way {
            let put = put.await;
            self.under_way = None;
            self.spare = put?;
        }
        Ok(())
    }
}

/// Puts what has waited; returns its room, empty.
async fn put(
    mut pending: Pending,
    table: &RedisTable,
    store: &dyn Store,
    fence: Option<&Fence>,
    epoch: Epoch,
) -> Result<Pending> {
    let writes = pending.writes(table)?;
    let put = match fence {
        Some(fence) => store.put_as(&writes, &fence.stamp(epoch)).await,
        None => store.put(&writes).await,
    };
    put.map_err(|error| table.named(error))?;
    drop(writes);
    pending.clear();
    Ok(pending)
}

#[async_trait]
impl Sink for RedisSink {
    async fn write(&mut self, batch: &Batch, rejected: &mut Vec<DeadLetter>) -> Result<()> {
        let mut row = 0;
        while row < batch.num_rows() {
            {
                let columns = batch.rows().columns().iter().map(Cells::new);
                let columns = columns.collect::<Result<Vec<_>>>()?;
                while row < batch.num_rows() && !self.pending.is_full(self.table.buffer_rows) {
                    let delete = batch.weights().is_some_and(|weights| weights.value(row) < 0);
                    if let Err(error) = self.pending.push(&self.table, &columns, row, delete) {
                        let name = &self.table.table.name;
                        rejected.push(crate::registry::rejected(name, batch, row, error));
                    }
                    row += 1;
                }
            }
            if self.pending.is_full(self.table.buffer_rows) {
                self.send().await?;
            }
        }
        Ok(())
    }

    async fn flush(&mut self) -> Result<()> {
        if !self.pending.is_empty() {
            self.send().await?;
        }
        self.landed().await
    }

    async fn prepare(&mut self, epoch: Epoch) -> Result<()> {
        self.flush().await?;
        self.epoch = epoch + 1;
        Ok(())
    }
}
