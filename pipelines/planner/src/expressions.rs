//! Expressions whose name or type DataFusion makes otherwise than Flink.

use arrow::datatypes::{DataType, Field};
use datafusion_common::{DFSchema, Result, TableReference};
use datafusion_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr, RawFieldAccessExpr};
use datafusion_expr::{BinaryExpr, Expr, ExprSchemable, GetFieldAccess, Operator, lit};
use datafusion_functions::core::planner::CoreFunctionPlanner;
use sqlparser::ast::BinaryOperator;

use crate::context::scalar;
use crate::functions::decimal_arithmetic;

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

    /// `n * INTERVAL '1' MINUTE`.
    fn plan_binary_op(
        &self,
        binary: RawBinaryExpr,
        schema: &DFSchema,
    ) -> Result<PlannerResult<RawBinaryExpr>> {
        if let Some(planned) = wide_decimals(&binary, schema)? {
            return Ok(PlannerResult::Planned(planned));
        }
        if binary.op != BinaryOperator::Multiply {
            return Ok(PlannerResult::Original(binary));
        }
        let is_interval = |expr: &Expr| matches!(expr.get_type(schema), Ok(DataType::Interval(_)));
        let RawBinaryExpr { op, left, right } = binary;
        let operands = match (is_interval(&left), is_interval(&right)) {
            (true, false) => vec![left, right],
            (false, true) => vec![right, left],
            _ => return Ok(PlannerResult::Original(RawBinaryExpr { op, left, right })),
        };
        Ok(PlannerResult::Planned(scalar("interval_times").call(operands)))
    }

    /// `array[index]`, `map[key]`.
    fn plan_field_access(
        &self,
        access: RawFieldAccessExpr,
        schema: &DFSchema,
    ) -> Result<PlannerResult<RawFieldAccessExpr>> {
        let RawFieldAccessExpr { field_access, expr } = access;
        match field_access {
            GetFieldAccess::ListIndex { key } if has_elements(&expr, schema) => {
                Ok(PlannerResult::Planned(scalar("element_at").call(vec![expr, *key])))
            }
            GetFieldAccess::NamedStructField { name } if has_elements(&expr, schema) => {
                Ok(PlannerResult::Planned(scalar("element_at").call(vec![expr, lit(name)])))
            }
            field_access => Ok(PlannerResult::Original(RawFieldAccessExpr { field_access, expr })),
        }
    }

    fn plan_array_literal(
        &self,
        items: Vec<Expr>,
        _schema: &DFSchema,
    ) -> Result<PlannerResult<Vec<Expr>>> {
        Ok(PlannerResult::Planned(scalar("array").call(items)))
    }
}

/// Arithmetic of decimals for which DataFusion has no type. Other arithmetic waits until the types
/// of its operands are known better.
fn wide_decimals(binary: &RawBinaryExpr, schema: &DFSchema) -> Result<Option<Expr>> {
    let op = match binary.op {
        BinaryOperator::Plus => Operator::Plus,
        BinaryOperator::Minus => Operator::Minus,
        BinaryOperator::Multiply => Operator::Multiply,
        BinaryOperator::Divide => Operator::Divide,
        BinaryOperator::Modulo => Operator::Modulo,
        _ => return Ok(None),
    };
    let (left, right) = (&binary.left, &binary.right);
    let (l, r) = (left.get_type(schema)?, right.get_type(schema)?);
    let is_decimal = |ty: &DataType| matches!(ty, DataType::Decimal128(..));
    let stock = BinaryExpr::new(Box::new(left.clone()), op, Box::new(right.clone()));
    if !is_decimal(&l) || !is_decimal(&r) || Expr::BinaryExpr(stock).get_type(schema).is_ok() {
        return Ok(None);
    }
    Ok(decimal_arithmetic::call(left, &l, op, right, &r))
}

fn has_elements(expr: &Expr, schema: &DFSchema) -> bool {
    matches!(expr.get_type(schema), Ok(DataType::List(_) | DataType::Map(..)))
}
