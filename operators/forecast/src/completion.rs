//! A period before it is over: the partial count so far, the usual arrival profile and the forecast, as one
//! predictive distribution.
//!
//! After step i of n the partial is taken as P = f·T + noise with T the final total, f the share that has
//! usually arrived by then, and the noise's standard deviation proportional to T. With the forecast as the
//! prior of T this is one Kalman update, so a partial of 0 is evidence too. Neither the forecast's own
//! variance nor the independence of its error from the noise is taken on trust: final periods correct the
//! gain and the width. Where totals only grow, what lies below the partial is cut off.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::forecaster::Forecast;
use crate::normal::{self, Normal};
use crate::saved;

/// Steps of one period: minutes of a day.
pub const COMPLETION_STEPS_MAX: usize = 1440;
/// Season positions with a profile of their own: hours of a week.
const SEASON_MAX: usize = 168;

/// Windows' worth of the common profile in every season position's own: a position is trusted after a few.
const SHRINKAGE: f64 = 2.0;

/// Periods' worth of the model's own answer in the learned corrections of gain and width.
const TRUST: f64 = 10.0;

/// Standard deviation, on the logit scale, of a share of which nothing is known but its mean.
const LOGIT_SD: f64 = 1.0;

/// Standard deviations at which a period's surprise is cut off before it is learned from: a holiday or a
/// broken feed should not set the width of ordinary days.
const SURPRISE_MAX: f64 = 3.0;

/// Turns for the noise, which depends on the total being estimated, to settle.
const TURNS: usize = 3;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CompletionOptions {
    /// Partials of one period; the last one is the total.
    pub steps: usize,
    /// Periods a season with a profile each (weekdays: 7); 1 for one profile.
    pub season: usize,
    /// Periods after which an observation counts half.
    pub half_life: f64,
    /// Probability inside `lower` … `upper`.
    pub confidence: f64,
    /// Totals only grow within a period (counts), so nothing below the partial is possible.
    pub monotone: bool,
}

impl Default for CompletionOptions {
    fn default() -> CompletionOptions {
        CompletionOptions {
            steps: 24,
            season: 1,
            half_life: 60.0,
            confidence: 0.95,
            monotone: true,
        }
    }
}

impl CompletionOptions {
    /// # Errors
    /// The first option out of range, by name.
    pub fn check(&self) -> Result<()> {
        let refuse = |text: String| Err(Error::Option(text));
        if !(1..=COMPLETION_STEPS_MAX).contains(&self.steps) {
            let got = self.steps;
            return refuse(format!(
                "steps: must be between 1 and {COMPLETION_STEPS_MAX}, got {got}"
            ));
        }
        if !(1..=SEASON_MAX).contains(&self.season) {
            return refuse(format!(
                "season: must be between 1 and {SEASON_MAX}, got {}",
                self.season
            ));
        }
        if !(self.half_life >= 1.0 && self.half_life.is_finite()) {
            return refuse(format!("half_life: must be at least 1, got {}", self.half_life));
        }
        if !(self.confidence > 0.0 && self.confidence < 1.0) {
            return refuse(format!("confidence: must be between 0 and 1, got {}", self.confidence));
        }
        Ok(())
    }
}

/// The arrival profile of one series, learned from its final periods.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Completion {
    options: CompletionOptions,
    /// All positions together, then each season position; a row of steps each.
    profiles: Vec<Vec<Share>>,
    corrections: Vec<Correction>,
}

/// What final periods said about the update at one step: exponentially weighted sums, each period in units
/// of its forecast's standard deviation (first two) or of the estimate's own (third).
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Correction {
    weight: f64,
    /// Σ (change that was right) · (change that the gain made), and Σ of the latter's squares.
    cross: f64,
    power: f64,
    /// Σ (error / standard deviation)²
    misses: f64,
}

/// A Kalman update before and after correction.
struct Update {
    /// Change of the mean by the model's gain, in units of the prior's standard deviation.
    change: f64,
    estimate: Normal,
}

/// Exponentially weighted sums over periods: the share arrived by one step, and how it varies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Share {
    weight: f64,
    partials: f64,
    totals: f64,
    /// Σ (P − f·T)² with the f known before that period, and the Σ T² that goes with it.
    errors: f64,
    squares: f64,
}

impl Completion {
    /// # Errors
    /// When an option is out of range.
    pub fn new(options: &CompletionOptions) -> Result<Completion> {
        options.check()?;
        let rows = if options.season > 1 { 1 + options.season } else { 1 };
        let profiles = vec![vec![Share::default(); options.steps]; rows];
        let corrections = vec![Correction::default(); options.steps];
        Ok(Completion { options: options.clone(), profiles, corrections })
    }

