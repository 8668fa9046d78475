//! The `print` sink: each change as a line, as Flink prints it.

use std::sync::{Arc, PoisonError};

use async_trait::async_trait;
use nowcast_engine::{
    Batch, ChangelogMode, DeadLetter, Error, Result, Sink, SinkContext, SinkFactory,
    TableDefinition,
};

use crate::format::{Cells, JsonOptions};
use crate::options::Options;
use crate::registry::{Environment, Output};

pub fn sink(table: &TableDefinition, environment: &Environment) -> Result<Arc<dyn SinkFactory>> {
    let options = Options::new(table);
    let identifier = options.text("print-identifier").unwrap_or_default().to_owned();
    let out = match options.flag("standard-error", false)? {
        true => Arc::clone(&environment.err),
        false => Arc::clone(&environment.out),
    };
    options.finish()?;
    Ok(Arc::new(Print { name: table.name.clone(), identifier, out }))
}

struct Print {
    name: String,
    identifier: String,
    out: Output,
}

#[async_trait]
impl SinkFactory for Print {
    fn changelog_mode(&self) -> ChangelogMode {
        ChangelogMode::Retract
    }

    /// Lines are `identifier:worker> +I[1, a]`, without the worker where there is one alone.
    async fn open(&self, context: SinkContext) -> Result<Box<dyn Sink>> {
        let worker = (context.workers > 1).then(|| (context.worker + 1).to_string());
        let parts = [Some(self.identifier.clone()), worker].into_iter().flatten();
        let prefix = parts.filter(|part| !part.is_empty()).collect::<Vec<_>>().join(":");
        let prefix = if prefix.is_empty() { prefix } else { prefix + "> " };
        let (name, out) = (self.name.clone(), Arc::clone(&self.out));
        Ok(Box::new(PrintSink { name, prefix, out, lines: vec![] }))
    }
}

struct PrintSink {
    name: String,
    prefix: String,
    out: Output,
    lines: Vec<u8>,
}

#[async_trait]
impl Sink for PrintSink {
    async fn write(&mut self, batch: &Batch, _: &mut Vec<DeadLetter>) -> Result<()> {
        let columns = batch.rows().columns().iter().map(Cells::new).collect::<Result<Vec<_>>>()?;
        for row in 0..batch.num_rows() {
            let delete = batch.weights().is_some_and(|weights| weights.value(row) < 0);
            self.lines.extend_from_slice(self.prefix.as_bytes());
            self.lines.extend_from_slice(if delete { b"-D[" } else { b"+I[" });
            for (at, cells) in columns.iter().enumerate() {
                if at > 0 {
                    self.lines.extend_from_slice(b", ");
                }
                if cells.is_null(row) {
                    self.lines.extend_from_slice(b"null");
                }
                cells.write_text(row, &JsonOptions::default(), &mut self.lines);
            }
            self.lines.extend_from_slice(b"]\n");
        }
        self.flush().await
    }

    async fn flush(&mut self) -> Result<()> {
        let mut out = self.out.lock().unwrap_or_else(PoisonError::into_inner);
        let written = out.write_all(&self.lines).and_then(|()| out.flush());
        self.lines.clear();
        written.map_err(|error| Error::outside(format!("table \"{}\": {error}", self.name)))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
    use nowcast_engine::Connectors;

    use super::*;
    use crate::registry::Registry;

    #[tokio::test]
    async fn changes_are_printed_as_flink_prints_them() {
        let columns: [(&str, ArrayRef); 2] = [
            ("n", Arc::new(Int64Array::from(vec![Some(1), None]))),
            ("text", Arc::new(StringArray::from(vec!["a b", "c"]))),
        ];
        let rows = RecordBatch::try_from_iter(columns).unwrap();
        let options = [("connector", "print"), ("print-identifier", "out")];
        let table = TableDefinition {
            name: "shown".into(),
            schema: rows.schema(),
            metadata: vec![],
            primary_key: vec![],
            partition_keys: vec![],
            unread: vec![],
            unread_fields: vec![],
            options: options.into_iter().map(|(k, v)| (k.into(), v.into())).collect(),
        };
        let written = Arc::new(Mutex::new(vec![]));
        let environment = Environment { out: Arc::clone(&written) as _, ..Environment::default() };
        let factory = Registry::new(environment).sink(&table).unwrap();
        let batch = Batch::new(rows).with_weights(Some(vec![1, -1].into()));
        for workers in 1..3 {
            let context = SinkContext { workers, ..SinkContext::alone("test") };
            let mut sink = factory.open(context).await.unwrap();
            sink.write(&batch, &mut vec![]).await.unwrap();
        }
        let expected = "out> +I[1, a b]\nout> -D[null, c]\nout:1> +I[1, a b]\nout:1> -D[null, c]\n";
        assert_eq!(String::from_utf8(written.lock().unwrap().clone()).unwrap(), expected);
    }
}
