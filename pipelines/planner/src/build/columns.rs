//! What columns mean, through projections.

use arrow::datatypes::{DataType, Schema};
use datafusion_common::DFSchema;
use datafusion_expr::Expr;

use crate::catalog::Role;
use crate::functions::clock::is_proctime;

/// A column keeps its role under another name; a computed value has none.
pub fn role(expr: &Expr, schema: &DFSchema, roles: &[Role]) -> Role {
    match expr.clone().unalias() {
        Expr::Column(column) => {
            schema.index_of_column(&column).map_or(Role::Plain, |index| roles[index])
        }
        Expr::ScalarFunction(_) if is_proctime(&expr.clone().unalias()) => Role::ProcessingTime,
        // A cast that the planner adds between equal kinds of time leaves the time what it is.
        Expr::Cast(cast) if matches!(cast.field.data_type(), DataType::Timestamp(..)) => {
            Role::Plain
        }
        _ => Role::Plain,
    }
}

/// Rows of a window have one time attribute: `window_time`.
pub fn not_event_time(role: Role) -> Role {
    match role {
        Role::EventTime => Role::WindowedTime,
        other => other,
    }
}

/// The upsert keys of a projection: those whose columns it keeps.
pub fn keys(exprs: &[Expr], schema: &DFSchema, keys: &[Vec<usize>]) -> Vec<Vec<usize>> {
    let from = exprs.iter().map(|expr| match expr.clone().unalias() {
        Expr::Column(column) => schema.index_of_column(&column).unwrap_or(usize::MAX),
        _ => usize::MAX,
    });
    kept_keys(&from.collect::<Vec<_>>(), keys)
}

/// The upsert keys of the columns `kept`, by their new positions.
pub fn kept_keys(kept: &[usize], keys: &[Vec<usize>]) -> Vec<Vec<usize>> {
    let moved = |column: &usize| kept.iter().position(|kept| kept == column);
    keys.iter().filter_map(|key| key.iter().map(moved).collect()).collect()
}

/// The names of these columns, for people.
pub fn names(schema: &Schema, columns: &[usize]) -> String {
    let names: Vec<&str> =
        columns.iter().map(|column| schema.field(*column).name().as_str()).collect();
    names.join(", ")
}
