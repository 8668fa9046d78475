//! Partition columns, whose values stand in the names of folders (`day=2026-01-31/country=br`) and
//! not in the files, as Flink and Hive have it.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringArray, UInt32Array};
use arrow::compute::{CastOptions, cast, cast_with_options, take};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use nowcast_engine::keys::Keys;
use nowcast_engine::{Batch, Error, Result, TableDefinition};

use crate::blank::Blanks;
use crate::options::Options;

/// What stands for null and for an empty text.
const DEFAULT_NAME: &str = "__DEFAULT_PARTITION__";

#[derive(Clone)]
pub struct Partitions {
    /// Positions and fields of the partition columns, in the order of the folders.
    columns: Vec<usize>,
    fields: Vec<Arc<Field>>,
    /// Positions of the other columns, which the files hold.
    stored: Vec<usize>,
    default_name: String,
}

/// The partition of a file: its values, a column of one row for each partition column.
pub struct Values(Vec<ArrayRef>);

impl Partitions {
    pub fn read(table: &TableDefinition, options: &Options<'_>) -> Result<Self> {
        let name = &table.name;
        let columns = table.partition_keys.clone();
        let all = table.schema.fields();
        let stored: Vec<usize> = (0..all.len()).filter(|at| !columns.contains(at)).collect();
        if stored.is_empty() && !columns.is_empty() {
            let message = "all columns are in PARTITIONED BY, none is left for the files";
            return Err(Error::user(format!("table \"{name}\": {message}")));
        }
        let fields: Vec<_> = columns.iter().map(|at| Arc::clone(&all[*at])).collect();
        if let Some(field) = fields.iter().find(|field| !is_readable(field.data_type())) {
            return Err(unfit(name, field));
        }
        let default_name = options.text("partition.default-name").unwrap_or(DEFAULT_NAME);
        Ok(Self { columns, fields, stored, default_name: default_name.to_owned() })
    }

    /// How many folders lie within each other.
    pub fn depth(&self) -> usize {
        self.columns.len()
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.fields.iter().map(|field| field.name().as_str())
    }

    /// Positions of the columns that the files hold.
    pub fn stored(&self) -> &[usize] {
        &self.stored
    }

    /// The schema of the files.
    pub fn stored_schema(&self, table: &SchemaRef) -> SchemaRef {
        let fields: Vec<_> =
            self.stored.iter().map(|at| Arc::clone(&table.fields()[*at])).collect();
        Arc::new(Schema::new(fields))
    }

    /// # Errors
    /// For a column whose values Flink writes in a form of Java's that we do not have.
    pub fn check_writable(&self, table: &str) -> Result<()> {
        let floats = |field: &&Arc<Field>| field.data_type().is_floating();
        match self.fields.iter().find(floats) {
            Some(field) => Err(unfit(table, field)),
            None => Ok(()),
        }
    }

    /// The rows of a batch by their folder, in the order in which the folders come.
    pub fn split(&self, batch: &Batch) -> Result<Vec<(String, Batch)>> {
        let types: Vec<DataType> =
            self.fields.iter().map(|field| field.data_type().clone()).collect();
        let mut keys = Keys::new(&types)?;
        let slots = keys.intern(&batch.columns(&self.columns), batch.num_rows())?;
        let mut rows: Vec<Vec<u32>> = vec![vec![]; keys.slots_len()];
        for (row, slot) in slots.iter().enumerate() {
            rows[*slot as usize].push(row as u32);
        }
        let distinct: Vec<u32> = keys.slots().collect();
        let folders = self.folders(&keys.columns(&distinct)?, distinct.len())?;
        let mut split = vec![];
        for (slot, folder) in distinct.into_iter().zip(folders) {
            let rows = std::mem::take(&mut rows[slot as usize]);
            let part = match rows.len() == batch.num_rows() {
                true => batch.clone(),
                false => batch.take(&UInt32Array::from(rows))?,
            };
            split.push((folder, part));
        }
        Ok(split)
    }

