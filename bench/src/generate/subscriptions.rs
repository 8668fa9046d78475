//! Synthetic sign-ups, cancellations and plan changes, with a season, weekdays and promotions of known effect.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::arrivals::Arrivals;
use super::{DAY_MS, START_MS, hour_of_day, weekday};
use crate::{Event, json};

const COUNTRIES: [(&str, f64); 8] = [
    ("US", 0.40),
    ("BR", 0.53),
    ("GB", 0.64),
    ("DE", 0.74),
    ("FR", 0.82),
    ("MX", 0.90),
    ("JP", 0.96),
    ("CA", 1.0),
];
/// Sign-ups by weekday, Monday first; the mean is 1.
const WEEKDAYS: [f64; 7] = [0.95, 0.90, 0.92, 0.96, 1.07, 1.15, 1.05];
/// A promotion begins this often and runs for `PROMOTION_MS`.
const PROMOTION_EVERY_MS: i64 = 19 * DAY_MS;
const PROMOTION_MS: i64 = 4 * DAY_MS;
/// The cycle of promotions counts from Monday 2024-01-01, so that its times do not depend on where a run starts.
const PROMOTIONS_FROM_MS: i64 = 1_704_067_200_000;

/// A promotion and the factor by which it lifts the rate of sign-ups while it runs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Promotion {
    pub name: &'static str,
    pub lift: f64,
}

/// Promotions take turns.
pub const PROMOTIONS: [Promotion; 3] = [
    Promotion { name: "first_month_free", lift: 1.8 },
    Promotion { name: "half_price", lift: 1.5 },
    Promotion { name: "friends", lift: 1.25 },
];

/// The promotion that runs at a time, if one does.
pub fn promotion_at(ms: i64) -> Option<Promotion> {
    let since_ms = ms - PROMOTIONS_FROM_MS;
    let turn = since_ms.div_euclid(PROMOTION_EVERY_MS).rem_euclid(PROMOTIONS.len() as i64) as usize;
    // The promotion is the end of its cycle.
    (since_ms.rem_euclid(PROMOTION_EVERY_MS) >= PROMOTION_EVERY_MS - PROMOTION_MS)
        .then_some(PROMOTIONS[turn])
}

