//! The streaming facade: one object a key, one call a closed window, forecasts with intervals.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::ets::{Ets, EtsSpec, Form};
use crate::fit::{Past, fit_ets, fit_ets_regression, fit_sarimax};
use crate::normal::Normal;
use crate::options::{ModelKind, Options};
use crate::regression::EtsRegression;
use crate::sarimax::Sarimax;
use crate::saved;

/// Steps that one call may ask for: two weeks of half-hours, with room.
pub const HORIZON_MAX: usize = 1024;

/// Refits happen when the number of observations has grown by half, or by the whole history kept,
/// whichever is sooner: a constant number of passes over each observation.
const GROWTH: f64 = 1.5;

/// Observations before the first fit, beyond two seasons and two for each regressor.
const WARM_UP: usize = 8;

/// A predictive distribution of one period.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Forecast {
    pub mean: f64,
    /// The interval that holds the options' `confidence`.
    pub lower: f64,
    pub upper: f64,
    /// Standard deviation before any cut at zero.
    pub sd: f64,
}

/// Forecasts one series online. The same calls in the same order give the same bits, also across
/// [`Forecaster::save`] and [`Forecaster::load`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Forecaster {
    options: Options,
    /// The latest observations on the options' scale, NaN where missing.
    values: VecDeque<f64>,
    /// Their regressors, row after row.
    regressors: VecDeque<f64>,
    observed: u64,
    refit_at: u64,
    model: Model,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
enum Model {
    /// The latest value (a season ago): before warm-up, where asked for, and where no fit succeeds.
    Naive,
    Ets(Ets),
    Regression(EtsRegression),
    Sarimax(Sarimax),
}

impl Forecaster {
    /// # Errors
    /// When the options are refused (see [`Options::check`]).
    pub fn new(options: &Options) -> Result<Forecaster> {
        options.check()?;
        Ok(Forecaster {
            options: options.clone(),
            values: VecDeque::new(),
            regressors: VecDeque::new(),
            observed: 0,
            refit_at: warm_up(options) as u64,
            model: Model::Naive,
        })
    }

    pub fn options(&self) -> &Options {
        &self.options
    }

    /// Closed windows seen so far, missing ones included.
    pub fn observed(&self) -> u64 {
        self.observed
    }

    /// Whether a fitted model answers, rather than the naive one of the warm-up.
    pub fn is_warm(&self) -> bool {
        self.options.model == ModelKind::Naive || !matches!(self.model, Model::Naive)
    }

    /// Takes one closed window: its final value (`None` or not finite where it is missing) and one number
    /// for each regressor. A regressor that is not finite repeats the one before it.
    ///
    /// One filter step; at some counts of observations also a refit on the history kept.
    /// # Errors
    /// When the number of regressors is not the options'; nothing is changed then.
    pub fn observe(&mut self, value: Option<f64>, regressors: &[f64]) -> Result<()> {
        let row = self.repaired(regressors)?;
        let value = value.filter(|value| value.is_finite());
        let value = value.and_then(|value| self.options.transform.apply(value));
        self.values.push_back(value.unwrap_or(f64::NAN));
        self.regressors.extend(&row);
        if self.values.len() > self.options.history_bound() {
            self.values.pop_front();
            self.regressors.drain(..row.len());
        }
        self.observed += 1;
        if self.observed >= self.refit_at && self.options.model != ModelKind::Naive {
            self.refit();
            return Ok(());
        }
        match &mut self.model {
            Model::Naive => {}
            Model::Ets(ets) => _ = ets.observe(value),
            Model::Regression(regression) => regression.observe(value, &row),
            Model::Sarimax(sarimax) => _ = sarimax.observe(value, &with_constant(sarimax, row)),
        }
        if !self.model.is_finite() {
            self.refit();
        }
        Ok(())
    }

