//! `CREATE TABLE` into the catalog.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion_common::DFSchema;
use datafusion_expr::{Expr, ExprSchemable};
use nowcast_engine::{MetadataColumn, TableDefinition};
use sqlparser::ast::{self, Ident};

use crate::catalog::{Catalog, Relation, Role, Table};
use crate::context::Context;
use crate::error::{SqlError, SqlResult, nearest};
use crate::functions::clock::is_proctime;
use crate::parse::ast::{
    Column, ColumnKind, CreateTable, LikeAction, LikeOption, TableOption, Watermark,
};
use crate::parse::rewrite::{Clocks, rewrite_expressions};
use crate::translate::Extent;
use crate::types::{nullable, sql_name, to_arrow};

pub fn create_table(
    mut declared: CreateTable,
    catalog: &Catalog,
    context: &Context,
    extent: &Extent,
) -> SqlResult<Table> {
    if let Some(like) = declared.like.take() {
        let base = match catalog.relations.get(&like.table.value) {
            Some(Relation::Table(table)) => &table.declared,
            Some(Relation::View(_)) => {
                let message = format!("`{}` is a view", like.table.value);
                return Err(
                    SqlError::new(like.table.span.start, message).hint("LIKE takes a table")
                );
            }
            None => {
                let error = catalog.unknown_table(&like.table.value);
                return Err(error.or_at(like.table.span.start));
            }
        };
        merge(&mut declared, base, &like.options);
    }
    let mut names = HashSet::new();
    for column in &declared.columns {
        if !names.insert(&column.name.value) {
            let message = format!("there are two columns `{}`", column.name.value);
            return Err(SqlError::new(column.name.span.start, message));
        }
    }
    let definition = definition(&declared)?;
    let made = columns(&declared, &definition, context, extent)?;
    let mut roles = made.roles;
    let watermark = match &declared.watermark {
        Some(watermark) => Some(event_time(watermark, &made.schema, context, extent)?),
        None => None,
    };
    if let Some((column, _)) = &watermark {
        roles[*column] = Role::EventTime;
    }
    Ok(Table {
        definition,
        schema: made.schema,
        roles,
        computed: made.computed,
        watermark,
        declared,
    })
}

/// What connectors see: physical and metadata columns, the key and the options.
fn definition(declared: &CreateTable) -> SqlResult<TableDefinition> {
    let mut fields = vec![];
    let mut metadata = vec![];
    for column in &declared.columns {
        let at = column.name.span.start;
        let name = &column.name.value;
        match &column.kind {
            ColumnKind::Computed(_) => {}
            ColumnKind::Physical { ty, not_null } => {
                let key = declared.primary_key.iter().any(|key| key.value == *name);
                let arrow = to_arrow(ty).map_err(|error| error.or_at(at))?;
                fields.push(Field::new(name, arrow, !not_null && !key && nullable(ty)));
            }
            ColumnKind::Metadata { ty, from, is_virtual } => {
                let key = from.clone().unwrap_or_else(|| name.clone());
                metadata.push(MetadataColumn {
                    column: fields.len(),
                    key,
                    is_virtual: *is_virtual,
                });
                let arrow = to_arrow(ty).map_err(|error| error.or_at(at))?;
                fields.push(Field::new(name, arrow, true));
            }
        }
    }
    let positions = |clause: &str, keys: &[Ident]| {
        let position = |key: &Ident| {
            let found = fields.iter().position(|field| field.name() == &key.value);
            found.ok_or_else(|| unknown(key, clause, fields.iter().map(|f| f.name().as_str())))
        };
        keys.iter().map(position).collect::<SqlResult<Vec<usize>>>()
    };
    let primary_key = positions("PRIMARY KEY", &declared.primary_key)?;
    let partition_keys = positions("PARTITIONED BY", &declared.partitioned_by)?;
    Ok(TableDefinition {
        name: declared.name.value.clone(),
        schema: Arc::new(Schema::new(fields)),
        metadata,
        primary_key,
        partition_keys,
        unread: vec![],
        unread_fields: vec![],
        options: options(&declared.options)?,
    })
}

fn options(declared: &[TableOption]) -> SqlResult<BTreeMap<String, String>> {
    let mut options = BTreeMap::new();
    for option in declared {
        if options.insert(option.key.clone(), option.value.clone()).is_some() {
            let message = format!("option '{}' is given twice", option.key);
            return Err(SqlError::new(option.at, message));
        }
    }
    Ok(options)
}

struct Columns {
    schema: SchemaRef,
    roles: Vec<Role>,
    computed: Option<Vec<Expr>>,
}

