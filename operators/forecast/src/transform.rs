//! Scales on which noise is even: a count's noise grows with its size, and so does its daily rhythm.

use serde::{Deserialize, Serialize};

use crate::normal::{self, Normal};

/// The model sees the transformed series; forecasts come back on the scale of the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Transform {
    None,
    /// √y: for counts. Needs y ≥ 0.
    Sqrt,
    /// log(1 + y): for what grows and varies in per cent. Needs y ≥ 0.
    Log,
}

/// Variance on the log scale past which a mean says nothing: e^(v/2) is 7 there.
const LOG_VARIANCE_MAX: f64 = 4.0;

impl Transform {
    /// `None` where the value has no place on this scale.
    pub(crate) fn apply(self, value: f64) -> Option<f64> {
        match self {
            Transform::None => Some(value),
            _ if value < 0.0 => None,
            Transform::Sqrt => Some(value.sqrt()),
            Transform::Log => Some(value.ln_1p()),
        }
    }

    /// Mean and variance on the scale of the data, and the central interval of probability `confidence`.
    pub(crate) fn invert(self, on_scale: Normal, confidence: f64) -> (Normal, f64, f64) {
        let Normal { mean, variance } = on_scale;
        let reach = normal::quantile(0.5 + confidence / 2.0) * on_scale.sd();
        let (low, high) = (mean - reach, mean + reach);
        match self {
            Transform::None => (on_scale, low, high),
            Transform::Sqrt => {
                let square = |x: f64| x.max(0.0) * x.max(0.0);
                // Of X² for a normal X.
                let moments = Normal {
                    mean: mean * mean + variance,
                    variance: 2.0 * variance * variance + 4.0 * mean * mean * variance,
                };
                (moments, square(low), square(high))
            }
            Transform::Log => {
                let spread = variance.min(LOG_VARIANCE_MAX);
                let grown = (mean + spread / 2.0).exp();
                let moments =
                    Normal { mean: grown - 1.0, variance: spread.exp_m1() * grown * grown };
                (moments, low.exp_m1(), high.exp_m1())
            }
        }
    }
}
