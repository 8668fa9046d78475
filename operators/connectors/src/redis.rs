//! The `redis` sink: the latest row of each PRIMARY KEY as a hash, in Redis or in the embedded store.

mod lookup;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use nowcast_engine::{
    Batch, ChangelogMode, DeadLetter, Error, LookupOptions, Result, Sink, SinkContext, SinkFactory,
    TableDefinition,
};

pub use lookup::lookup;

use crate::format::{Cells, JsonOptions};
use crate::options::Options;
use crate::registry::Environment;
use crate::store::{EmbeddedStore, RedisStore, Store, Write};

/// Keys that wait for one pipeline, unless `sink.buffer-flush.max-rows` says otherwise.
const BUFFER_ROWS: usize = 1_000;

/// A table's place in a store: the row with the key `a, b` is the hash `prefix:a:b` with all columns
/// as fields, also those of the key. A NULL has no field; arrays, maps and rows are JSON.
#[derive(Clone)]
pub struct RedisTable {
    table: TableDefinition,
    place: Place,
    pub key_prefix: String,
    ttl: Option<Duration>,
    buffer_rows: usize,
    lookup: LookupOptions,
}

#[derive(Clone)]
enum Place {
    Embedded(Arc<EmbeddedStore>),
    Url(String),
}

impl RedisTable {
    pub fn read(table: &TableDefinition, environment: &Environment) -> Result<Self> {
        let options = Options::new(table);
        let url = options.required("url")?;
        let place = match url {
            "embedded" | "embedded://" => Place::Embedded(Arc::clone(&environment.store)),
            _ if url.starts_with("redis://") => Place::Url(url.to_owned()),
            _ => {
                return Err(options.refuse("url", url, "redis://host:port/db or embedded://"));
            }
        };
        let buffer_rows = options.parsed("sink.buffer-flush.max-rows", "a number of rows")?;
        let read = Self {
            table: table.clone(),
            place,
            key_prefix: options.text("key-prefix").unwrap_or(&table.name).to_owned(),
            ttl: options.duration("ttl")?,
            buffer_rows: buffer_rows.unwrap_or(BUFFER_ROWS).max(1),
            lookup: crate::lookup::read(&options)?,
        };
        options.finish()?;
        if table.primary_key.is_empty() {
            let name = &table.name;
            return Err(Error::user(format!(
                "table \"{name}\": the redis connector needs a PRIMARY KEY (…) NOT ENFORCED"
            )));
        }
        if let Some(metadata) = table.metadata.first() {
            return Err(crate::registry::no_metadata(table, metadata, "redis"));
        }
        Ok(read)
    }

    /// Where a row is, by the cells of its primary key.
    fn key<'a>(
        &self,
        cells: impl Iterator<Item = &'a Cells<'a>>,
        row: usize,
    ) -> Result<String, String> {
        let mut key = self.key_prefix.clone().into_bytes();
        for (cells, at) in cells.zip(&self.table.primary_key) {
            if cells.is_null(row) {
                let name = self.table.schema.field(*at).name();
                return Err(format!("the key column \"{name}\" is null"));
            }
            key.push(b':');
            cells.write_text(row, &JsonOptions::default(), &mut key);
        }
        String::from_utf8(key).map_err(|error| error.to_string())
    }

    /// Connects, if there is something to connect to.
    pub async fn store(&self) -> Result<Arc<dyn Store>> {
        match &self.place {
            Place::Embedded(store) => Ok(Arc::clone(store) as Arc<dyn Store>),
            Place::Url(url) => match RedisStore::connect(url).await {
                Ok(store) => Ok(Arc::new(store)),
                Err(error) => Err(error.context(format!("table \"{}\"", self.table.name))),
            },
        }
    }
}

#[async_trait]
impl SinkFactory for RedisTable {
    fn changelog_mode(&self) -> ChangelogMode {
        ChangelogMode::Upsert
    }

    async fn open(&self, _context: SinkContext) -> Result<Box<dyn Sink>> {
        let store = self.store().await?;
        Ok(Box::new(RedisSink {
            table: self.clone(),
            store,
            writes: vec![],
            by_key: HashMap::new(),
        }))
    }
}

struct RedisSink {
    table: RedisTable,
    store: Arc<dyn Store>,
    writes: Vec<Write>,
    /// Where in `writes` a key is: a later row of it takes the earlier one's place.
    by_key: HashMap<String, usize>,
}

impl RedisSink {
    fn change(&self, columns: &[Cells<'_>], row: usize, delete: bool) -> Result<Write, String> {
        let of_key = self.table.table.primary_key.iter().map(|at| &columns[*at]);
        let key = self.table.key(of_key, row)?;
        if delete {
            return Ok(Write::Delete { key });
        }
        let (mut set, mut remove) = (Vec::with_capacity(columns.len()), vec![]);
        for (cells, field) in columns.iter().zip(self.table.table.schema.fields()) {
            let name = field.name().clone();
            if cells.is_null(row) {
                remove.push(name);
                continue;
            }
            let mut value = vec![];
            cells.write_text(row, &JsonOptions::default(), &mut value);
            set.push((name, String::from_utf8(value).map_err(|error| error.to_string())?));
        }
        Ok(Write::Put { key, set, remove, ttl: self.table.ttl })
    }

    fn buffer(&mut self, write: Write) {
        match self.by_key.get(write.key()) {
            Some(at) => self.writes[*at] = write,
            None => {
                self.by_key.insert(write.key().to_owned(), self.writes.len());
                self.writes.push(write);
            }
        }
    }

    async fn put(&mut self) -> Result<()> {
        self.by_key.clear();
        let writes = std::mem::take(&mut self.writes);
        let put = self.store.put(writes).await;
        put.map_err(|error| error.context(format!("table \"{}\"", self.table.table.name)))
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
                while row < batch.num_rows() && self.writes.len() < self.table.buffer_rows {
                    let delete = batch.weights().is_some_and(|weights| weights.value(row) < 0);
                    match self.change(&columns, row, delete) {
                        Ok(write) => self.buffer(write),
                        Err(error) => {
                            let name = &self.table.table.name;
                            rejected.push(crate::registry::rejected(name, batch, row, error));
                        }
                    }
                    row += 1;
                }
            }
            if self.writes.len() >= self.table.buffer_rows {
                self.put().await?;
            }
        }
        Ok(())
    }

    async fn flush(&mut self) -> Result<()> {
        match self.writes.is_empty() {
            true => Ok(()),
            false => self.put().await,
        }
    }
}

#[cfg(test)]
mod tests;
