//! ML_NOWCAST: the total of a period before it is over, from its partial so far.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, BooleanArray, Float64Array, Int64Array, ListArray,
    StructArray,
};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{DataType, Fields, Float64Type, Int64Type};
use nowcast_engine::time::to_millis;
use nowcast_engine::{Error, Millis, Result};
use nowcast_forecast::{
    COMPLETION_STEPS_MAX, Completion, CompletionOptions, Forecast, Forecaster, Options,
};

use super::series::{CallOptions, Regressors, failed, number, numbers, observe_missing};
use super::{Functions, NowcastCall, Ordered};

const NAME: &str = "ML_NOWCAST";

/// Seasons longer than this share one arrival profile: hours of a week.
const PROFILES_MAX: usize = 168;

/// One model and one arrival profile a slot, over rows of a CUMULATE window: partials until the
/// window is as long as the period, then the final value, which alone is learned.
///
/// Options beside the model's: `period` and `step` in seconds (of the CUMULATE window),
/// `half_life` (periods) and `monotone` of the arrival profile. `completion` is the share of the
/// total that has usually arrived by then (of time, before the first final period). Periods
/// without rows are missing observations.
pub struct Nowcasts {
    call: NowcastCall,
    options: Options,
    completion: CompletionOptions,
    period: Millis,
    step: Millis,
    fields: Fields,
    series: Vec<Option<Box<Series>>>,
    /// How many there are, and what the last that was looked at takes: they are of one size, but for what
    /// first rows have yet to fill.
    held: usize,
    series_bytes: usize,
}

struct Series {
    forecaster: Forecaster,
    completion: Completion,
    progress: Progress,
}

/// Where a series stands in time.
#[derive(Default)]
struct Progress {
    /// Start of the last period the model knows of.
    last: Option<Millis>,
    open: Option<Open>,
}

/// A period that is not over.
struct Open {
    start: Millis,
    /// By step; `None`: no row came.
    partials: Vec<Option<f64>>,
    /// The forecast of the period.
    prior: Option<Forecast>,
}

/// What a row says.
struct Row<'a> {
    start: Millis,
    /// From 1.
    step: usize,
    value: Option<f64>,
    regressors: &'a [f64],
}

struct Answer {
    estimate: Option<Forecast>,
    completion: f64,
    is_final: bool,
}

impl Nowcasts {
    /// # Errors
    /// Of the user, for options that are refused.
    pub fn new(call: &NowcastCall, output: &DataType) -> Result<Self> {
        let mut options = CallOptions::new(NAME, &call.options)?;
        let needed =
            |what: &str| Error::user(format!("{NAME}: option {what:?} is needed (seconds)"));
        let period = options.take_seconds("period")?.ok_or_else(|| needed("period"))?;
        let step = options.take_seconds("step")?.ok_or_else(|| needed("step"))?;
        if period % step != 0 {
            return Err(Error::user(format!(
                "{NAME}: period {period} ms must be an integral multiple of step {step} ms"
            )));
        }
        let mut completion =
            CompletionOptions { steps: (period / step) as usize, ..CompletionOptions::default() };
        if completion.steps > COMPLETION_STEPS_MAX {
            return Err(Error::user(format!(
                "{NAME}: {} steps a period are more than {COMPLETION_STEPS_MAX}",
                completion.steps
            )));
        }
        if let Some(value) = options.take("half_life") {
            completion.half_life = value.as_f64().unwrap_or(f64::NAN);
        }
        if let Some(value) = options.take("monotone") {
            completion.monotone = value.as_bool().ok_or_else(|| {
                Error::user(format!(
                    "{NAME}: option \"monotone\" must be true or false, not {value}"
                ))
            })?;
        }
        let options = options.model(call.regressors.len())?;
        completion.confidence = options.confidence;
        completion.season = if options.season > PROFILES_MAX { 1 } else { options.season };
        completion.check().map_err(|error| failed(NAME, error))?;
        let fields = shape(output)?;
        let call = call.clone();
        Ok(Self {
            call,
            options,
            completion,
            period,
            step,
            fields,
            series: vec![],
            held: 0,
            series_bytes: 0,
        })
    }

