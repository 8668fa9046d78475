//! The rows that a decoder has made so far.

use arrow::array::{ArrayRef, Int64Array};
use arrow::datatypes::FieldRef;
use nowcast_engine::{Error, Result};

use super::column::{Column, Misfit};
use super::values::within;

/// Columns in the order of the fields, and the weights of changes.
pub struct DecodedRows {
    pub(super) columns: Vec<Column>,
    /// Complete rows: a column may be one ahead while a message is being decoded.
    pub(super) len: usize,
    /// As many as rows where the format is a changelog, else none.
    weights: Vec<i64>,
    /// Why decoding cannot go on: nothing may be handed over any more.
    fault: Option<Error>,
}

impl DecodedRows {
    /// # Errors
    /// For a field of a type that no format carries.
    pub fn new(fields: &[FieldRef]) -> Result<Self> {
        Self::without(fields, &[])
    }

    /// Rows in which the fields `unread`, by names from outside to inside, are blanks.
    ///
    /// # Errors
    /// As [`DecodedRows::new`].
    pub(super) fn without(fields: &[FieldRef], unread: &[Vec<String>]) -> Result<Self> {
        let unread: Vec<&[String]> = unread.iter().map(Vec::as_slice).collect();
        let column = |field: &FieldRef| Column::without(field, &within(&unread, field.name()));
        let columns = fields.iter().map(column).collect::<Result<_>>()?;
        Ok(Self { columns, len: 0, weights: vec![], fault: None })
    }

    pub fn num_rows(&self) -> usize {
        self.len
    }

    /// Makes room for a batch as large as the last.
    pub(super) fn reserve(&mut self) {
        self.columns.iter_mut().for_each(Column::reserve);
    }

    /// Ends decoding: no message is at fault, but what is needed to read it is not there. The next
    /// [`DecodedRows::finish`] fails, so that the messages are read again later.
    pub(super) fn fail(&mut self, error: Error) {
        self.fault.get_or_insert(error);
    }

    /// Gives the rows that have none yet their weight.
    pub(super) fn weigh(&mut self, weight: i64) {
        self.weights.resize(self.len, weight);
    }

    /// A row of nulls, for a message that is not there (a Kafka key).
    ///
    /// # Errors
    /// Where a column is NOT NULL; nothing has been appended then.
    pub fn push_nulls(&mut self) -> Result<(), Misfit> {
        for at in 0..self.columns.len() {
            if let Err(misfit) = self.columns[at].push_null() {
                let error = format!("field \"{}\": {misfit}", self.columns[at].name());
                self.truncate(self.len);
                return Err(error);
            }
        }
        self.len += 1;
        Ok(())
    }

    /// A row that nobody reads: NULLs, and zeros where a column is NOT NULL.
    pub fn push_blanks(&mut self) {
        self.columns.iter_mut().for_each(Column::push_blank);
        self.len += 1;
    }

    /// Forgets all rows from `rows` on.
    pub fn truncate(&mut self, rows: usize) {
        self.len = rows;
        self.weights.truncate(rows);
        self.columns.iter_mut().for_each(|column| column.truncate(rows));
    }

    /// What was decoded, with the weight of each row where the format is a changelog; nothing is
    /// left.
    ///
    /// # Errors
    /// Where what decoding needs could not be reached.
    pub fn finish(&mut self) -> Result<(Vec<ArrayRef>, Option<Int64Array>)> {
        if let Some(error) = self.fault.take() {
            return Err(error);
        }
        let weights = std::mem::take(&mut self.weights);
        let weights = (!weights.is_empty()).then(|| Int64Array::from(weights));
        self.len = 0;
        let columns = self.columns.iter_mut().map(Column::finish).collect::<Result<_>>()?;
        Ok((columns, weights))
    }
}
