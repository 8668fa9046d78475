//! `GET /v1/recommendations/{profile}`: the best titles known for a profile, never fewer than needed
//! while a lower tier has more.
//!
//! Tiers, each filling what the one above left open, without repeating a title:
//! 1. `personal`: table `next_titles`, key = profile; fields `titles` and `scores` are arrays of equal
//!    length, best first; field `country` is optional.
//! 2. `segment`: table `popular_now`, key = `country:rank`, ranks from 1; fields `title_id`, `plays`.
//! 3. `popular`: the same under country `all`.

use std::collections::HashSet;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::extract::{Names, Parameters};
use crate::failure::Failure;
use crate::fields::{raw, text};
use crate::reader::{self, Fields};
use crate::state::AppState;

/// The most items one answer holds: a page of titles, and the bound of what one request reads.
pub const K_MAX: usize = 100;
const K_DEFAULT: usize = 10;

/// Codes and names of countries are shorter.
const COUNTRY_BYTES_MAX: usize = 64;

const PERSONAL: &str = "next_titles";
const POPULAR: &str = "popular_now";
const EVERYWHERE: &str = "all";

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Tier {
    Personal,
    Segment,
    Popular,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wanted {
    k: Option<usize>,
    country: Option<String>,
}

/// A title and its score, as the store has them.
type Title = (Box<RawValue>, Box<RawValue>);

#[derive(Serialize)]
struct Item {
    title_id: Box<RawValue>,
    score: Box<RawValue>,
    tier: Tier,
}

#[derive(Serialize)]
pub struct Answer {
    profile: String,
    k: usize,
    /// The segment asked for, or the profile's own.
    country: Option<String>,
    items: Vec<Item>,
}

pub async fn get(
    State(state): State<AppState>,
    Names([profile]): Names<1>,
    Parameters(wanted): Parameters<Wanted>,
) -> Result<Json<Answer>, Failure> {
    let k = wanted.k.unwrap_or(K_DEFAULT);
    if !(1..=K_MAX).contains(&k) {
        return Err(Failure::bad_request(format!("query: k is {k}, must be 1 to {K_MAX}")));
    }
    if let Some(country) = &wanted.country
        && country.len() > COUNTRY_BYTES_MAX
    {
        let message =
            format!("query: country has {} bytes, at most {COUNTRY_BYTES_MAX}", country.len());
        return Err(Failure::bad_request(message));
    }
    let personal = reader::get(&*state.reader, format!("{PERSONAL}:{profile}")).await?;
    let own_country = personal.as_ref().and_then(|fields| text(fields, "country"));
    let country = wanted.country.or_else(|| own_country.map(str::to_owned));

    let mut shelf = Shelf::new(k);
    if let Some(fields) = &personal {
        match titles_and_scores(fields) {
            Ok(titles) => shelf.fill(titles, Tier::Personal),
            Err(reason) => {
                metrics::counter!("nowcast_recommendations_malformed_total").increment(1);
                tracing::warn!(profile, reason, "personal titles set aside");
            }
        }
    }
    let segment = country.as_deref().filter(|country| *country != EVERYWHERE);
    if let Some(segment) = segment
        && !shelf.is_full()
    {
        shelf.fill(popular(&state, segment, k).await?, Tier::Segment);
    }
    if !shelf.is_full() {
        shelf.fill(popular(&state, EVERYWHERE, k).await?, Tier::Popular);
    }
    if shelf.items.is_empty() {
        let message = format!(
            "nothing to recommend to \"{profile}\": tables \"{PERSONAL}\" and \"{POPULAR}\" have no \
             row for it"
        );
        return Err(Failure::not_found(message));
    }
    Ok(Json(Answer { profile, k, country, items: shelf.items }))
}

/// The items of one answer, first come first kept.
struct Shelf {
    k: usize,
    items: Vec<Item>,
    seen: HashSet<String>,
}

impl Shelf {
    fn new(k: usize) -> Self {
        Self { k, items: Vec::with_capacity(k), seen: HashSet::with_capacity(k) }
    }

    fn is_full(&self) -> bool {
        self.items.len() == self.k
    }

    fn fill(&mut self, titles: Vec<Title>, tier: Tier) {
        for (title_id, score) in titles {
            if self.is_full() {
                return;
            }
            // One tier may store the number 7 where another stores the text "7".
            let json = title_id.get();
            let name = serde_json::from_str(json).unwrap_or_else(|_| json.to_owned());
            if self.seen.insert(name) {
                self.items.push(Item { title_id, score, tier });
            }
        }
    }
}

fn titles_and_scores(fields: &Fields) -> Result<Vec<Title>, String> {
    let array = |name: &str| {
        let text = text(fields, name).ok_or_else(|| format!("field \"{name}\" is missing"))?;
        serde_json::from_str::<Vec<Box<RawValue>>>(text)
            .map_err(|_| format!("field \"{name}\" is not an array"))
    };
    let (titles, scores) = (array("titles")?, array("scores")?);
    if titles.len() != scores.len() {
        return Err(format!("{} titles with {} scores", titles.len(), scores.len()));
    }
    Ok(titles.into_iter().zip(scores).collect())
}

/// Ranks 1 to `count` of a country; a rank the store lacks is passed over. With `count` ranks a shelf
/// of `count` items gets full even if all that stands on it comes again. Read by rank, because a scan
/// would walk all keys of the store.
async fn popular(state: &AppState, country: &str, count: usize) -> Result<Vec<Title>, Failure> {
    let keys: Vec<String> = (1..=count).map(|rank| format!("{POPULAR}:{country}:{rank}")).collect();
    let found = state.reader.multi_get(&keys).await?;
    let titles = found.into_iter().flatten().filter_map(|fields| {
        Some((raw(text(&fields, "title_id")?), raw(text(&fields, "plays").unwrap_or("null"))))
    });
    Ok(titles.collect())
}
