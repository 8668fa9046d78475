//! What the keys and the values of messages carry.

use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::FieldRef;
use nowcast_engine::{Batch, ChangelogMode, Error, Result, TableDefinition};

use crate::format::{Encoder, Format};
use crate::nearest::did_you_mean;
use crate::options::Options;

/// The key or the value of messages: its format and the table's columns that it carries.
pub struct Part {
    pub format: Format,
    pub columns: Vec<usize>,
    /// What the columns' names begin with and the fields' names do not.
    pub prefix: String,
}

/// What the messages of a topic are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TopicMode {
    /// Each a row, or changes if the format is a changelog (`kafka`).
    Log,
    /// Each the latest row of its key (`upsert-kafka`).
    Upsert,
}

/// The value's and the key's part of an `upsert-kafka` table: the key is the PRIMARY KEY.
pub fn upsert_parts(
    table: &TableDefinition,
    options: &Options<'_>,
) -> Result<(Part, Option<Part>)> {
    let refuse = |text: String| Error::user(format!("table \"{}\": {text}", table.name));
    if table.primary_key.is_empty() {
        return Err(refuse(
            "the upsert-kafka connector needs a PRIMARY KEY (…) NOT ENFORCED".into(),
        ));
    }
    let read = |key: &str, prefix: &str| {
        let format = Format::read(options, key, options.required(key)?, prefix)?;
        match format.changelog_mode() {
            ChangelogMode::Append => Ok(format),
            _ => Err(refuse(format!("\"{key}\" is a changelog already; upsert-kafka takes rows"))),
        }
    };
    let key = Part {
        format: read("key.format", "key.")?,
        columns: table.primary_key.clone(),
        prefix: options.text("key.fields-prefix").unwrap_or_default().to_owned(),
    };
    check_prefix(table, &key)?;
    let columns = value_columns(table, options, &key.columns)?;
    let value = Part { format: read("value.format", "value.")?, columns, prefix: String::new() };
    Ok((value, Some(key)))
}

/// The columns that the value carries.
fn value_columns(
    table: &TableDefinition,
    options: &Options<'_>,
    key: &[usize],
) -> Result<Vec<usize>> {
    let except = options.choice("value.fields-include", &[("ALL", false), ("EXCEPT_KEY", true)])?;
    Ok(physical(table).filter(|at| !(except && key.contains(at))).collect())
}

fn physical(table: &TableDefinition) -> impl Iterator<Item = usize> {
    let metadata = |at: &usize| table.metadata.iter().any(|metadata| metadata.column == *at);
    (0..table.schema.fields().len()).filter(move |at| !metadata(at))
}

fn check_prefix(table: &TableDefinition, key: &Part) -> Result<()> {
    let names = key.columns.iter().map(|at| table.schema.field(*at).name());
    match names.into_iter().find(|name| !name.starts_with(&key.prefix)) {
        None => Ok(()),
        Some(name) => Err(Error::user(format!(
            "table \"{}\": the key column \"{name}\" does not begin with \"{}\"",
            table.name, key.prefix
        ))),
    }
}

/// The value's and the key's part.
pub fn parts(table: &TableDefinition, options: &Options<'_>) -> Result<(Part, Option<Part>)> {
    let refuse = |text: String| Error::user(format!("table \"{}\": {text}", table.name));
    let physical: Vec<usize> = physical(table).collect();
    let value_format = match (options.text("format"), options.text("value.format")) {
        (Some(name), None) => Format::read(options, "format", name, "")?,
        (None, Some(name)) => Format::read(options, "value.format", name, "value.")?,
        (Some(_), Some(_)) => {
            return Err(refuse("\"format\" and \"value.format\" are the same option".into()));
        }
        (None, None) => return Err(refuse("option \"format\" is missing".into())),
    };
    let key_format = match options.text("key.format") {
        Some(name) => Some(Format::read(options, "key.format", name, "key.")?),
        None => None,
    };
    let prefix = options.text("key.fields-prefix").unwrap_or_default().to_owned();
    let key_columns = match options.list("key.fields") {
        Some(names) => {
            if key_format.is_none() {
                return Err(refuse("\"key.fields\" needs \"key.format\"".into()));
            }
            let mut columns = vec![];
            for name in names {
                let found = physical.iter().find(|at| table.schema.field(**at).name() == name);
                columns.push(*found.ok_or_else(|| {
                    let names = physical.iter().map(|at| table.schema.field(*at).name().as_str());
                    refuse(format!(
                        "\"key.fields\" names the unknown column \"{name}\"{}",
                        did_you_mean(name, names)
                    ))
                })?);
            }
            columns
        }
        None => table.primary_key.clone(),
    };
    let columns = value_columns(table, options, &key_columns)?;
    let key_format = key_format.unwrap_or_else(|| value_format.clone());
    let key = Part { format: key_format, columns: key_columns, prefix };
    check_prefix(table, &key)?;
    let key = (!key.columns.is_empty()).then_some(key);
    Ok((Part { format: value_format, columns, prefix: String::new() }, key))
}

/// The fields of a part, under the names they have in messages.
pub fn fields(table: &TableDefinition, part: &Part) -> Vec<FieldRef> {
    let field = |at: &usize| {
        let field = table.schema.field(*at).clone();
        let name = field.name().strip_prefix(&part.prefix).unwrap_or(field.name()).to_owned();
        Arc::new(field.with_name(name))
    };
    part.columns.iter().map(field).collect()
}

/// An encoder of a part.
pub fn encoder(table: &TableDefinition, part: &Part) -> Result<Box<dyn Encoder>> {
    let encoder = part.format.encoder(&fields(table, part));
    encoder.map_err(|error| error.context(format!("table \"{}\"", table.name)))
}

/// The table's `columns` among those of a batch to write, which may lack the VIRTUAL ones.
pub fn columns_of(table: &TableDefinition, batch: &Batch, columns: &[usize]) -> Vec<ArrayRef> {
    let all = batch.rows().num_columns() == table.schema.fields().len();
    let hidden = |before: usize| {
        let hidden = table.metadata.iter().filter(|metadata| metadata.is_virtual);
        hidden.filter(|metadata| metadata.column < before).count()
    };
    let place = |column: &usize| if all { *column } else { column - hidden(*column) };
    columns.iter().map(|column| batch.column(place(column)).clone()).collect()
}
