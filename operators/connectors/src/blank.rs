//! Columns that nobody reads, and that rows have all the same.

use arrow::array::ArrayRef;
use arrow::datatypes::FieldRef;
use nowcast_engine::Result;

use crate::format::Column;

/// A column of blanks: NULLs, and zeros where it is NOT NULL. They are made once and cut to the rows
/// of each batch.
pub struct Blanks {
    field: FieldRef,
    made: ArrayRef,
}

impl Blanks {
    /// # Errors
    /// For a type that no format carries.
    pub fn new(field: &FieldRef) -> Result<Self> {
        Ok(Self { field: field.clone(), made: blanks(field, 0)? })
    }

    pub fn rows(&mut self, rows: usize) -> Result<ArrayRef> {
        if self.made.len() < rows {
            self.made = blanks(&self.field, rows.next_power_of_two())?;
        }
        Ok(self.made.slice(0, rows))
    }
}

fn blanks(field: &FieldRef, rows: usize) -> Result<ArrayRef> {
    let mut column = Column::new(field)?;
    (0..rows).for_each(|_| column.push_blank());
    column.finish()
}
