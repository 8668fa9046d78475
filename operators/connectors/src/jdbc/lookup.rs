//! The `jdbc` connector as a look-up: the rows of all keys of a question in one statement.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::FieldRef;
use async_trait::async_trait;
use nowcast_engine::{Error, ErrorKind, Lookup, LookupOptions, Result};
use tokio_postgres::Statement;
use tokio_postgres::types::ToSql;

use super::client::Connection;
use super::options::JdbcTable;
use super::sink::{check, given, value};
use super::source::{json_options, selected};
use crate::format::{Cells, Decoder, JsonDecoder, JsonOptions};

/// The first retry comes at once, since most often a connection was closed while it was idle; each
/// later one waits for so much longer than the one before, as in Flink.
const BACKOFF: Duration = Duration::from_secs(1);

/// Questions of all workers share one connection, whose statements go one behind the other without
/// waiting for answers.
pub struct JdbcLookup {
    table: JdbcTable,
    /// Key columns of the table.
    keys: Vec<usize>,
    /// `None` before the first question and after a failure.
    connection: Mutex<Option<Arc<Asked>>>,
}

struct Asked {
    connection: Connection,
    /// Takes an array of texts for each key column.
    query: Statement,
}

impl JdbcLookup {
    pub fn new(table: JdbcTable, keys: &[usize]) -> Result<Self> {
        check(&table)?;
        Ok(Self { table, keys: keys.to_vec(), connection: Mutex::new(None) })
    }

    /// The open connection, else a new one.
    async fn connection(&self) -> Result<Arc<Asked>> {
        let known = self.known().clone();
        if let Some(asked) = known.filter(|asked| !asked.connection.client.is_closed()) {
            return Ok(asked);
        }
        let connection = self.table.connect().await?;
        let query = connection.client.prepare(&self.query(&connection)).await;
        let query = query.map_err(|error| self.table.failed(&error))?;
        let asked = Arc::new(Asked { connection, query });
        *self.known() = Some(Arc::clone(&asked));
        Ok(asked)
    }

    fn known(&self) -> MutexGuard<'_, Option<Arc<Asked>>> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn query(&self, connection: &Connection) -> String {
        let fields = self.table.table.schema.fields();
        let columns = &connection.columns;
        let names: Vec<&str> = self.keys.iter().map(|at| columns[*at].name.as_str()).collect();
        // In the type of their column, so that its index is used. An integer that the column cannot
        // hold has no rows, and is no error.
        let key = |at: &usize| match (fields[*at].data_type(), columns[*at].ty.as_str()) {
            (ty, "smallint" | "integer") if ty.is_integer() => format!("u.c{at}::bigint"),
            _ => value(*at, &columns[*at]),
        };
        let keys: Vec<String> = self.keys.iter().map(key).collect();
        let asked = format!("SELECT {} FROM {}", keys.join(", "), given(&self.keys));
        let condition = match names.as_slice() {
            [name] => format!("{name} = ANY (ARRAY({asked}))"),
            names => format!("({}) IN ({asked})", names.join(", ")),
        };
        format!(
            "SELECT row_to_json(q)::text FROM (SELECT {} FROM {} WHERE {condition}) AS q",
            selected(&self.table, connection),
            connection.remote,
        )
    }

    async fn ask(&self, keys: &[Vec<Option<String>>]) -> Result<RecordBatch> {
        let asked = self.connection().await?;
        let arrays: Vec<&(dyn ToSql + Sync)> =
            keys.iter().map(|texts| texts as &(dyn ToSql + Sync)).collect();
        let found = asked.connection.client.query(&asked.query, &arrays).await;
        let found = found.map_err(|error| self.table.failed(&error))?;
        let table = &self.table.table;
        let fields: Vec<FieldRef> = table.schema.fields().iter().cloned().collect();
        let mut decoder = JsonDecoder::new(&fields, &json_options())?;
        for row in &found {
            let text: &str = row.get(0);
            decoder
                .decode(text.as_bytes())
                .map_err(|error| Error::user(format!("{}: {text}: {error}", self.table.name())))?;
        }
        let (columns, _) = decoder.rows().finish()?;
        Ok(RecordBatch::try_new(Arc::clone(&table.schema), columns)?)
    }
}

#[async_trait]
impl Lookup for JdbcLookup {
    async fn lookup(&self, keys: Vec<ArrayRef>) -> Result<RecordBatch> {
        let keys = keys.iter().map(texts).collect::<Result<Vec<_>>>()?;
        let mut tried = 0;
        loop {
            let error = match self.ask(&keys).await {
                Err(error) if error.kind() == ErrorKind::Outside => error,
                answer => return answer,
            };
            // Whatever it was, a new connection does no harm.
            *self.known() = None;
            if tried >= self.table.lookup.retries as u32 {
                return Err(error);
            }
            tracing::warn!("{error}; asking again");
            tokio::time::sleep(BACKOFF * tried).await;
            tried += 1;
        }
    }

    /// The retries are this side's: they wait.
    fn options(&self) -> LookupOptions {
        LookupOptions { retries: 0, ..self.table.lookup }
    }
}

/// A key column as texts; null for what PostgreSQL has not.
fn texts(column: &ArrayRef) -> Result<Vec<Option<String>>> {
    let cells = Cells::new(column)?;
    let text = |row| {
        let mut text = vec![];
        cells.write_text(row, &JsonOptions::default(), &mut text);
        let text = String::from_utf8(text).map_err(Error::data)?;
        Ok((!cells.is_null(row) && !text.contains('\0')).then_some(text))
    };
    (0..column.len()).map(text).collect()
}