    fn answer(&mut self, slot: usize, row: &Row<'_>) -> nowcast_forecast::Result<Option<Answer>> {
        let held = &mut self.series[slot];
        let series = match held {
            Some(series) => series,
            None => {
                self.held += 1;
                held.insert(Box::new(Series {
                    forecaster: Forecaster::new(&self.options)?,
                    completion: Completion::new(&self.completion)?,
                    progress: Progress::default(),
                }))
            }
        };
        let steps = self.completion.steps;
        let is_final = row.step == steps;
        let known = series.progress.last.is_some_and(|last| row.start <= last);
        let before = series.progress.open.as_ref().is_some_and(|open| row.start < open.start);
        if known || before {
            let estimate = row.value.filter(|_| is_final).map(certain);
            return Ok(estimate.map(|_| Answer { estimate, completion: 1.0, is_final }));
        }
        series.open(row, self.period, steps)?;
        let position = row.start.div_euclid(self.period);
        let position = position.rem_euclid(self.completion.season as i64) as usize;
        if is_final {
            series.close(row, position, self.completion.monotone)?;
            let estimate = row.value.map(certain);
            return Ok(Some(Answer { estimate, completion: 1.0, is_final }));
        }
        let Some(partial) = row.value.filter(|value| value.is_finite()) else { return Ok(None) };
        let open = series.progress.open.as_ref().expect("it was just opened");
        let completion = &series.completion;
        let estimate = completion.nowcast(position, row.step, partial, open.prior.as_ref())?;
        let elapsed = row.step as f64 / steps as f64;
        let completion = completion.share(position, row.step - 1).unwrap_or(elapsed);
        Ok(Some(Answer { estimate, completion, is_final }))
    }

    /// The row's step; an error of the user where its window is not one of the call's CUMULATE.
    fn step_of(&self, start: Millis, end: Millis) -> Result<usize> {
        let length = end - start;
        match length > 0 && length <= self.period && length % self.step == 0 {
            true => Ok((length / self.step) as usize),
            false => Err(Error::user(format!(
                "{NAME}: a window of {length} ms is not a multiple of step {} ms up to period {} ms",
                self.step, self.period
            ))),
        }
    }
}

impl Series {
    fn bytes(&self) -> usize {
        let open = self.progress.open.as_ref();
        let partials = open.map_or(0, |open| size_of_val(open.partials.as_slice()));
        let models = self.forecaster.save().len() + self.completion.save().len();
        size_of::<Self>() + models + partials
    }

    /// Takes a partial into its period, which is opened where it is new.
    fn open(
        &mut self,
        row: &Row<'_>,
        period: Millis,
        steps: usize,
    ) -> nowcast_forecast::Result<()> {
        let opened = self.progress.open.as_ref().is_none_or(|open| open.start < row.start);
        if opened {
            if let Some(last) = self.progress.last {
                let missing = (row.start - last) / period - 1;
                observe_missing(&mut self.forecaster, missing)?;
                self.progress.last = Some(row.start - period);
            }
            self.progress.open =
                Some(Open { start: row.start, partials: vec![None; steps], prior: None });
        }
        let open = self.progress.open.as_mut().expect("it is open now");
        open.partials[row.step - 1] = row.value;
        // Regressors become better known as the period goes on.
        if opened || !row.regressors.is_empty() {
            let future = [row.regressors.to_vec()];
            let future = (!row.regressors.is_empty()).then_some(&future[..]);
            open.prior = self.forecaster.forecast(1, future)?.map(|all| all[0]);
        }
        Ok(())
    }

    /// Learns a final value.
    fn close(
        &mut self,
        row: &Row<'_>,
        position: usize,
        monotone: bool,
    ) -> nowcast_forecast::Result<()> {
        let open = self.progress.open.take().expect("it was just opened");
        if let Some(total) = row.value {
            // A step without a row has nothing new: a count stays where it was.
            let mut before = if monotone { 0.0 } else { f64::NAN };
            let partials: Vec<f64> = open
                .partials
                .iter()
                .map(|partial| {
                    let known = partial.unwrap_or(before);
                    before = if monotone { known } else { f64::NAN };
                    known
                })
                .collect();
            self.completion.learn(position, &partials, total, open.prior.as_ref())?;
        }
        self.progress.last = Some(row.start);
        self.forecaster.observe(row.value, row.regressors)
    }
}

fn certain(value: f64) -> Forecast {
    Forecast { mean: value, lower: value, upper: value, sd: 0.0 }
}

fn shape(output: &DataType) -> Result<Fields> {
    if let DataType::Struct(fields) = output {
        let floats = fields.iter().take(4).all(|field| *field.data_type() == DataType::Float64);
        if fields.len() == 5 && floats && *fields[4].data_type() == DataType::Boolean {
            return Ok(fields.clone());
        }
    }
    Err(Error::bug(format!("{NAME}: an output of type {output}")))
}