    /// Predictive distributions of the next `horizon` windows; `None` before the first observed value.
    ///
    /// `future_regressors` has one row a step. Without it, ETS forecasts the series by itself and SARIMAX
    /// repeats the regressors of a season ago. Before the warm-up ends the answer is the latest value of
    /// the same season position, as wide as such guesses have been wrong so far.
    /// # Errors
    /// When the horizon is 0 or past [`HORIZON_MAX`], or the future regressors do not fit it.
    pub fn forecast(
        &self,
        horizon: usize,
        future_regressors: Option<&[Vec<f64>]>,
    ) -> Result<Option<Vec<Forecast>>> {
        if !(1..=HORIZON_MAX).contains(&horizon) {
            return Err(Error::Argument(format!(
                "horizon must be between 1 and {HORIZON_MAX}, got {horizon}"
            )));
        }
        let future = future_regressors.map(|rows| self.checked(rows, horizon)).transpose()?;
        let future = future.filter(|_| self.options.regressors > 0);
        let predicted = match &self.model {
            Model::Naive => None,
            Model::Ets(ets) => Some(ets.forecast(horizon)),
            Model::Regression(regression) => Some(regression.forecast(horizon, future.as_deref())),
            Model::Sarimax(sarimax) => {
                let rows = future.unwrap_or_else(|| self.season_ago(horizon));
                let rows: Vec<Vec<f64>> =
                    rows.into_iter().map(|row| with_constant(sarimax, row)).collect();
                Some(sarimax.forecast(&rows))
            }
        };
        let usable = predicted
            .filter(|all| all.iter().all(|f| f.mean.is_finite() && f.variance.is_finite()));
        let predicted = usable.or_else(|| self.naive(horizon));
        Ok(predicted.map(|all| all.into_iter().map(|normal| self.presented(normal)).collect()))
    }

    /// Everything, exactly: [`Forecaster::load`] continues bit for bit.
    pub fn save(&self) -> Vec<u8> {
        saved::save(saved::Kind::Forecaster, self)
    }

    /// # Errors
    /// When the bytes are damaged, of another kind or of another format version.
    pub fn load(bytes: &[u8]) -> Result<Forecaster> {
        saved::load(saved::Kind::Forecaster, bytes)
    }

    fn repaired(&self, regressors: &[f64]) -> Result<Vec<f64>> {
        let wanted = self.options.regressors;
        if regressors.len() != wanted {
            let got = regressors.len();
            return Err(Error::Argument(format!("needs {wanted} regressors, got {got}")));
        }
        let start = self.regressors.len().saturating_sub(wanted);
        let before = |i: usize| self.regressors.get(start + i).copied().unwrap_or(0.0);
        Ok(regressors
            .iter()
            .enumerate()
            .map(|(i, x)| if x.is_finite() { *x } else { before(i) })
            .collect())
    }

    fn checked(&self, rows: &[Vec<f64>], horizon: usize) -> Result<Vec<Vec<f64>>> {
        if rows.len() != horizon {
            let got = rows.len();
            return Err(Error::Argument(format!(
                "needs {horizon} rows of future regressors, got {got}"
            )));
        }
        rows.iter().map(|row| self.repaired(row)).collect()
    }

    fn refit(&mut self) {
        let grown = (self.observed as f64 * GROWTH).ceil() as u64;
        self.refit_at = grown.min(self.observed + self.options.history_bound() as u64);
        let width = self.options.regressors;
        let past = Past {
            values: self.values.make_contiguous(),
            regressors: self.regressors.make_contiguous(),
            width,
        };
        let fitted = match self.options.model {
            ModelKind::Naive => None,
            ModelKind::Ets if width > 0 => {
                let warm = match &self.model {
                    Model::Regression(regression) => Some(*regression.params()),
                    _ => None,
                };
                fit_ets_regression(self.options.ets(), past, warm).map(Model::Regression)
            }
            ModelKind::Ets => {
                let warm = match &self.model {
                    Model::Ets(ets) => Some(*ets.params()),
                    _ => None,
                };
                let spec = self.options.ets();
                let fitted = fit_ets(spec, past.values, warm);
                fitted.or_else(|| fit_ets(additive(spec), past.values, warm)).map(Model::Ets)
            }
            ModelKind::Sarimax => {
                let warm = match &self.model {
                    Model::Sarimax(sarimax) => Some(sarimax.params().clone()),
                    _ => None,
                };
                let spec = self.options.sarimax();
                let widened = widened(past, spec.regressors);
                let past =
                    Past { values: past.values, regressors: &widened, width: spec.regressors };
                fit_sarimax(spec, past, warm.as_ref()).map(Model::Sarimax)
            }
        };
        self.model = fitted.unwrap_or(Model::Naive);
    }

