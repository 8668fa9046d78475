//! The feeds of all tables: what the job publishes into and clients subscribe to.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use arrow::array::RecordBatch;
use arrow::json::LineDelimitedWriter;
use arrow::json::writer::{LineDelimited, WriterBuilder};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use nowcast_engine::{Epoch, Error, Result};
use serde_json::{Value, json};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::feed::{Feed, RING_ROWS_MAX, Start, Subscription};
use crate::pending::{Pending, Taken};

/// Clients of all feeds together unless it is said otherwise: each holds a connection for as long as it likes.
pub const FEED_CLIENTS_MAX: usize = 1_024;

/// Rings of the newest rows by table, shared by the job and the server.
pub struct Feeds {
    tables: RwLock<BTreeMap<String, Table>>,
    clients: Arc<Semaphore>,
    clients_max: usize,
}

#[derive(Clone)]
struct Table {
    feed: Arc<Feed>,
    /// Names of the columns by which a row replaces an earlier one.
    key: Arc<[String]>,
    /// Rows that came while the feed had no client. Whoever adds to the feed or comes to it holds this.
    pending: Arc<Mutex<Pending>>,
}

/// Why there is no subscription.
#[derive(Debug)]
pub enum Refusal {
    /// No such table; these there are.
    Unknown(Vec<String>),
    /// So many clients are there already.
    Full(usize),
}

impl Default for Feeds {
    fn default() -> Self {
        Self::new(FEED_CLIENTS_MAX)
    }
}

impl Feeds {
    /// Feeds for so many clients together.
    pub fn new(clients_max: usize) -> Self {
        let clients_max = clients_max.min(Semaphore::MAX_PERMITS);
        let clients = Arc::new(Semaphore::new(clients_max));
        Self { tables: RwLock::default(), clients, clients_max }
    }

    /// Opens the feed of a table before its first row. `key` names the columns of its primary key:
    /// a client too slow for every row then gets the newest of each key. A table keeps the feed and
    /// the key it was declared with first.
    pub fn declare(&self, table: &str, key: &[String]) {
        self.table_or_declare(table, key);
    }

    /// Gives rows to all clients of a table, in order. Never waits for any of them, and encodes no
    /// more rows than the ring holds, and none while there is no client. A table not declared yet gets a
    /// feed without a key.
    ///
    /// Rows are encoded as JSON objects with explicit nulls, times as RFC 3339 text. An error means
    /// that none of the rows was published. Rows with a value that has no text are found out when the first
    /// client comes, and are passed over then.
    pub fn publish(&self, table: &str, epoch: Epoch, rows: &RecordBatch) -> Result<()> {
        if rows.num_rows() == 0 {
            return Ok(());
        }
        let found = self.table_or_declare(table, &[]);
        found
            .publish(epoch, rows)
            .map_err(|error| error.context(format_args!("feed \"{table}\"")))?;
        metrics::counter!("nowcast_feed_rows_total", "table" => table.to_owned())
            .increment(rows.num_rows() as u64);
        Ok(())
    }

    /// Ends all feeds: clients get what is left of them, then the end of their stream.
    pub fn close(&self) {
        for table in self.tables.read().unwrap_or_else(PoisonError::into_inner).values() {
            table.feed.close();
        }
        self.clients.close();
    }

    /// A place in a feed. The permit is held for as long as the client is there.
    pub(crate) fn subscribe(
        &self,
        table: &str,
        start: Start,
    ) -> Result<(Subscription, OwnedSemaphorePermit), Refusal> {
        let tables = self.tables.read().unwrap_or_else(PoisonError::into_inner);
        let Some(found) = tables.get(table) else {
            return Err(Refusal::Unknown(tables.keys().cloned().collect()));
        };
        let permit = self
            .clients
            .clone()
            .try_acquire_owned()
            .map_err(|_| Refusal::Full(self.clients_max))?;
        Ok((found.subscribe(start), permit))
    }

