//! Before rows are written: nulls that a column does not take, and lengths.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{DataType, FieldRef};
use async_trait::async_trait;
use nowcast_engine::aside::{DeadLetter, rows_as_json};
use nowcast_engine::{
    Batch, ChangelogMode, Epoch, Error, JobRun, KeptRows, Millis, Result, Sink, SinkContext,
    SinkFactory, TableDefinition,
};

use super::sink_rules::Nulls;
use crate::functions::cast::{LENGTH, fit};

/// A sink of which nulls are kept away, and to which texts and bytes come in their declared length.
///
/// With [`Nulls::Refused`] an added row with a null is a dead letter; a row that is taken back was
/// one before.
pub struct Enforcing {
    sink: Arc<dyn SinkFactory>,
    rules: Arc<Rules>,
}

struct Rules {
    table: String,
    nulls: Nulls,
    /// Columns that take no null.
    not_null: Vec<(usize, String)>,
    /// Columns with a length.
    lengths: Vec<(usize, FieldRef)>,
}

/// The sink, where its table has such columns; `lengths` are the columns with a length.
pub fn enforcing(
    sink: Arc<dyn SinkFactory>,
    table: &TableDefinition,
    nulls: Nulls,
    lengths: Vec<(usize, FieldRef)>,
) -> Arc<dyn SinkFactory> {
    let fields = table.schema.fields().iter().enumerate();
    let not_null = fields.filter(|(_, field)| !field.is_nullable());
    let not_null: Vec<_> = not_null.map(|(at, field)| (at, field.name().clone())).collect();
    if not_null.is_empty() && lengths.is_empty() {
        return sink;
    }
    let rules = Rules { table: table.name.clone(), nulls, not_null, lengths };
    Arc::new(Enforcing { sink, rules: Arc::new(rules) })
}

impl Rules {
    /// The rows without those that have a null where none may be.
    fn without_nulls(
        &self,
        batch: &Batch,
        rejected: &mut Vec<DeadLetter>,
    ) -> Result<Option<Batch>> {
        let nulls = self.not_null.iter().map(|(at, _)| batch.column(*at).logical_nulls());
        let valid = nulls.fold(None, |all, own| NullBuffer::union(all.as_ref(), own.as_ref()));
        let Some(valid) = valid.filter(|valid| valid.null_count() > 0) else { return Ok(None) };
        if self.nulls == Nulls::Refused {
            for row in (0..batch.num_rows()).filter(|row| valid.is_null(*row)) {
                if batch.weights().is_none_or(|weights| weights.value(row) > 0) {
                    rejected.push(self.refused(batch, row));
                }
            }
        }
        batch.filter(&BooleanArray::new(valid.into_inner(), None)).map(Some)
    }

    fn refused(&self, batch: &Batch, row: usize) -> DeadLetter {
        let name = self.not_null.iter().find(|(at, _)| batch.column(*at).is_null(row));
        let name = name.map_or("", |(_, name)| name.as_str());
        let error = format!(
            "table \"{}\": column \"{name}\" is NOT NULL and the value is null",
            self.table
        );
        let raw = rows_as_json(&batch.rows().slice(row, 1)).pop().unwrap_or_default();
        DeadLetter { stage: self.table.clone(), error, raw, ..DeadLetter::default() }
    }

    /// The rows with values of the declared lengths.
    fn with_lengths(&self, batch: &Batch) -> Result<Option<Batch>> {
        let mut columns = batch.rows().columns().to_vec();
        let mut changed = false;
        for (at, field) in &self.lengths {
            if !fits(&columns[*at], field) {
                let fitted = fit(Arc::clone(&columns[*at]), field);
                columns[*at] = fitted.map_err(Error::bug)?;
                changed = true;
            }
        }
        if !changed {
            return Ok(None);
        }
        let rows = RecordBatch::try_new(batch.schema(), columns)?;
        Ok(Some(batch.clone().with_rows(rows)))
    }
}

/// Whether a look at the bytes shows that all values have a length that the column takes.
fn fits(column: &ArrayRef, field: &FieldRef) -> bool {
    let length = field.metadata().get(LENGTH).and_then(|text| text.parse().ok());
    let Some(length) = length else { return true };
    if field.metadata().len() > 1 {
        return false;
    }
    let short = |ends: &[i32]| ends.windows(2).all(|pair| pair[1] - pair[0] <= length);
    match column.data_type() {
        DataType::Utf8 => short(column.as_string::<i32>().value_offsets()),
        DataType::Binary => short(column.as_binary::<i32>().value_offsets()),
        _ => true,
    }
}

#[async_trait]
impl SinkFactory for Enforcing {
    fn changelog_mode(&self) -> ChangelogMode {
        self.sink.changelog_mode()
    }

    fn keeps_rows(&self) -> Option<KeptRows> {
        self.sink.keeps_rows()
    }

    fn as_written(&self, rows: Batch) -> Result<Batch> {
        let kept = self.rules.without_nulls(&rows, &mut vec![])?.unwrap_or(rows);
        let fitted = self.rules.with_lengths(&kept)?.unwrap_or(kept);
        self.sink.as_written(fitted)
    }

    async fn committed(&self, run: &JobRun) -> Result<Option<Epoch>> {
        self.sink.committed(run).await
    }

    async fn open(&self, context: SinkContext) -> Result<Box<dyn Sink>> {
        let sink = self.sink.open(context).await?;
        Ok(Box::new(EnforcingSink { sink, rules: Arc::clone(&self.rules) }))
    }
}

struct EnforcingSink {
    sink: Box<dyn Sink>,
    rules: Arc<Rules>,
}

#[async_trait]
impl Sink for EnforcingSink {
    async fn write(&mut self, batch: &Batch, rejected: &mut Vec<DeadLetter>) -> Result<()> {
        let kept = self.rules.without_nulls(batch, rejected)?;
        let batch = kept.as_ref().unwrap_or(batch);
        let fitted = self.rules.with_lengths(batch)?;
        self.sink.write(fitted.as_ref().unwrap_or(batch), rejected).await
    }

    async fn flush(&mut self) -> Result<()> {
        self.sink.flush().await
    }

    fn reached(&mut self, watermark: Millis) {
        self.sink.reached(watermark);
    }

    async fn prepare(&mut self, epoch: Epoch) -> Result<()> {
        self.sink.prepare(epoch).await
    }

    async fn commit(&mut self, epoch: Epoch) -> Result<()> {
        self.sink.commit(epoch).await
    }

    fn waits_for_commit(&self) -> bool {
        self.sink.waits_for_commit()
    }
}
