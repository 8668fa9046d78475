//! The titles of the synthetic service: genre clusters, sequel chains, related titles, and popularity that drifts.

use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::HOUR_MS;

/// Seed of the catalogue. It is apart from the events' seed, so that a model trained on one clickstream fits every other.
pub const CATALOGUE_SEED: u64 = 1000;

pub const TITLES: usize = 1000;
pub const CLUSTERS: usize = 50;

/// Popularity of the title of rank r is r^-ZIPF before drift and releases.
const ZIPF: f64 = 0.9;
/// One title is released, or promoted again, this often; a whole round takes 166 days.
const RELEASE_EVERY_MS: i64 = 4 * HOUR_MS;
/// A release starts at this share of the top title's weight and fades with this time constant.
const RELEASE_WEIGHT: f64 = 0.5;
const RELEASE_FADES_MS: f64 = 24.0 * HOUR_MS as f64;
/// Most viewers reach a sequel through its predecessor, few on its own.
const SEQUEL_WEIGHT: f64 = 0.3;

/// A title; its number is its place in [`Catalogue::titles`], its id one more.
#[derive(Clone, Debug)]
pub struct Title {
    pub cluster: u8,
    /// The next of its chain.
    pub sequel: Option<u16>,
    /// What viewers of this title turn to, most likely first.
    pub related: [u16; 4],
    pub runtime_s: u32,
    weight: f64,
    drift_phase: f64,
    drift_period_ms: f64,
    release_offset_ms: i64,
}

/// All titles, a pure function of the seed.
pub struct Catalogue {
    pub titles: Vec<Title>,
    pub clusters: Vec<Vec<u16>>,
}

impl Catalogue {
    pub fn new(seed: u64) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut ranks: Vec<usize> = (0..TITLES).collect();
        ranks.shuffle(&mut random);
        let mut releases: Vec<i64> = (0..TITLES as i64).collect();
        releases.shuffle(&mut random);
        let mut titles: Vec<Title> = (0..TITLES)
            .map(|i| Title {
                cluster: (i % CLUSTERS) as u8,
                sequel: None,
                related: [0; 4],
                runtime_s: 0,
                weight: ((ranks[i] + 1) as f64).powf(-ZIPF),
                drift_phase: random.random_range(0.0..std::f64::consts::TAU),
                drift_period_ms: random.random_range(8.0..40.0) * HOUR_MS as f64,
                release_offset_ms: releases[i] * RELEASE_EVERY_MS,
            })
            .collect();
        let mut clusters: Vec<Vec<u16>> = vec![Vec::new(); CLUSTERS];
        for (i, title) in titles.iter().enumerate() {
            clusters[title.cluster as usize].push(i as u16);
        }
        for cluster in 0..CLUSTERS {
            // Titles of one cluster in a random order: chains are runs of it.
            let mut order = clusters[cluster].clone();
            order.shuffle(&mut random);
            chain(&mut titles, &order, &mut random);
            let neighbour = &clusters[(cluster + 1) % CLUSTERS];
            for &title in &order {
                titles[title as usize].related = related(title, &order, neighbour, &mut random);
            }
        }
        Self { titles, clusters }
    }

    /// How often a title is chosen at a time, on no fixed scale.
    fn weight(&self, title: usize, ms: i64) -> f64 {
        let title = &self.titles[title];
        let turn = ms as f64 / title.drift_period_ms * std::f64::consts::TAU + title.drift_phase;
        let age_ms = (ms - title.release_offset_ms).rem_euclid(TITLES as i64 * RELEASE_EVERY_MS);
        let release = RELEASE_WEIGHT * (-age_ms as f64 / RELEASE_FADES_MS).exp();
        title.weight * (0.7 * turn.sin()).exp() + release
    }
}

/// Cuts the order into chains of 2 to 8 episodes and single films or shorts, about 60 % of the titles in chains.
fn chain(titles: &mut [Title], order: &[u16], random: &mut ChaCha8Rng) {
    let mut at = 0;
    while at < order.len() {
        let length = if random.random_bool(0.25) {
            random.random_range(2..=8).min(order.len() - at)
        } else {
            1
        };
        let runtime_s = match (length, random.random_bool(0.6)) {
            (1, true) => random.random_range(75 * 60..140 * 60),
            (1, false) => random.random_range(4 * 60..25 * 60),
            _ => random.random_range(20 * 60..55 * 60),
        };
        for (place, &title) in order[at..at + length].iter().enumerate() {
            let title = &mut titles[title as usize];
            title.runtime_s = runtime_s;
            title.sequel = order[at..at + length].get(place + 1).copied();
            if place > 0 {
                title.weight *= SEQUEL_WEIGHT;
            }
        }
        at += length;
    }
}

