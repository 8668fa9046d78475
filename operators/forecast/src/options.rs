//! What the user may set, read from a JSON object, with every mistake named.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::{Error, Result};
use crate::ets::{EtsSpec, Form, Trend};
use crate::sarimax::SarimaxSpec;
use crate::transform::Transform;

/// Longest season, observations: half-hours of three weeks, with room.
pub const SEASON_MAX: usize = 2048;
/// Observations that a forecaster may keep for refits: 128 KiB a key and as much for each regressor.
pub const HISTORY_MAX: usize = 16_384;
/// Regressors of one series: the sums are quadratic in them.
pub const REGRESSORS_MAX: usize = 32;
/// Order of any one lag polynomial.
pub const ORDER_MAX: usize = 8;

/// Seasons and observations kept by default: enough for a stable season and a few holidays.
const HISTORY_SEASONS: usize = 20;
const HISTORY_DEFAULT: (usize, usize) = (512, 4096);
/// Seasons that a history must hold: two for the first states and one to learn from.
const HISTORY_SEASONS_MIN: usize = 3;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ModelKind {
    Ets,
    Sarimax,
    Naive,
}

/// Options of a [`crate::Forecaster`]. Made by [`Options::from_json`] or from [`Options::default`] by
/// setting fields; [`crate::Forecaster::new`] checks them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Options {
    pub model: ModelKind,
    /// Observations a season; 1 for none.
    pub season: usize,
    /// Scale that the model works on. Values below 0 count as missing where there is one.
    pub transform: Transform,
    pub error: Form,
    pub trend: Trend,
    /// Read where `season` is more than 1.
    pub seasonal: Option<Form>,
    pub p: usize,
    pub d: usize,
    pub q: usize,
    pub seasonal_p: usize,
    pub seasonal_d: usize,
    pub seasonal_q: usize,
    /// Probability inside `lower` … `upper`.
    pub confidence: f64,
    /// Regressors that come with every observation.
    pub regressors: usize,
    /// Forecasts are cut off at 0.
    pub non_negative: bool,
    /// Observations kept for refits; `None` for 20 seasons, between 512 and 4,096.
    pub history: Option<usize>,
}

impl Default for Options {
    /// ETS(A,Ad,A) without a season, 95 % intervals; orders (1,1,1)(0,1,1) where 'sarimax' is asked for.
    fn default() -> Options {
        Options {
            model: ModelKind::Ets,
            season: 1,
            transform: Transform::None,
            error: Form::Additive,
            trend: Trend::Damped,
            seasonal: Some(Form::Additive),
            p: 1,
            d: 1,
            q: 1,
            seasonal_p: 0,
            seasonal_d: 1,
            seasonal_q: 1,
            confidence: 0.95,
            regressors: 0,
            non_negative: false,
            history: None,
        }
    }
}

const KEYS: &str = "model, season, transform, error, trend, damped, seasonal, p, d, q, P, D, Q, confidence, regressors, \
                    non_negative, history";

