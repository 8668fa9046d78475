//! An exact Kalman filter for one series: time-invariant, sparse transition, diffuse start, missing values.
//!
//! Durbin & Koopman, *Time Series Analysis by State Space Methods* (2012): the filter §4.3, the exact
//! diffuse start §5.2, missing values §4.10. A step costs O(n · nonzeros of the transition).

use std::f64::consts::PI;

use serde::{Deserialize, Serialize};

use crate::normal::Normal;

/// y_t = design · a_t,  a_{t+1} = transition · a_t + selection · ε_t,  Var(ε) = `variance`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StateSpace {
    pub design: Vec<f64>,
    pub transition: Sparse,
    /// Loading of the one disturbance on each state.
    pub selection: Vec<f64>,
    pub variance: f64,
}

/// Nonzero entries row by row.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sparse {
    rows: Vec<Vec<(usize, f64)>>,
}

impl Sparse {
    /// Of a square matrix given row after row.
    pub fn new(dense: &[f64], n: usize) -> Sparse {
        assert_eq!(dense.len(), n * n, "a square matrix");
        let nonzero =
            |row: &[f64]| row.iter().copied().enumerate().filter(|(_, x)| *x != 0.0).collect();
        Sparse { rows: dense.chunks(n).map(nonzero).collect() }
    }

    pub fn at(&self, row: usize, column: usize) -> f64 {
        self.rows[row].iter().find(|(j, _)| *j == column).map_or(0.0, |(_, x)| *x)
    }

    fn times(&self, vector: &[f64]) -> Vec<f64> {
        self.rows.iter().map(|row| row.iter().map(|(j, x)| x * vector[*j]).sum()).collect()
    }

    fn transposed_times(&self, vector: &[f64]) -> Vec<f64> {
        let mut product = vec![0.0; vector.len()];
        for (row, v) in self.rows.iter().zip(vector).filter(|(_, v)| **v != 0.0) {
            row.iter().for_each(|(j, x)| product[*j] += x * v);
        }
        product
    }

    /// T · P · Tᵀ for a symmetric P, itself exactly symmetric.
    fn around(&self, p: &[f64]) -> Vec<f64> {
        let n = self.rows.len();
        let mut left = vec![0.0; n * n];
        for (row, out) in self.rows.iter().zip(left.chunks_mut(n)) {
            for (k, x) in row {
                for (out, p) in out.iter_mut().zip(&p[k * n..(k + 1) * n]) {
                    *out += x * p;
                }
            }
        }
        let mut result = vec![0.0; n * n];
        for i in 0..n {
            for (j, row) in self.rows.iter().enumerate().take(i + 1) {
                let value = row.iter().map(|(k, x)| x * left[i * n + k]).sum();
                result[i * n + j] = value;
                result[j * n + i] = value;
            }
        }
        result
    }
}

/// The state before the first observation.
#[derive(Clone, Debug, PartialEq)]
pub struct Initial {
    pub mean: Vec<f64>,
    pub covariance: Vec<f64>,
    /// Covariance of what is wholly unknown (D&K's P∞); zeros where nothing is.
    pub diffuse: Vec<f64>,
    /// Observations that do not count in the likelihood (for an approximate diffuse start).
    pub burn: u64,
}

/// P∞ and F∞ below this are zero; statsmodels' `tolerance_diffuse`.
const DIFFUSE_MIN: f64 = 1e-10;

/// The covariance counts as converged when no entry moves by more than this part of the innovation
/// variance. The covariance alone determines its successor, so the gain is then constant; a filter that
/// closes only a ten-thousandth of its distance a step is still within 1e-8.
const STEADY: f64 = 1e-12;

/// The filter between two observations: it holds the *predicted* state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Kalman {
    space: StateSpace,
    mean: Vec<f64>,
    covariance: Vec<f64>,
    /// Present only until the diffuse part has been resolved.
    diffuse: Option<Vec<f64>>,
    filtered: Vec<f64>,
    steady: bool,
    steps: u64,
    burn: u64,
    log_likelihood: f64,
    /// Σ v²/F and the number of terms in it, of the observations that count and are not diffuse.
    squares: f64,
    seen: u64,
}

