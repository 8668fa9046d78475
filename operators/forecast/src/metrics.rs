//! How good were the forecasts: MASE, WAPE, CRPS and coverage, kept one observation at a time.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::forecaster::Forecast;
use crate::normal::{cumulative, density};
use crate::saved;

/// Running scores of one series of forecasts, all made the same number of steps ahead.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Scores {
    season: usize,
    /// The latest actual values, one season of them.
    recent: VecDeque<f64>,
    judged: u64,
    covered: u64,
    absolute_errors: f64,
    absolute_values: f64,
    crps: f64,
    naive_errors: f64,
    naive_judged: u64,
}

impl Scores {
    /// `season`: steps back of the naive forecast that MASE divides by (1 without a season).
    /// # Panics
    /// If `season` is 0.
    pub fn new(season: usize) -> Scores {
        assert!(season > 0, "a season has at least one step");
        Scores {
            season,
            recent: VecDeque::with_capacity(season),
            judged: 0,
            covered: 0,
            absolute_errors: 0.0,
            absolute_values: 0.0,
            crps: 0.0,
            naive_errors: 0.0,
            naive_judged: 0,
        }
    }

    /// Takes one actual value with the forecast made for it (`None` while there was none: the value
    /// still counts for the naive comparison). Values that are not finite are left out.
    pub fn observe(&mut self, actual: f64, forecast: Option<&Forecast>) {
        if self.recent.len() == self.season {
            let before = self.recent.pop_front().expect("a full season was just seen");
            if before.is_finite() && actual.is_finite() {
                self.naive_errors += (actual - before).abs();
                self.naive_judged += 1;
            }
        }
        self.recent.push_back(actual);
        let Some(forecast) =
            forecast.filter(|forecast| actual.is_finite() && forecast.mean.is_finite())
        else {
            return;
        };
        self.judged += 1;
        self.covered += u64::from((forecast.lower..=forecast.upper).contains(&actual));
        self.absolute_errors += (actual - forecast.mean).abs();
        self.absolute_values += actual.abs();
        self.crps += crps_normal(forecast.mean, forecast.sd, actual);
    }

    /// Forecasts judged so far.
    pub fn judged(&self) -> u64 {
        self.judged
    }

    /// Mean absolute error over that of the seasonal naive forecast on the same series (Hyndman &
    /// Koehler 2006); below 1 is better than naive. `None` until both are known.
    pub fn mase(&self) -> Option<f64> {
        let naive = self.naive_errors / self.naive_judged as f64;
        (self.judged > 0 && naive > 0.0).then(|| self.absolute_errors / self.judged as f64 / naive)
    }

    /// Σ |error| / Σ |actual|.
    pub fn wape(&self) -> Option<f64> {
        (self.absolute_values > 0.0).then(|| self.absolute_errors / self.absolute_values)
    }

    /// Mean continuous ranked probability score, in the unit of the series.
    pub fn crps(&self) -> Option<f64> {
        (self.judged > 0).then(|| self.crps / self.judged as f64)
    }

    /// Part of the actual values inside the interval.
    pub fn coverage(&self) -> Option<f64> {
        (self.judged > 0).then(|| self.covered as f64 / self.judged as f64)
    }

    pub fn save(&self) -> Vec<u8> {
        saved::save(saved::Kind::Scores, self)
    }

    /// # Errors
    /// When the bytes are damaged, of another kind or of another format version.
    pub fn load(bytes: &[u8]) -> Result<Scores> {
        saved::load(saved::Kind::Scores, bytes)
    }
}

/// CRPS of a normal distribution (Gneiting et al. 2005, equation 5); the absolute error where `sd` is 0.
pub fn crps_normal(mean: f64, sd: f64, actual: f64) -> f64 {
    if sd == 0.0 {
        return (actual - mean).abs();
    }
    let z = (actual - mean) / sd;
    sd * (z * (2.0 * cumulative(z) - 1.0) + 2.0 * density(z) - 1.0 / std::f64::consts::PI.sqrt())
}

/// CRPS of an empirical distribution: E|X − y| − ½ E|X − X'| (Gneiting & Raftery 2007, equation 21).
/// `None` for an empty sample.
pub fn crps_sample(sample: &[f64], actual: f64) -> Option<f64> {
    let n = sample.len() as f64;
    let mut sorted = sample.to_vec();
    sorted.sort_by(f64::total_cmp);
    let error: f64 = sorted.iter().map(|x| (x - actual).abs()).sum();
    // Σ over pairs of |x − x'| in one pass over the sorted sample.
    let pairs: f64 = sorted.iter().enumerate().map(|(i, x)| (2.0 * i as f64 - n + 1.0) * x).sum();
    (!sample.is_empty()).then(|| error / n - pairs / (n * n))
}

/// CRPS from quantiles: twice the mean pinball loss over (level, value) pairs, levels spread evenly over
/// 0 … 1 (Laio & Tamea 2007). `None` for no quantiles.
pub fn crps_quantiles(quantiles: &[(f64, f64)], actual: f64) -> Option<f64> {
    let pinball = |(level, value): &(f64, f64)| {
        let error = actual - value;
        if error >= 0.0 { level * error } else { (level - 1.0) * error }
    };
    let total: f64 = quantiles.iter().map(pinball).sum();
    (!quantiles.is_empty()).then(|| 2.0 * total / quantiles.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::normal::quantile;

    #[test]
    fn crps_forms_agree() {
        // A fine grid of quantiles is the distribution itself.
        let n = 20_000;
        let levels: Vec<(f64, f64)> = (0..n)
            .map(|i| (f64::from(i) + 0.5) / f64::from(n))
            .map(|p| (p, 3.0 + 2.0 * quantile(p)))
            .collect();
        let sample: Vec<f64> = levels.iter().map(|(_, x)| *x).collect();
        for actual in [-4.0, 2.9, 3.0, 7.5] {
            let exact = crps_normal(3.0, 2.0, actual);
            assert!((crps_sample(&sample, actual).unwrap() / exact - 1.0).abs() < 1e-3, "{actual}");
            assert!(
                (crps_quantiles(&levels, actual).unwrap() / exact - 1.0).abs() < 1e-3,
                "{actual}"
            );
        }
        assert_eq!(crps_sample(&[], 1.0), None);
    }

    #[test]
    fn scores_by_hand() {
        let mut scores = Scores::new(2);
        let at = |mean: f64| Forecast { mean, lower: mean - 1.0, upper: mean + 1.0, sd: 0.0 };
        for (actual, mean) in [(10.0, 11.0), (20.0, 23.0), (13.0, 13.0), (20.0, 22.0)] {
            scores.observe(actual, Some(&at(mean)));
        }
        scores.observe(f64::NAN, Some(&at(1.0)));
        // Errors 1, 3, 0, 2; naive errors 3, 0.
        assert_eq!(scores.judged(), 4);
        assert_eq!(scores.mase(), Some(1.5 / 1.5));
        assert_eq!(scores.wape(), Some(6.0 / 63.0));
        assert_eq!(scores.coverage(), Some(0.5));
        assert_eq!(scores.crps(), Some(1.5));
        assert_eq!(Scores::load(&scores.save()).map(|s| s.wape()), Ok(scores.wape()));
    }
}