    fn folders(&self, columns: &[ArrayRef], rows: usize) -> Result<Vec<String>> {
        let mut folders = vec![String::new(); rows];
        for (field, column) in self.fields.iter().zip(columns) {
            let texts = as_text(column)?;
            for (row, folder) in folders.iter_mut().enumerate() {
                if !folder.is_empty() {
                    folder.push('/');
                }
                escape(field.name(), folder);
                folder.push('=');
                match texts.is_valid(row) && !texts.value(row).is_empty() {
                    true => escape(texts.value(row), folder),
                    false => escape(&self.default_name, folder),
                }
            }
        }
        Ok(folders)
    }

    /// The values in a path by the names of their columns, as text; `None`: null.
    pub fn texts(&self, path: &Path) -> BTreeMap<String, Option<String>> {
        let folders = path.iter().filter_map(|part| part.to_str()?.split_once('='));
        let text = |value: &str| Some(unescape(value)).filter(|value| *value != self.default_name);
        folders.map(|(name, value)| (unescape(name), text(value))).collect()
    }

    /// The partition that a file lies in.
    pub fn of_file(&self, table: &str, path: &Path) -> Result<Values> {
        let found = self.texts(path.parent().unwrap_or(path));
        let column = |field: &Arc<Field>| {
            let refused = |what: &str| {
                let (path, name) = (path.display(), field.name());
                Error::user(format!(
                    "table \"{table}\": {path}: {what} partition column \"{name}\""
                ))
            };
            let text = found.get(field.name()).ok_or_else(|| refused("no folder names the"))?;
            of_text(text.as_deref(), field.data_type())
                .ok_or_else(|| refused("its folder has no value of the"))
        };
        Ok(Values(self.fields.iter().map(column).collect::<Result<_>>()?))
    }

    /// Rows of a file as rows of the table: `read` are the positions of their columns among those of
    /// the files, and `blanks` the others.
    pub fn complete(
        &self,
        table: &SchemaRef,
        rows: RecordBatch,
        read: &[usize],
        of: &Values,
        blanks: &mut [(usize, Blanks)],
    ) -> Result<RecordBatch> {
        if self.columns.is_empty() && blanks.is_empty() {
            return Ok(rows);
        }
        let repeated = UInt32Array::from(vec![0; rows.num_rows()]);
        let mut columns: Vec<Option<ArrayRef>> = vec![None; table.fields().len()];
        for (at, column) in read.iter().zip(rows.columns()) {
            columns[self.stored[*at]] = Some(Arc::clone(column));
        }
        for (at, blanks) in blanks {
            columns[*at] = Some(blanks.rows(rows.num_rows())?);
        }
        for (at, value) in self.columns.iter().zip(&of.0) {
            columns[*at] = Some(take(value, &repeated, None)?);
        }
        let columns = columns.into_iter().flatten().collect();
        Ok(RecordBatch::try_new(Arc::clone(table), columns)?)
    }
}

fn unfit(table: &str, field: &Field) -> Error {
    let name = field.name();
    Error::user(format!(
        "table \"{table}\": column \"{name}\" cannot be in PARTITIONED BY; a STRING, whole number, \
         DECIMAL, BOOLEAN, DATE or TIMESTAMP can"
    ))
}

fn is_readable(ty: &DataType) -> bool {
    matches!(
        ty,
        DataType::Utf8
            | DataType::Boolean
            | DataType::Date32
            | DataType::Timestamp(..)
            | DataType::Decimal128(..)
    ) || ty.is_integer()
        || ty.is_floating()
}

/// Values as Flink writes them: days since 1970 for a DATE, `2026-01-31T12:30` for a TIMESTAMP.
fn as_text(column: &ArrayRef) -> Result<StringArray> {
    let texts = match column.data_type() {
        DataType::Date32 => cast(&cast(column, &DataType::Int32)?, &DataType::Utf8)?,
        DataType::Timestamp(unit, _) => {
            let local = cast(column, &DataType::Timestamp(*unit, None))?;
            let texts = cast(&local, &DataType::Utf8)?;
            let whole = "2026-01-31T12:30:00".len();
            let short = |text: &str| match text.strip_suffix(":00") {
                Some(short) if text.len() == whole => short.to_owned(),
                _ => text.to_owned(),
            };
            let texts = texts.as_string::<i32>().iter().map(|text| text.map(short));
            return Ok(texts.collect());
        }
        _ => cast(column, &DataType::Utf8)?,
    };
    Ok(texts.as_string::<i32>().clone())
}

