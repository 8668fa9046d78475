//! Values of a workload file: read, checked, and what they are where they are left out.

use std::time::Duration;

use serde::{Deserialize, Deserializer, de};

use crate::duration;
use crate::slo::Slo;

pub(super) fn one() -> u64 {
    1
}

pub(super) fn four() -> u64 {
    4
}

pub(super) fn hundred() -> u64 {
    100
}

pub(super) fn embedded() -> String {
    "embedded".into()
}

pub(super) fn time<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(from)?;
    duration::parse(&text).map_err(de::Error::custom)
}

pub(super) fn some_time<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Duration>, D::Error> {
    match time(from)? {
        day if day.is_zero() => Err(de::Error::custom("must be above zero")),
        day => Ok(Some(day)),
    }
}

pub(super) fn objectives<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Slo>, D::Error> {
    Slo::parse_list(&String::deserialize(from)?).map_err(de::Error::custom)
}

pub(super) fn count<'de, D: Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
    match u64::deserialize(from)? {
        0 => Err(de::Error::custom("must be at least 1")),
        count => Ok(count),
    }
}

pub(super) fn share<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
    let share = f64::deserialize(from)?;
    match (0.0..=1.0).contains(&share) {
        true => Ok(share),
        false => Err(de::Error::custom(format!("{share} is no share: expected 0 to 1"))),
    }
}

pub(super) fn positive<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
    match not_negative(from)? {
        0.0 => Err(de::Error::custom("must be above zero")),
        number => Ok(number),
    }
}

pub(super) fn not_negative<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
    let number = f64::deserialize(from)?;
    match number.is_finite() && number >= 0.0 {
        true => Ok(number),
        false => Err(de::Error::custom(format!("{number}: must not be below zero"))),
    }
}
