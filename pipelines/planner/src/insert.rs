//! `INSERT INTO`: the rows of a query as the columns of a table.

use arrow::datatypes::FieldRef;
use datafusion_common::ScalarValue;
use datafusion_expr::{Expr, LogicalPlan, LogicalPlanBuilder, cast};
use nowcast_engine::{MetadataColumn, TableDefinition};
use sqlparser::ast::Ident;

use crate::build::OF_WATERMARKS;
use crate::error::{SqlError, SqlResult, nearest};
use crate::functions::cast::LENGTH;
use crate::parse::ast::{ColumnKind, CreateTable};
use crate::translate::Extent;
use crate::types::{cast_target, converts_silently, sql_name};

/// The table with those columns alone that are written: not the virtual ones.
pub fn written(table: &TableDefinition) -> TableDefinition {
    let is_virtual = |column: usize| {
        table.metadata.iter().any(|metadata| metadata.column == column && metadata.is_virtual)
    };
    let kept: Vec<usize> =
        (0..table.schema.fields().len()).filter(|column| !is_virtual(*column)).collect();
    let moved = |column: usize| kept.iter().position(|kept| *kept == column);
    let fields: Vec<_> = kept.iter().map(|column| table.schema.fields()[*column].clone()).collect();
    let metadata = table.metadata.iter().filter_map(|metadata| {
        Some(MetadataColumn { column: moved(metadata.column)?, ..metadata.clone() })
    });
    TableDefinition {
        name: table.name.clone(),
        schema: std::sync::Arc::new(arrow::datatypes::Schema::new(fields)),
        metadata: metadata.collect(),
        primary_key: table.primary_key.iter().filter_map(|column| moved(*column)).collect(),
        partition_keys: table.partition_keys.iter().filter_map(|column| moved(*column)).collect(),
        unread: vec![],
        unread_fields: vec![],
        options: table
            .options
            .iter()
            .filter(|(key, _)| !key.starts_with(OF_WATERMARKS))
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect(),
    }
}

/// The columns of a table whose type has a length, each with the field that tells it.
pub fn lengths(
    table: &TableDefinition,
    declared: &CreateTable,
) -> SqlResult<Vec<(usize, FieldRef)>> {
    let mut found = vec![];
    for column in &declared.columns {
        let ty = match &column.kind {
            ColumnKind::Physical { ty, .. } | ColumnKind::Metadata { ty, .. } => ty,
            ColumnKind::Computed(_) => continue,
        };
        let at = table.schema.index_of(&column.name.value);
        let field = cast_target(ty).map_err(|error| error.or_at(column.name.span.start))?;
        if let (Ok(at), true) = (at, field.metadata().contains_key(LENGTH)) {
            found.push((at, FieldRef::new(field)));
        }
    }
    Ok(found)
}

/// The rows with the values of `PARTITION (…)` as columns behind them, and the list of the columns
/// they are then.
pub fn with_partition(
    table: &TableDefinition,
    rows: LogicalPlan,
    listed: Vec<Ident>,
    partition: &[(Ident, String)],
    target: &Ident,
    extent: &Extent,
) -> SqlResult<(LogicalPlan, Vec<Ident>)> {
    if partition.is_empty() {
        return Ok((rows, listed));
    }
    let fields = table.schema.fields();
    let mut columns: Vec<Expr> = rows.schema().iter().map(Expr::from).collect();
    let mut values = vec![];
    for (name, value) in partition {
        let field = table.partition_keys.iter().map(|key| &fields[*key]);
        let Some(field) = field.clone().find(|field| *field.name() == name.value) else {
            let message = format!("`{}` is not partitioned by `{}`", table.name, name.value);
            let known = field.map(|field| field.name().as_str()).collect::<Vec<_>>().join(", ");
            return Err(SqlError::new(name.span.start, message)
                .hint(format!("PARTITION takes columns of PARTITIONED BY ({known})")));
        };
        let text = Expr::Literal(ScalarValue::Utf8(Some(value.clone())), None);
        columns
            .push(cast(text, field.data_type().clone()).alias(format!("partition {}", name.value)));
        values.push(name.clone());
    }
    let mut all = listed;
    if all.is_empty() {
        let given = |name: &String| values.iter().any(|value| value.value == *name);
        let names = fields.iter().map(|field| field.name()).filter(|name| !given(name));
        all = names.map(|name| Ident { span: target.span, ..Ident::new(name) }).collect();
    }
    all.extend(values);
    let rows = LogicalPlanBuilder::from(rows)
        .project(columns)
        .and_then(|builder| builder.build())
        .map_err(|error| extent.translate(error))?;
    Ok((rows, all))
}

/// The rows as the columns of `table`: by position, or by the names of a column list, cast where
/// Flink casts by itself. Columns that are not listed are null.
pub fn into_columns_of(
    table: &TableDefinition,
    rows: LogicalPlan,
    listed: &[Ident],
    target: &Ident,
    extent: &Extent,
) -> SqlResult<LogicalPlan> {
    let fields = table.schema.fields();
    let at = target.span.start;
    let from = sources(table, listed, rows.schema().fields().len(), target)?;
    let mut columns = vec![];
    for (field, source) in fields.iter().zip(from) {
        let Some(source) = source else {
            if !field.is_nullable() {
                let message = format!("column `{}` of `{}` is NOT NULL", field.name(), table.name);
                return Err(SqlError::new(at, message).hint("insert a value into it"));
            }
            let null = ScalarValue::try_from(field.data_type())
                .map_err(|error| extent.translate(error))?;
            columns.push(Expr::Literal(null, None).alias(field.name()));
            continue;
        };
        let (qualifier, given) = rows.schema().qualified_field(source);
        let column = Expr::from((qualifier, given));
        if !converts_silently(given.data_type(), field.data_type()) {
            let wanted = sql_name(field.data_type());
            return Err(extent
                .error_at(
                    &[given.name()],
                    format!(
                        "column `{}` of table `{}` is {wanted}, the query gives {}",
                        field.name(),
                        table.name,
                        sql_name(given.data_type())
                    ),
                )
                .hint(format!("write CAST(… AS {wanted})")));
        }
        let column = match given.data_type() == field.data_type() {
            true => column,
            false => cast(column, field.data_type().clone()),
        };
        columns.push(column.alias(field.name()));
    }
    LogicalPlanBuilder::from(rows)
        .project(columns)
        .and_then(|builder| builder.build())
        .map_err(|error| extent.translate(error))
}

/// Which column of the query each column of the table comes from.
fn sources(
    table: &TableDefinition,
    listed: &[Ident],
    given: usize,
    target: &Ident,
) -> SqlResult<Vec<Option<usize>>> {
    let fields = table.schema.fields();
    let names = || fields.iter().map(|field| field.name().as_str());
    let wanted = if listed.is_empty() { fields.len() } else { listed.len() };
    if given != wanted {
        let message =
            format!("`{}` takes {wanted} columns here, the query gives {given}", table.name);
        let all = names().collect::<Vec<_>>().join(", ");
        return Err(
            SqlError::new(target.span.start, message).hint(format!("its columns are {all}"))
        );
    }
    if listed.is_empty() {
        return Ok((0..given).map(Some).collect());
    }
    for name in listed {
        if !names().any(|known| known == name.value) {
            let message = format!("`{}` has no column `{}` to insert into", table.name, name.value);
            let error = SqlError::new(name.span.start, message);
            return Err(match nearest(&name.value, names()) {
                Some(near) => error.hint(format!("did you mean `{near}`?")),
                None => error,
            });
        }
    }
    Ok(names().map(|known| listed.iter().position(|name| name.value == known)).collect())
}