/// What one observation told: its prediction error and that error's variance (infinite while diffuse).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Innovation {
    pub error: f64,
    pub variance: f64,
}

impl Kalman {
    /// # Panics
    /// If the dimensions of `space` and `initial` differ (a caller's bug).
    pub fn new(space: StateSpace, initial: Initial) -> Kalman {
        let n = space.design.len();
        assert_eq!(space.transition.rows.len(), n, "transition and design agree");
        assert_eq!(space.selection.len(), n, "selection and design agree");
        assert_eq!(initial.mean.len(), n, "initial mean and design agree");
        assert_eq!(initial.covariance.len(), n * n, "initial covariance and design agree");
        assert_eq!(initial.diffuse.len(), n * n, "initial diffuse covariance and design agree");
        Kalman {
            filtered: initial.mean.clone(),
            diffuse: unresolved(initial.diffuse),
            space,
            mean: initial.mean,
            covariance: initial.covariance,
            steady: false,
            steps: 0,
            burn: initial.burn,
            log_likelihood: 0.0,
            squares: 0.0,
            seen: 0,
        }
    }

    /// The state given everything up to and including the latest observation.
    pub fn filtered(&self) -> &[f64] {
        &self.filtered
    }

    pub fn log_likelihood(&self) -> f64 {
        self.log_likelihood
    }

    /// Mean of v²/F: 1 in expectation under the right disturbance variance. Its square count is
    /// [`Kalman::seen`].
    pub fn relative_scale(&self) -> f64 {
        if self.seen == 0 { 0.0 } else { self.squares / self.seen as f64 }
    }

    /// Observations that entered the likelihood with a finite variance.
    pub fn seen(&self) -> u64 {
        self.seen
    }

    /// True once the gain is constant and a step costs only O(nonzeros).
    pub fn is_steady(&self) -> bool {
        self.steady
    }

    /// Takes one observation (`None` or not finite: missing) and moves to the next period.
    pub fn observe(&mut self, value: Option<f64>) -> Option<Innovation> {
        let innovation = match value.filter(|value| value.is_finite()) {
            None => {
                self.filtered.copy_from_slice(&self.mean);
                let covariance = std::mem::take(&mut self.covariance);
                self.predict(&covariance, None);
                None
            }
            Some(value) => Some(self.update(value)),
        };
        self.steps += 1;
        innovation
    }

    fn update(&mut self, value: f64) -> Innovation {
        let n = self.mean.len();
        let error = value - dot(&self.space.design, &self.mean);
        let loading = multiply(&self.covariance, &self.space.design);
        let variance = dot(&self.space.design, &loading).max(0.0);
        if let Some(innovation) = self.update_diffuse(error, variance, &loading) {
            return innovation;
        }
        let variance_min = if self.diffuse.is_some() { DIFFUSE_MIN } else { 0.0 };
        if variance > variance_min {
            self.count(-0.5 * ((2.0 * PI * variance).ln() + error * error / variance));
            if self.steps >= self.burn {
                self.squares += error * error / variance;
                self.seen += 1;
            }
            for (i, filtered) in self.filtered.iter_mut().enumerate() {
                *filtered = self.mean[i] + loading[i] * (error / variance);
            }
            if self.steady {
                self.mean = self.space.transition.times(&self.filtered);
            } else {
                let mut covariance = std::mem::take(&mut self.covariance);
                let before = covariance.clone();
                for i in 0..n {
                    let part = loading[i] / variance;
                    for j in 0..n {
                        covariance[i * n + j] -= part * loading[j];
                    }
                }
                self.predict(&covariance, Some((&before, variance)));
            }
        } else {
            // The model is certain of this value: nothing can be learned from it.
            self.filtered.copy_from_slice(&self.mean);
            let covariance = std::mem::take(&mut self.covariance);
            self.predict(&covariance, None);
        }
        Innovation { error, variance }
    }

