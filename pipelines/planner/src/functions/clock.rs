//! What the wall clock says: the worker hands it down with each call of an operator.

use datafusion_common::internal_err;
use datafusion_common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion_common::{Column, Result};
use datafusion_expr::Expr;
use nowcast_engine::evaluate::CLOCK_COLUMN;

use super::scalar::{Body, Function, all};
use crate::types::timestamp_ltz;

const PROCTIME: &str = "proctime";
pub const CURRENT_ROW_TIMESTAMP: &str = "current_row_timestamp";

pub fn proctime_function() -> Function {
    Function {
        name: PROCTIME,
        form: "PROCTIME()",
        about: "the clock when a row is processed, a time attribute",
        ..current_row_timestamp_function()
    }
}

pub fn current_row_timestamp_function() -> Function {
    Function {
        name: CURRENT_ROW_TIMESTAMP,
        form: "CURRENT_ROW_TIMESTAMP()",
        about: "the clock when a row is processed",
        takes: all(&[]),
        gives: |_| timestamp_ltz(),
        body: Body::Clock(|_, _| internal_err!("the clock was left in an expression")),
    }
}

/// Whether an expression is a processing-time attribute.
pub fn is_proctime(expr: &Expr) -> bool {
    matches!(expr, Expr::ScalarFunction(call) if call.name() == PROCTIME)
}

/// Whether an expression reads the clock.
pub fn is_read(expr: &Expr) -> bool {
    expr.exists(|expr| Ok(is_clock(expr))).unwrap_or_default()
}

/// The expression with a last column in place of the clock; `None` where it does not read it.
pub fn over_column(expr: &Expr) -> Result<Option<Expr>> {
    if !is_read(expr) {
        return Ok(None);
    }
    let replaced = expr.clone().transform_up(|expr| match is_clock(&expr) {
        true => Ok(Transformed::yes(Expr::Column(Column::new_unqualified(CLOCK_COLUMN)))),
        false => Ok(Transformed::no(expr)),
    });
    replaced.data().map(Some)
}

fn is_clock(expr: &Expr) -> bool {
    matches!(expr, Expr::ScalarFunction(call)
        if [PROCTIME, CURRENT_ROW_TIMESTAMP].contains(&call.name()))
}
