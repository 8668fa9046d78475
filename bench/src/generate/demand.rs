//! Synthetic hourly member demand by region: season, weather, holidays, promotions of known effect, and autoregressive noise.

use chrono::{DateTime, Datelike};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

use super::{DAY_MS, HOUR_MS, START_MS, weekday};
use crate::{Event, json};

/// A promotion day multiplies demand by this.
pub const PROMOTION_LIFT: f64 = 1.2;
/// A holiday multiplies demand by this.
pub const HOLIDAY_EFFECT: f64 = 0.8;
/// Two days of promotion begin this often.
const PROMOTION_EVERY_DAYS: i64 = 11;
/// Fixed-date holidays as (month, day).
const HOLIDAYS: [(u32, u32); 6] = [(1, 1), (5, 1), (7, 4), (11, 11), (12, 25), (12, 26)];

/// Demand by hour of a working day (two commutes) and of a day off (one broad afternoon); each has mean 1.
const WORKING_HOURS: [f64; 24] = [
    0.14, 0.07, 0.04, 0.03, 0.06, 0.28, 0.95, 2.25, 2.85, 1.35, 0.78, 0.88, //
    1.08, 1.05, 0.98, 1.15, 1.75, 2.75, 2.20, 1.42, 0.86, 0.56, 0.36, 0.16,
];
const FREE_HOURS: [f64; 24] = [
    0.45, 0.35, 0.28, 0.16, 0.10, 0.12, 0.22, 0.42, 0.82, 1.20, 1.55, 1.78, //
    1.95, 1.96, 1.92, 1.90, 1.82, 1.68, 1.48, 1.20, 0.90, 0.70, 0.55, 0.49,
];

/// One hour of one region. Weather is in shares of its range, as in the UCI bike sharing data.
#[derive(Clone, Debug, PartialEq)]
pub struct Demand {
    /// The beginning of the hour.
    pub event_time_ms: i64,
    pub region: String,
    /// A count.
    pub demand: f64,
    /// 0.0 to 1.0.
    pub temp: f64,
    /// 0.0 to 1.0.
    pub humidity: f64,
    /// 0.0 to 1.0.
    pub windspeed: f64,
    pub workingday: bool,
    pub holiday: bool,
    /// 0 to 23.
    pub hour: u8,
    pub promotion: bool,
}

impl Event for Demand {
    fn event_time_ms(&self) -> i64 {
        self.event_time_ms
    }

    fn key(&self) -> String {
        self.region.clone()
    }

    fn write_json(&self, out: &mut Vec<u8>) {
        out.push(b'{');
        json::timestamp(out, "event_time", self.event_time_ms);
        json::text(out, "region", &self.region);
        json::number(out, "demand", self.demand);
        json::number(out, "temp", self.temp);
        json::number(out, "humidity", self.humidity);
        json::number(out, "windspeed", self.windspeed);
        json::integer(out, "workingday", i64::from(self.workingday));
        json::integer(out, "holiday", i64::from(self.holiday));
        json::integer(out, "hour", i64::from(self.hour));
        json::integer(out, "promotion", i64::from(self.promotion));
        out.push(b'}');
    }
}

/// What to generate.
#[derive(Clone, Debug)]
pub struct DemandConfig {
    pub seed: u64,
    /// Cut down to the full hour.
    pub start_ms: i64,
    /// Each region has a level and a weather of its own.
    pub regions: Vec<String>,
}

impl Default for DemandConfig {
    fn default() -> Self {
        Self {
            seed: 1,
            start_ms: START_MS,
            regions: ["east", "north", "south", "west"].map(String::from).to_vec(),
        }
    }
}

/// One row an hour and region, in order of event time, then region; never ends (without regions it is empty).
pub struct Demands {
    regions: Vec<Region>,
    hour_ms: i64,
    at: usize,
}

