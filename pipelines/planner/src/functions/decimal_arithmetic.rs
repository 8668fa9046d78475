//! `+ - * / %` of decimals and integers, with Flink's precision and scale; null where the result
//! does not fit.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Decimal128Array};
use arrow::datatypes::{DataType, Decimal128Type, i256};
use datafusion_common::Result;
use datafusion_expr::{Expr, Operator, cast};

use super::decimal::{divided, fitted, of_integer, rounded};
use super::scalar::{Body, Function, Kind, Takes, failed};
use crate::context::scalar;

const TWO: Takes = Takes::These { kinds: &[Kind::Number, Kind::Number], required: 2 };

/// What a right side of zero means.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Zero {
    Taken,
    Refused,
}

pub fn functions() -> [Function; 5] {
    let function = |name, form, gives, body| Function {
        name,
        form,
        about: "of decimals",
        takes: TWO,
        gives,
        body: Body::Plain(body),
    };
    [
        function("decimal_add", "a + b", sum_type, |columns, _| {
            apply(columns, sum_type, Zero::Taken, |l, r, to| {
                scaled(l, to)?.checked_add(scaled(r, to)?)
            })
        }),
        function("decimal_subtract", "a - b", sum_type, |columns, _| {
            apply(columns, sum_type, Zero::Taken, |l, r, to| {
                scaled(l, to)?.checked_sub(scaled(r, to)?)
            })
        }),
        function("decimal_multiply", "a * b", product_type, |columns, _| {
            apply(columns, product_type, Zero::Taken, |l, r, to| {
                let drop = u32::try_from(l.1 + r.1 - to).ok()?;
                let product = i256::from_i128(l.0).checked_mul(i256::from_i128(r.0))?;
                divided(product, ten_to(drop)?)
            })
        }),
        function("decimal_divide", "a / b", quotient_type, |columns, _| {
            apply(columns, quotient_type, Zero::Refused, |l, r, to| {
                let lift = i64::from(to) + i64::from(r.1) - i64::from(l.1);
                let lift = u32::try_from(lift).ok()?;
                divided(i256::from_i128(l.0).checked_mul(ten_to(lift)?)?, i256::from_i128(r.0))
            })
        }),
        function("decimal_modulo", "a % b", rest_type, |columns, _| {
            apply(columns, rest_type, Zero::Refused, |l, r, to| {
                scaled(l, to)?.checked_rem(scaled(r, to)?)
            })
        }),
    ]
}

/// The operation as a call, where it is arithmetic of decimals and integers.
pub fn call(
    left: &Expr,
    left_type: &DataType,
    op: Operator,
    right: &Expr,
    right_type: &DataType,
) -> Option<Expr> {
    let name = match op {
        Operator::Plus => "decimal_add",
        Operator::Minus => "decimal_subtract",
        Operator::Multiply => "decimal_multiply",
        Operator::Divide => "decimal_divide",
        Operator::Modulo => "decimal_modulo",
        _ => return None,
    };
    let side = |expr: &Expr, ty: &DataType| {
        let (precision, scale) = of_integer(ty)?;
        Some(match ty {
            DataType::Decimal128(..) => expr.clone(),
            _ => cast(expr.clone(), DataType::Decimal128(precision as u8, scale as i8)),
        })
    };
    Some(scalar(name).call(vec![side(left, left_type)?, side(right, right_type)?]))
}

fn digits(given: &[DataType]) -> [(i64, i64); 2] {
    [0, 1].map(|side: usize| of_integer(&given[side]).unwrap_or((38, 0)))
}

fn sum_type(given: &[DataType]) -> DataType {
    let [(p1, s1), (p2, s2)] = digits(given);
    let scale = s1.max(s2);
    fitted((p1 - s1).max(p2 - s2) + scale + 1, scale)
}

fn product_type(given: &[DataType]) -> DataType {
    let [(p1, s1), (p2, s2)] = digits(given);
    fitted(p1 + p2 + 1, s1 + s2)
}

fn quotient_type(given: &[DataType]) -> DataType {
    let [(p1, s1), (p2, s2)] = digits(given);
    let scale = (s1 + p2 + 1).max(6);
    fitted(p1 - s1 + s2 + scale, scale)
}

fn rest_type(given: &[DataType]) -> DataType {
    let [(p1, s1), (p2, s2)] = digits(given);
    let scale = s1.max(s2);
    fitted((p1 - s1).min(p2 - s2) + scale, scale)
}

fn ten_to(digits: u32) -> Option<i256> {
    i256::from_i128(10).checked_pow(digits)
}

/// A value at `scale`; a cut sum keeps fewer digits than its operands.
fn scaled((value, own): (i128, i8), scale: i8) -> Option<i256> {
    let value = i256::from_i128(value);
    match scale - own {
        lift @ 0.. => value.checked_mul(ten_to(lift.unsigned_abs().into())?),
        drop => divided(value, ten_to(drop.unsigned_abs().into())?),
    }
}

fn apply(
    columns: &[ArrayRef],
    gives: fn(&[DataType]) -> DataType,
    zero: Zero,
    operation: impl Fn((i128, i8), (i128, i8), i8) -> Option<i256>,
) -> Result<ArrayRef> {
    let types: Vec<_> = columns.iter().map(|column| column.data_type().clone()).collect();
    let DataType::Decimal128(precision, scale) = gives(&types) else {
        return Err(failed("a decimal was promised"));
    };
    let [left_scale, right_scale] = digits(&types).map(|(_, scale)| scale as i8);
    let [left, right] =
        [0, 1].map(|side: usize| columns[side].as_primitive_opt::<Decimal128Type>());
    let (Some(left), Some(right)) = (left, right) else {
        return Err(failed("two decimals are needed"));
    };
    let mut made = Vec::with_capacity(left.len());
    for (l, r) in left.iter().zip(right) {
        made.push(match (l, r) {
            (Some(_), Some(0)) if zero == Zero::Refused => return Err(failed("division by zero")),
            (Some(l), Some(r)) => operation((l, left_scale), (r, right_scale), scale)
                .and_then(|value| rounded(value, 0, precision)),
            _ => None,
        });
    }
    let made = Decimal128Array::from(made).with_precision_and_scale(precision, scale)?;
    Ok(Arc::new(made))
}
