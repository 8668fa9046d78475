//! The `redis` sink: changes of rows, the last of each key, as writes of hashes.

use std::sync::Arc;

use async_trait::async_trait;
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
            table: self.table.clone(),
            store,
            fence: fence.clone(),
            epoch: context.restored + 1,
            pending: Pending::default(),
        }))
    }
}

struct RedisSink {
    table: RedisTable,
    store: Arc<dyn Store>,
    fence: Option<Arc<Fence>>,
    /// Of the checkpoint that what is written now belongs to.
    epoch: Epoch,
    pending: Pending,
}

impl RedisSink {
    async fn put(&mut self) -> Result<()> {
        let writes = self.pending.writes(&self.table)?;
        let put = match &self.fence {
            Some(fence) => self.store.put_as(&writes, &fence.stamp(self.epoch)).await,
            None => self.store.put(&writes).await,
        };
        put.map_err(|error| self.table.named(error))?;
        self.pending.clear();
        Ok(())
    }
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
                self.put().await?;
            }
        }
        Ok(())
    }

    async fn flush(&mut self) -> Result<()> {
        match self.pending.is_empty() {
            true => Ok(()),
            false => self.put().await,
        }
    }

    async fn prepare(&mut self, epoch: Epoch) -> Result<()> {
        self.flush().await?;
        self.epoch = epoch + 1;
        Ok(())
    }
}