    fn season_ago(&self, horizon: usize) -> Vec<Vec<f64>> {
        let width = self.options.regressors;
        let rows = self.values.len();
        let season = self.options.season.min(rows);
        let row = |h: usize| {
            let index = rows - season + h % season;
            self.regressors.range(index * width..(index + 1) * width).copied().collect()
        };
        (0..horizon).map(row).collect()
    }

    /// The latest value of the same season position. Its variance is the mean square of such guesses'
    /// errors so far, counted together with one imagined error as large as the values themselves, so that
    /// a short history gives a wide interval.
    fn naive(&self, horizon: usize) -> Option<Vec<Normal>> {
        let finite = |value: &f64| value.is_finite();
        let latest = self.values.iter().rev().copied().find(finite)?;
        let n = self.values.len();
        let lag = if n > self.options.season { self.options.season } else { 1 };
        let seen = self.values.iter().filter(|value| value.is_finite());
        let (sum, count) =
            seen.fold((0.0, 0.0), |(sum, count), value| (sum + value.abs(), count + 1.0));
        let size: f64 = if sum > 0.0 { sum / count } else { 1.0 };
        let (mut squares, mut guesses) = (size * size, 1.0);
        for (before, after) in self.values.iter().zip(self.values.iter().skip(lag)) {
            if before.is_finite() && after.is_finite() {
                squares += (after - before) * (after - before);
                guesses += 1.0;
            }
        }
        let position = |h: usize| {
            let mut same = (0..n - lag + h % lag + 1).rev().step_by(lag).map(|i| self.values[i]);
            same.find(|value| value.is_finite()).unwrap_or(latest)
        };
        let variance = |h: usize| squares / guesses * (1 + h / lag) as f64;
        Some((0..horizon).map(|h| Normal { mean: position(h), variance: variance(h) }).collect())
    }

    fn presented(&self, predicted: Normal) -> Forecast {
        let (moments, lower, upper) =
            self.options.transform.invert(predicted, self.options.confidence);
        let floor = if self.options.non_negative { 0.0 } else { f64::NEG_INFINITY };
        Forecast {
            mean: moments.mean.max(floor),
            lower: lower.max(floor),
            upper: upper.max(floor),
            sd: moments.sd(),
        }
    }
}

impl Model {
    fn is_finite(&self) -> bool {
        match self {
            Model::Naive => true,
            Model::Ets(ets) => ets.state().is_finite(),
            Model::Regression(regression) => regression.is_finite(),
            Model::Sarimax(sarimax) => sarimax.kalman().is_finite(),
        }
    }
}

fn warm_up(options: &Options) -> usize {
    2 * options.season + 2 * options.regressors + WARM_UP
}

/// What a multiplicative model becomes for a series that is not positive.
fn additive(spec: EtsSpec) -> EtsSpec {
    EtsSpec { error: Form::Additive, season: spec.season.map(|_| Form::Additive), ..spec }
}

/// A row with the constant that a SARIMAX without differencing takes as its last regressor.
fn with_constant(sarimax: &Sarimax, mut row: Vec<f64>) -> Vec<f64> {
    row.resize(sarimax.spec().regressors, 1.0);
    row
}

fn widened(past: Past, width: usize) -> Vec<f64> {
    let mut rows = Vec::with_capacity(past.values.len() * width);
    for i in 0..past.values.len() {
        rows.extend_from_slice(past.row(i));
        rows.resize((i + 1) * width, 1.0);
    }
    rows
}
