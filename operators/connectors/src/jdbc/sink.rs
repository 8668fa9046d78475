//! The `jdbc` sink: with a PRIMARY KEY the latest row of each key, without one every row.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use arrow::datatypes::DataType;
use async_trait::async_trait;
use nowcast_engine::{
    Batch, ChangelogMode, DeadLetter, Error, ErrorKind, Result, Sink, SinkContext, SinkFactory,
};
use tokio_postgres::types::ToSql;

use super::client::{Connection, RemoteColumn};
use super::options::JdbcTable;
use crate::format::{Cells, JsonOptions};

/// The wait before the first retry; it doubles with each.
const BACKOFF: Duration = Duration::from_millis(100);

pub struct JdbcSinkFactory(pub Arc<JdbcTable>);

/// Whether all columns are of types that can be written: as in Flink, no arrays, maps and rows.
pub fn check(table: &JdbcTable) -> Result<()> {
    let fields = table.table.schema.fields();
    let nested = fields.iter().find(|field| {
        matches!(field.data_type(), DataType::List(_) | DataType::Map(..) | DataType::Struct(_))
    });
    match nested {
        None => Ok(()),
        Some(field) => Err(Error::user(format!(
            "table \"{}\": column \"{}\": the jdbc connector writes no ARRAY, MAP or ROW",
            table.table.name,
            field.name()
        ))),
    }
}

#[async_trait]
impl SinkFactory for JdbcSinkFactory {
    fn changelog_mode(&self) -> ChangelogMode {
        match self.0.table.primary_key.is_empty() {
            true => ChangelogMode::Append,
            false => ChangelogMode::Upsert,
        }
    }

    async fn open(&self, _: SinkContext) -> Result<Box<dyn Sink>> {
        let table = Arc::clone(&self.0);
        let connection = table.connect().await?;
        let statements = Statements::new(&connection, &table.table.primary_key);
        Ok(Box::new(JdbcSink {
            table,
            connection: Some(connection),
            statements,
            rows: vec![],
            by_key: HashMap::new(),
        }))
    }
}

/// Each takes one array of texts a column, so that it is the same for any number of rows.
struct Statements {
    insert: String,
    delete: String,
}

impl Statements {
    fn new(connection: &Connection, key: &[usize]) -> Self {
        let Connection { remote, columns, .. } = connection;
        let all: Vec<usize> = (0..columns.len()).collect();
        let list = |parts: Vec<String>, between: &str| parts.join(between);
        let names =
            |of: &[usize]| list(of.iter().map(|at| columns[*at].name.clone()).collect(), ", ");
        let values = list(all.iter().map(|at| value(*at, &columns[*at])).collect(), ", ");
        let mut insert =
            format!("INSERT INTO {remote} ({}) SELECT {values} FROM {}", names(&all), given(&all));
        let others = all.iter().filter(|at| !key.contains(at));
        let sets = others.map(|at| format!("{0} = EXCLUDED.{0}", columns[*at].name)).collect();
        match (key.is_empty(), list(sets, ", ")) {
            (true, _) => {}
            (false, sets) if sets.is_empty() => {
                insert += &format!(" ON CONFLICT ({}) DO NOTHING", names(key));
            }
            (false, sets) => {
                insert += &format!(" ON CONFLICT ({}) DO UPDATE SET {sets}", names(key));
            }
        }
        let same = |at: &usize| format!("t.{} = {}", columns[*at].name, value(*at, &columns[*at]));
        let same = list(key.iter().map(same).collect(), " AND ");
        let delete = format!("DELETE FROM {remote} AS t USING {} WHERE {same}", given(key));
        Self { insert, delete }
    }
}

/// `unnest($1::text[], $2::text[]) AS u(c0, c1)`
pub(super) fn given(columns: &[usize]) -> String {
    let arrays: Vec<_> = (1..=columns.len()).map(|at| format!("${at}::text[]")).collect();
    let names: Vec<_> = columns.iter().map(|at| format!("c{at}")).collect();
    format!("unnest({}) AS u({})", arrays.join(", "), names.join(", "))
}

/// A column's value from its text.
pub(super) fn value(at: usize, column: &RemoteColumn) -> String {
    match column.ty.as_str() {
        "bytea" => format!("decode(u.c{at}, 'base64')"),
        ty => format!("u.c{at}::{ty}"),
    }
}

struct JdbcSink {
    table: Arc<JdbcTable>,
    /// `None` after a failure, until the next try.
    connection: Option<Connection>,
    statements: Statements,
    rows: Vec<Change>,
    /// Where in `rows` a key is: a later row of it takes the earlier one's place.
    by_key: HashMap<Vec<Option<String>>, usize>,
}

