//! The n-th event of Nexmark.

use super::Settings;
use super::words;
use crate::random::Random;

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
const CHANNELS: u64 = 10_000;
const HOT_CHANNELS: [&str; 4] = ["Google", "Facebook", "Baidu", "Apple"];

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    Person(Person),
    Auction(Auction),
    Bid(Bid),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    pub id: i64,
    pub name: String,
    pub email_address: String,
    pub credit_card: String,
    pub city: &'static str,
    pub state: &'static str,
    pub time_ms: i64,
    pub extra: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Auction {
    pub id: i64,
    pub item_name: String,
    pub description: String,
    pub initial_bid: i64,
    pub reserve: i64,
    pub time_ms: i64,
    pub expires_ms: i64,
    pub seller: i64,
    pub category: i64,
    pub extra: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bid {
    pub auction: i64,
    pub bidder: i64,
    pub price: i64,
    pub channel: String,
    pub url: String,
    pub time_ms: i64,
    pub extra: String,
}

/// Event `n`, from 0: a function of the settings and `n` alone.
pub fn event(settings: &Settings, n: u64) -> Event {
    let mut random = Random::seeded(settings.seed ^ n.wrapping_mul(0x2545_f491_4f6c_dd1d));
    let at = n % settings.round();
    if at < settings.people {
        Event::Person(person(settings, n, &mut random))
    } else if at < settings.people + settings.auctions {
        Event::Auction(auction(settings, n, &mut random))
    } else {
        Event::Bid(bid(settings, n, &mut random))
    }
}

fn person(settings: &Settings, n: u64, random: &mut Random) -> Person {
    let name = words::name(random);
    let email_address = words::email(random);
    let credit_card = words::credit_card(random);
    let (city, state) = (words::city(random), words::state(random));
    let bytes = 8 + name.len() + email_address.len() + credit_card.len() + city.len() + state.len();
    Person {
        id: id(FIRST_PERSON + last_person(settings, n)),
        time_ms: settings.time_ms(n),
        extra: words::filling(random, bytes, settings.person_bytes),
        name,
        email_address,
        credit_card,
        city,
        state,
    }
}

fn auction(settings: &Settings, n: u64, random: &mut Random) -> Auction {
    let seller = match random.below(settings.hot_seller_ratio) {
        0 => some_person(settings, n, random),
        _ => last_person(settings, n) / HOT_EVERY * HOT_EVERY,
    };
    let category = FIRST_CATEGORY + random.below(CATEGORIES);
    let initial_bid = price(random);
    let time_ms = settings.time_ms(n);
    let expires_ms = time_ms + open_ms(settings, n, random);
    let item_name = words::text(random, 20, ' ');
    let description = words::text(random, 100, ' ');
    let reserve = initial_bid + price(random);
    let bytes = 8 * 7 + item_name.len() + description.len();
    Auction {
        id: id(FIRST_AUCTION + last_auction(settings, n)),
        initial_bid,
        reserve,
        time_ms,
        expires_ms,
        seller: id(FIRST_PERSON + seller),
        category: id(category),
        extra: words::filling(random, bytes, settings.auction_bytes),
        item_name,
        description,
    }
}

fn bid(settings: &Settings, n: u64, random: &mut Random) -> Bid {
    let auction = match random.below(settings.hot_auction_ratio) {
        0 => some_auction(settings, n, random),
        _ => last_auction(settings, n) / HOT_EVERY * HOT_EVERY,
    };
    let bidder = match random.below(settings.hot_bidder_ratio) {
        0 => some_person(settings, n, random),
        // One beside the hot seller.
        _ => last_person(settings, n) / HOT_EVERY * HOT_EVERY + 1,
    };
    let price = price(random);
    let (channel, url) = if random.below(2) == 0 {
        some_channel(settings, random.below(CHANNELS))
    } else {
        let hot = random.below(HOT_CHANNELS.len() as u64);
        (HOT_CHANNELS[hot as usize].to_owned(), url(&mut channel_random(settings, CHANNELS + hot)))
    };
    let extra = words::filling(random, 8 * 4, settings.bid_bytes);
    let (auction, bidder) = (id(FIRST_AUCTION + auction), id(FIRST_PERSON + bidder));
    Bid { auction, bidder, price, channel, url, time_ms: settings.time_ms(n), extra }
}

/// How many people there are before the last one, at event `n`.
fn last_person(settings: &Settings, n: u64) -> u64 {
    let (rounds, at) = (n / settings.round(), n % settings.round());
    rounds * settings.people + at.min(settings.people - 1)
}

/// How many auctions there are before the last one, at event `n`; 0 before the first.
fn last_auction(settings: &Settings, n: u64) -> u64 {
    let (rounds, at) = (n / settings.round(), n % settings.round());
    let in_round = at.saturating_sub(settings.people - 1).min(settings.auctions);
    (rounds * settings.auctions + in_round).saturating_sub(1)
}

/// One of the active people, or of those that come next.
fn some_person(settings: &Settings, n: u64, random: &mut Random) -> u64 {
    let people = last_person(settings, n) + 1;
    let active = people.min(ACTIVE_PEOPLE);
    people - active + random.below(active + LEAD)
}

/// One of the open auctions, or of those that come next.
fn some_auction(settings: &Settings, n: u64, random: &mut Random) -> u64 {
    let last = last_auction(settings, n);
    let first = last.saturating_sub(OPEN_AUCTIONS);
    first + random.below(last - first + 1 + LEAD)
}

/// How long an auction is open: on the average until so many others have been opened.
fn open_ms(settings: &Settings, n: u64, random: &mut Random) -> i64 {
    let events = OPEN_AUCTIONS * settings.round() / settings.auctions;
    let mean_ms = settings.time_ms(n + events) - settings.time_ms(n);
    1 + id(random.below((mean_ms * 2).max(1).unsigned_abs()))
}

/// In cents, from a dollar to a million, its logarithm evenly spread.
fn price(random: &mut Random) -> i64 {
    (10_f64.powf(random.unit() * 6.0) * 100.0).round() as i64
}

/// A channel of many and its URL, the same in all bids.
fn some_channel(settings: &Settings, number: u64) -> (String, String) {
    let random = &mut channel_random(settings, number);
    let mut url = url(random);
    if random.below(10) > 0 {
        let id = (number as i32).reverse_bits().unsigned_abs();
        url.push_str(&format!("&channel_id={id}"));
    }
    (format!("channel-{number}"), url)
}

fn channel_random(settings: &Settings, number: u64) -> Random {
    Random::seeded(!(settings.seed ^ number))
}

fn url(random: &mut Random) -> String {
    let mut folder = || words::text(random, 5, '_');
    format!("https://www.nexmark.com/{}/{}/{}/item.htm?query=1", folder(), folder(), folder())
}

/// Ids stay far below `i64::MAX`, since there are fewer than events.
fn id(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_come_in_their_proportion_and_ids_count_up() {
        let settings = Settings::default();
        let (mut people, mut auctions, mut bids) = (0, 0, 0);
        for n in 0..10_000 {
            match event(&settings, n) {
                Event::Person(person) => {
                    assert_eq!(person.id, 1_000 + people);
                    people += 1;
                }
                Event::Auction(auction) => {
                    assert_eq!(auction.id, 1_000 + auctions);
                    assert!(auction.expires_ms > auction.time_ms);
                    assert!(auction.reserve > auction.initial_bid);
                    assert!((10..15).contains(&auction.category));
                    assert!(auction.seller < 1_000 + people + LEAD as i64);
                    auctions += 1;
                }
                Event::Bid(bid) => {
                    assert!(bid.auction < 1_000 + auctions + LEAD as i64);
                    assert!(bid.bidder < 1_000 + people + LEAD as i64);
                    assert!((100..=100_000_000).contains(&bid.price));
                    bids += 1;
                }
            }
        }
        assert_eq!((people, auctions, bids), (200, 600, 9_200));
    }

    #[test]
    fn an_event_follows_from_its_number_and_the_seed() {
        let settings = Settings::default();
        assert_eq!(event(&settings, 12_345), event(&settings, 12_345));
        assert_ne!(event(&settings, 12_345), event(&Settings { seed: 2, ..settings }, 12_345));
    }

    #[test]
    fn events_are_as_large_and_as_hot_as_asked_for() {
        let settings = Settings::default();
        let bids: Vec<Bid> = (0..50_000)
            .filter_map(|n| match event(&settings, n) {
                Event::Bid(bid) => Some(bid),
                _ => None,
            })
            .collect();
        let extra = bids.iter().map(|bid| bid.extra.len()).sum::<usize>() / bids.len();
        assert!((62..74).contains(&extra), "{extra} bytes");
        let hot = bids.iter().filter(|bid| bid.auction % 100 == 0).count() * 100 / bids.len();
        assert!((48..54).contains(&hot), "{hot} % of bids on hot auctions");
        let named = bids.iter().filter(|bid| HOT_CHANNELS.contains(&bid.channel.as_str())).count();
        assert!((48..53).contains(&(named * 100 / bids.len())));
        let dear = bids.iter().filter(|bid| bid.price >= 1_000_000).count() * 100 / bids.len();
        assert!((32..35).contains(&dear), "{dear} % of prices in the upper third of magnitudes");
    }
}
