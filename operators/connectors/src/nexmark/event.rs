//! The n-th event of Nexmark, field by field: each follows from the settings, n and the field alone, so that a
//! field that nobody reads need not be made up. `bench/peers/flink/src/NexmarkEvents.java` makes up the same for Flink.

use std::fmt::Write;

use super::Settings;
use super::words;
use crate::random::{Random, hash};

const FIRST_PERSON: u64 = 1_000;
const FIRST_AUCTION: u64 = 1_000;
const FIRST_CATEGORY: u64 = 10;
const CATEGORIES: u64 = 5;
/// Bidders and sellers are among so many of the last people.
const ACTIVE_PEOPLE: u64 = 1_000;
/// Bids are on so many of the last auctions, and each is open about as long.
const OPEN_AUCTIONS: u64 = 100;
/// Ids may run ahead of the people and auctions there are: late partners for joins.
const LEAD: u64 = 10;
/// Every so manieth person or auction is hot while it is the last such.
const HOT_EVERY: u64 = 100;
/// Channels by number; hot ones come after them.
const CHANNELS: u64 = 10_000;
const HOT_CHANNELS: [&str; 4] = ["Google", "Facebook", "Baidu", "Apple"];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Person,
    Auction,
    Bid,
}

/// What random numbers are drawn for.
#[derive(Clone, Copy)]
enum Draw {
    Name,
    Email,
    CreditCard,
    City,
    State,
    Seller,
    Category,
    InitialBid,
    Reserve,
    Open,
    ItemName,
    Description,
    Auction,
    Bidder,
    Price,
    Channel,
    Extra,
}

/// Event `n`, from 0. The fields are of one kind of event; of others they mean nothing.
#[derive(Clone, Copy)]
pub(super) struct Event<'a> {
    pub settings: &'a Settings,
    pub n: u64,
}