/// All columns as queries see them, and what makes the computed ones.
fn columns(
    declared: &CreateTable,
    definition: &TableDefinition,
    context: &Context,
    extent: &Extent,
) -> SqlResult<Columns> {
    let stored = with_names(definition.schema.as_ref().clone(), extent)?;
    let mut fields = vec![];
    let mut roles = vec![];
    let mut exprs = vec![];
    for column in &declared.columns {
        let name = &column.name.value;
        let ColumnKind::Computed(expr) = &column.kind else {
            let expr = column_named(name);
            let ty = expr.get_type(&stored).map_err(|error| extent.translate(error))?;
            fields.push(Field::new(name, ty, true));
            roles.push(Role::Plain);
            exprs.push(expr);
            continue;
        };
        let mut expr = expr.clone();
        rewrite_expressions(&mut expr, Clocks::Read)?;
        let expr = context.expression(expr, &stored).map_err(|error| extent.translate(error))?;
        let ty = expr.get_type(&stored).map_err(|error| extent.translate(error))?;
        fields.push(Field::new(name, ty, true));
        roles.push(match is_proctime(&expr) {
            true => Role::ProcessingTime,
            false => Role::Plain,
        });
        exprs.push(expr);
    }
    let computed = declared.columns.iter().any(|c| matches!(c.kind, ColumnKind::Computed(_)));
    Ok(Columns {
        schema: Arc::new(Schema::new(fields)),
        roles,
        computed: computed.then_some(exprs),
    })
}

fn column_named(name: &str) -> Expr {
    Expr::Column(datafusion_common::Column::new_unqualified(name))
}

fn with_names(schema: Schema, extent: &Extent) -> SqlResult<Arc<DFSchema>> {
    DFSchema::try_from(schema).map(Arc::new).map_err(|error| extent.translate(error))
}

/// The event-time column and its bound.
fn event_time(
    watermark: &Watermark,
    schema: &SchemaRef,
    context: &Context,
    extent: &Extent,
) -> SqlResult<(usize, Expr)> {
    let column = &watermark.column;
    let names = schema.fields().iter().map(|field| field.name().as_str());
    let position =
        schema.index_of(&column.value).map_err(|_| unknown(column, "WATERMARK FOR", names))?;
    let ty = schema.field(position).data_type();
    if !matches!(ty, DataType::Timestamp(..)) {
        let message = format!("WATERMARK FOR `{}`, which is {}", column.value, sql_name(ty));
        return Err(SqlError::new(column.span.start, message)
            .hint("an event time is TIMESTAMP(3) or TIMESTAMP_LTZ(3): add a computed column"));
    }
    let mut bound = watermark.bound.clone();
    if let ast::Expr::Function(function) = &bound
        && function.name.to_string().eq_ignore_ascii_case("SOURCE_WATERMARK")
    {
        let message = "SOURCE_WATERMARK() is for connectors that give watermarks themselves";
        return Err(SqlError::new(column.span.start, message)
            .hint(format!("none does here: such as {} - INTERVAL '5' SECOND", column.value)));
    }
    rewrite_expressions(&mut bound, Clocks::Refused)?;
    let columns = with_names(schema.as_ref().clone(), extent)?;
    let bound = context.expression(bound, &columns).map_err(|error| extent.translate(error))?;
    let bound_type = bound.get_type(&columns).map_err(|error| extent.translate(error))?;
    if !matches!(bound_type, DataType::Timestamp(..)) {
        let message = format!("the watermark of `{}` is {}", column.value, sql_name(&bound_type));
        return Err(SqlError::new(column.span.start, message)
            .hint(format!("such as {} - INTERVAL '5' SECOND", column.value)));
    }
    Ok((position, bound))
}

fn unknown<'a>(name: &Ident, clause: &str, known: impl Iterator<Item = &'a str>) -> SqlError {
    let message = format!("{clause} names the unknown column `{}`", name.value);
    let error = SqlError::new(name.span.start, message);
    match nearest(&name.value, known) {
        Some(near) => error.hint(format!("did you mean `{near}`?")),
        None => error,
    }
}

/// Adds what `LIKE` takes over. What the table says itself wins.
fn merge(table: &mut CreateTable, base: &CreateTable, options: &[LikeOption]) {
    let takes = |feature: &str| {
        let said = |name: &str| {
            options
                .iter()
                .rev()
                .find(|o| o.feature == name)
                .map(|o| o.action != LikeAction::Excluding)
        };
        said(feature).or_else(|| said("ALL")).unwrap_or(true)
    };
    let own = std::mem::take(&mut table.columns);
    let inherited = base.columns.iter().filter(|column| {
        let taken = match column.kind {
            ColumnKind::Physical { .. } => true,
            ColumnKind::Metadata { .. } => takes("METADATA"),
            ColumnKind::Computed(_) => takes("GENERATED"),
        };
        taken && !own.iter().any(|own: &Column| own.name.value == column.name.value)
    });
    table.columns = inherited.cloned().chain(own.iter().cloned()).collect();
    if table.watermark.is_none() && takes("WATERMARKS") {
        table.watermark = base.watermark.clone();
    }
    if table.primary_key.is_empty() && takes("CONSTRAINTS") {
        table.primary_key = base.primary_key.clone();
    }
    if table.partitioned_by.is_empty() && takes("PARTITIONS") {
        table.partitioned_by = base.partitioned_by.clone();
    }
    if takes("OPTIONS") {
        let own: HashSet<_> = table.options.iter().map(|option| option.key.clone()).collect();
        let inherited = base.options.iter().filter(|option| !own.contains(&option.key));
        table.options.extend(inherited.cloned().collect::<Vec<_>>());
    }
}
