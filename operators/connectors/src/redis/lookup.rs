//! The `redis` connector as a look-up: the hashes of keys as rows of the table.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::{DataType, FieldRef};
use async_trait::async_trait;
use nowcast_engine::{Error, Lookup, LookupOptions, Result, TableDefinition};
use tokio::sync::OnceCell;

use super::RedisTable;
use crate::format::{Cells, Format, JsonOptions};
use crate::registry::Environment;
use crate::store::{Fields, Store};

pub struct RedisLookup {
    table: RedisTable,
    /// For each column of the primary key, which of the asked columns it is.
    order: Vec<usize>,
    store: OnceCell<Arc<dyn Store>>,
}

/// Looks up by the whole primary key, in any order of its columns.
pub fn lookup(
    table: &TableDefinition,
    environment: &Environment,
    keys: &[usize],
) -> Result<Arc<dyn Lookup>> {
    let redis = RedisTable::read(table, environment)?;
    let order = table.primary_key.iter().map(|key| keys.iter().position(|asked| asked == key));
    let order =
        order.collect::<Option<Vec<usize>>>().filter(|_| keys.len() == table.primary_key.len());
    let order = order.ok_or_else(|| {
        let name = &table.name;
        let key = table.primary_key.iter().map(|key| table.schema.field(*key).name().as_str());
        let key = key.collect::<Vec<_>>().join(", ");
        Error::user(format!(
            "table \"{name}\": redis is looked up by the whole key, which is {key}"
        ))
    })?;
    Ok(Arc::new(RedisLookup { table: redis, order, store: OnceCell::new() }))
}

#[async_trait]
impl Lookup for RedisLookup {
    async fn lookup(&self, keys: Vec<ArrayRef>) -> Result<RecordBatch> {
        let table = &self.table.table;
        let names = {
            let cells = keys.iter().map(Cells::new).collect::<Result<Vec<_>>>()?;
            let rows = keys.first().map_or(0, |keys| keys.len());
            let of_key = || self.order.iter().map(|at| &cells[*at]);
            let names = (0..rows).map(|row| self.table.key(of_key(), row));
            names.collect::<Result<Vec<_>, _>>().map_err(Error::data)?
        };
        let store = self.store.get_or_try_init(|| self.table.store()).await?;
        let found = store.multi_get(&names).await?;
        let fields: Vec<FieldRef> = table.schema.fields().iter().cloned().collect();
        let mut decoder = Format::Json(JsonOptions::default()).decoder(&fields)?;
        for (key, found) in names.iter().zip(found) {
            let Some(found) = found else { continue };
            decoder.decode(as_json(&fields, &found).as_bytes()).map_err(|misfit| {
                Error::user(format!("table \"{}\": hash \"{key}\": {misfit}", table.name))
            })?;
        }
        let (columns, _) = decoder.rows().finish()?;
        Ok(RecordBatch::try_new(Arc::clone(&table.schema), columns)?)
    }

    fn options(&self) -> LookupOptions {
        self.table.lookup
    }
}

/// A hash as a JSON object: texts and times are strings, all else stands there as JSON.
fn as_json(fields: &[FieldRef], hash: &Fields) -> String {
    let mut pairs = vec![];
    for (name, value) in hash {
        let Some(field) = fields.iter().find(|field| field.name() == name) else { continue };
        let bare = field.data_type().is_numeric()
            || matches!(
                field.data_type(),
                DataType::Boolean | DataType::List(_) | DataType::Struct(_) | DataType::Map(..)
            );
        let value = if bare { value.clone() } else { serde_json::json!(value).to_string() };
        pairs.push(format!("{}:{value}", serde_json::json!(name)));
    }
    format!("{{{}}}", pairs.join(","))
}
