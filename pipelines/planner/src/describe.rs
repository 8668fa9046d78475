//! SHOW and DESCRIBE: what the catalog holds, as text.

use arrow::datatypes::SchemaRef;
use datafusion_expr::TableSource;

use crate::catalog::{Catalog, Relation};
use crate::error::SqlResult;
use crate::functions;
use crate::parse::ast::ShowKind;
use crate::text_table::text_table;
use crate::types::sql_name;

/// The names of all things of a kind, a line each.
pub fn show(catalog: &Catalog, kind: ShowKind) -> String {
    let relations = || catalog.relations.iter();
    let names: Vec<String> = match kind {
        ShowKind::Tables => relations().map(|(name, _)| name.clone()).collect(),
        ShowKind::Views => relations()
            .filter(|(_, relation)| matches!(relation, Relation::View(_)))
            .map(|(name, _)| name.clone())
            .collect(),
        ShowKind::Models => catalog.models.keys().cloned().collect(),
        ShowKind::Functions => {
            let own = catalog.functions.keys().cloned();
            functions::table::names().into_iter().chain(own).collect()
        }
        ShowKind::UserFunctions => catalog.functions.keys().cloned().collect(),
    };
    names.join("\n")
}

/// The columns of a table or view.
pub fn describe(catalog: &Catalog, name: &str) -> SqlResult<String> {
    let head = ["name", "type", "null", "key", "watermark"].map(str::to_owned);
    let relation = catalog.relations.get(name).ok_or_else(|| catalog.unknown_table(name))?;
    let table = match relation {
        Relation::Table(table) => Some(table),
        Relation::View(_) => None,
    };
    let keys: Vec<&str> = table.map_or(vec![], |table| {
        table.declared.primary_key.iter().map(|column| column.value.as_str()).collect()
    });
    let rows: Vec<Vec<Option<String>>> = columns(relation)
        .fields()
        .iter()
        .enumerate()
        .map(|(at, field)| {
            let key = keys.contains(&field.name().as_str()).then(|| "PRIMARY KEY".to_owned());
            let watermark = table
                .and_then(|table| table.watermark.as_ref())
                .filter(|(column, _)| *column == at)
                .map(|(_, bound)| bound.to_string());
            vec![
                Some(field.name().clone()),
                Some(sql_name(field.data_type())),
                Some(if field.is_nullable() { "yes" } else { "no" }.to_owned()),
                Some(key.unwrap_or_default()),
                Some(watermark.unwrap_or_default()),
            ]
        })
        .collect();
    Ok(text_table(&head, &rows))
}

pub fn columns(relation: &Relation) -> SchemaRef {
    match relation {
        Relation::Table(table) => table.schema.clone(),
        Relation::View(view) => view.schema(),
    }
}