    /// The update while part of the state is wholly unknown (D&K 5.2.3); `None` where this
    /// observation does not touch that part.
    fn update_diffuse(&mut self, error: f64, variance: f64, loading: &[f64]) -> Option<Innovation> {
        let n = self.mean.len();
        let diffuse = self.diffuse.as_mut()?;
        let unknown = multiply(diffuse, &self.space.design);
        let unknown_variance = dot(&self.space.design, &unknown);
        if unknown_variance <= DIFFUSE_MIN {
            return None;
        }
        let gain: Vec<f64> = unknown.iter().map(|x| x / unknown_variance).collect();
        for (i, filtered) in self.filtered.iter_mut().enumerate() {
            *filtered = self.mean[i] + gain[i] * error;
        }
        let mut covariance = std::mem::take(&mut self.covariance);
        for i in 0..n {
            for j in 0..n {
                covariance[i * n + j] +=
                    gain[i] * gain[j] * variance - gain[i] * loading[j] - loading[i] * gain[j];
                diffuse[i * n + j] -= gain[i] * unknown[j];
            }
        }
        self.count(-0.5 * (2.0 * PI * unknown_variance).ln());
        self.predict(&covariance, None);
        Some(Innovation { error, variance: f64::INFINITY })
    }

    fn count(&mut self, log_density: f64) {
        if self.steps >= self.burn {
            self.log_likelihood += log_density;
        }
    }

    /// From the filtered state and covariance to the predicted ones. `settled` holds the covariance one
    /// step ago and the innovation variance, where a constant gain may be recognised.
    fn predict(&mut self, filtered: &[f64], settled: Option<(&[f64], f64)>) {
        self.mean = self.space.transition.times(&self.filtered);
        self.covariance = self.space.predict(filtered);
        self.diffuse = self
            .diffuse
            .take()
            .and_then(|diffuse| unresolved(self.space.transition.around(&diffuse)));
        self.steady = self.diffuse.is_none()
            && settled.is_some_and(|(before, variance)| {
                let pairs = before.iter().zip(&self.covariance);
                pairs.into_iter().all(|(a, b)| (a - b).abs() <= STEADY * variance)
            });
    }

    /// Predictive distributions of the next `horizon` observations. The variance is infinite where a
    /// part of the state that it depends on is still wholly unknown.
    ///
    /// Carries the design back (w ← Tᵀw) rather than the covariance forward: wᵀPw + Q Σ (wᵀR)².
    pub fn forecast(&self, horizon: usize) -> Vec<Normal> {
        let mut weights = self.space.design.clone();
        let mut disturbances = 0.0;
        let mut forecasts = Vec::with_capacity(horizon);
        for _ in 0..horizon {
            let unknown =
                self.diffuse.as_ref().map_or(0.0, |p| dot(&weights, &multiply(p, &weights)));
            let known = dot(&weights, &multiply(&self.covariance, &weights)).max(0.0);
            let variance = if unknown > DIFFUSE_MIN { f64::INFINITY } else { known + disturbances };
            forecasts.push(Normal { mean: dot(&weights, &self.mean), variance });
            let loading = dot(&weights, &self.space.selection);
            disturbances += self.space.variance * loading * loading;
            weights = self.space.transition.transposed_times(&weights);
        }
        forecasts
    }

    pub(crate) fn is_finite(&self) -> bool {
        self.mean.iter().chain(&self.covariance).all(|x| x.is_finite())
    }
}

impl StateSpace {
    /// T · P · Tᵀ + R · Q · Rᵀ
    fn predict(&self, covariance: &[f64]) -> Vec<f64> {
        let n = self.design.len();
        let mut next = self.transition.around(covariance);
        for (i, a) in self.selection.iter().enumerate().filter(|(_, a)| **a != 0.0) {
            for (j, b) in self.selection.iter().enumerate().filter(|(_, b)| **b != 0.0) {
                next[i * n + j] += self.variance * a * b;
            }
        }
        next
    }
}

fn unresolved(diffuse: Vec<f64>) -> Option<Vec<f64>> {
    diffuse.iter().any(|x| x.abs() > DIFFUSE_MIN).then_some(diffuse)
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// P · z for a symmetric P, skipping the zeros of z.
fn multiply(p: &[f64], z: &[f64]) -> Vec<f64> {
    let n = z.len();
    let mut product = vec![0.0; n];
    for (z, row) in z.iter().zip(p.chunks(n)).filter(|(z, _)| **z != 0.0) {
        for (out, p) in product.iter_mut().zip(row) {
            *out += z * p;
        }
    }
    product
}
