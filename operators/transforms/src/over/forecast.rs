//! ML_FORECAST: the periods after each row, forecast from the rows of its partition up to it.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, Float64Array, Int64Array, ListArray, StructArray,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{DataType, FieldRef, Fields, Int64Type};
use nowcast_engine::time::to_millis;
use nowcast_engine::{Error, Millis, Result};
use nowcast_forecast::{Forecast, Forecaster, HORIZON_MAX, Options};

use super::series::{CallOptions, Regressors, failed, number, numbers, observe_missing};
use super::{ForecastCall, Functions, Ordered};
use crate::window::time_column;

const NAME: &str = "ML_FORECAST";

/// One model a slot. The first row of a time is its period's value; further ones of that time, or
/// of an earlier one, are answered without being learned.
///
/// Options beside the model's: `horizon` (periods ahead, 1) and `period` (seconds; otherwise the
/// shortest distance between two rows of the partition so far). Periods left out between two rows
/// are missing observations. Without a period or an observed value the answer is null.
pub struct Forecasts {
    call: ForecastCall,
    options: Options,
    horizon: usize,
    period: Option<Millis>,
    item: FieldRef,
    fields: Fields,
    series: Vec<Option<Box<Series>>>,
    /// How many there are, and what the last that was looked at takes: they are of one size, but for what
    /// first rows have yet to fill.
    held: usize,
    series_bytes: usize,
}

struct Series {
    forecaster: Forecaster,
    last: Millis,
    /// 0: not known yet.
    period: Millis,
}

impl Series {
    fn bytes(&self) -> usize {
        size_of::<Self>() + self.forecaster.save().len()
    }
}

impl Forecasts {
    /// # Errors
    /// Of the user, for options that are refused.
    pub fn new(call: &ForecastCall, output: &DataType) -> Result<Self> {
        let mut options = CallOptions::new(NAME, &call.options)?;
        let horizon = match options.take("horizon") {
            None => 1,
            Some(value) => {
                let horizon = value.as_u64().unwrap_or(0) as usize;
                if !(1..=HORIZON_MAX).contains(&horizon) {
                    return Err(Error::user(format!(
                        "{NAME}: option \"horizon\" must be between 1 and {HORIZON_MAX}, not {value}"
                    )));
                }
                horizon
            }
        };
        let period = options.take_seconds("period")?;
        let options = options.model(call.regressors.len())?;
        let (item, fields) = shape(output)?;
        Ok(Self {
            call: call.clone(),
            options,
            horizon,
            period,
            item,
            fields,
            series: vec![],
            held: 0,
            series_bytes: 0,
        })
    }

    /// Learns a row, where it is the first of its time.
    fn observe(
        &mut self,
        slot: usize,
        time: Millis,
        value: Option<f64>,
        regressors: &[f64],
    ) -> nowcast_forecast::Result<()> {
        let Some(series) = &mut self.series[slot] else {
            let mut forecaster = Forecaster::new(&self.options)?;
            forecaster.observe(value, regressors)?;
            let period = self.period.unwrap_or(0);
            self.series[slot] = Some(Box::new(Series { forecaster, last: time, period }));
            self.held += 1;
            return Ok(());
        };
        if time <= series.last {
            return Ok(());
        }
        let distance = time - series.last;
        if self.period.is_none() && (series.period == 0 || distance < series.period) {
            series.period = distance;
        }
        observe_missing(&mut series.forecaster, distance / series.period - 1)?;
        series.last = time;
        series.forecaster.observe(value, regressors)
    }

    fn forecast(&self, slot: usize) -> nowcast_forecast::Result<Option<Vec<Forecast>>> {
        match &self.series[slot] {
            Some(series) if series.period > 0 => series.forecaster.forecast(self.horizon, None),
            _ => Ok(None),
        }
    }
}

/// The list and struct of the answer.
fn shape(output: &DataType) -> Result<(FieldRef, Fields)> {
    let wrong = || Error::bug(format!("{NAME}: an output of type {output}"));
    let DataType::List(item) = output else { return Err(wrong()) };
    let DataType::Struct(fields) = item.data_type() else { return Err(wrong()) };
    let floats = fields.iter().skip(1).all(|field| *field.data_type() == DataType::Float64);
    match fields.len() == 4 && floats && matches!(fields[0].data_type(), DataType::Timestamp(..)) {
        true => Ok((Arc::clone(item), fields.clone())),
        false => Err(wrong()),
    }
}