impl Event<'_> {
    pub fn kind(self) -> Kind {
        let at = self.n % self.settings.round();
        match at.checked_sub(self.settings.people) {
            None => Kind::Person,
            Some(at) if at < self.settings.auctions => Kind::Auction,
            Some(_) => Kind::Bid,
        }
    }

    fn random(self, draw: Draw) -> Random {
        let event = hash(self.settings.seed ^ self.n.wrapping_mul(0x2545_f491_4f6c_dd1d));
        Random::seeded(event ^ draw as u64)
    }

    pub fn time_ms(self) -> i64 {
        self.settings.time_ms(self.n)
    }

    pub fn person_id(self) -> i64 {
        id(FIRST_PERSON + self.last_person())
    }

    pub fn name(self, to: &mut String) {
        words::name(&mut self.random(Draw::Name), to);
    }

    pub fn email(self, to: &mut String) {
        words::email(&mut self.random(Draw::Email), to);
    }

    pub fn credit_card(self, to: &mut String) {
        words::credit_card(&mut self.random(Draw::CreditCard), to);
    }

    pub fn city(self, to: &mut String) {
        to.push_str(words::city(&mut self.random(Draw::City)));
    }

    pub fn state(self, to: &mut String) {
        to.push_str(words::state(&mut self.random(Draw::State)));
    }

    pub fn person_extra(self, to: &mut String) {
        for text in [Self::name, Self::email, Self::credit_card, Self::city, Self::state] {
            text(self, to);
        }
        self.fill(8, self.settings.person_bytes, to);
    }

    pub fn auction_id(self) -> i64 {
        id(FIRST_AUCTION + self.last_auction())
    }

    pub fn item_name(self, to: &mut String) {
        words::text(&mut self.random(Draw::ItemName), 20, ' ', to);
    }

    pub fn description(self, to: &mut String) {
        words::text(&mut self.random(Draw::Description), 100, ' ', to);
    }

    pub fn initial_bid(self) -> i64 {
        price(&mut self.random(Draw::InitialBid))
    }

    pub fn reserve(self) -> i64 {
        self.initial_bid() + price(&mut self.random(Draw::Reserve))
    }

    /// On the average an auction is open until so many others have been opened.
    pub fn expires_ms(self) -> i64 {
        let settings = self.settings;
        let events = OPEN_AUCTIONS * settings.round() / settings.auctions;
        let mean_ms = settings.time_ms(self.n + events) - self.time_ms();
        let most_ms = (mean_ms * 2).max(1).unsigned_abs();
        self.time_ms() + 1 + id(self.random(Draw::Open).below(most_ms))
    }

    pub fn seller(self) -> i64 {
        let random = &mut self.random(Draw::Seller);
        let seller = match random.below(self.settings.hot_seller_ratio) {
            0 => self.some_person(random),
            _ => self.last_person() / HOT_EVERY * HOT_EVERY,
        };
        id(FIRST_PERSON + seller)
    }

    pub fn category(self) -> i64 {
        id(FIRST_CATEGORY + self.random(Draw::Category).below(CATEGORIES))
    }

    pub fn auction_extra(self, to: &mut String) {
        self.item_name(to);
        self.description(to);
        self.fill(8 * 7, self.settings.auction_bytes, to);
    }

    pub fn auction(self) -> i64 {
        let random = &mut self.random(Draw::Auction);
        let auction = match random.below(self.settings.hot_auction_ratio) {
            0 => self.some_auction(random),
            _ => self.last_auction() / HOT_EVERY * HOT_EVERY,
        };
        id(FIRST_AUCTION + auction)
    }

    pub fn bidder(self) -> i64 {
        let random = &mut self.random(Draw::Bidder);
        let bidder = match random.below(self.settings.hot_bidder_ratio) {
            0 => self.some_person(random),
            // One beside the hot seller.
            _ => self.last_person() / HOT_EVERY * HOT_EVERY + 1,
        };
        id(FIRST_PERSON + bidder)
    }

    pub fn price(self) -> i64 {
        price(&mut self.random(Draw::Price))
    }

    /// The number of a bid's channel, from 0 to below the number of [`channels`].
    pub fn channel(self) -> usize {
        let random = &mut self.random(Draw::Channel);
        let channel = match random.below(2) {
            0 => random.below(CHANNELS),
            _ => CHANNELS + random.below(HOT_CHANNELS.len() as u64),
        };
        channel as usize
    }

    pub fn bid_extra(self, to: &mut String) {
        self.fill(8 * 4, self.settings.bid_bytes, to);
    }

    /// Letters in the place of what is there, that make an event of it and `bytes` about as large as it should be.
    fn fill(self, bytes: usize, mean_bytes: u64, to: &mut String) {
        let bytes = bytes + to.len();
        to.clear();
        words::filling(&mut self.random(Draw::Extra), bytes, mean_bytes, to);
    }

    /// How many people there are before the last one.
    fn last_person(self) -> u64 {
        let settings = self.settings;
        let (rounds, at) = (self.n / settings.round(), self.n % settings.round());
        rounds * settings.people + at.min(settings.people - 1)
    }

    /// How many auctions there are before the last one; 0 before the first.
    fn last_auction(self) -> u64 {
        let settings = self.settings;
        let (rounds, at) = (self.n / settings.round(), self.n % settings.round());
        let in_round = at.saturating_sub(settings.people - 1).min(settings.auctions);
        (rounds * settings.auctions + in_round).saturating_sub(1)
    }

    /// One of the active people, or of those that come next.
    fn some_person(self, random: &mut Random) -> u64 {
        let people = self.last_person() + 1;
        let active = people.min(ACTIVE_PEOPLE);
        people - active + random.below(active + LEAD)
    }

    /// One of the open auctions, or of those that come next.
    fn some_auction(self, random: &mut Random) -> u64 {
        let last = self.last_auction();
        let first = last.saturating_sub(OPEN_AUCTIONS);
        first + random.below(last - first + 1 + LEAD)
    }
}