    pub fn options(&self) -> &CompletionOptions {
        &self.options
    }

    /// Takes one final period: the cumulative partial after every step (NaN where unknown; the last is
    /// not read), the total, and the forecast that was made for it before it began, if there was one.
    /// `position` is the period's place in the season, any counting number.
    /// # Errors
    /// When the number of partials is not the options' `steps`; nothing is learned then.
    pub fn learn(
        &mut self,
        position: usize,
        partials: &[f64],
        total: f64,
        forecast: Option<&Forecast>,
    ) -> Result<()> {
        let steps = self.options.steps;
        if partials.len() != steps {
            return Err(Error::Argument(format!("needs {steps} partials, got {}", partials.len())));
        }
        if !total.is_finite() {
            return Ok(());
        }
        let keep = 0.5_f64.powf(1.0 / self.options.half_life);
        if let Some(prior) = usable(forecast) {
            for step in (0..steps - 1).filter(|step| partials[*step].is_finite()) {
                if let Some(update) = self.update(position, step, partials[step], prior) {
                    self.corrections[step].learn(&update, prior, total, keep);
                }
            }
        }
        let own = self.row(position);
        for step in (0..steps).filter(|step| partials[*step].is_finite()) {
            let known =
                self.share(position, step).map(|share| (share, self.spread(position, step, share)));
            if own > 0 {
                // A position comes round once a season: the same half-life in its own periods.
                let keep = keep.powf(self.options.season as f64);
                self.profiles[own][step].learn(partials[step], total, known, keep);
            }
            let common = &mut self.profiles[0][step];
            let known = common.mean().map(|share| (share, common.spread(widest(share), 1.0)));
            common.learn(partials[step], total, known, keep);
        }
        Ok(())
    }

    /// The total of an open period after `step` steps (1 … steps) with `partial` arrived, given the
    /// forecast made for that period before it began. `None` when neither a final period nor a forecast
    /// is known. After the last step it is exactly the partial.
    /// # Errors
    /// When `step` is not within the options' steps, or `partial` is not finite.
    pub fn nowcast(
        &self,
        position: usize,
        step: usize,
        partial: f64,
        forecast: Option<&Forecast>,
    ) -> Result<Option<Forecast>> {
        let steps = self.options.steps;
        if !(1..=steps).contains(&step) {
            return Err(Error::Argument(format!("step must be between 1 and {steps}, got {step}")));
        }
        if !partial.is_finite() {
            return Err(Error::Argument(format!("partial must be finite, got {partial}")));
        }
        if step == steps {
            return Ok(Some(Forecast { mean: partial, lower: partial, upper: partial, sd: 0.0 }));
        }
        let estimate =
            match usable(forecast) {
                Some(prior) => {
                    let update = self.update(position, step - 1, partial, prior);
                    Some(update.map_or(prior, |update| {
                        self.corrections[step - 1].widened(update.estimate)
                    }))
                }
                None => self.scaled_up(position, step - 1, partial),
            };
        Ok(estimate.map(|estimate| self.presented(estimate, partial)))
    }

    pub fn save(&self) -> Vec<u8> {
        saved::save(saved::Kind::Completion, self)
    }

    /// # Errors
    /// When the bytes are damaged, of another kind or of another format version.
    pub fn load(bytes: &[u8]) -> Result<Completion> {
        saved::load(saved::Kind::Completion, bytes)
    }

    /// The share of the total that has usually arrived after step index `step`; `None` before the first
    /// final period.
    pub fn share(&self, position: usize, step: usize) -> Option<f64> {
        let common = self.profiles[0][step].mean()?;
        let own = &self.profiles[self.row(position)][step];
        let weight = own.weight / (own.weight + SHRINKAGE);
        Some(own.mean().map_or(common, |mean| common + weight * (mean - common)))
    }

    /// The forecast brought up to date by the partial, its gain corrected; the width is still the model's.
    /// `None` before the first final period, or for a forecast that is certain.
    fn update(&self, position: usize, step: usize, partial: f64, prior: Normal) -> Option<Update> {
        let share = self.share(position, step)?;
        let spread = self.spread(position, step, share);
        let mut estimate = prior;
        for _ in 0..TURNS {
            // Midway to the forecast, or a partial of nothing would make the answer certain.
            let size = 0.5 * (estimate.mean.abs() + prior.mean.abs());
            estimate = prior.updated(partial, share, spread * size * size);
        }
        if prior.variance <= 0.0 {
            return None;
        }
        let change = (estimate.mean - prior.mean) / prior.sd();
        // The model expects the square of the change to be this, in the same unit.
        let expected = 1.0 - estimate.variance / prior.variance;
        estimate.mean =
            prior.mean + self.corrections[step].gain(expected) * (estimate.mean - prior.mean);
        Some(Update { change, estimate })
    }

