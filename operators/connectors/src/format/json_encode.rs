//! Rows as JSON objects.

use arrow::array::{ArrayRef, Int64Array};
use arrow::datatypes::FieldRef;
use nowcast_engine::Result;

use super::cells::{Cells, json_name, write_object};
use super::json_decode::JsonOptions;
use super::{Encoded, Encoder};

/// One object a row, the fields in their order, nulls written unless
/// `json.encode.ignore-null-fields`.
pub struct JsonEncoder {
    /// As [`json_name`] makes them.
    names: Vec<Vec<u8>>,
    options: JsonOptions,
}

impl JsonEncoder {
    pub fn new(fields: &[FieldRef], options: &JsonOptions) -> Self {
        let names = fields.iter().map(|field| json_name(field.name())).collect();
        Self { names, options: options.clone() }
    }
}

impl Encoder for JsonEncoder {
    fn encode(&self, columns: &[ArrayRef], _: Option<&Int64Array>) -> Result<Encoded> {
        super::check_width(self.names.len(), columns)?;
        let fields = self.names.iter().zip(columns);
        let fields = fields.map(|(name, column)| Ok((name, Cells::new(column)?)));
        let fields = fields.collect::<Result<Vec<_>>>()?;
        let rows = columns.first().map_or(0, |column| column.len());
        Ok(Encoded::of(rows, |row, out| write_object(&fields, row, &self.options, out)))
    }
}
