//! Expressions compiled by DataFusion, as the engine runs them.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field};
use datafusion_common::{DFSchema, DataFusionError};
use datafusion_expr::execution_props::ExecutionProps;
use datafusion_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion_expr::{Expr, ExprSchemable};
use datafusion_physical_expr::{PhysicalExpr, create_physical_expr};
use nowcast_engine::evaluate::{CLOCK_COLUMN, ColumnAt};
use nowcast_engine::{Error, Evaluate, Result};

use crate::functions::clock;
use crate::time_shift::TimeShift;
use crate::types::timestamp_ltz;

/// DataFusion's function for a field of a row.
pub const FIELD: &str = "get_field";

/// An expression over the columns of `input`, and the type of its values.
pub fn compile(
    expr: &Expr,
    input: &DFSchema,
) -> datafusion_common::Result<(Arc<dyn Evaluate>, DataType)> {
    if let Expr::Column(column) = expr.clone().unalias() {
        let ty = expr.get_type(input)?;
        return Ok((Arc::new(ColumnAt(input.index_of_column(&column)?)), ty));
    }
    let (compiled, ty) = arrows(expr, input)?;
    Ok(match TimeShift::of(expr, &ty, input, &compiled) {
        Some(shift) => (Arc::new(shift), ty),
        None => (compiled, ty),
    })
}

/// As [`compile`], computed by DataFusion and Arrow in any case.
pub fn arrows(
    expr: &Expr,
    input: &DFSchema,
) -> datafusion_common::Result<(Arc<dyn Evaluate>, DataType)> {
    let ty = expr.get_type(input)?;
    let props = ExecutionProps::new();
    let context = PhysicalPlanningContext::default();
    let physical = |expr, input| create_physical_expr(expr, input, &props, &context);
    let (physical, reads_clock) = match clock::over_column(expr)? {
        None => (physical(expr, input)?, false),
        Some(expr) => (physical(&expr, &with_clock(input)?)?, true),
    };
    let picks = picks(expr);
    Ok((Arc::new(Compiled { physical, ty: ty.clone(), reads_clock, picks }), ty))
}

/// Whether it is a column or a field out of one.
fn picks(expr: &Expr) -> bool {
    match expr {
        Expr::Column(_) => true,
        Expr::Alias(alias) => picks(&alias.expr),
        Expr::ScalarFunction(call) if call.name() == FIELD => match call.args.as_slice() {
            [from, names @ ..] => {
                picks(from) && names.iter().all(|name| matches!(name, Expr::Literal(..)))
            }
            [] => false,
        },
        _ => false,
    }
}

/// The columns of `input`, then the clock.
fn with_clock(input: &DFSchema) -> datafusion_common::Result<DFSchema> {
    let clock = Arc::new(Field::new(CLOCK_COLUMN, timestamp_ltz(), false));
    let columns = input.iter().map(|(table, field)| (table.cloned(), Arc::clone(field)));
    DFSchema::new_with_metadata(columns.chain([(None, clock)]).collect(), HashMap::new())
}

struct Compiled {
    physical: Arc<dyn PhysicalExpr>,
    ty: DataType,
    reads_clock: bool,
    picks: bool,
}

impl Evaluate for Compiled {
    fn evaluate(&self, rows: &RecordBatch) -> Result<ArrayRef> {
        let value = self.physical.evaluate(rows).map_err(of_rows)?;
        let column = value.into_array(rows.num_rows()).map_err(of_rows)?;
        match *column.data_type() == self.ty {
            true => Ok(column),
            // The names of nested fields may differ from those that were promised.
            false => Ok(cast(&column, &self.ty)?),
        }
    }

    fn picks(&self) -> bool {
        self.picks
    }

    fn reads_clock(&self) -> bool {
        self.reads_clock
    }
}

/// Values are at fault for what Arrow or a function's body says; anything else is our bug.
fn of_rows(error: DataFusionError) -> Error {
    match error {
        DataFusionError::ArrowError(error, _) => Error::data(error),
        DataFusionError::Execution(message) => Error::data(message),
        DataFusionError::Context(_, inner) => of_rows(*inner),
        other => Error::bug(other.strip_backtrace()),
    }
}