impl Demands {
    pub fn new(config: DemandConfig) -> Self {
        let regions = config.regions.into_iter().enumerate();
        let regions = regions
            .map(|(at, name)| {
                // A stream of its own each: adding a region leaves the others as they are.
                let mut random = ChaCha8Rng::seed_from_u64(config.seed);
                random.set_stream(at as u64);
                let level = 120.0 * (0.5 * normal(&mut random)).exp();
                Region { name, random, level, warmth: 0.0, damp: 0.0, wind: 0.0, noise: 0.0 }
            })
            .collect();
        Self { regions, hour_ms: config.start_ms.div_euclid(HOUR_MS) * HOUR_MS, at: 0 }
    }
}

impl Iterator for Demands {
    type Item = Demand;

    fn next(&mut self) -> Option<Demand> {
        if self.at == self.regions.len() {
            self.at = 0;
            self.hour_ms += HOUR_MS;
        }
        let region = self.regions.get_mut(self.at)?;
        self.at += 1;
        Some(region.hour(self.hour_ms))
    }
}

struct Region {
    name: String,
    random: ChaCha8Rng,
    level: f64,
    /// Deviations from the usual weather, and from the usual demand.
    warmth: f64,
    damp: f64,
    wind: f64,
    noise: f64,
}

impl Region {
    fn hour(&mut self, event_time_ms: i64) -> Demand {
        let day = event_time_ms.div_euclid(DAY_MS);
        let hour = event_time_ms.rem_euclid(DAY_MS) / HOUR_MS;
        let year = event_time_ms as f64 / (365.25 * DAY_MS as f64) * std::f64::consts::TAU;
        let clock = hour as f64 / 24.0 * std::f64::consts::TAU;

        // Weather persists for days.
        self.warmth = 0.98 * self.warmth + 0.014 * normal(&mut self.random);
        self.damp = 0.96 * self.damp + 0.045 * normal(&mut self.random);
        self.wind = 0.92 * self.wind + 0.040 * normal(&mut self.random);
        // Coldest in mid January and at 04:00.
        let temp = 0.50 - 0.25 * (year - 0.26).cos() - 0.06 * (clock - 1.05).cos() + self.warmth;
        let (temp, humidity) = (share(temp), share(0.62 + 0.10 * (clock - 1.05).cos() + self.damp));
        let windspeed = share(0.19 + self.wind);

        let date = DateTime::from_timestamp_millis(event_time_ms)
            .expect("event times lie within chrono's 262,000 years");
        let holiday = HOLIDAYS.contains(&(date.month(), date.day()));
        let workingday = !holiday && weekday(event_time_ms) < 5;
        let promotion = day.rem_euclid(PROMOTION_EVERY_DAYS) < 2;

        let mut demand =
            self.level * if workingday { WORKING_HOURS } else { FREE_HOURS }[hour as usize];
        // Most at three quarters of the temperature's range, least when damp and windy.
        demand *=
            (-2.2 * (temp - 0.75).powi(2) - 0.8 * (humidity - 0.5).max(0.0) - 0.7 * windspeed)
                .exp();
        demand *= if holiday { HOLIDAY_EFFECT } else { 1.0 }
            * if promotion { PROMOTION_LIFT } else { 1.0 };
        self.noise = 0.75 * self.noise + 0.10 * normal(&mut self.random);
        demand *= self.noise.exp();
        // A count scatters by its root.
        demand += demand.sqrt() * normal(&mut self.random);

        Demand {
            event_time_ms,
            region: self.name.clone(),
            demand: demand.max(0.0).round(),
            temp,
            humidity,
            windspeed,
            workingday,
            holiday,
            hour: hour as u8,
            promotion,
        }
    }
}

fn normal(random: &mut ChaCha8Rng) -> f64 {
    StandardNormal.sample(random)
}

/// Kept to the range of the real data's weather columns, with as many digits as they have.
fn share(value: f64) -> f64 {
    (value.clamp(0.0, 1.0) * 10_000.0).round() / 10_000.0
}
