//! Aggregate functions, known to the planner by name and types only: operators compute them.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, Fields};
use datafusion_common::{DataFusionError, Result, ScalarValue, not_impl_err};
use datafusion_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion_expr::{Accumulator, AggregateUDF, AggregateUDFImpl, Signature, Volatility};

use super::scalar::{Kind, Takes, coerce};
use crate::types::{list_of, map_type, timestamp_ltz};

/// Aggregates that are there besides those of a window's rows.
pub const FORECAST: &str = "ml_forecast";
pub const NOWCAST: &str = "ml_nowcast";
/// Of new rows alone.
pub const APPROX_COUNT_DISTINCT: &str = "approx_count_distinct";
/// Which of its arguments a row does not group by.
pub const GROUPING: &str = "grouping";
pub const GROUPING_ID: &str = "grouping_id";

#[derive(Debug, Clone, Copy)]
struct Aggregate {
    name: &'static str,
    takes: Takes,
    gives: fn(&[DataType]) -> DataType,
}

const ONE: Takes = Takes::These { kinds: &[Kind::Any], required: 1 };
const NUMBER: Takes = Takes::These { kinds: &[Kind::Number], required: 1 };
const LIST_AGG: Takes = Takes::These { kinds: &[Kind::Text, Kind::Text], required: 1 };
const TEXT: Takes = Takes::These { kinds: &[Kind::Text], required: 1 };
const TEXTS: Takes = Takes::These { kinds: &[Kind::Text, Kind::Text], required: 2 };
const PERCENTILE: Takes =
    Takes::These { kinds: &[Kind::Number, Kind::Any, Kind::Long], required: 2 };

pub fn aggregate_functions() -> Vec<AggregateUDF> {
    let aggregates = [
        Aggregate { name: "count", takes: Takes::Many { kind: Kind::Any, least: 0 }, gives: count },
        Aggregate { name: APPROX_COUNT_DISTINCT, takes: ONE, gives: count },
        Aggregate { name: "sum", takes: NUMBER, gives: sum },
        Aggregate { name: "avg", takes: NUMBER, gives: average },
        Aggregate { name: "min", takes: ONE, gives: first },
        Aggregate { name: "max", takes: ONE, gives: first },
        Aggregate { name: "first_value", takes: ONE, gives: first },
        Aggregate { name: "last_value", takes: ONE, gives: first },
        Aggregate { name: "listagg", takes: LIST_AGG, gives: first },
        Aggregate { name: "array_agg", takes: ONE, gives: list },
        Aggregate { name: "collect", takes: ONE, gives: multiset },
        Aggregate { name: "percentile", takes: PERCENTILE, gives: percentile },
        // The parser makes the items and members JSON.
        Aggregate { name: "json_arrayagg", takes: TEXT, gives: first },
        Aggregate { name: "json_objectagg", takes: TEXTS, gives: first },
        Aggregate { name: "stddev", takes: NUMBER, gives: average },
        Aggregate { name: "stddev_pop", takes: NUMBER, gives: average },
        Aggregate { name: "stddev_samp", takes: NUMBER, gives: average },
        Aggregate { name: "var_pop", takes: NUMBER, gives: average },
        Aggregate { name: "var_samp", takes: NUMBER, gives: average },
        Aggregate { name: "variance", takes: NUMBER, gives: average },
        Aggregate {
            name: GROUPING,
            takes: Takes::Many { kind: Kind::Any, least: 1 },
            gives: count,
        },
        Aggregate {
            name: GROUPING_ID,
            takes: Takes::Many { kind: Kind::Any, least: 1 },
            gives: count,
        },
        Aggregate {
            name: FORECAST,
            takes: Takes::Many { kind: Kind::Any, least: 2 },
            gives: forecasts,
        },
        Aggregate {
            name: NOWCAST,
            takes: Takes::Many { kind: Kind::Any, least: 3 },
            gives: nowcast,
        },
    ];
    let udaf = |aggregate: Aggregate| {
        AggregateUDF::new_from_impl(FlinkAggregate {
            aggregate,
            signature: Signature::user_defined(Volatility::Immutable),
        })
    };
    aggregates.map(udaf).into()
}