impl Functions for Nowcasts {
    fn evaluate(&mut self, ordered: &Ordered<'_>) -> Result<Vec<ArrayRef>> {
        self.series.resize_with(ordered.slots_len.max(self.series.len()), || None);
        let values = numbers(ordered.rows.column(self.call.value))?;
        let starts = to_millis(ordered.rows.column(self.call.window_start))?;
        let ends = to_millis(ordered.rows.column(self.call.window_end))?;
        let regressors = Regressors::new(ordered.rows, &self.call.regressors)?;
        let mut row_regressors = vec![];
        let mut answers = Vec::with_capacity(ordered.slots.len());
        for (row, slot) in ordered.slots.iter().enumerate() {
            if starts.is_null(row) || ends.is_null(row) {
                answers.push(None);
                continue;
            }
            let start = starts.value(row);
            let step = self.step_of(start, ends.value(row))?;
            regressors.read(row, &mut row_regressors);
            let value = number(&values, row);
            let row = Row { start, step, value, regressors: &row_regressors };
            let answer = self.answer(*slot as usize, &row);
            answers.push(answer.map_err(|error| failed(NAME, error))?);
        }
        let last = ordered.slots.last().and_then(|slot| self.series[*slot as usize].as_ref());
        self.series_bytes = last.map_or(self.series_bytes, |series| series.bytes());
        let floats = |get: fn(&Answer) -> Option<f64>| -> ArrayRef {
            let column = answers.iter().map(|answer| answer.as_ref().and_then(get));
            Arc::new(Float64Array::from_iter(column))
        };
        let finals = answers.iter().map(|answer| answer.as_ref().map(|answer| answer.is_final));
        let columns: Vec<ArrayRef> = vec![
            floats(|answer| answer.estimate.map(|estimate| estimate.mean)),
            floats(|answer| answer.estimate.map(|estimate| estimate.lower)),
            floats(|answer| answer.estimate.map(|estimate| estimate.upper)),
            floats(|answer| Some(answer.completion)),
            Arc::new(finals.collect::<BooleanArray>()),
        ];
        let nulls = NullBuffer::from_iter(answers.iter().map(Option::is_some));
        Ok(vec![Arc::new(StructArray::try_new(self.fields.clone(), columns, Some(nulls))?)])
    }

    fn clear(&mut self, slot: u32) {
        self.held -= usize::from(self.series[slot as usize].take().is_some());
    }

    fn bytes(&self) -> usize {
        size_of_val(self.series.as_slice()) + self.held * self.series_bytes
    }

    fn save(&self, slots: &[u32]) -> Result<(Vec<u32>, Vec<ArrayRef>)> {
        let (mut of, mut models, mut profiles) = (vec![], vec![], vec![]);
        let (mut lasts, mut starts) = (vec![], vec![]);
        let (mut partials, mut priors) = (vec![], vec![]);
        for slot in slots {
            if let Some(series) = &self.series[*slot as usize] {
                of.push(*slot);
                models.push(series.forecaster.save());
                profiles.push(series.completion.save());
                lasts.push(series.progress.last);
                let open = series.progress.open.as_ref();
                starts.push(open.map(|open| open.start));
                partials.push(open.map(|open| open.partials.clone()));
                let prior = open.and_then(|open| open.prior);
                priors.push(
                    prior.map(|prior| [prior.mean, prior.lower, prior.upper, prior.sd].map(Some)),
                );
            }
        }
        let columns: Vec<ArrayRef> = vec![
            Arc::new(BinaryArray::from_iter_values(models)),
            Arc::new(BinaryArray::from_iter_values(profiles)),
            Arc::new(Int64Array::from(lasts)),
            Arc::new(Int64Array::from(starts)),
            Arc::new(ListArray::from_iter_primitive::<Float64Type, _, _>(partials)),
            Arc::new(ListArray::from_iter_primitive::<Float64Type, _, _>(priors)),
        ];
        Ok((of, columns))
    }

    fn load(&mut self, slots: &[u32], slots_len: usize, columns: &[ArrayRef]) -> Result<()> {
        self.series.resize_with(slots_len.max(self.series.len()), || None);
        let (models, profiles) = (columns[0].as_binary::<i32>(), columns[1].as_binary::<i32>());
        let time = |column: usize, row: usize| {
            let times = columns[column].as_primitive::<Int64Type>();
            times.is_valid(row).then(|| times.value(row))
        };
        let floats = |column: usize, row: usize| {
            let lists = columns[column].as_list::<i32>();
            lists.is_valid(row).then(|| lists.value(row).as_primitive::<Float64Type>().clone())
        };
        for (row, slot) in slots.iter().enumerate() {
            let forecaster = Forecaster::load(models.value(row));
            let completion = Completion::load(profiles.value(row));
            let prior = floats(5, row).map(|prior| prior.values().to_vec());
            let prior = prior.as_deref().and_then(|prior| match prior {
                [mean, lower, upper, sd] => {
                    Some(Forecast { mean: *mean, lower: *lower, upper: *upper, sd: *sd })
                }
                _ => None,
            });
            let open = time(3, row).zip(floats(4, row)).map(|(start, partials)| Open {
                start,
                partials: partials.iter().collect(),
                prior,
            });
            let series = Series {
                forecaster: forecaster.map_err(|error| failed(NAME, error))?,
                completion: completion.map_err(|error| failed(NAME, error))?,
                progress: Progress { last: time(2, row), open },
            };
            self.series_bytes = series.bytes();
            self.series[*slot as usize] = Some(Box::new(series));
            self.held += 1;
        }
        Ok(())
    }
}
