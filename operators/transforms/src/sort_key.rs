//! `ORDER BY`: rows as bytes that sort like them.

use arrow::array::{ArrayRef, RecordBatch};
use arrow::compute::SortOptions;
use arrow::datatypes::DataType;
use arrow::row::{RowConverter, Rows, SortField};
use nowcast_engine::Result;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SortKey {
    pub column: usize,
    pub descending: bool,
    pub nulls_first: bool,
}

/// Which of two rows that sort equal is first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ties {
    EarlierFirst,
    LaterFirst,
}

/// Sort keys over the columns of some rows. Without any, all rows sort equal.
pub(crate) struct Order {
    columns: Vec<usize>,
    converter: Option<RowConverter>,
}

/// What the rows of one batch sort by.
pub(crate) struct Sorted(Option<Rows>);

impl Sorted {
    pub fn row(&self, row: usize) -> &[u8] {
        self.0.as_ref().map_or(&[], |rows| rows.row(row).data())
    }
}

impl Order {
    pub fn new(keys: &[SortKey], types: &[DataType]) -> Result<Self> {
        let fields = keys.iter().map(|key| {
            let options = SortOptions { descending: key.descending, nulls_first: key.nulls_first };
            SortField::new_with_options(types[key.column].clone(), options)
        });
        let converter = match keys.is_empty() {
            true => None,
            false => Some(RowConverter::new(fields.collect())?),
        };
        Ok(Self { columns: keys.iter().map(|key| key.column).collect(), converter })
    }

    pub fn of_rows(&self, rows: &RecordBatch) -> Result<Sorted> {
        let columns: Vec<ArrayRef> =
            self.columns.iter().map(|column| rows.column(*column).clone()).collect();
        self.encode(&columns)
    }

    /// Of the sort columns alone, in their order.
    pub fn encode(&self, columns: &[ArrayRef]) -> Result<Sorted> {
        let rows = self.converter.as_ref().map(|converter| converter.convert_columns(columns));
        Ok(Sorted(rows.transpose()?))
    }

    /// The sort columns again.
    pub fn decode<'a>(&self, rows: impl Iterator<Item = &'a [u8]>) -> Result<Vec<ArrayRef>> {
        let Some(converter) = &self.converter else { return Ok(vec![]) };
        let parser = converter.parser();
        Ok(converter.convert_rows(rows.map(|row| parser.parse(row)))?)
    }

    /// How many columns are sorted by.
    pub fn len(&self) -> usize {
        self.columns.len()
    }
}