/// The share of the mean sign-up rate by season, weekday and hour, without promotions.
pub fn sign_up_rhythm(ms: i64) -> f64 {
    let year = ms as f64 / (365.25 * DAY_MS as f64) * std::f64::consts::TAU;
    let hour = hour_of_day(ms) / 24.0 * std::f64::consts::TAU;
    // Most in January, and around 19:00; the integral of both waves is zero.
    (1.0 + 0.15 * year.cos())
        * WEEKDAYS[weekday(ms)]
        * (1.0 + 0.6 * (hour - 19.0 / 24.0 * std::f64::consts::TAU).cos())
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Plan {
    Basic,
    Standard,
    Premium,
}

impl Plan {
    const ALL: [Self; 3] = [Self::Basic, Self::Standard, Self::Premium];

    pub fn name(self) -> &'static str {
        match self {
            Self::Basic => "basic",
            Self::Standard => "standard",
            Self::Premium => "premium",
        }
    }

    fn draw(random: &mut ChaCha8Rng) -> Self {
        match random.random::<f64>() {
            p if p < 0.35 => Self::Basic,
            p if p < 0.80 => Self::Standard,
            _ => Self::Premium,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Change {
    SignUp,
    Cancel,
    PlanChange,
}

impl Change {
    pub fn name(self) -> &'static str {
        match self {
            Self::SignUp => "sign_up",
            Self::Cancel => "cancel",
            Self::PlanChange => "plan_change",
        }
    }
}

/// One event of the subscription stream.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Subscription {
    pub event_time_ms: i64,
    pub subscriber_id: i64,
    pub change: Change,
    /// The plan after a sign-up or plan change, the plan left by a cancellation.
    pub plan: Plan,
    /// Only with a plan change.
    pub old_plan: Option<Plan>,
    pub country: &'static str,
    /// The promotion that ran at a sign-up.
    pub promotion: Option<&'static str>,
}

impl Event for Subscription {
    fn event_time_ms(&self) -> i64 {
        self.event_time_ms
    }

    fn key(&self) -> String {
        self.subscriber_id.to_string()
    }

    fn write_json(&self, out: &mut Vec<u8>) {
        out.push(b'{');
        json::timestamp(out, "event_time", self.event_time_ms);
        json::integer(out, "subscriber_id", self.subscriber_id);
        json::plain(out, "event_type", self.change.name());
        json::plain(out, "plan", self.plan.name());
        json::plain_or_null(out, "old_plan", self.old_plan.map(Plan::name));
        json::plain(out, "country", self.country);
        json::plain_or_null(out, "promotion", self.promotion);
        out.push(b'}');
    }
}

/// What to generate. At the defaults sign-ups and cancellations nearly balance, about 2,800 events a day.
#[derive(Clone, Debug)]
pub struct SubscriptionsConfig {
    pub seed: u64,
    pub start_ms: i64,
    /// Subscribers before the first event.
    pub subscribers: u32,
    /// Mean over a year without promotions.
    pub sign_ups_per_day: f64,
    /// Chance that a subscriber cancels within a day.
    pub churn_per_day: f64,
    /// Chance that a subscriber changes plan within a day.
    pub plan_changes_per_day: f64,
}

impl Default for SubscriptionsConfig {
    fn default() -> Self {
        Self {
            seed: 1,
            start_ms: START_MS,
            subscribers: 500_000,
            sign_ups_per_day: 1_200.0,
            churn_per_day: 0.0024,
            plan_changes_per_day: 0.0006,
        }
    }
}

/// Subscription events in order of event time; never ends.
pub struct Subscriptions {
    config: SubscriptionsConfig,
    random: ChaCha8Rng,
    arrivals: Arrivals,
    active: Vec<Subscriber>,
    next_id: i64,
}

struct Subscriber {
    id: i64,
    plan: Plan,
    country: &'static str,
}

impl Subscriptions {
    /// # Panics
    /// If the rate of sign-ups is not above zero.
    pub fn new(config: SubscriptionsConfig) -> Self {
        assert!(config.sign_ups_per_day > 0.0, "sign_ups_per_day must be above zero");
        let random = ChaCha8Rng::seed_from_u64(config.seed);
        let arrivals = Arrivals::new(config.start_ms);
        let mut subscriptions = Self { config, random, arrivals, active: Vec::new(), next_id: 1 };
        for _ in 0..subscriptions.config.subscribers {
            subscriptions.add_subscriber();
        }
        subscriptions
    }

    fn add_subscriber(&mut self) -> &Subscriber {
        let at: f64 = self.random.random();
        let country = COUNTRIES[COUNTRIES.partition_point(|country| country.1 <= at)].0;
        self.active.push(Subscriber {
            id: self.next_id,
            plan: Plan::draw(&mut self.random),
            country,
        });
        self.next_id += 1;
        &self.active[self.active.len() - 1]
    }
}

impl Iterator for Subscriptions {
    type Item = Subscription;

    fn next(&mut self) -> Option<Subscription> {
        let day_s = DAY_MS as f64 / 1000.0;
        let sign_ups = self.config.sign_ups_per_day / day_s;
        let active_per_s = self.active.len() as f64 / day_s;
        let (cancels, plan_changes) = (
            active_per_s * self.config.churn_per_day,
            active_per_s * self.config.plan_changes_per_day,
        );
        let sign_ups_at = |ms: i64| {
            sign_ups * sign_up_rhythm(ms) * promotion_at(ms).map_or(1.0, |promotion| promotion.lift)
        };
        let event_time_ms =
            self.arrivals.next_ms(&mut self.random, |ms| sign_ups_at(ms) + cancels + plan_changes);
        let sign_ups = sign_ups_at(event_time_ms);
        let kind = self.random.random::<f64>() * (sign_ups + cancels + plan_changes);
        if kind < sign_ups || self.active.is_empty() {
            let promotion = promotion_at(event_time_ms).map(|promotion| promotion.name);
            let &Subscriber { id, plan, country } = self.add_subscriber();
            let change = Change::SignUp;
            return Some(Subscription {
                event_time_ms,
                subscriber_id: id,
                change,
                plan,
                old_plan: None,
                country,
                promotion,
            });
        }
        let at = self.random.random_range(0..self.active.len());
        if kind < sign_ups + cancels {
            let Subscriber { id, plan, country } = self.active.swap_remove(at);
            let change = Change::Cancel;
            return Some(Subscription {
                event_time_ms,
                subscriber_id: id,
                change,
                plan,
                old_plan: None,
                country,
                promotion: None,
            });
        }
        let subscriber = &mut self.active[at];
        let old_plan = subscriber.plan;
        while subscriber.plan == old_plan {
            subscriber.plan = Plan::ALL[self.random.random_range(0..Plan::ALL.len())];
        }
        Some(Subscription {
            event_time_ms,
            subscriber_id: subscriber.id,
            change: Change::PlanChange,
            plan: subscriber.plan,
            old_plan: Some(old_plan),
            country: subscriber.country,
            promotion: None,
        })
    }
}
