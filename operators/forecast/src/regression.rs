//! Exponential smoothing with regressors: y_t = x_t'β + ETS, β estimated anew with every observation.
//!
//! An additive ETS filter is linear, so the innovations of y − Xβ are those of y less β times those of
//! each column of X. Least squares on these innovations is generalised least squares on the series
//! itself (the augmented filter of de Jong 1991), and its sums can be kept one observation at a time.

use nalgebra::{Cholesky, DMatrix, DVector, Dyn};
use serde::{Deserialize, Serialize};

use crate::ets::{EtsParams, EtsSpec, EtsState, means, relative_variances};
use crate::normal::Normal;

/// Sums of the innovations' products, from which coefficients follow.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sums {
    columns: usize,
    /// Σ e_x e_x', row after row.
    information: Vec<f64>,
    /// Σ e_x e_y
    moment: Vec<f64>,
    /// Σ e_y²
    squares: f64,
    seen: u64,
}

/// Part of a column's own information added to its diagonal: collinear columns (two temperatures) share
/// the effect instead of taking huge opposite ones.
const RIDGE: f64 = 1e-9;

impl Sums {
    pub fn new(columns: usize) -> Sums {
        Sums {
            columns,
            information: vec![0.0; columns * columns],
            moment: vec![0.0; columns],
            squares: 0.0,
            seen: 0,
        }
    }

    pub fn add(&mut self, y: f64, x: &[f64]) {
        for (i, xi) in x.iter().enumerate() {
            self.moment[i] += xi * y;
            for (j, xj) in x.iter().enumerate() {
                self.information[i * self.columns + j] += xi * xj;
            }
        }
        self.squares += y * y;
        self.seen += 1;
    }

    /// Least squares; an effect that was never seen to vary is 0 with a variance of one innovation.
    pub fn solve(&self) -> Coefficients {
        let k = self.columns;
        let mut information = DMatrix::from_row_slice(k, k, &self.information);
        for i in 0..k {
            let own = information[(i, i)];
            information[(i, i)] = if own > 0.0 { own * (1.0 + RIDGE) } else { 1.0 };
        }
        let moment = DVector::from_column_slice(&self.moment);
        let factor = information.cholesky();
        let beta = factor.as_ref().map_or(DVector::zeros(k), |factor| factor.solve(&moment));
        let explained = moment.dot(&beta);
        let left = (self.squares - explained).max(0.0);
        Coefficients {
            beta: beta.as_slice().to_vec(),
            scale: left / self.seen.max(1) as f64,
            factor,
        }
    }

    /// Mean square of y's innovations by themselves.
    pub fn plain_scale(&self) -> f64 {
        self.squares / self.seen.max(1) as f64
    }

    pub fn seen(&self) -> u64 {
        self.seen
    }
}

/// Coefficients with the residual variance and, for their own uncertainty, the factored information.
pub struct Coefficients {
    pub beta: Vec<f64>,
    pub scale: f64,
    factor: Option<Cholesky<f64, Dyn>>,
}

impl Coefficients {
    /// Variance that the uncertainty of β adds to x'β.
    fn variance(&self, x: &[f64]) -> f64 {
        let x = DVector::from_column_slice(x);
        self.factor.as_ref().map_or(0.0, |factor| self.scale * x.dot(&factor.solve(&x)))
    }
}

/// One series with its regressors under fixed smoothing parameters.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EtsRegression {
    spec: EtsSpec,
    params: EtsParams,
    series: EtsState,
    columns: Vec<EtsState>,
    sums: Sums,
    gap: usize,
}

impl EtsRegression {
    /// The states before the first observation: of the series and of each regressor, made by one and
    /// the same linear rule.
    /// # Panics
    /// If `spec` is not additive (a caller's bug).
    pub fn new(
        spec: EtsSpec,
        params: EtsParams,
        series: EtsState,
        columns: Vec<EtsState>,
    ) -> EtsRegression {
        assert!(spec.is_additive(), "regressors need an additive model");
        let sums = Sums::new(columns.len());
        EtsRegression { spec, params: params.for_spec(&spec), series, columns, sums, gap: 0 }
    }

    pub fn params(&self) -> &EtsParams {
        &self.params
    }

    pub fn sums(&self) -> &Sums {
        &self.sums
    }

    /// Takes one observation (`None` or not finite: missing) with its regressors, which are finite.
    pub fn observe(&mut self, value: Option<f64>, regressors: &[f64]) {
        debug_assert_eq!(regressors.len(), self.columns.len(), "one value a regressor");
        let value = value.filter(|value| value.is_finite());
        let innovation =
            value.map_or(0.0, |value| value - self.series.predict(&self.spec, &self.params));
        self.series.advance(&self.spec, &self.params, innovation);
        let mut innovations = Vec::with_capacity(self.columns.len());
        for (column, x) in self.columns.iter_mut().zip(regressors) {
            let own = value.map_or(0.0, |_| x - column.predict(&self.spec, &self.params));
            column.advance(&self.spec, &self.params, own);
            innovations.push(own);
        }
        if value.is_some() {
            self.sums.add(innovation, &innovations);
            self.gap = 0;
        } else {
            self.gap = (self.gap + 1).min(crate::ets::GAP_MAX);
        }
    }

    /// Predictive distributions of the next `horizon` observations. Without future regressors the series
    /// is forecast by itself; with them the uncertainty of β is part of the variance.
    pub fn forecast(&self, horizon: usize, future_regressors: Option<&[Vec<f64>]>) -> Vec<Normal> {
        let relative = relative_variances(&self.spec, &self.params, self.gap, horizon);
        let Some(future) = future_regressors else {
            let scale = self.sums.plain_scale();
            let means = means(&self.spec, &self.params, &self.series, horizon);
            let with_variance = means.into_iter().zip(relative);
            return with_variance
                .map(|(mean, rel)| Normal { mean, variance: scale * rel })
                .collect();
        };
        let coefficients = self.sums.solve();
        let mut rest = self.series.clone();
        let mut expected = Vec::with_capacity(self.columns.len());
        for (beta, column) in coefficients.beta.iter().zip(&self.columns) {
            rest = rest.less(*beta, column);
            expected.push(means(&self.spec, &self.params, column, horizon));
        }
        let means = means(&self.spec, &self.params, &rest, horizon);
        let mut forecasts = Vec::with_capacity(horizon);
        for (h, (mean, relative)) in means.into_iter().zip(relative).enumerate() {
            let effect: f64 =
                coefficients.beta.iter().zip(&future[h]).map(|(beta, x)| beta * x).sum();
            let surprise: Vec<f64> =
                future[h].iter().zip(&expected).map(|(x, own)| x - own[h]).collect();
            let variance = coefficients.scale * relative + coefficients.variance(&surprise);
            forecasts.push(Normal { mean: mean + effect, variance });
        }
        forecasts
    }

    pub(crate) fn is_finite(&self) -> bool {
        self.series.is_finite()
            && self.columns.iter().all(EtsState::is_finite)
            && self.sums.squares.is_finite()
    }
}