/// Three other titles of the cluster and one of the next cluster.
fn related(title: u16, cluster: &[u16], neighbour: &[u16], random: &mut ChaCha8Rng) -> [u16; 4] {
    let mut found = [neighbour[random.random_range(0..neighbour.len())]; 4];
    let mut count = 0;
    while count < 3 {
        let other = cluster[random.random_range(0..cluster.len())];
        if other != title && !found[..count].contains(&other) {
            found[count] = other;
            count += 1;
        }
    }
    found
}

/// The popularity of a moment, ready to draw from; made anew as event time moves on.
pub struct Popularity {
    made_for: i64,
    overall: Vec<f64>,
    by_cluster: Vec<Vec<f64>>,
}

impl Popularity {
    /// Popularity holds this long: short against its drift over hours, long against the cost of making it.
    const HOLDS_MS: i64 = 15 * 60_000;

    pub fn at(catalogue: &Catalogue, ms: i64) -> Self {
        let mut popularity = Self {
            made_for: i64::MIN,
            overall: vec![0.0; TITLES],
            by_cluster: catalogue.clusters.iter().map(|titles| vec![0.0; titles.len()]).collect(),
        };
        popularity.advance(catalogue, ms);
        popularity
    }

    /// Brings the popularity to the quarter of an hour in which `ms` lies.
    pub fn advance(&mut self, catalogue: &Catalogue, ms: i64) {
        let period = ms.div_euclid(Self::HOLDS_MS);
        if period == self.made_for {
            return;
        }
        self.made_for = period;
        let ms = period * Self::HOLDS_MS;
        let mut sum = 0.0;
        for (title, cumulated) in self.overall.iter_mut().enumerate() {
            sum += catalogue.weight(title, ms);
            *cumulated = sum;
        }
        for (titles, cumulated) in catalogue.clusters.iter().zip(&mut self.by_cluster) {
            let mut sum = 0.0;
            for (&title, cumulated) in titles.iter().zip(cumulated) {
                let before = if title == 0 { 0.0 } else { self.overall[title as usize - 1] };
                sum += self.overall[title as usize] - before;
                *cumulated = sum;
            }
        }
    }

    /// Any title.
    pub fn draw(&self, random: &mut ChaCha8Rng) -> u16 {
        draw(&self.overall, random) as u16
    }

    /// A title of one cluster.
    pub fn draw_in(&self, catalogue: &Catalogue, cluster: usize, random: &mut ChaCha8Rng) -> u16 {
        catalogue.clusters[cluster][draw(&self.by_cluster[cluster], random)]
    }
}

/// An index drawn by cumulated weights.
pub(crate) fn draw(cumulated: &[f64], random: &mut ChaCha8Rng) -> usize {
    let last = cumulated[cumulated.len() - 1];
    let at = random.random::<f64>() * last;
    cumulated.partition_point(|&sum| sum <= at).min(cumulated.len() - 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generate::START_MS;

    #[test]
    fn chains_stay_in_their_cluster_and_end() {
        let catalogue = Catalogue::new(CATALOGUE_SEED);
        let mut chained = 0;
        for start in 0..TITLES {
            let mut title = start;
            let mut length = 0;
            while let Some(sequel) = catalogue.titles[title].sequel {
                assert_eq!(
                    catalogue.titles[sequel as usize].cluster,
                    catalogue.titles[title].cluster
                );
                title = sequel as usize;
                length += 1;
                assert!(length < 8);
            }
            chained += usize::from(length > 0);
        }
        assert!((300..700).contains(&chained), "{chained} titles have a sequel");
    }

    #[test]
    fn the_most_popular_title_changes_within_a_day() {
        let catalogue = Catalogue::new(CATALOGUE_SEED);
        let best = |ms| {
            (0..TITLES).max_by(|&a, &b| catalogue.weight(a, ms).total_cmp(&catalogue.weight(b, ms)))
        };
        let mut tops: Vec<_> = (0..24).map(|hour| best(START_MS + hour * HOUR_MS)).collect();
        tops.dedup();
        assert!(tops.len() > 1);
    }
}