/// Forecasts of all rows, row after row.
#[derive(Default)]
struct Answers {
    lengths: Vec<usize>,
    times: Vec<Millis>,
    means: Vec<f64>,
    lowers: Vec<f64>,
    uppers: Vec<f64>,
}

impl Functions for Forecasts {
    fn evaluate(&mut self, ordered: &Ordered<'_>) -> Result<Vec<ArrayRef>> {
        self.series.resize_with(ordered.slots_len.max(self.series.len()), || None);
        let values = numbers(ordered.rows.column(self.call.value))?;
        let times = to_millis(ordered.rows.column(self.call.time))?;
        let regressors = Regressors::new(ordered.rows, &self.call.regressors)?;
        let mut row_regressors = vec![];
        let mut answers = Answers::default();
        for (row, slot) in ordered.slots.iter().enumerate() {
            if times.is_null(row) {
                answers.lengths.push(0);
                continue;
            }
            let slot = *slot as usize;
            regressors.read(row, &mut row_regressors);
            self.observe(slot, times.value(row), number(&values, row), &row_regressors)
                .map_err(|error| failed(NAME, error))?;
            let forecast = self.forecast(slot).map_err(|error| failed(NAME, error))?;
            let forecast = forecast.unwrap_or_default();
            let series = self.series[slot].as_deref();
            let (last, period) = series.map_or((0, 0), |series| (series.last, series.period));
            answers.lengths.push(forecast.len());
            for (ahead, period_forecast) in forecast.iter().enumerate() {
                answers.times.push(last + (ahead as i64 + 1) * period);
                answers.means.push(period_forecast.mean);
                answers.lowers.push(period_forecast.lower);
                answers.uppers.push(period_forecast.upper);
            }
        }
        let last = ordered.slots.last().and_then(|slot| self.series[*slot as usize].as_ref());
        self.series_bytes = last.map_or(self.series_bytes, |series| series.bytes());
        let columns: Vec<ArrayRef> = vec![
            time_column(answers.times, self.fields[0].data_type())?,
            Arc::new(Float64Array::from(answers.means)),
            Arc::new(Float64Array::from(answers.lowers)),
            Arc::new(Float64Array::from(answers.uppers)),
        ];
        let items = StructArray::try_new(self.fields.clone(), columns, None)?;
        let nulls = NullBuffer::from_iter(answers.lengths.iter().map(|length| *length > 0));
        let offsets = OffsetBuffer::from_lengths(answers.lengths);
        let item = Arc::clone(&self.item);
        Ok(vec![Arc::new(ListArray::try_new(item, offsets, Arc::new(items), Some(nulls))?)])
    }

    fn clear(&mut self, slot: u32) {
        self.held -= usize::from(self.series[slot as usize].take().is_some());
    }

    fn bytes(&self) -> usize {
        size_of_val(self.series.as_slice()) + self.held * self.series_bytes
    }

    fn save(&self, slots: &[u32]) -> Result<(Vec<u32>, Vec<ArrayRef>)> {
        let (mut of, mut models, mut lasts, mut periods) = (vec![], vec![], vec![], vec![]);
        for slot in slots {
            if let Some(series) = &self.series[*slot as usize] {
                of.push(*slot);
                models.push(series.forecaster.save());
                lasts.push(series.last);
                periods.push(series.period);
            }
        }
        let columns: Vec<ArrayRef> = vec![
            Arc::new(BinaryArray::from_iter_values(models)),
            Arc::new(Int64Array::from(lasts)),
            Arc::new(Int64Array::from(periods)),
        ];
        Ok((of, columns))
    }

    fn load(&mut self, slots: &[u32], slots_len: usize, columns: &[ArrayRef]) -> Result<()> {
        self.series.resize_with(slots_len.max(self.series.len()), || None);
        let models = columns[0].as_binary::<i32>();
        let lasts = columns[1].as_primitive::<Int64Type>();
        let periods = columns[2].as_primitive::<Int64Type>();
        for (row, slot) in slots.iter().enumerate() {
            let forecaster =
                Forecaster::load(models.value(row)).map_err(|error| failed(NAME, error))?;
            let (last, period) = (lasts.value(row), periods.value(row));
            let series = Series { forecaster, last, period };
            self.series_bytes = series.bytes();
            self.series[*slot as usize] = Some(Box::new(series));
            self.held += 1;
        }
        Ok(())
    }
}