impl Options {
    /// Reads an object like `{"model": "ets", "season": 24, "regressors": 2}`:
    /// `model` 'ets' | 'sarimax' | 'naive'; `season`;
    /// `transform` 'none' | 'sqrt' | 'log'; for ETS `error` 'add' | 'mul', `trend` 'none' | 'add',
    /// `damped` true | false, `seasonal` 'none' | 'add' | 'mul'; for SARIMAX `p d q P D Q`; `confidence` in
    /// (0, 1); `regressors`; `non_negative`; `history`. What is left out keeps its default.
    /// # Errors
    /// An unknown key, a value of the wrong type or out of range, each by name.
    pub fn from_json(json: &Value) -> Result<Options> {
        let object = json
            .as_object()
            .ok_or_else(|| Error::Option(format!("object: must be a JSON object, got {json}")))?;
        let mut options = Options::default();
        let mut damped = None;
        for (key, value) in object {
            match key.as_str() {
                "model" => {
                    let models = [
                        ("ets", ModelKind::Ets),
                        ("sarimax", ModelKind::Sarimax),
                        ("naive", ModelKind::Naive),
                    ];
                    options.model = one_of(key, value, &models)?;
                }
                "season" => options.season = count(key, value)?,
                "transform" => {
                    let scales = [
                        ("none", Transform::None),
                        ("sqrt", Transform::Sqrt),
                        ("log", Transform::Log),
                    ];
                    options.transform = one_of(key, value, &scales)?;
                }
                "error" => {
                    let forms = [("add", Form::Additive), ("mul", Form::Multiplicative)];
                    options.error = one_of(key, value, &forms)?;
                }
                "trend" => {
                    options.trend =
                        one_of(key, value, &[("none", Trend::None), ("add", Trend::Additive)])?;
                }
                "damped" => {
                    damped = Some(
                        value
                            .as_bool()
                            .ok_or_else(|| fault(key, "must be true or false", value))?,
                    );
                }
                "seasonal" => {
                    let forms = [
                        ("none", None),
                        ("add", Some(Form::Additive)),
                        ("mul", Some(Form::Multiplicative)),
                    ];
                    options.seasonal = one_of(key, value, &forms)?;
                }
                "p" => options.p = count(key, value)?,
                "d" => options.d = count(key, value)?,
                "q" => options.q = count(key, value)?,
                "P" => options.seasonal_p = count(key, value)?,
                "D" => options.seasonal_d = count(key, value)?,
                "Q" => options.seasonal_q = count(key, value)?,
                "confidence" => {
                    options.confidence =
                        value.as_f64().ok_or_else(|| fault(key, "must be a number", value))?;
                }
                "regressors" => options.regressors = count(key, value)?,
                "non_negative" => {
                    options.non_negative = value
                        .as_bool()
                        .ok_or_else(|| fault(key, "must be true or false", value))?;
                }
                "history" => options.history = Some(count(key, value)?),
                _ => return Err(Error::Option(format!("{key:?} is unknown, known are {KEYS}"))),
            }
        }
        options.trend = match (options.trend, damped) {
            (Trend::None, _) => Trend::None,
            (_, Some(false)) => Trend::Additive,
            _ => Trend::Damped,
        };
        options.check()?;
        Ok(options)
    }

    /// # Errors
    /// The first option that is out of range or contradicts another.
    pub fn check(&self) -> Result<()> {
        let range = |key: &str, value: usize, low: usize, high: usize| {
            if (low..=high).contains(&value) {
                return Ok(());
            }
            Err(Error::Option(format!("{key}: must be between {low} and {high}, got {value}")))
        };
        range("season", self.season, 1, SEASON_MAX)?;
        range("regressors", self.regressors, 0, REGRESSORS_MAX)?;
        if !(self.confidence > 0.0 && self.confidence < 1.0) {
            let got = self.confidence;
            return Err(Error::Option(format!("confidence: must be between 0 and 1, got {got}")));
        }
        if let Some(history) = self.history {
            range("history", history, (HISTORY_SEASONS_MIN * self.season).max(32), HISTORY_MAX)?;
        }
        match self.model {
            ModelKind::Ets if self.regressors > 0 && !self.ets().is_additive() => Err(
                Error::Option("regressors: need error 'add' and seasonal 'add' or 'none'".into()),
            ),
            ModelKind::Naive if self.regressors > 0 => {
                Err(Error::Option("regressors: model 'naive' takes none".into()))
            }
            ModelKind::Sarimax => {
                let orders = [
                    ("p", self.p),
                    ("d", self.d),
                    ("q", self.q),
                    ("P", self.seasonal_p),
                    ("D", self.seasonal_d),
                    ("Q", self.seasonal_q),
                ];
                for (key, order) in orders {
                    let most = if matches!(key, "d" | "D") { 2 } else { ORDER_MAX };
                    range(key, order, 0, most)?;
                }
                self.sarimax().check()
            }
            _ => Ok(()),
        }
    }

