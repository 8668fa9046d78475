//! Expressions compiled by DataFusion, as the engine runs them.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion_common::tree_node::{Transformed, TreeNode as _, TreeNodeRecursion};
use datafusion_common::{Column, DFSchema, DataFusionError};
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
    let compiled = |physical, narrow| Compiled {
        physical,
        ty: ty.clone(),
        reads_clock: false,
        picks: picks(expr),
        narrow,
    };
    let compiled = match (clock::over_column(expr)?, Narrow::of(expr, input)?) {
        (Some(expr), _) => {
            Compiled { reads_clock: true, ..compiled(physical(&expr, &with_clock(input)?)?, None) }
        }
        (None, Some((narrow, expr))) => {
            let schema = DFSchema::try_from(narrow.schema.as_ref().clone())?;
            compiled(physical(&expr, &schema)?, Some(narrow))
        }
        (None, None) => compiled(physical(expr, input)?, None),
    };
    Ok((Arc::new(compiled), ty))
}

/// What an expression reads as columns of their own: DataFusion filters all columns it is given where a
/// part of an expression (CASE, AND) is for some of the rows alone, and takes a field out of its row each
/// time it stands there.
struct Narrow {
    schema: SchemaRef,
    columns: Vec<Arc<dyn Evaluate>>,
}

impl Narrow {
    /// With the expression over its columns; `None` where it would be no narrower than `input`.
    fn of(expr: &Expr, input: &DFSchema) -> datafusion_common::Result<Option<(Self, Expr)>> {
        if picks(expr) {
            return Ok(None);
        }
        let mut read: Vec<Expr> = vec![];
        let replaced = expr.clone().transform_down(|part| {
            if !picks(&part) {
                return Ok(Transformed::no(part));
            }
            let part = part.unalias();
            let at = read.iter().position(|known| *known == part);
            let at = at.unwrap_or_else(|| {
                read.push(part);
                read.len() - 1
            });
            let column = Expr::Column(Column::new_unqualified(at.to_string()));
            Ok(Transformed::new(column, true, TreeNodeRecursion::Jump))
        })?;
        let fields = read.iter().any(|part| !matches!(part, Expr::Column(_)));
        if read.is_empty() || !fields && read.len() == input.fields().len() {
            return Ok(None);
        }
        let (mut columns, mut schema) = (vec![], vec![]);
        for (at, part) in read.iter().enumerate() {
            let (column, ty) = compile(part, input)?;
            columns.push(column);
            schema.push(Field::new(at.to_string(), ty, true));
        }
        let schema = Arc::new(Schema::new(schema));
        Ok(Some((Self { schema, columns }, replaced.data)))
    }

    fn rows(&self, rows: &RecordBatch) -> Result<RecordBatch> {
        let columns = self.columns.iter().zip(self.schema.fields());
        let columns =
            columns.map(|(column, field)| as_promised(column.evaluate(rows)?, field.data_type()));
        let columns = columns.collect::<Result<_>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(rows.num_rows()));
        Ok(RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)?)
    }
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
    /// The columns that `physical` is over, where they are not those of the rows.
    narrow: Option<Narrow>,
}

impl Evaluate for Compiled {
    fn evaluate(&self, rows: &RecordBatch) -> Result<ArrayRef> {
        let narrow = self.narrow.as_ref().map(|narrow| narrow.rows(rows)).transpose()?;
        let value = self.physical.evaluate(narrow.as_ref().unwrap_or(rows)).map_err(of_rows)?;
        as_promised(value.into_array(rows.num_rows()).map_err(of_rows)?, &self.ty)
    }

    fn picks(&self) -> bool {
        self.picks
    }

    fn reads_clock(&self) -> bool {
        self.reads_clock
    }
}

/// The names of nested fields may differ from those that were promised.
fn as_promised(column: ArrayRef, ty: &DataType) -> Result<ArrayRef> {
    match column.data_type() == ty {
        true => Ok(column),
        false => Ok(cast(&column, ty)?),
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
