//! The `jdbc` source: a table read once, in ranges of a column where it is told so.
//!
//! The rows of a range come in the order of the PRIMARY KEY, without one in that of all columns, so that
//! a read goes on after a restart where it was, if the table has not changed meanwhile.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, FieldRef, SchemaRef};
use async_trait::async_trait;
use nowcast_engine::{
    DeadLetter, Error, Position, Result, Source, SourceContext, SourceEvent, SourceFactory,
};
use tokio::runtime::{Builder, Runtime};

use super::client::{Connection, RemoteColumn};
use super::options::JdbcTable;
use crate::format::{Decoder, JsonDecoder, JsonOptions, TimestampStandard};
use crate::handover::{Gone, Handover, Hands};

pub struct JdbcSourceFactory(pub Arc<JdbcTable>);

/// What is read in one go.
struct Range {
    split: Arc<str>,
    /// `WHERE …`, or nothing.
    condition: String,
    /// Rows of it that have been read.
    start: i64,
}

#[async_trait]
impl SourceFactory for JdbcSourceFactory {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.0.table.schema)
    }

    fn bounded(&self) -> bool {
        true
    }

    /// Deals the ranges out in their order, every `workers`-th to a worker.
    async fn open(&self, context: SourceContext) -> Result<Box<dyn Source>> {
        let table = Arc::clone(&self.0);
        // Errors of the table are the open's; the thread connects again in a runtime of its own.
        let connection = table.connect().await?;
        let ranges: Vec<Range> = ranges(&table, &connection)
            .into_iter()
            .skip(context.worker)
            .step_by(context.workers.max(1))
            .map(|(split, condition)| {
                let at = context.positions.iter().find(|position| position.split == split);
                let start = at.map_or(0, |position| position.offset);
                Range { split: split.into(), condition, start }
            })
            .collect();
        let splits = ranges.iter().map(|range| (Arc::clone(&range.split), range.start));
        let (hands, handover) = Handover::new(splits.collect());
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime =
            runtime.map_err(|error| Error::outside(format!("{}: {error}", table.name())))?;
        let rows_max = context.rows_max.max(1);
        let thread = std::thread::Builder::new().name(format!("jdbc {}", table.table.name));
        let name = table.name();
        let spawned = thread.spawn(move || {
            let mut reader = Reader { table, runtime, rows_max, hands: &hands };
            match reader.read(&ranges) {
                Ok(()) | Err(Stop::Gone) => {}
                Err(Stop::Failed(error)) => hands.fail(error),
            }
        });
        spawned.map_err(|error| Error::outside(format!("{name}: {error}")))?;
        Ok(Box::new(JdbcSource(handover)))
    }
}

fn ranges(table: &JdbcTable, connection: &Connection) -> Vec<(String, String)> {
    let Some(partitions) = &table.partitions else {
        return vec![(table.remote.clone(), String::new())];
    };
    let at = table.table.schema.index_of(&partitions.column).unwrap_or_default();
    let column = &connection.columns[at].name;
    let range = |(first, last): &(i64, i64)| {
        let condition = format!("WHERE {column} BETWEEN {first} AND {last}");
        (format!("{}/{first}..{last}", table.remote), condition)
    };
    partitions.ranges.iter().map(range).collect()
}

enum Stop {
    Gone,
    Failed(Error),
}

impl From<Gone> for Stop {
    fn from(_: Gone) -> Self {
        Self::Gone
    }
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

struct Reader<'a> {
    table: Arc<JdbcTable>,
    runtime: Runtime,
    rows_max: usize,
    hands: &'a Hands,
}

