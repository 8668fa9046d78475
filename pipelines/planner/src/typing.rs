//! Flink's types of expressions, where DataFusion derives others.

use arrow::datatypes::DataType;
use chrono_tz::Tz;
use datafusion_common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion_common::{DFSchema, Result, ScalarValue};
use datafusion_expr::expr_rewriter::NamePreserver;
use datafusion_expr::utils::merge_schema;
use datafusion_expr::{
    BinaryExpr, Expr, ExprSchemable, LogicalPlan, LogicalPlanBuilder, Operator, cast, lit,
};

use crate::context::scalar;
use crate::functions::cast::{self as casts, Failure, How};
use crate::functions::{decimal_arithmetic, user};
use crate::types::sql_name;

/// Before DataFusion makes operands alike: literals, and operators whose result has another type.
pub fn typed(expr: Expr, schema: &DFSchema) -> Result<Expr> {
    expr.transform_up(|expr| match expr {
        Expr::Literal(..) => Ok(narrowed(expr)),
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
            binary(*left, op, *right, schema).map(Transformed::yes)
        }
        Expr::Between(mut between) => {
            let ty = between.expr.get_type(schema)?;
            between.low = Box::new(toward(*between.low, &ty, schema)?);
            between.high = Box::new(toward(*between.high, &ty, schema)?);
            Ok(Transformed::yes(Expr::Between(between)))
        }
        Expr::InList(mut list) => {
            let ty = list.expr.get_type(schema)?;
            let items = list.list.into_iter().map(|item| toward(item, &ty, schema));
            list.list = items.collect::<Result<_>>()?;
            Ok(Transformed::yes(Expr::InList(list)))
        }
        Expr::ScalarFunction(call) if call.name() == "typeof" && call.args.len() == 1 => {
            let not_null = if call.args[0].nullable(schema)? { "" } else { " NOT NULL" };
            let name = sql_name(&call.args[0].get_type(schema)?);
            Ok(Transformed::yes(lit(format!("{name}{not_null}"))))
        }
        Expr::ScalarFunction(call) => Ok(match casts::named::resolved(&call)? {
            Some(cast) => Transformed::yes(cast),
            None => {
                user::check(&call, schema)?;
                Transformed::no(Expr::ScalarFunction(call))
            }
        }),
        other => Ok(Transformed::no(other)),
    })
    .data()
}

/// An operand that is compared with one of type `ty`: a text is read as such, a date begins a day.
/// DataFusion would go by nanoseconds, which know only the years 1677 to 2262.
fn toward(operand: Expr, ty: &DataType, schema: &DFSchema) -> Result<Expr> {
    let own = operand.get_type(schema)?;
    let is_read = match ty {
        DataType::Timestamp(..) => matches!(own, DataType::Utf8 | DataType::Date32),
        DataType::Date32 | DataType::Time32(_) | DataType::Boolean => own == DataType::Utf8,
        ty => ty.is_numeric() && own == DataType::Utf8,
    };
    Ok(if is_read { cast(operand, ty.clone()) } else { operand })
}

/// After DataFusion has put its casts into place: these, and those of the query, as Flink's.
pub fn flink_casts(expr: Expr, schema: &DFSchema, zone: Tz) -> Result<Expr> {
    expr.transform_up(|expr| {
        let (inner, field, failure) = match expr {
            Expr::Cast(cast) => (cast.expr, cast.field, Failure::Error),
            Expr::TryCast(cast) => (cast.expr, cast.field, Failure::Null),
            other => return Ok(Transformed::no(other)),
        };
        let from = inner.get_type(schema)?;
        if from == *field.data_type() && field.metadata().is_empty() {
            return Ok(Transformed::yes(*inner));
        }
        casts::cast(*inner, &from, &field, How { failure, zone }).map(Transformed::yes)
    })
    .data()
}

/// Applies `change` to all expressions of a plan. The names of columns stay.
pub fn in_plan(
    plan: LogicalPlan,
    change: impl Fn(Expr, &DFSchema) -> Result<Expr>,
) -> Result<LogicalPlan> {
    plan.transform_up_with_subqueries(|plan| {
        let schema = merge_schema(&plan.inputs());
        let names = NamePreserver::new(&plan);
        plan.map_expressions(|expr| {
            let name = names.save(&expr);
            let made = change(expr.clone(), &schema)?;
            Ok(match made == expr {
                true => Transformed::no(expr),
                false => Transformed::yes(name.restore(made)),
            })
        })?
        .map_data(with_schema)
    })
    .data()
}

/// A plan whose expressions have changed.
fn with_schema(plan: LogicalPlan) -> Result<LogicalPlan> {
    let LogicalPlan::Values(values) = plan else { return plan.recompute_schema() };
    // Nulls have the type of the other rows, which may be another one now; those that the query
    // casts have their own, below the cast to what the rows had in common before.
    let untyped = |expr: Expr| match expr.unalias() {
        Expr::Literal(value, _) if value.is_null() => lit(ScalarValue::Null),
        Expr::Cast(cast) if is_cast_null(&cast.expr) => *cast.expr,
        other => other,
    };
    let rows = values.values.into_iter().map(|row| row.into_iter().map(untyped).collect());
    LogicalPlanBuilder::values(rows.collect())?.build()
}

fn is_cast_null(expr: &Expr) -> bool {
    let is_null = |expr: &Expr| matches!(expr, Expr::Literal(value, _) if value.is_null());
    matches!(expr, Expr::Cast(cast) if is_null(&cast.expr))
}

/// An integer literal is INT where it fits; the zero of `0.908` counts as a digit.
fn narrowed(expr: Expr) -> Transformed<Expr> {
    match &expr {
        Expr::Literal(ScalarValue::Int64(Some(value)), _) => match i32::try_from(*value) {
            Ok(value) => Transformed::yes(lit(value)),
            Err(_) => Transformed::no(expr),
        },
        Expr::Literal(ScalarValue::Decimal128(value, precision, scale), _)
            if i16::from(*precision) == i16::from(*scale) && *precision < 38 =>
        {
            Transformed::yes(lit(ScalarValue::Decimal128(*value, precision + 1, *scale)))
        }
        _ => Transformed::no(expr),
    }
}

fn binary(left: Expr, op: Operator, right: Expr, schema: &DFSchema) -> Result<Expr> {
    let (l, r) = (left.get_type(schema)?, right.get_type(schema)?);
    let is_decimal = |ty: &DataType| matches!(ty, DataType::Decimal128(..));
    if is_decimal(&l) && r.is_floating() || l.is_floating() && is_decimal(&r) {
        let [left, right] = [left, right].map(|side| cast(side, DataType::Float64));
        return Ok(pair(left, op, right));
    }
    if (is_decimal(&l) || is_decimal(&r))
        && let Some(made) = decimal_arithmetic::call(&left, &l, op, &right, &r)
    {
        return Ok(made);
    }
    Ok(match (op, &l, &r) {
        (Operator::Divide | Operator::Modulo, l, r) if l.is_integer() && r.is_integer() => {
            let name = if op == Operator::Divide { "int_divide" } else { "int_modulo" };
            scalar(name).call(vec![left, right])
        }
        (op, l, r) if op.supports_propagation() => {
            pair(toward(left, r, schema)?, op, toward(right, l, schema)?)
        }
        _ => pair(left, op, right),
    })
}

fn pair(left: Expr, op: Operator, right: Expr) -> Expr {
    Expr::BinaryExpr(BinaryExpr::new(Box::new(left), op, Box::new(right)))
}
