//! How many events of which kind, how hot, how large: the options of Nexmark's own source.

use nowcast_engine::Result;

use crate::options::Options;

/// 2026-01-05 07:59:59 UTC: a second before the hour changes, which q14 tells apart.
const START_MS: i64 = 1_767_599_999_000;

/// What the events follow from; the defaults are Nexmark's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    pub seed: u64,
    /// Event time of the first event.
    pub start_ms: i64,
    /// Events a second of event time.
    pub events_per_s: u64,
    /// Out of so many events in a row, so many are of each kind, in this order.
    pub people: u64,
    pub auctions: u64,
    pub bids: u64,
    /// One in so many bids goes to any auction, the others to a hot one.
    pub hot_auction_ratio: u64,
    /// One in so many bids is of any person, the others of a hot one.
    pub hot_bidder_ratio: u64,
    /// One in so many auctions is of any person, the others of a hot one.
    pub hot_seller_ratio: u64,
    /// Mean sizes of events in bytes, which the column `extra` fills up to.
    pub person_bytes: u64,
    pub auction_bytes: u64,
    pub bid_bytes: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            seed: 1,
            start_ms: START_MS,
            events_per_s: 10_000,
            people: 1,
            auctions: 3,
            bids: 46,
            hot_auction_ratio: 2,
            hot_bidder_ratio: 4,
            hot_seller_ratio: 4,
            person_bytes: 200,
            auction_bytes: 500,
            bid_bytes: 100,
        }
    }
}

impl Settings {
    /// Reads them from a table's options.
    pub(super) fn read(options: &Options<'_>) -> Result<Self> {
        let number = |key: &str, default: u64, least: u64| -> Result<u64> {
            let expected = format!("a whole number from {least} on");
            match options.parsed::<u64>(key, &expected)? {
                Some(value) if value < least => {
                    Err(options.refuse(key, &value.to_string(), &expected))
                }
                value => Ok(value.unwrap_or(default)),
            }
        };
        let size = |key: &str, default: u64| -> Result<u64> {
            Ok(options.memory(key)?.unwrap_or(default))
        };
        let default = Self::default();
        Ok(Self {
            seed: number("seed", default.seed, 0)?,
            start_ms: default.start_ms,
            events_per_s: number("next-event.rate", default.events_per_s, 1)?,
            people: number("person.proportion", default.people, 1)?,
            auctions: number("auction.proportion", default.auctions, 1)?,
            bids: number("bid.proportion", default.bids, 0)?,
            hot_auction_ratio: number("bid.hot-ratio.auctions", default.hot_auction_ratio, 1)?,
            hot_bidder_ratio: number("bid.hot-ratio.bidders", default.hot_bidder_ratio, 1)?,
            hot_seller_ratio: number("auction.hot-ratio.sellers", default.hot_seller_ratio, 1)?,
            person_bytes: size("person.avg-size", default.person_bytes)?,
            auction_bytes: size("auction.avg-size", default.auction_bytes)?,
            bid_bytes: size("bid.avg-size", default.bid_bytes)?,
        })
    }

    /// Event time of event `n`.
    pub(super) fn time_ms(&self, n: u64) -> i64 {
        let ms = match n.checked_mul(1_000) {
            Some(thousandths) => thousandths / self.events_per_s,
            None => (n / self.events_per_s).saturating_mul(1_000),
        };
        self.start_ms.saturating_add(i64::try_from(ms).unwrap_or(i64::MAX))
    }

    /// How many events there are of all kinds in a round.
    pub(super) fn round(&self) -> u64 {
        self.people + self.auctions + self.bids
    }
}