    pub(crate) fn ets(&self) -> EtsSpec {
        let season = self.seasonal.filter(|_| self.season > 1);
        let period = if season.is_some() { self.season } else { 1 };
        EtsSpec { error: self.error, trend: self.trend, season, period }
    }

    /// Seasonal orders count only where there is a season; a model without differencing gets a constant
    /// as its last regressor, since an ARMA process has mean 0.
    pub(crate) fn sarimax(&self) -> SarimaxSpec {
        let seasonal = |order: usize| if self.season > 1 { order } else { 0 };
        let seasonal_d = seasonal(self.seasonal_d);
        SarimaxSpec {
            p: self.p,
            d: self.d,
            q: self.q,
            seasonal_p: seasonal(self.seasonal_p),
            seasonal_d,
            seasonal_q: seasonal(self.seasonal_q),
            period: self.season,
            regressors: self.regressors + usize::from(self.d + seasonal_d == 0),
        }
    }

    pub(crate) fn history_bound(&self) -> usize {
        let (low, high) = HISTORY_DEFAULT;
        let seasons = (HISTORY_SEASONS * self.season).clamp(low, high);
        self.history.unwrap_or(seasons.max(HISTORY_SEASONS_MIN * self.season))
    }
}

fn fault(key: &str, wanted: &str, got: &Value) -> Error {
    Error::Option(format!("{key}: {wanted}, got {got}"))
}

fn count(key: &str, value: &Value) -> Result<usize> {
    let number = value.as_u64().and_then(|n| usize::try_from(n).ok());
    number.ok_or_else(|| fault(key, "must be a whole number, 0 or more", value))
}

fn one_of<T: Copy>(key: &str, value: &Value, known: &[(&str, T)]) -> Result<T> {
    let found = value.as_str().and_then(|name| known.iter().find(|(known, _)| *known == name));
    found.map(|(_, value)| *value).ok_or_else(|| {
        let names: Vec<String> = known.iter().map(|(name, _)| format!("'{name}'")).collect();
        fault(key, &format!("must be one of {}", names.join(", ")), value)
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn mistakes_are_named() {
        let message = |json: Value| Options::from_json(&json).unwrap_err().to_string();
        for (given, part) in [
            (json!({"seasonn": 24}), "\"seasonn\" is unknown, known are model, season, transform,"),
            (
                json!({"model": "arima"}),
                "model: must be one of 'ets', 'sarimax', 'naive', got \"arima\"",
            ),
            (json!({"season": -1}), "season: must be a whole number, 0 or more, got -1"),
            (json!({"season": 0}), "season: must be between 1 and 2048, got 0"),
            (json!({"confidence": 95}), "confidence: must be between 0 and 1, got 95"),
            (
                json!({"regressors": 1, "season": 7, "seasonal": "mul"}),
                "regressors: need error 'add'",
            ),
            (json!({"model": "sarimax", "d": 3}), "d: must be between 0 and 2, got 3"),
            (json!({"model": "sarimax", "season": 168}), "at most 256 are taken; use model 'ets'"),
            (json!({"history": 10}), "history: must be between 32"),
            (json!([]), "must be a JSON object, got []"),
        ] {
            let message = message(given);
            assert!(message.contains(part), "{message}");
        }
    }

    #[test]
    fn trend_and_damping() {
        let trend = |json: Value| Options::from_json(&json).unwrap().trend;
        assert_eq!(trend(json!({})), Trend::Damped);
        assert_eq!(trend(json!({"trend": "add"})), Trend::Damped);
        assert_eq!(trend(json!({"damped": false})), Trend::Additive);
        assert_eq!(trend(json!({"trend": "none", "damped": true})), Trend::None);
    }
}