impl Reader<'_> {
    fn read(&mut self, ranges: &[Range]) -> Result<(), Stop> {
        let mut connection = self.runtime.block_on(self.table.connect())?;
        for (index, range) in ranges.iter().enumerate() {
            self.read_range(&mut connection, index, range)?;
            let split = Arc::clone(&range.split);
            self.hands.give(SourceEvent::Finished { split }, None)?;
        }
        Ok(self.hands.give(SourceEvent::End, None)?)
    }

    /// Through a cursor, so that neither end holds more than one fetch.
    fn read_range(
        &mut self,
        connection: &mut Connection,
        index: usize,
        range: &Range,
    ) -> Result<(), Stop> {
        let failed = |error| self.table.failed(&error);
        let query = query(&self.table, connection, range);
        let transaction = self.runtime.block_on(connection.client.transaction()).map_err(failed)?;
        let declare = format!("DECLARE nowcast NO SCROLL CURSOR FOR {query}");
        self.runtime.block_on(transaction.batch_execute(&declare)).map_err(failed)?;
        let fields: Vec<FieldRef> = self.table.table.schema.fields().iter().cloned().collect();
        let mut decoder = JsonDecoder::new(&fields, &json_options())?;
        let count = self.table.fetch_rows.unwrap_or(self.rows_max).min(self.rows_max);
        let fetch = format!("FETCH {count} FROM nowcast");
        let mut position = range.start;
        loop {
            let fetched = self.runtime.block_on(transaction.query(&fetch, &[])).map_err(failed)?;
            if fetched.is_empty() {
                return Ok(());
            }
            let mut rejected = vec![];
            for row in &fetched {
                let text: &str = row.get(0);
                if let Err(error) = decoder.decode(text.as_bytes()) {
                    rejected.push(DeadLetter {
                        stage: self.table.table.name.clone(),
                        topic: Some(range.split.to_string()),
                        offset: Some(position),
                        error,
                        raw: text.as_bytes().to_vec(),
                        ..DeadLetter::default()
                    });
                }
                position += 1;
            }
            let schema = Arc::clone(&self.table.table.schema);
            let (columns, weights) = decoder.rows().finish()?;
            let rows = RecordBatch::try_new(schema, columns).map_err(Error::from)?;
            let split = Arc::clone(&range.split);
            let event = SourceEvent::Rows { split, rows, weights, rejected };
            self.hands.give(event, Some((index, position)))?;
        }
    }
}

/// Each row as one JSON object of our columns.
fn query(table: &JdbcTable, connection: &Connection, range: &Range) -> String {
    let order: Vec<&str> = match table.table.primary_key.as_slice() {
        [] => connection.columns.iter().map(|column| column.name.as_str()).collect(),
        key => key.iter().map(|at| connection.columns[*at].name.as_str()).collect(),
    };
    format!(
        "SELECT row_to_json(q)::text FROM (SELECT {} FROM {} {} ORDER BY {} OFFSET {}) AS q",
        selected(table, connection),
        connection.remote,
        range.condition,
        order.join(", "),
        range.start,
    )
}

/// The columns as [`json_options`] reads them from JSON.
pub(super) fn selected(table: &JdbcTable, connection: &Connection) -> String {
    let fields = table.table.schema.fields().iter().zip(&connection.columns);
    let columns: Vec<String> = fields
        .map(|(field, column)| format!("{} AS {}", value(field, column), quoted(field.name())))
        .collect();
    columns.join(", ")
}

pub(super) fn json_options() -> JsonOptions {
    JsonOptions { timestamps: TimestampStandard::Iso8601, ..Default::default() }
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A column as JSON has to hold it to be read as our type.
fn value(field: &FieldRef, column: &RemoteColumn) -> String {
    let name = &column.name;
    match (field.data_type(), column.ty.as_str()) {
        (DataType::Binary, "bytea") => format!("translate(encode({name}, 'base64'), E'\\n', '')"),
        (DataType::Timestamp(_, zone), ty) if ty.starts_with("timestamp") => {
            let utc = match ty {
                "timestamp with time zone" => format!("({name} AT TIME ZONE 'UTC')"),
                _ => name.clone(),
            };
            let end = if zone.is_some() { "\"Z\"" } else { "" };
            format!("to_char({utc}, 'YYYY-MM-DD\"T\"HH24:MI:SS.US{end}')")
        }
        (DataType::Utf8, _) => format!("{name}::text"),
        _ => name.clone(),
    }
}

struct JdbcSource(Handover);

#[async_trait]
impl Source for JdbcSource {
    fn splits(&self) -> Vec<Arc<str>> {
        self.0.splits()
    }

    async fn next(&mut self) -> Result<SourceEvent> {
        self.0.next().await
    }

    fn positions(&self) -> Vec<Position> {
        self.0.positions()
    }
}
