//! Functions of doubles: angles, logarithms, powers and roots.

use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array};
use arrow::compute::binary;
use arrow::datatypes::Float64Type;
use datafusion_common::Result;

use super::scalar::{Body, Function, Kind, Takes, all, double, doubles, some};

/// What takes one number and gives a double.
pub fn functions() -> Vec<Function> {
    let one = |name, form, about, body| Function {
        name,
        form,
        about,
        takes: ONE,
        gives: double,
        body: Body::Plain(body),
    };
    vec![
        one("acos", "ACOS(x)", "arc cosine", |c, _| each(c, f64::acos)),
        one("asin", "ASIN(x)", "arc sine", |c, _| each(c, f64::asin)),
        one("atan", "ATAN(x)", "arc tangent", |c, _| each(c, f64::atan)),
        one("cos", "COS(x)", "cosine", |c, _| each(c, f64::cos)),
        one("cosh", "COSH(x)", "hyperbolic cosine", |c, _| each(c, f64::cosh)),
        one("cot", "COT(x)", "cotangent", |c, _| each(c, |x| 1.0 / x.tan())),
        one("degrees", "DEGREES(x)", "an angle in degrees", |c, _| {
            each(c, |x| x * (180.0 / std::f64::consts::PI))
        }),
        one("exp", "EXP(x)", "e to the power of x", |c, _| each(c, f64::exp)),
        one("ln", "LN(x)", "natural logarithm", |c, _| each(c, f64::ln)),
        one("log10", "LOG10(x)", "logarithm to base 10", |c, _| each(c, f64::log10)),
        one("log2", "LOG2(x)", "logarithm to base 2", |c, _| {
            each(c, |x| x.ln() / std::f64::consts::LN_2)
        }),
        one("radians", "RADIANS(x)", "an angle in radians", |c, _| {
            each(c, |x| x * (std::f64::consts::PI / 180.0))
        }),
        one("sin", "SIN(x)", "sine", |c, _| each(c, f64::sin)),
        one("sinh", "SINH(x)", "hyperbolic sine", |c, _| each(c, f64::sinh)),
        one("sqrt", "SQRT(x)", "square root", |c, _| each(c, f64::sqrt)),
        one("tan", "TAN(x)", "tangent", |c, _| each(c, f64::tan)),
        one("tanh", "TANH(x)", "hyperbolic tangent", |c, _| each(c, f64::tanh)),
        two("atan2", "ATAN2(y, x)", "the angle of a point", |c, _| both(c, f64::atan2)),
        two("power", "POWER(x, y)", "x to the power of y", |c, _| both(c, f64::powf)),
        Function {
            takes: some(&[Kind::Double, Kind::Double], 1),
            ..two("log", "LOG([base,] x)", "logarithm, natural without a base", |c, _| match c {
                [_] => each(c, f64::ln),
                _ => both(c, |base, x| x.ln() / base.ln()),
            })
        },
        constant("pi", "PI()", "the number pi", |_, rows| same_in(rows, std::f64::consts::PI)),
        constant("e", "E()", "the number e", |_, rows| same_in(rows, std::f64::consts::E)),
    ]
}

const ONE: Takes = all(&[Kind::Double]);

type Plain = fn(&[ArrayRef], usize) -> Result<ArrayRef>;

fn two(name: &'static str, form: &'static str, about: &'static str, body: Plain) -> Function {
    let takes = all(&[Kind::Double, Kind::Double]);
    Function { name, form, about, takes, gives: double, body: Body::Plain(body) }
}

fn constant(name: &'static str, form: &'static str, about: &'static str, body: Plain) -> Function {
    Function { name, form, about, takes: all(&[]), gives: double, body: Body::Plain(body) }
}

fn each(columns: &[ArrayRef], of: impl Fn(f64) -> f64) -> Result<ArrayRef> {
    Ok(Arc::new(doubles(&columns[0]).unary::<_, Float64Type>(of)))
}

fn both(columns: &[ArrayRef], of: impl Fn(f64, f64) -> f64) -> Result<ArrayRef> {
    let made: Float64Array = binary(doubles(&columns[0]), doubles(&columns[1]), of)?;
    Ok(Arc::new(made))
}

fn same_in(rows: usize, value: f64) -> Result<ArrayRef> {
    Ok(Arc::new(Float64Array::from_value(value, rows)))
}