fn first(given: &[DataType]) -> DataType {
    given.first().cloned().unwrap_or(DataType::Null)
}

fn count(_: &[DataType]) -> DataType {
    DataType::Int64
}

/// Flink keeps the argument's type; decimals are widened.
fn sum(given: &[DataType]) -> DataType {
    match &given[0] {
        DataType::Decimal128(_, scale) => DataType::Decimal128(38, *scale),
        other => other.clone(),
    }
}

fn average(given: &[DataType]) -> DataType {
    match &given[0] {
        DataType::Decimal128(_, scale) => DataType::Decimal128(38, (*scale).max(6)),
        other => other.clone(),
    }
}

fn list(given: &[DataType]) -> DataType {
    list_of(given[0].clone())
}

/// A MULTISET is a map from the element to its count.
fn multiset(given: &[DataType]) -> DataType {
    map_type(given[0].clone(), DataType::Int32)
}

/// One for each fraction.
fn percentile(given: &[DataType]) -> DataType {
    match given.get(1) {
        Some(DataType::List(_)) => list_of(DataType::Float64),
        _ => DataType::Float64,
    }
}

fn forecasts(_: &[DataType]) -> DataType {
    list_of(DataType::Struct(Fields::from(vec![
        Field::new("timestamp", timestamp_ltz(), true),
        Field::new("forecast_value", DataType::Float64, true),
        Field::new("lower_bound", DataType::Float64, true),
        Field::new("upper_bound", DataType::Float64, true),
    ])))
}

fn nowcast(_: &[DataType]) -> DataType {
    DataType::Struct(Fields::from(vec![
        Field::new("nowcast", DataType::Float64, true),
        Field::new("lower_bound", DataType::Float64, true),
        Field::new("upper_bound", DataType::Float64, true),
        Field::new("completion", DataType::Float64, true),
        Field::new("is_final", DataType::Boolean, true),
    ]))
}

#[derive(Debug)]
struct FlinkAggregate {
    aggregate: Aggregate,
    signature: Signature,
}

impl PartialEq for FlinkAggregate {
    fn eq(&self, other: &Self) -> bool {
        self.aggregate.name == other.aggregate.name
    }
}

impl Eq for FlinkAggregate {}

impl std::hash::Hash for FlinkAggregate {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.aggregate.name.hash(state);
    }
}

impl AggregateUDFImpl for FlinkAggregate {
    fn name(&self) -> &str {
        self.aggregate.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        coerce(self.aggregate.name, self.aggregate.takes, given)
    }

    fn return_type(&self, given: &[DataType]) -> Result<DataType> {
        Ok((self.aggregate.gives)(given))
    }

    fn return_field(&self, given: &[FieldRef]) -> Result<FieldRef> {
        let types: Vec<_> = given.iter().map(|field| field.data_type().clone()).collect();
        let gives = self.return_type(&types)?;
        Ok(Arc::new(Field::new(self.aggregate.name, gives, self.is_nullable())))
    }

    fn is_nullable(&self) -> bool {
        !matches!(self.aggregate.name, "count" | APPROX_COUNT_DISTINCT)
    }

    /// Of no rows at all, as where a correlated subquery finds none.
    fn default_value(&self, ty: &DataType) -> Result<ScalarValue> {
        match self.aggregate.name {
            "count" | APPROX_COUNT_DISTINCT => Ok(ScalarValue::Int64(Some(0))),
            _ => ScalarValue::try_from(ty),
        }
    }

    fn accumulator(&self, _: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        not_run(self.aggregate.name)
    }

    fn state_fields(&self, _: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        not_run(self.aggregate.name)
    }
}

fn not_run<T>(name: &str) -> Result<T, DataFusionError> {
    not_impl_err!("{name} is computed by operators")
}
