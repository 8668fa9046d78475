//! Who watches: the country, devices, taste and activity of each synthetic profile.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, LogNormal};

use super::catalogue::{CLUSTERS, draw};

/// Countries and their shares in percent.
const COUNTRIES: [(&str, f64); 20] = [
    ("US", 26.0),
    ("BR", 9.0),
    ("GB", 8.0),
    ("DE", 7.0),
    ("FR", 6.0),
    ("MX", 6.0),
    ("JP", 5.0),
    ("CA", 5.0),
    ("IN", 5.0),
    ("ES", 4.0),
    ("IT", 3.0),
    ("AU", 3.0),
    ("AR", 2.5),
    ("KR", 2.5),
    ("NL", 2.0),
    ("PL", 2.0),
    ("SE", 1.5),
    ("CO", 1.0),
    ("TR", 1.0),
    ("ZA", 0.5),
];
const DEVICES: [(&str, f64); 5] =
    [("tv", 45.0), ("mobile", 25.0), ("web", 15.0), ("tablet", 10.0), ("console", 5.0)];

struct Profile {
    country: u8,
    device: u8,
    taste: [u8; 3],
    open: u32,
}

/// All profiles, and how many sessions each has open.
pub(super) struct Profiles {
    all: Vec<Profile>,
    /// Cumulated activity: some profiles watch far more than others.
    activity: Vec<f64>,
    /// Sessions open.
    open: usize,
}

impl Profiles {
    pub(super) fn new(count: u32, random: &mut ChaCha8Rng) -> Self {
        let countries = cumulate(COUNTRIES.iter().map(|country| country.1));
        let devices = cumulate(DEVICES.iter().map(|device| device.1));
        let activity = LogNormal::new(0.0, 0.7).expect("the deviation is positive");
        let mut profiles = Self {
            all: Vec::with_capacity(count as usize),
            activity: Vec::with_capacity(count as usize),
            open: 0,
        };
        let mut sum = 0.0;
        for _ in 0..count {
            sum += activity.sample(random);
            profiles.activity.push(sum);
            profiles.all.push(Profile {
                country: draw(&countries, random) as u8,
                device: draw(&devices, random) as u8,
                taste: std::array::from_fn(|_| random.random_range(0..CLUSTERS) as u8),
                open: 0,
            });
        }
        profiles
    }

    /// A profile by activity, if it can be had one without an open session; marks it as having one more.
    pub(super) fn draw_idle(&mut self, random: &mut ChaCha8Rng) -> u32 {
        let mut profile = 0;
        // With many profiles busy, trying on costs much and gains little.
        let tries = if self.open < self.all.len() / 2 { 4 } else { 1 };
        for _ in 0..tries {
            profile = draw(&self.activity, random);
            if self.all[profile].open == 0 {
                break;
            }
        }
        self.all[profile].open += 1;
        self.open += 1;
        profile as u32
    }

    /// Takes back one session that [`draw_idle`](Self::draw_idle) opened.
    pub(super) fn close(&mut self, profile: u32) {
        self.all[profile as usize].open -= 1;
        self.open -= 1;
    }

    /// A cluster of titles to the profile's taste.
    pub(super) fn taste(&self, profile: u32, random: &mut ChaCha8Rng) -> usize {
        let taste = &self.all[profile as usize].taste;
        taste[random.random_range(0..taste.len())] as usize
    }

    pub(super) fn country(&self, profile: u32) -> &'static str {
        COUNTRIES[self.all[profile as usize].country as usize].0
    }

    /// Mostly the profile's own device.
    pub(super) fn device(&self, profile: u32, random: &mut ChaCha8Rng) -> &'static str {
        let device = if random.random_bool(0.85) {
            self.all[profile as usize].device as usize
        } else {
            random.random_range(0..DEVICES.len())
        };
        DEVICES[device].0
    }
}

fn cumulate(weights: impl Iterator<Item = f64>) -> Vec<f64> {
    weights
        .scan(0.0, |sum, weight| {
            *sum += weight;
            Some(*sum)
        })
        .collect()
}
