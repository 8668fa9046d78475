//! Which columns of its table a source has to read.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, new_null_array};
use arrow::datatypes::{DataType, Schema};
use datafusion_expr::Expr;
use nowcast_engine::{Evaluate, Result};

use crate::catalog::Table;

/// Columns as queries see them that are read: those that the scans ask for, and those of the
/// watermark. The positions of columns do not depend on it.
#[derive(Clone)]
pub struct Reads {
    table: Arc<Table>,
    columns: BTreeSet<usize>,
}

impl Reads {
    /// Those of the watermark.
    pub fn new(table: &Arc<Table>) -> Self {
        let mut columns = BTreeSet::new();
        if let Some((column, bound)) = &table.watermark {
            columns.insert(*column);
            columns.extend(positions(bound, &table.schema));
        }
        Self { table: Arc::clone(table), columns }
    }

    pub fn table(&self) -> &Arc<Table> {
        &self.table
    }

    /// Adds what a scan asks for; whether something of it is new.
    pub fn add(&mut self, kept: Option<&[usize]>) -> bool {
        let before = self.columns.len();
        match kept {
            Some(kept) => self.columns.extend(kept),
            None => self.columns.extend(0..self.table.schema.fields().len()),
        }
        self.columns.len() > before
    }

    pub fn has(&self, column: usize) -> bool {
        self.columns.contains(&column)
    }

    /// The columns that the connector need not read, by their positions in the definition: neither
    /// read themselves nor by a computed column that is.
    pub fn unread(&self) -> Vec<usize> {
        let stored = &self.table.definition.schema;
        let read: BTreeSet<usize> = match &self.table.computed {
            None => self.columns.clone(),
            Some(exprs) => {
                self.columns.iter().flat_map(|column| positions(&exprs[*column], stored)).collect()
            }
        };
        (0..stored.fields().len()).filter(|column| !read.contains(column)).collect()
    }

    /// The names of the columns that are read, for people; `None` where all are.
    pub fn names(&self) -> Option<String> {
        let all = self.table.schema.fields();
        let names: Vec<&str> = self.columns.iter().map(|at| all[*at].name().as_str()).collect();
        match names.len() {
            0 => Some("no column".to_owned()),
            read if read == all.len() => None,
            _ => Some(names.join(", ")),
        }
    }
}

fn positions(expr: &Expr, schema: &Schema) -> Vec<usize> {
    expr.column_refs().iter().filter_map(|column| schema.index_of(&column.name).ok()).collect()
}

/// A computed column that nobody reads.
pub struct Unread(pub DataType);

impl Evaluate for Unread {
    fn evaluate(&self, rows: &RecordBatch) -> Result<ArrayRef> {
        Ok(new_null_array(&self.0, rows.num_rows()))
    }
}
