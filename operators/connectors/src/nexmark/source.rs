//! Hands Nexmark's events over, as fast as they are read or at their own rate.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use nowcast_engine::{Error, Result, Source, SourceContext, SourceFactory, TableDefinition};

use super::{Columns, Settings, schema};
use crate::numbered::{Numbered, splits};
use crate::options::Options;
use crate::registry::Environment;

/// A table of columns of [`schema`], any of them, in any order.
///
/// # Errors
/// For options or columns that Nexmark does not have.
pub fn source(table: &TableDefinition, _: &Environment) -> Result<Arc<dyn SourceFactory>> {
    if let Some(metadata) = table.metadata.first() {
        return Err(crate::registry::no_metadata(table, metadata, "nexmark"));
    }
    let options = Options::new(table);
    let settings = Settings::read(&options)?;
    let events = options.parsed::<u64>("events.num", "a number of events; 0: without end")?;
    let limited = options.flag("rate.limited", false)?;
    // One, unless asked for: the order of events is part of the benchmark.
    let splits = splits(&options)?;
    options.finish()?;
    let ours = schema();
    let mut places = vec![];
    for field in table.schema.fields() {
        let (table, name) = (&table.name, field.name());
        let at = ours.index_of(name).map_err(|_| {
            let names: Vec<_> = ours.fields().iter().map(|field| field.name().as_str()).collect();
            let names = names.join(", ");
            Error::user(format!(
                "table \"{table}\": nexmark has no column \"{name}\" (it has {names})"
            ))
        })?;
        let of = ours.field(at).data_type();
        if field.data_type() != of {
            let declared = field.data_type();
            return Err(Error::user(format!(
                "table \"{table}\": nexmark's column \"{name}\" is {of}, not {declared}"
            )));
        }
        places.push(at);
    }
    let schema = Arc::clone(&table.schema);
    let rows = Numbered {
        name: "nexmark",
        splits,
        rows: events.filter(|events| *events > 0),
        rows_per_s: limited.then_some(settings.events_per_s),
    };
    let columns = Columns::of(settings, table).into();
    Ok(Arc::new(Nexmark { schema, places: places.into(), columns, rows }))
}

struct Nexmark {
    schema: SchemaRef,
    /// Positions of the table's columns among Nexmark's.
    places: Arc<[usize]>,
    columns: Arc<Columns>,
    rows: Numbered,
}

#[async_trait]
impl SourceFactory for Nexmark {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn bounded(&self) -> bool {
        self.rows.rows.is_some()
    }

    async fn open(&self, context: SourceContext) -> Result<Box<dyn Source>> {
        let (schema, places) = (Arc::clone(&self.schema), Arc::clone(&self.places));
        let columns = Arc::clone(&self.columns);
        let make = move |numbers| {
            let rows = columns.rows(numbers)?.project(&places)?;
            Ok(RecordBatch::try_new(Arc::clone(&schema), rows.columns().to_vec())?)
        };
        self.rows.open(&context, Box::new(make))
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{Array, AsArray};
    use arrow::compute::concat_batches;
    use arrow::datatypes::{DataType, Field, Int32Type, Schema};
    use nowcast_engine::{Connectors, Position, SourceEvent};

    use super::*;
    use crate::registry::Registry;

    fn table(columns: &[usize], options: &[(&str, &str)]) -> TableDefinition {
        let given = options.iter().copied();
        let options = [("connector", "nexmark"), ("events.num", "500")].into_iter();
        TableDefinition {
            name: "events".into(),
            schema: Arc::new(schema().project(columns).unwrap()),
            metadata: vec![],
            primary_key: vec![],
            partition_keys: vec![],
            unread: vec![],
            unread_fields: vec![],
            options: options.chain(given).map(|(key, value)| (key.into(), value.into())).collect(),
        }
    }

    async fn drain(
        table: &TableDefinition,
        positions: &[Position],
    ) -> (RecordBatch, Vec<Position>) {
        let factory = Registry::new(Environment::default()).source(table).unwrap();
        assert!(factory.bounded());
        let positions = positions.to_vec();
        let context =
            SourceContext { worker: 0, workers: 2, positions, rows_max: 64, idle_timeout: None };
        let mut source = factory.open(context).await.unwrap();
        let (mut batches, mut middle) = (vec![], vec![]);
        loop {
            match source.next().await.unwrap() {
                SourceEvent::Rows { rows, .. } => batches.push(rows),
                SourceEvent::End => break,
                _ => {}
            }
            if batches.len() == 3 {
                middle = source.positions();
            }
        }
        (concat_batches(&table.schema, &batches).unwrap(), middle)
    }

    #[tokio::test]
    async fn the_same_events_come_from_any_position() {
        let table = table(&[3, 0, 1], &[]);
        let (all, middle) = drain(&table, &[]).await;
        assert_eq!(all.num_rows(), 500);
        let kinds = all.column(1).as_primitive::<Int32Type>();
        assert_eq!((kinds.value(0), kinds.value(1), kinds.value(4)), (0, 1, 2));
        assert!(all.column(0).is_null(0) && all.column(2).is_valid(0));
        let (rest, _) = drain(&table, &middle).await;
        let read = usize::try_from(middle[0].offset).unwrap();
        assert_eq!(rest, all.slice(read, 500 - read));
    }

    #[tokio::test]
    async fn what_nobody_reads_is_not_made_up() {
        let (all, _) = drain(&table(&[0, 1, 3], &[]), &[]).await;
        let mut some = table(&[0, 1, 3], &[]);
        some.unread = vec![1];
        let unread = ["auction", "channel", "url", "dateTime", "extra"];
        some.unread_fields = unread.map(|field| vec!["bid".into(), field.into()]).into();
        let (some, _) = drain(&some, &[]).await;
        assert_eq!(some.column(0), all.column(0));
        let (bids, of_all) = (some.column(2).as_struct(), all.column(2).as_struct());
        assert_eq!(bids.nulls(), of_all.nulls());
        for (field, values) in bids.fields().iter().zip(bids.columns()) {
            match unread.contains(&field.name().as_str()) {
                true => assert_eq!(values.null_count(), 500, "{field}"),
                false => assert_eq!(values, of_all.column_by_name(field.name()).unwrap()),
            }
        }
        for people in some.column(1).as_struct().columns() {
            assert_eq!(people.null_count(), 500);
        }
    }

    #[test]
    fn what_nexmark_does_not_have_is_named() {
        let refused = |table: &TableDefinition| {
            let registry = Registry::new(Environment::default());
            registry.source(table).err().unwrap().to_string()
        };
        let message = refused(&table(&[0], &[("event.num", "5")]));
        assert!(message.contains("did you mean \"events.num\"?"), "{message}");
        let message = refused(&table(&[0], &[("bid.hot-ratio.auctions", "0")]));
        assert!(message.contains("\"bid.hot-ratio.auctions\" is a whole number from 1"));
        let mut strange = table(&[0], &[]);
        strange.schema = Arc::new(Schema::new(vec![Field::new("bids", DataType::Int32, true)]));
        assert!(refused(&strange).contains("nexmark has no column \"bids\" (it has event_type,"));
        strange.schema =
            Arc::new(Schema::new(vec![Field::new("event_type", DataType::Int64, true)]));
        assert!(refused(&strange).contains("column \"event_type\" is Int32, not Int64"));
    }
}
