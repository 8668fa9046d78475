//! Changes of rows that wait to be written, the last of each key: one text for all of them.

use std::ops::Range;

use hashbrown::HashTable;
use nowcast_engine::{Error, Result};
use xxhash_rust::xxh3::xxh3_64;

use super::RedisTable;
use crate::format::{Cells, JsonOptions};
use crate::store::Write;

/// Bytes of text that wait for a flush, whatever the rows' size.
const TEXT_BYTES: usize = 8 << 20;

/// In the order in which keys came first.
#[derive(Default)]
pub struct Pending {
    /// Keys and cells behind each other, also those that a later change has replaced.
    text: Vec<u8>,
    changes: Vec<Change>,
    /// Where in the text the cells of puts are, column by column; `None`: NULL.
    cells: Vec<Option<Range<usize>>>,
    /// Where in `changes` a key is.
    by_key: HashTable<usize>,
}

struct Change {
    key: Range<usize>,
    /// Where in `cells` the first column is; `None`: the key is deleted.
    put: Option<usize>,
}

impl Pending {
    /// Takes a row, in place of an earlier one of its key, or that its key is deleted.
    ///
    /// # Errors
    /// What is wrong with the row; it is not taken then.
    pub fn push(
        &mut self,
        table: &RedisTable,
        columns: &[Cells<'_>],
        row: usize,
        delete: bool,
    ) -> Result<(), String> {
        let start = self.text.len();
        let of_key = table.table.primary_key.iter().map(|at| &columns[*at]);
        if let Err(error) = table.write_key(of_key, row, &mut self.text) {
            self.text.truncate(start);
            return Err(error);
        }
        let key = start..self.text.len();
        let put = (!delete).then_some(self.cells.len());
        if !delete {
            let options = JsonOptions::default();
            for column in columns {
                let start = self.text.len();
                column.write_text(row, &options, &mut self.text);
                self.cells.push((!column.is_null(row)).then_some(start..self.text.len()));
            }
        }
        self.replace(Change { key, put });
        Ok(())
    }

    fn replace(&mut self, change: Change) {
        let Self { text, changes, by_key, .. } = self;
        let hash = |change: &Change| xxh3_64(&text[change.key.clone()]);
        let of_change = hash(&change);
        let same = |at: &usize| text[changes[*at].key.clone()] == text[change.key.clone()];
        match by_key.find(of_change, same).copied() {
            Some(at) => changes[at] = change,
            None => {
                by_key.insert_unique(of_change, changes.len(), |at| hash(&changes[*at]));
                changes.push(change);
            }
        }
    }

    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    pub fn is_full(&self, rows_max: usize) -> bool {
        self.changes.len() >= rows_max || self.text.len() >= TEXT_BYTES
    }

    pub fn clear(&mut self) {
        self.text.clear();
        self.changes.clear();
        self.cells.clear();
        self.by_key.clear();
    }

    /// What is to be written into `table`, each key once.
    pub fn writes<'a>(&'a self, table: &'a RedisTable) -> Result<Vec<Write<'a>>> {
        let text = std::str::from_utf8(&self.text)
            .map_err(|error| Error::bug(format!("a cell as text: {error}")))?;
        let fields = table.table.schema.fields();
        let write = |change: &Change| {
            let key = &text[change.key.clone()];
            let Some(first) = change.put else { return Write::Delete { key } };
            let cells = &self.cells[first..first + fields.len()];
            let (mut set, mut remove) = (Vec::with_capacity(cells.len()), vec![]);
            let mut field_ttls = vec![];
            for ((field, ttl), cell) in fields.iter().zip(&table.column_ttls).zip(cells) {
                let name = field.name().as_str();
                let Some(cell) = cell else {
                    remove.push(name);
                    continue;
                };
                set.push((name, &text[cell.clone()]));
                field_ttls.extend(ttl.map(|ttl| (name, ttl)));
            }
            Write::Put { key, set, remove, ttl: table.ttl, field_ttls }
        };
        Ok(self.changes.iter().map(write).collect())
    }
}