    /// Without a forecast: the partial over its share.
    fn scaled_up(&self, position: usize, step: usize, partial: f64) -> Option<Normal> {
        let share = self.share(position, step).filter(|share| *share > 0.0)?;
        let mean = partial / share;
        Some(Normal {
            mean,
            variance: self.spread(position, step, share) * mean * mean / (share * share),
        })
    }

    /// Variance of that share from period to period.
    fn spread(&self, position: usize, step: usize, share: f64) -> f64 {
        let (common, own) = (&self.profiles[0][step], &self.profiles[self.row(position)][step]);
        let common_spread = common.spread(widest(share), 1.0);
        if self.row(position) == 0 { common_spread } else { own.spread(common_spread, SHRINKAGE) }
    }

    fn row(&self, position: usize) -> usize {
        if self.options.season > 1 { 1 + position % self.options.season } else { 0 }
    }

    fn presented(&self, estimate: Normal, partial: f64) -> Forecast {
        let (low, high) =
            (0.5 - self.options.confidence / 2.0, 0.5 + self.options.confidence / 2.0);
        if !self.options.monotone {
            let reach = normal::quantile(high) * estimate.sd();
            let (lower, upper) = (estimate.mean - reach, estimate.mean + reach);
            return Forecast { mean: estimate.mean, lower, upper, sd: estimate.sd() };
        }
        let cut = estimate.truncated_below(partial);
        let moments = cut.moments();
        Forecast {
            mean: moments.mean,
            lower: cut.quantile(low),
            upper: cut.quantile(high),
            sd: moments.sd(),
        }
    }
}

fn usable(forecast: Option<&Forecast>) -> Option<Normal> {
    let prior = forecast
        .map(|forecast| Normal { mean: forecast.mean, variance: forecast.sd * forecast.sd });
    prior.filter(|prior| prior.mean.is_finite() && prior.variance.is_finite())
}

/// Variance of a share of which nothing but the mean is known.
fn widest(share: f64) -> f64 {
    (LOGIT_SD * share * (1.0 - share)).powi(2)
}

impl Correction {
    /// Factor on the model's gain: the regression of right changes on changes made, 1 as the model has it.
    fn gain(&self, expected: f64) -> f64 {
        let own = TRUST * expected.max(f64::MIN_POSITIVE);
        (self.cross + own) / (self.power + own)
    }

    /// The estimate with its variance multiplied by the mean square of errors so far, in its own units.
    fn widened(&self, estimate: Normal) -> Normal {
        let factor = (self.misses + TRUST) / (self.weight + TRUST);
        Normal { mean: estimate.mean, variance: estimate.variance * factor }
    }

    fn learn(&mut self, update: &Update, prior: Normal, total: f64, keep: f64) {
        let right = ((total - prior.mean) / prior.sd()).clamp(-SURPRISE_MAX, SURPRISE_MAX);
        let change = update.change.clamp(-SURPRISE_MAX, SURPRISE_MAX);
        self.weight = keep * self.weight + 1.0;
        self.cross = keep * self.cross + change * right;
        self.power = keep * self.power + change * change;
        let error = total - update.estimate.mean;
        let miss = if update.estimate.variance > 0.0 {
            error * error / update.estimate.variance
        } else {
            1.0
        };
        self.misses = keep * self.misses + miss.min(SURPRISE_MAX * SURPRISE_MAX);
    }
}

impl Share {
    /// Total-weighted: Σ P / Σ T, so that a period of almost nothing says almost nothing.
    fn mean(&self) -> Option<f64> {
        (self.totals != 0.0).then(|| self.partials / self.totals)
    }

    /// Mean square error over mean square total, with `prior` counted as `weight` periods.
    fn spread(&self, prior: f64, weight: f64) -> f64 {
        if self.squares <= 0.0 || self.weight <= 0.0 {
            return prior;
        }
        let typical = self.squares / self.weight;
        (self.errors + prior * typical * weight) / (self.squares + typical * weight)
    }

    /// `known`: the share and its variance before this period.
    fn learn(&mut self, partial: f64, total: f64, known: Option<(f64, f64)>, keep: f64) {
        self.weight = keep * self.weight + 1.0;
        self.partials = keep * self.partials + partial;
        self.totals = keep * self.totals + total;
        self.errors *= keep;
        self.squares *= keep;
        if let Some((share, spread)) = known {
            let error = partial - share * total;
            self.errors +=
                (error * error).min(SURPRISE_MAX * SURPRISE_MAX * spread * total * total);
            self.squares += total * total;
        }
    }
}
