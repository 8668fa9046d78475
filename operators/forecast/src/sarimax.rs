//! SARIMAX(p,d,q)(P,D,Q)s with regressors, exact and incremental: statsmodels' `SARIMAX` state space.
//!
//! Harvey's representation with the differencing in the state (`simple_differencing=False`,
//! `hamilton_representation=False`, `enforce_stationarity=True`, `mle_regression=True`, no trend):
//! differencing states first, then the ARMA block started from its stationary distribution; regressors
//! are subtracted in the measurement with given coefficients. Harvey (1989) §3.3; Durbin & Koopman §3.4.

use nalgebra::{DMatrix, DVector};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::kalman::{Initial, Innovation, Kalman, Sparse, StateSpace};
use crate::normal::Normal;

/// Orders. `period` is read only where a seasonal order is not zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SarimaxSpec {
    pub p: usize,
    pub d: usize,
    pub q: usize,
    pub seasonal_p: usize,
    pub seasonal_d: usize,
    pub seasonal_q: usize,
    pub period: usize,
    pub regressors: usize,
}

/// Signs as in statsmodels: y_t = ar₁ y_{t−1} + … + ε_t + ma₁ ε_{t−1} + ….
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SarimaxParams {
    pub ar: Vec<f64>,
    pub ma: Vec<f64>,
    pub seasonal_ar: Vec<f64>,
    pub seasonal_ma: Vec<f64>,
    /// Coefficient of each regressor.
    pub beta: Vec<f64>,
    pub variance: f64,
}

/// How the differencing states begin.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Start {
    /// Wholly unknown: statsmodels' `use_exact_diffuse=True`. Independent of the data's unit.
    Exact,
    /// A large variance, and as many first observations left out of the likelihood as there are
    /// differencing states: statsmodels' default, with 1e6.
    Approximate { variance: f64 },
}

/// States past which a model is refused: a step is quadratic in them (about 10 µs at 50, until the gain is constant),
/// and so is the memory of a key.
pub const STATES_MAX: usize = 256;

impl SarimaxSpec {
    fn differencing_states(&self) -> usize {
        self.d + self.period * self.seasonal_d
    }

    fn arma_states(&self) -> usize {
        let ar = self.p + self.period * self.seasonal_p;
        let ma = self.q + self.period * self.seasonal_q;
        ar.max(ma + 1)
    }

    pub fn states(&self) -> usize {
        self.differencing_states() + self.arma_states()
    }

    /// # Errors
    /// Seasonal orders without a season, or more than [`STATES_MAX`] states.
    pub fn check(&self) -> Result<()> {
        if self.seasonal_p + self.seasonal_d + self.seasonal_q > 0 && self.period < 2 {
            return Err(Error::Option("season: P, D and Q need a season of at least 2".into()));
        }
        if self.states() > STATES_MAX {
            let states = self.states();
            return Err(Error::Option(format!(
                "season: these orders make {states} states, at most {STATES_MAX} are taken; use model 'ets'"
            )));
        }
        Ok(())
    }
}

/// One series under fixed parameters.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sarimax {
    spec: SarimaxSpec,
    params: SarimaxParams,
    kalman: Kalman,
}

impl Sarimax {
    /// # Errors
    /// When the spec is refused, the parameters do not fit it, or the autoregression is not stationary.
    pub fn new(spec: SarimaxSpec, params: SarimaxParams, start: Start) -> Result<Sarimax> {
        spec.check()?;
        let orders = [
            ("ar", params.ar.len(), spec.p),
            ("ma", params.ma.len(), spec.q),
            ("seasonal ar", params.seasonal_ar.len(), spec.seasonal_p),
            ("seasonal ma", params.seasonal_ma.len(), spec.seasonal_q),
            ("regressor", params.beta.len(), spec.regressors),
        ];
        for (name, given, wanted) in orders {
            if given != wanted {
                return Err(Error::Argument(format!(
                    "needs {wanted} {name} coefficients, got {given}"
                )));
            }
        }
        let space = state_space(&spec, &params);
        let initial = initial(&spec, &space, start)?;
        Ok(Sarimax { spec, params, kalman: Kalman::new(space, initial) })
    }

    pub fn spec(&self) -> &SarimaxSpec {
        &self.spec
    }

    pub fn params(&self) -> &SarimaxParams {
        &self.params
    }

    pub fn kalman(&self) -> &Kalman {
        &self.kalman
    }

    pub fn log_likelihood(&self) -> f64 {
        self.kalman.log_likelihood()
    }

    /// Takes one observation with its regressors; returns what it told. `None` is a missing value.
    pub fn observe(&mut self, value: Option<f64>, regressors: &[f64]) -> Option<Innovation> {
        let effect = self.effect(regressors);
        self.kalman.observe(value.map(|value| value - effect))
    }

    /// Predictive distributions, one for each row of `future_regressors`.
    pub fn forecast(&self, future_regressors: &[Vec<f64>]) -> Vec<Normal> {
        let mut forecasts = self.kalman.forecast(future_regressors.len());
        for (forecast, row) in forecasts.iter_mut().zip(future_regressors) {
            forecast.mean += self.effect(row);
        }
        forecasts
    }

    fn effect(&self, regressors: &[f64]) -> f64 {
        debug_assert_eq!(regressors.len(), self.params.beta.len(), "one value a regressor");
        self.params.beta.iter().zip(regressors).map(|(beta, x)| beta * x).sum()
    }
}

