//! Expressions whose name or type DataFusion makes otherwise than Flink.

use arrow::datatypes::{DataType, Field};
use datafusion_common::{DFSchema, Result, ScalarValue, TableReference};
use datafusion_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr, RawFieldAccessExpr};
use datafusion_expr::{Expr, ExprSchemable, GetFieldAccess, cast, lit};
use datafusion_functions::core::planner::CoreFunctionPlanner;

use crate::context::scalar;

#[derive(Debug)]
pub struct FlinkExprPlanner;

impl ExprPlanner for FlinkExprPlanner {
    /// `SELECT row.field` makes a column called `field`, not `t.row[field]`.
    fn plan_compound_identifier(
        &self,
        field: &Field,
        qualifier: Option<&TableReference>,
        nested_names: &[String],
    ) -> Result<PlannerResult<Vec<Expr>>> {
        let stock = CoreFunctionPlanner::default();
        let planned = stock.plan_compound_identifier(field, qualifier, nested_names)?;
        Ok(match (planned, nested_names.last()) {
            (PlannerResult::Planned(expr), Some(name)) => PlannerResult::Planned(expr.alias(name)),
            (other, _) => other,
        })
    }

    fn plan_binary_op(
        &self,
        mut binary: RawBinaryExpr,
        schema: &DFSchema,
    ) -> Result<PlannerResult<RawBinaryExpr>> {
        binary.left = narrow_literal(binary.left);
        binary.right = narrow_literal(binary.right);
        let (left, right) = (binary.left.get_type(schema)?, binary.right.get_type(schema)?);
        if let Some(ty) = decimal_operand(&left, &right) {
            binary.left = cast(binary.left, ty);
        }
        if let Some(ty) = decimal_operand(&right, &left) {
            binary.right = cast(binary.right, ty);
        }
        // `Original` hands the changed operands on to the next planner.
        Ok(PlannerResult::Original(binary))
    }

    /// `array[index]`.
    fn plan_field_access(
        &self,
        access: RawFieldAccessExpr,
        schema: &DFSchema,
    ) -> Result<PlannerResult<RawFieldAccessExpr>> {
        let RawFieldAccessExpr { field_access, expr } = access;
        match field_access {
            GetFieldAccess::ListIndex { key } if is_list(&expr, schema) => {
                Ok(PlannerResult::Planned(scalar("element_at").call(vec![expr, *key])))
            }
            field_access => Ok(PlannerResult::Original(RawFieldAccessExpr { field_access, expr })),
        }
    }

    fn plan_array_literal(
        &self,
        items: Vec<Expr>,
        _schema: &DFSchema,
    ) -> Result<PlannerResult<Vec<Expr>>> {
        let items = items.into_iter().map(narrow_literal).collect();
        Ok(PlannerResult::Planned(scalar("array").call(items)))
    }
}

fn is_list(expr: &Expr, schema: &DFSchema) -> bool {
    matches!(expr.get_type(schema), Ok(DataType::List(_)))
}

/// An integer literal is INT where it fits; the zero of `0.908` counts as a digit.
fn narrow_literal(expr: Expr) -> Expr {
    match &expr {
        Expr::Literal(ScalarValue::Int64(Some(value)), _) => match i32::try_from(*value) {
            Ok(value) => lit(value),
            Err(_) => expr,
        },
        Expr::Literal(ScalarValue::Decimal128(value, precision, scale), _)
            if i16::from(*precision) == i16::from(*scale) =>
        {
            lit(ScalarValue::Decimal128(*value, precision + 1, *scale))
        }
        _ => expr,
    }
}

/// The type an operand must be cast to because the other one is a decimal or a float.
fn decimal_operand(own: &DataType, other: &DataType) -> Option<DataType> {
    match (own, other) {
        (DataType::Decimal128(..), other) if other.is_floating() => Some(DataType::Float64),
        (DataType::Int8, DataType::Decimal128(..)) => Some(DataType::Decimal128(3, 0)),
        (DataType::Int16, DataType::Decimal128(..)) => Some(DataType::Decimal128(5, 0)),
        (DataType::Int32, DataType::Decimal128(..)) => Some(DataType::Decimal128(10, 0)),
        (DataType::Int64, DataType::Decimal128(..)) => Some(DataType::Decimal128(19, 0)),
        _ => None,
    }
}