/// Names and URLs of all channels: those of a number are the same in all bids.
pub(super) fn channels(settings: &Settings) -> Vec<(String, String)> {
    let all = CHANNELS + HOT_CHANNELS.len() as u64;
    let channel = |number: u64| {
        let random = &mut Random::seeded(!(settings.seed ^ number));
        let mut url = "https://www.nexmark.com/".to_owned();
        for _ in 0..3 {
            words::text(random, 5, '_', &mut url);
            url.push('/');
        }
        url.push_str("item.htm?query=1");
        let hot = number.checked_sub(CHANNELS).map(|hot| HOT_CHANNELS[hot as usize]);
        if hot.is_none() && random.below(10) > 0 {
            let id = (number as i32).reverse_bits().unsigned_abs();
            // Writing to a string does not fail.
            let _ = write!(url, "&channel_id={id}");
        }
        (hot.map_or_else(|| format!("channel-{number}"), str::to_owned), url)
    };
    (0..all).map(channel).collect()
}

/// In cents, from a dollar to a million, its logarithm evenly spread.
fn price(random: &mut Random) -> i64 {
    (10_f64.powf(random.unit() * 6.0) * 100.0).round() as i64
}

/// Ids stay far below `i64::MAX`, since there are fewer than events.
fn id(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(settings: &Settings, number: u64) -> impl Iterator<Item = Event<'_>> {
        (0..number).map(|n| Event { settings, n })
    }

    #[test]
    fn kinds_come_in_their_proportion_and_ids_count_up() {
        let settings = Settings::default();
        let (mut people, mut auctions, mut bids) = (0, 0, 0);
        for event in events(&settings, 10_000) {
            match event.kind() {
                Kind::Person => {
                    assert_eq!(event.person_id(), 1_000 + people);
                    people += 1;
                }
                Kind::Auction => {
                    assert_eq!(event.auction_id(), 1_000 + auctions);
                    assert!(event.expires_ms() > event.time_ms());
                    assert!(event.reserve() > event.initial_bid());
                    assert!((10..15).contains(&event.category()));
                    assert!(event.seller() < 1_000 + people + LEAD as i64);
                    auctions += 1;
                }
                Kind::Bid => {
                    assert!(event.auction() < 1_000 + auctions + LEAD as i64);
                    assert!(event.bidder() < 1_000 + people + LEAD as i64);
                    assert!((100..=100_000_000).contains(&event.price()));
                    bids += 1;
                }
            }
        }
        assert_eq!((people, auctions, bids), (200, 600, 9_200));
    }

    #[test]
    fn events_are_as_large_and_as_hot_as_asked_for() {
        let settings = Settings::default();
        let length = |text: &dyn Fn(&mut String)| {
            let mut to = String::new();
            text(&mut to);
            to.len()
        };
        let (mut bids, mut extra, mut hot, mut named, mut dear) = (0, 0, 0, 0, 0);
        let (mut auctions, mut bytes) = (0, 0);
        for event in events(&settings, 50_000) {
            match event.kind() {
                Kind::Bid => {
                    bids += 1;
                    extra += length(&|to| event.bid_extra(to));
                    hot += usize::from(event.auction() % 100 == 0);
                    named += usize::from(event.channel() as u64 >= CHANNELS);
                    dear += usize::from(event.price() >= 1_000_000);
                }
                Kind::Auction => {
                    auctions += 1;
                    bytes += 8 * 7 + length(&|to| event.item_name(to));
                    bytes +=
                        length(&|to| event.description(to)) + length(&|to| event.auction_extra(to));
                }
                Kind::Person => {}
            }
        }
        assert!((62..74).contains(&(extra / bids)), "{} bytes", extra / bids);
        assert!((480..520).contains(&(bytes / auctions)), "{} bytes", bytes / auctions);
        assert!((48..54).contains(&(hot * 100 / bids)), "{hot} of {bids} bids on hot auctions");
        assert!((48..53).contains(&(named * 100 / bids)));
        // A third of the magnitudes.
        assert!((32..35).contains(&(dear * 100 / bids)), "{dear} of {bids} prices");
    }
}
