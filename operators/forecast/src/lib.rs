//! Forecasts and nowcasts of one series, one observation at a time: pure maths, no Arrow, no IO, no clock.
//!
//! [`Forecaster`] is what an operator holds for each key; [`Completion`] estimates a period before it is
//! over; [`Scores`] says how good they were. The models beneath are public, to be judged by themselves.

mod completion;
mod error;
mod ets;
mod fit;
mod forecaster;
mod kalman;
mod metrics;
mod minimise;
mod normal;
mod options;
mod regression;
mod sarimax;
mod saved;
mod start;
mod transform;

pub use completion::{COMPLETION_STEPS_MAX, Completion, CompletionOptions};
pub use error::{Error, Result};
pub use ets::{Ets, EtsParams, EtsSpec, EtsState, Form, Trend};
pub use fit::{Past, fit_ets, fit_ets_regression, fit_sarimax};
pub use forecaster::{Forecast, Forecaster, HORIZON_MAX};
pub use kalman::{Initial, Innovation, Kalman, Sparse, StateSpace};
pub use metrics::{Scores, crps_normal, crps_quantiles, crps_sample};
pub use normal::{Normal, TruncatedNormal};
pub use options::{HISTORY_MAX, ModelKind, ORDER_MAX, Options, REGRESSORS_MAX, SEASON_MAX};
pub use regression::{Coefficients, EtsRegression, Sums};
pub use sarimax::{STATES_MAX, Sarimax, SarimaxParams, SarimaxSpec, Start};
pub use transform::Transform;