/// A text as a value of one row; `None` where it is none of the type.
fn of_text(text: Option<&str>, ty: &DataType) -> Option<ArrayRef> {
    let options = CastOptions { safe: false, ..CastOptions::default() };
    let minute = "2026-01-31T12:30".len();
    let text = match text {
        Some(text) if matches!(ty, DataType::Timestamp(..)) && text.len() == minute => {
            Some(format!("{text}:00"))
        }
        text => text.map(str::to_owned),
    };
    let texts: ArrayRef = Arc::new(StringArray::from(vec![text]));
    // A DATE may also be written as we write it.
    if *ty == DataType::Date32
        && let Ok(days) = cast_with_options(&texts, &DataType::Int32, &options)
    {
        return cast(&days, ty).ok();
    }
    cast_with_options(&texts, ty, &options).ok()
}

/// As Hive: what a path or its `=` would mean otherwise is `%` and two digits.
fn escape(text: &str, path: &mut String) {
    for letter in text.chars() {
        let escaped = letter.is_ascii_control()
            || matches!(letter, '"' | '#' | '%' | '\'' | '*' | '/' | ':' | '=' | '?' | '\\')
            || matches!(letter, '{' | '}' | '[' | ']' | '^');
        match escaped {
            true => path.push_str(&format!("%{:02X}", letter as u32)),
            false => path.push(letter),
        }
    }
}

fn unescape(text: &str) -> String {
    let mut bytes = vec![];
    let mut rest = text.as_bytes();
    while let [byte, after @ ..] = rest {
        let code = match byte {
            b'%' => after.get(..2).and_then(|code| std::str::from_utf8(code).ok()),
            _ => None,
        };
        match code.and_then(|code| u8::from_str_radix(code, 16).ok()) {
            Some(code) => {
                bytes.push(code);
                rest = &after[2..];
            }
            None => {
                bytes.push(*byte);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use arrow::array::{Date32Array, TimestampMillisecondArray};

    use super::*;

    #[test]
    fn names_of_folders_are_flinks() {
        let mut made = String::new();
        escape("a/b=c%d:e\"f'g{h}i[j]k^l#m*n?o\\p,q&r+s~ü", &mut made);
        assert_eq!(made, "a%2Fb%3Dc%25d%3Ae%22f%27g%7Bh%7Di%5Bj%5Dk%5El%23m%2An%3Fo%5Cp,q&r+s~ü");
        assert_eq!(unescape(&made), "a/b=c%d:e\"f'g{h}i[j]k^l#m*n?o\\p,q&r+s~ü");
        assert_eq!(unescape("50%"), "50%");
    }

    #[test]
    fn values_survive_the_name_of_a_folder() {
        let times = TimestampMillisecondArray::from(vec![0, 1_000, 5_678, -60_000]);
        let columns: [(ArrayRef, &[&str]); 2] = [
            (Arc::new(Date32Array::from(vec![20_455, -1])), &["20455", "-1"]),
            (
                Arc::new(times),
                &[
                    "1970-01-01T00:00",
                    "1970-01-01T00:00:01",
                    "1970-01-01T00:00:05.678",
                    "1969-12-31T23:59",
                ],
            ),
        ];
        for (column, expected) in columns {
            let texts = as_text(&column).unwrap();
            assert_eq!(texts.iter().flatten().collect::<Vec<_>>(), expected);
            for (row, text) in texts.iter().enumerate() {
                let read = of_text(text, column.data_type()).unwrap();
                assert_eq!(read.as_ref(), column.slice(row, 1).as_ref(), "{text:?}");
            }
        }
        assert!(of_text(Some("2026-01-31"), &DataType::Date32).is_some());
        assert!(of_text(Some("x"), &DataType::Int32).is_none());
        assert_eq!(of_text(None, &DataType::Int32).unwrap().null_count(), 1);
    }
}