/// Coefficients of (1 + a₁B + …)(1 + A₁Bˢ + …), the leading 1 included.
pub(crate) fn multiply_out(plain: &[f64], seasonal: &[f64], period: usize) -> Vec<f64> {
    let mut product = vec![0.0; 1 + plain.len() + period * seasonal.len()];
    let with_one = |c: &[f64]| std::iter::once(1.0).chain(c.iter().copied()).collect::<Vec<_>>();
    for (i, a) in with_one(plain).into_iter().enumerate() {
        for (j, b) in with_one(seasonal).into_iter().enumerate() {
            product[i + j * period] += a * b;
        }
    }
    product
}

/// Autoregressive coefficients by lag (lag 1 first) with the seasonal factor multiplied out.
pub(crate) fn ar_by_lag(spec: &SarimaxSpec, params: &SarimaxParams) -> Vec<f64> {
    let minus = |c: &[f64]| c.iter().map(|x| -x).collect::<Vec<_>>();
    let product = multiply_out(&minus(&params.ar), &minus(&params.seasonal_ar), spec.period);
    product[1..].iter().map(|x| -x).collect()
}

/// Moving-average coefficients by lag (lag 1 first) with the seasonal factor multiplied out.
pub(crate) fn ma_by_lag(spec: &SarimaxSpec, params: &SarimaxParams) -> Vec<f64> {
    multiply_out(&params.ma, &params.seasonal_ma, spec.period)[1..].to_vec()
}

fn state_space(spec: &SarimaxSpec, params: &SarimaxParams) -> StateSpace {
    let (n, first) = (spec.states(), spec.differencing_states());
    let mut transition = vec![0.0; n * n];
    let mut design = vec![0.0; n];
    let mut selection = vec![0.0; n];
    let mut set = |row: usize, column: usize, value: f64| transition[row * n + column] = value;

    // Ordinary differences: each is the sum of the later ones, the seasonal ones and the ARMA part.
    design[..spec.d].fill(1.0);
    for i in 0..spec.d {
        (i..spec.d).for_each(|j| set(i, j, 1.0));
        (1..=spec.seasonal_d).for_each(|block| set(i, spec.d + block * spec.period - 1, 1.0));
        set(i, first, 1.0);
    }
    // Seasonal differences: each block rotates one season of values.
    for block in 0..spec.seasonal_d {
        let (start, end) = (spec.d + block * spec.period, spec.d + (block + 1) * spec.period);
        design[end - 1] = 1.0;
        (start + 1..end).for_each(|row| set(row, row - 1, 1.0));
        set(start, end - 1, 1.0);
        if block + 1 < spec.seasonal_d {
            set(start, end + spec.period - 1, 1.0);
        }
        set(start, first, 1.0);
    }
    // ARMA in companion form.
    design[first] = 1.0;
    (first..n - 1).for_each(|row| set(row, row + 1, 1.0));
    for (lag, ar) in ar_by_lag(spec, params).into_iter().enumerate() {
        set(first + lag, first, ar);
    }
    selection[first] = 1.0;
    selection[first + 1..]
        .iter_mut()
        .zip(ma_by_lag(spec, params))
        .for_each(|(slot, ma)| *slot = ma);

    StateSpace {
        design,
        transition: Sparse::new(&transition, n),
        selection,
        variance: params.variance,
    }
}

fn initial(spec: &SarimaxSpec, space: &StateSpace, start: Start) -> Result<Initial> {
    let (n, first) = (spec.states(), spec.differencing_states());
    let mut covariance = vec![0.0; n * n];
    let mut diffuse = vec![0.0; n * n];
    let mut burn = 0;
    for i in 0..first {
        match start {
            Start::Exact => diffuse[i * n + i] = 1.0,
            Start::Approximate { variance } => covariance[i * n + i] = variance,
        }
    }
    if matches!(start, Start::Approximate { .. }) {
        burn = first as u64;
    }
    let arma = spec.arma_states();
    let stationary = stationary_covariance(space, first, arma)?;
    for i in 0..arma {
        for j in 0..arma {
            covariance[(first + i) * n + first + j] = stationary[(i, j)];
        }
    }
    Ok(Initial { mean: vec![0.0; n], covariance, diffuse, burn })
}

/// Doublings after which an autoregression that has not settled is not stationary: a root within
/// 2⁻³⁰ of the unit circle would need more.
const DOUBLINGS_MAX: usize = 40;

/// Solves P = T P Tᵀ + R Q Rᵀ by doubling: P ← P + A P Aᵀ, A ← A², which sums 2ᵏ terms in k turns
/// (Anderson & Moore 1979, §6.7).
fn stationary_covariance(space: &StateSpace, first: usize, n: usize) -> Result<DMatrix<f64>> {
    let mut power = DMatrix::from_fn(n, n, |i, j| space.transition.at(first + i, first + j));
    let loading = DVector::from_column_slice(&space.selection[first..]);
    let mut covariance = &loading * loading.transpose() * space.variance;
    for _ in 0..DOUBLINGS_MAX {
        let added = &power * &covariance * power.transpose();
        let settled = added.amax() <= f64::EPSILON * covariance.amax();
        covariance += added;
        if settled {
            return Ok(covariance);
        }
        if !covariance.amax().is_finite() {
            break;
        }
        power = &power * &power;
    }
    Err(Error::Argument("autoregression is not stationary".into()))
}