struct Change {
    values: Vec<Option<String>>,
    delete: bool,
}

impl JdbcSink {
    fn change(&self, columns: &[Cells<'_>], row: usize, delete: bool) -> Result<Change, String> {
        let fields = self.table.table.schema.fields();
        for at in &self.table.table.primary_key {
            if columns[*at].is_null(row) {
                return Err(format!("the key column \"{}\" is null", fields[*at].name()));
            }
        }
        let mut values = Vec::with_capacity(columns.len());
        for (cells, field) in columns.iter().zip(fields) {
            let mut text = vec![];
            cells.write_text(row, &JsonOptions::default(), &mut text);
            let text = String::from_utf8(text).map_err(|error| error.to_string())?;
            if text.contains('\0') {
                let name = field.name();
                return Err(format!("column \"{name}\": postgresql has no character 0"));
            }
            values.push((!cells.is_null(row)).then_some(text));
        }
        Ok(Change { values, delete })
    }

    fn buffer(&mut self, change: Change) {
        let key = &self.table.table.primary_key;
        if key.is_empty() {
            return self.rows.push(change);
        }
        let key = key.iter().map(|at| change.values[*at].clone()).collect();
        match self.by_key.get(&key) {
            Some(at) => self.rows[*at] = change,
            None => {
                self.by_key.insert(key, self.rows.len());
                self.rows.push(change);
            }
        }
    }

    /// Writes what is buffered in one transaction, connecting again where the server went away.
    async fn put(&mut self) -> Result<()> {
        let mut wait = BACKOFF;
        for retries_left in (0..=self.table.retries).rev() {
            let Err(error) = self.try_put().await else {
                self.rows.clear();
                self.by_key.clear();
                return Ok(());
            };
            self.connection = None;
            if retries_left == 0 || error.kind() != ErrorKind::Outside {
                return Err(error);
            }
            tracing::warn!("{error}; trying again");
            tokio::time::sleep(wait).await;
            wait *= 2;
        }
        Err(Error::bug("a last try that is not the last"))
    }

    async fn try_put(&mut self) -> Result<()> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.table.connect().await?,
        };
        let failed = |error| self.table.failed(&error);
        let key = &self.table.table.primary_key;
        let transaction = connection.client.transaction().await.map_err(failed)?;
        let all: Vec<usize> = (0..connection.columns.len()).collect();
        for (delete, columns, statement) in
            [(true, key, &self.statements.delete), (false, &all, &self.statements.insert)]
        {
            let rows = || self.rows.iter().filter(|row| row.delete == delete);
            if rows().next().is_none() {
                continue;
            }
            let array = |at: &usize| rows().map(|row| row.values[*at].as_deref()).collect();
            let arrays: Vec<Vec<Option<&str>>> = columns.iter().map(array).collect();
            let arrays: Vec<&(dyn ToSql + Sync)> =
                arrays.iter().map(|array| array as &(dyn ToSql + Sync)).collect();
            transaction.execute(statement, &arrays).await.map_err(failed)?;
        }
        transaction.commit().await.map_err(failed)?;
        self.connection = Some(connection);
        Ok(())
    }
}

#[async_trait]
impl Sink for JdbcSink {
    async fn write(&mut self, batch: &Batch, rejected: &mut Vec<DeadLetter>) -> Result<()> {
        let mut row = 0;
        while row < batch.num_rows() {
            {
                let columns = batch.rows().columns().iter().map(Cells::new);
                let columns = columns.collect::<Result<Vec<_>>>()?;
                while row < batch.num_rows() && self.rows.len() < self.table.buffer_rows {
                    let delete = batch.weights().is_some_and(|weights| weights.value(row) < 0);
                    if delete && self.table.table.primary_key.is_empty() {
                        return Err(Error::bug("a jdbc table without a key was sent deletes"));
                    }
                    match self.change(&columns, row, delete) {
                        Ok(change) => self.buffer(change),
                        Err(error) => {
                            let name = &self.table.table.name;
                            rejected.push(crate::registry::rejected(name, batch, row, error));
                        }
                    }
                    row += 1;
                }
            }
            if self.rows.len() >= self.table.buffer_rows {
                self.put().await?;
            }
        }
        Ok(())
    }

    async fn flush(&mut self) -> Result<()> {
        match self.rows.is_empty() {
            true => Ok(()),
            false => self.put().await,
        }
    }
}