    /// All feeds as JSON, for the list of feeds.
    pub(crate) fn list(&self) -> Value {
        let tables = self.tables.read().unwrap_or_else(PoisonError::into_inner);
        let feeds = tables.iter().map(|(name, table)| {
            table.show(&mut table.pending());
            let reading = table.feed.reading();
            json!({
                "table": name,
                "key": *table.key,
                "rows": reading.rows,
                "oldest": reading.oldest,
                "newest": reading.newest,
            })
        });
        json!({
            "feeds": feeds.collect::<Vec<_>>(),
            "clients": self.clients_max - self.clients.available_permits(),
        })
    }

    fn table_or_declare(&self, name: &str, key: &[String]) -> Table {
        if let Some(table) = self.tables.read().unwrap_or_else(PoisonError::into_inner).get(name) {
            return table.clone();
        }
        let mut tables = self.tables.write().unwrap_or_else(PoisonError::into_inner);
        let new = || Table {
            feed: Arc::new(Feed::new()),
            key: key.into(),
            pending: Arc::new(Mutex::default()),
        };
        tables.entry(name.to_owned()).or_insert_with(new).clone()
    }
}

impl Table {
    fn publish(&self, epoch: Epoch, rows: &RecordBatch) -> Result<()> {
        let mut pending = self.pending();
        if self.feed.is_followed() {
            self.show(&mut pending);
            return self.add(epoch, rows);
        }
        // What cannot be shown is told now and not to the first client.
        if pending.checked.as_ref() != Some(rows.schema_ref()) {
            let first = rows.slice(0, 1);
            lines(&first)?;
            keys(&first, &self.key)?;
            pending.checked = Some(rows.schema());
        }
        pending.push(epoch, rows)
    }

    fn subscribe(&self, start: Start) -> Subscription {
        let mut pending = self.pending();
        self.show(&mut pending);
        self.feed.subscribe(start)
    }

    /// Puts what came while there was no client into the ring.
    fn show(&self, pending: &mut Pending) {
        for (epoch, taken) in pending.take() {
            match taken {
                Taken::PassedOver(rows) => self.feed.publish(epoch, rows, vec![]),
                Taken::Rows(rows) => {
                    if let Err(error) = self.add(epoch, &rows) {
                        tracing::warn!(%error, "rows not shown in the live feed");
                        self.feed.publish(epoch, rows.num_rows() as u64, vec![]);
                    }
                }
            }
        }
    }

    fn add(&self, epoch: Epoch, rows: &RecordBatch) -> Result<()> {
        let count = rows.num_rows();
        let newest = rows.slice(count.saturating_sub(RING_ROWS_MAX), count.min(RING_ROWS_MAX));
        let (lines, keys) = (lines(&newest)?, keys(&newest, &self.key)?);
        assert_eq!(lines.len(), newest.num_rows(), "one line for each row");
        self.feed.publish(epoch, count as u64, lines.into_iter().zip(keys).collect());
        Ok(())
    }

    /// A panic while it is held loses rows of a feed at most.
    fn pending(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One JSON object a row. A line break inside a value is escaped in JSON, so lines are rows.
fn lines(rows: &RecordBatch) -> Result<Vec<String>> {
    let mut writer: LineDelimitedWriter<Vec<u8>> =
        WriterBuilder::new().with_explicit_nulls(true).build::<_, LineDelimited>(Vec::new());
    writer.write(rows)?;
    writer.finish()?;
    let text = String::from_utf8(writer.into_inner()).map_err(Error::bug)?;
    Ok(text.lines().map(str::to_owned).collect())
}

/// The text of the key columns of each row; `None` without key columns.
fn keys(rows: &RecordBatch, key: &[String]) -> Result<Vec<Option<String>>> {
    if key.is_empty() {
        return Ok(vec![None; rows.num_rows()]);
    }
    let options = FormatOptions::default();
    let mut columns = Vec::with_capacity(key.len());
    for name in key {
        let column = rows
            .column_by_name(name)
            .ok_or_else(|| Error::user(format!("no column \"{name}\" for its key")))?;
        columns.push(ArrayFormatter::try_new(column, &options)?);
    }
    let mut keys = Vec::with_capacity(rows.num_rows());
    for row in 0..rows.num_rows() {
        let parts = columns.iter().map(|column| column.value(row).try_to_string());
        keys.push(Some(parts.collect::<Result<Vec<_>, _>>()?.join("\u{1f}")));
    }
    Ok(keys)
}
