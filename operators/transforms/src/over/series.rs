//! What forecasts and nowcasts of series have in common: options, gaps in time, numbers from columns.

use arrow::array::{Array, ArrayRef, AsArray, Float64Array, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type};
use nowcast_engine::{Error, Millis, Result};
use nowcast_forecast::{Forecaster, Options, SEASON_MAX};
use serde_json::{Map, Value};

/// Missing periods fed to a model in one gap at most. Past it, a whole number of seasons is left
/// out, which changes the season's place in nothing; it is more than the longest season.
pub const MISSING_MAX: usize = 2 * SEASON_MAX;

/// The options of a call: those of the model, and the function's own beside them.
pub struct CallOptions {
    name: &'static str,
    object: Map<String, Value>,
}

impl CallOptions {
    /// # Errors
    /// Of the user, where `options` is not a JSON object.
    pub fn new(name: &'static str, options: &Value) -> Result<Self> {
        match options {
            Value::Object(object) => Ok(Self { name, object: object.clone() }),
            Value::Null => Ok(Self { name, object: Map::new() }),
            other => {
                Err(Error::user(format!("{name}: options must be a JSON object, not {other}")))
            }
        }
    }

    /// Takes an option out.
    pub fn take(&mut self, key: &str) -> Option<Value> {
        self.object.remove(key)
    }

    /// A length of time in seconds, as ms.
    pub fn take_seconds(&mut self, key: &str) -> Result<Option<Millis>> {
        let Some(value) = self.take(key) else { return Ok(None) };
        let ms = value.as_f64().map(|seconds| (seconds * 1000.0).round());
        match ms {
            Some(ms) if (1.0..1e15).contains(&ms) => Ok(Some(ms as Millis)),
            _ => Err(Error::user(format!(
                "{}: option {key:?} must be a number of seconds, not {value}",
                self.name
            ))),
        }
    }

    /// What remains are the model's options; the number of regressors is that of the call.
    pub fn model(mut self, regressors: usize) -> Result<Options> {
        self.object.insert("regressors".to_owned(), regressors.into());
        Options::from_json(&Value::Object(self.object)).map_err(|error| failed(self.name, error))
    }
}

/// An error of the model, by who must act.
pub fn failed(name: &str, error: nowcast_forecast::Error) -> Error {
    let message = format!("{name}: {error}");
    match error {
        nowcast_forecast::Error::Argument(_) => Error::bug(message),
        _ => Error::user(message),
    }
}

/// A column of numbers; null stays null.
pub fn numbers(column: &ArrayRef) -> Result<Float64Array> {
    Ok(cast(column, &DataType::Float64)?.as_primitive::<Float64Type>().clone())
}

pub fn number(column: &Float64Array, row: usize) -> Option<f64> {
    column.is_valid(row).then(|| column.value(row))
}

/// Columns of numbers, read row by row.
pub struct Regressors(Vec<Float64Array>);

impl Regressors {
    pub fn new(rows: &RecordBatch, columns: &[usize]) -> Result<Self> {
        Ok(Self(columns.iter().map(|column| numbers(rows.column(*column))).collect::<Result<_>>()?))
    }

    /// NaN where null: the model then repeats the value before.
    pub fn read(&self, row: usize, into: &mut Vec<f64>) {
        into.clear();
        into.extend(self.0.iter().map(|column| number(column, row).unwrap_or(f64::NAN)));
    }
}

/// Tells a model of `missing` periods without a value.
pub fn observe_missing(forecaster: &mut Forecaster, missing: i64) -> nowcast_forecast::Result<()> {
    let options = forecaster.options();
    let season = options.season.max(1) as i64;
    let most = MISSING_MAX as i64;
    let missing = match missing > most {
        true => most - (most - missing).rem_euclid(season),
        false => missing,
    };
    let regressors = vec![f64::NAN; options.regressors];
    for _ in 0..missing {
        forecaster.observe(None, &regressors)?;
    }
    Ok(())
}
