//! A synthetic clickstream of a streaming-video service.
//!
//! Profiles open sessions by a Poisson process with a daily and weekly rhythm; a session browses, watches trailers, plays,
//! pauses and stops. The next title follows the previous one by sequel, relation or the profile's taste, or else the
//! popularity of the moment, so that a sequence model has something to learn. Events come in order of arrival: most within
//! a second of their time, a few percent within seconds, and a small share so late that a watermark has passed them.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Exp1, LogNormal};

use super::arrivals::{Arrivals, evening_rhythm};
use super::catalogue::{CATALOGUE_SEED, Catalogue, Popularity, Title};
use super::profiles::Profiles;
use super::wheel::Wheel;
use super::{HOUR_MS, START_MS};
use crate::disorder::{Delays, Disorder};
use crate::{Event, json};

/// Plays a session: log-normal, cut to 1..=`PLAYS_MAX`; about 3 on average, a heavy tail of binges.
const PLAYS_MU: f64 = 0.9;
const PLAYS_SIGMA: f64 = 0.8;
const PLAYS_MAX: f64 = 60.0;
/// Events a session on average under the constants of this file (a test holds it to 3 %).
pub const EVENTS_PER_SESSION: f64 = 10.2;

/// Where the next title comes from, in the order asked.
const SEQUEL_SHARE: f64 = 0.55;
const RELATED_SHARE: f64 = 0.45;
const TASTE_SHARE: f64 = 0.5;
/// Of the related titles, the first to the fourth.
const RELATED_CUMULATED: [f64; 4] = [0.5, 0.75, 0.9, 1.0];

/// Sessions begin this long before the first event, so that the first minute looks like any other.
const WARM_UP_MS: i64 = 3 * HOUR_MS;
/// ... but at high rates no more than about this many events are thrown away for it.
const WARM_UP_EVENTS_MAX: f64 = 200_000.0;

/// What an event of the clickstream says happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    Play,
    Pause,
    Stop,
    Browse,
    Trailer,
}

impl Action {
    pub fn name(self) -> &'static str {
        match self {
            Self::Play => "play",
            Self::Pause => "pause",
            Self::Stop => "stop",
            Self::Browse => "browse",
            Self::Trailer => "trailer",
        }
    }
}

/// One event of the clickstream.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Click {
    pub event_time_ms: i64,
    pub profile_id: i64,
    /// Written as 16 hexadecimal digits.
    pub session_id: u64,
    /// 1 to 1000.
    pub title_id: u16,
    pub action: Action,
    /// Seconds watched since the play or the last pause; 0 unless `action` is stop or pause. Resuming writes no event.
    pub watch_seconds: u32,
    pub country: &'static str,
    pub device: &'static str,
}

impl Event for Click {
    fn event_time_ms(&self) -> i64 {
        self.event_time_ms
    }

    fn key(&self) -> String {
        self.profile_id.to_string()
    }

    fn write_json(&self, out: &mut Vec<u8>) {
        out.push(b'{');
        json::timestamp(out, "event_time", self.event_time_ms);
        json::integer(out, "profile_id", self.profile_id);
        json::hex(out, "session_id", self.session_id);
        json::integer(out, "title_id", i64::from(self.title_id));
        json::plain(out, "event_type", self.action.name());
        json::integer(out, "watch_seconds", i64::from(self.watch_seconds));
        json::plain(out, "country", self.country);
        json::plain(out, "device", self.device);
        out.push(b'}');
    }
}

/// What to generate. The default is 20,000 profiles with one session a day each, 2.5 events a second on average.
#[derive(Clone, Debug)]
pub struct ClicksConfig {
    pub seed: u64,
    /// Fixed unless titles should relate otherwise than the shipped model learnt.
    pub catalogue_seed: u64,
    /// Event time of the first events, ms.
    pub start_ms: i64,
    /// Mean over a week. Beyond one per profile and half hour, sessions of one profile overlap.
    pub sessions_per_s: f64,
    pub profiles: u32,
    /// Mean travel time of most events, ms.
    pub delay_mean_ms: u64,
    /// The longest a slow event travels, ms: a watermark of this much sees only the `late_share` late.
    pub delay_max_ms: u64,
    /// Share of events that are slow: uniform up to `delay_max_ms`.
    pub slow_share: f64,
    /// Share of events that travel between the two times of `late_ms`.
    pub late_share: f64,
    pub late_ms: (u64, u64),
}

impl Default for ClicksConfig {
    fn default() -> Self {
        Self {
            seed: 1,
            catalogue_seed: CATALOGUE_SEED,
            start_ms: START_MS,
            sessions_per_s: 20_000.0 / 86_400.0,
            profiles: 20_000,
            delay_mean_ms: 200,
            delay_max_ms: 4_000,
            slow_share: 0.03,
            late_share: 0.001,
            late_ms: (30_000, 600_000),
        }
    }
}

impl ClicksConfig {
    pub fn seeded(seed: u64) -> Self {
        Self { seed, ..Self::default() }
    }

    /// Sets the rate of sessions so that about so many events come a second, averaged over a week.
    pub fn events_per_s(mut self, events_per_s: f64) -> Self {
        self.sessions_per_s = events_per_s / EVENTS_PER_SESSION;
        self
    }
}

/// The clickstream in order of arrival; never ends.
pub type Clicks = Disorder<OrderedClicks>;

/// The clickstream that `config` describes, in order of arrival.
///
/// # Panics
/// If `config` has no profiles, or a rate that is not a number above zero.
pub fn clicks(config: &ClicksConfig) -> Clicks {
    let delays = Delays::Clients {
        mean_ms: config.delay_mean_ms,
        bound_ms: config.delay_max_ms,
        slow_share: config.slow_share,
        late_share: config.late_share,
        late_ms: config.late_ms,
    };
    // Delays draw from a stream of their own: changing them leaves the events as they are.
    Disorder::new(OrderedClicks::new(config), delays, config.seed ^ 0x64_65_6c_61_79)
}

/// The clickstream in order of event time; never ends.
pub struct OrderedClicks {
    config: ClicksConfig,
    random: ChaCha8Rng,
    catalogue: Catalogue,
    popularity: Popularity,
    profiles: Profiles,
    plays: LogNormal<f64>,
    arrivals: Arrivals,
    next_session_ms: i64,
    sessions: Vec<Session>,
    free: Vec<u32>,
    /// When each running session has its next event.
    due: Wheel,
    opened: u64,
}

impl OrderedClicks {
    /// See [`clicks`].
    pub fn new(config: &ClicksConfig) -> Self {
        assert!(config.profiles > 0, "a clickstream needs at least one profile");
        assert!(
            config.sessions_per_s.is_finite() && config.sessions_per_s > 0.0,
            "sessions_per_s must be above zero"
        );
        let mut random = ChaCha8Rng::seed_from_u64(config.seed);
        let catalogue = Catalogue::new(config.catalogue_seed);
        let profiles = Profiles::new(config.profiles, &mut random);
        let affordable_ms =
            (WARM_UP_EVENTS_MAX / (config.sessions_per_s * EVENTS_PER_SESSION) * 1000.0) as i64;
        let begin_ms = config.start_ms - WARM_UP_MS.min(affordable_ms);
        let mut clicks = Self {
            config: config.clone(),
            popularity: Popularity::at(&catalogue, begin_ms),
            random,
            catalogue,
            profiles,
            plays: LogNormal::new(PLAYS_MU, PLAYS_SIGMA).expect("the deviation is positive"),
            arrivals: Arrivals::new(begin_ms),
            next_session_ms: begin_ms,
            sessions: Vec::new(),
            free: Vec::new(),
            due: Wheel::new(begin_ms),
            opened: 0,
        };
        clicks.draw_next_session_ms();
        clicks
    }

    fn draw_next_session_ms(&mut self) {
        let mean = self.config.sessions_per_s;
        self.next_session_ms =
            self.arrivals.next_ms(&mut self.random, |ms| mean * evening_rhythm(ms));
    }

    fn open_session(&mut self) {
        let now_ms = self.next_session_ms;
        self.draw_next_session_ms();
        self.popularity.advance(&self.catalogue, now_ms);
        let profile = self.profiles.draw_idle(&mut self.random);
        let session = Session {
            id: session_id(self.config.seed, self.opened),
            profile,
            title: None,
            candidate: 0,
            device: self.profiles.device(profile, &mut self.random),
            plays_left: self.plays.sample(&mut self.random).clamp(1.0, PLAYS_MAX) as u16,
            next: Step::Browse { left: self.random.random_range(1..=3) },
            seen: [u16::MAX; 8],
        };
        self.opened += 1;
        let slot = match self.free.pop() {
            Some(slot) => {
                self.sessions[slot as usize] = session;
                slot
            }
            None => {
                self.sessions.push(session);
                (self.sessions.len() - 1) as u32
            }
        };
        self.choose_candidate(slot);
        self.due.push(now_ms, slot);
    }

    /// Sets the title that the session will play next; true if it follows by itself, as the next episode does.
    fn choose_candidate(&mut self, slot: u32) -> bool {
        let session = &mut self.sessions[slot as usize];
        let random = &mut self.random;
        // A few tries at a title not seen lately; then whatever comes.
        for _ in 0..4 {
            let previous = session.title.map(|title| &self.catalogue.titles[title as usize]);
            let (title, follows) = match previous {
                Some(&Title { sequel: Some(sequel), .. }) if random.random_bool(SEQUEL_SHARE) => {
                    (sequel, true)
                }
                Some(previous) if random.random_bool(RELATED_SHARE) => {
                    let at: f64 = random.random();
                    (previous.related[RELATED_CUMULATED.partition_point(|&sum| sum <= at)], false)
                }
                _ if random.random_bool(TASTE_SHARE) => {
                    let cluster = self.profiles.taste(session.profile, random);
                    (self.popularity.draw_in(&self.catalogue, cluster, random), false)
                }
                _ => (self.popularity.draw(random), false),
            };
            session.candidate = title;
            if !session.seen.contains(&title) {
                return follows;
            }
        }
        false
    }

    /// Writes the event that is due in a session and sets when its next one is; `None` closes the session.
    fn step(&mut self, slot: u32, now_ms: i64) -> (Click, Option<i64>) {
        let session = &mut self.sessions[slot as usize];
        let random = &mut self.random;
        let mut watched_s = 0;
        let mut title = session.candidate;
        let (action, next_ms) = match session.next {
            Step::Browse { left } => {
                if random.random_bool(0.5) {
                    title = self.popularity.draw(random);
                }
                session.next = match left {
                    0 | 1 if random.random_bool(0.12) => Step::Trailer,
                    0 | 1 => Step::Play,
                    _ => Step::Browse { left: left - 1 },
                };
                (Action::Browse, Some(now_ms + random.random_range(2_000..30_000)))
            }
            Step::Trailer => {
                session.next = Step::Play;
                (Action::Trailer, Some(now_ms + random.random_range(20_000..120_000)))
            }
            Step::Play => {
                session.title = Some(title);
                session.seen.rotate_right(1);
                session.seen[0] = title;
                let runtime_s = f64::from(self.catalogue.titles[title as usize].runtime_s);
                let share = if random.random_bool(0.3) {
                    random.random_range(0.01..0.15)
                } else {
                    random.random_range(0.85..1.0)
                };
                let watch_s = ((runtime_s * share) as u32).max(5);
                let until_s = if random.random_bool(0.2) {
                    let first_s = random.random_range(1..watch_s);
                    session.next = Step::Pause { watched_s: first_s, left_s: watch_s - first_s };
                    first_s
                } else {
                    session.next = Step::Stop { watched_s: watch_s };
                    watch_s
                };
                (
                    Action::Play,
                    Some(now_ms + i64::from(until_s) * 1000 + random.random_range(0..1000)),
                )
            }
            Step::Pause { watched_s: first_s, left_s } => {
                watched_s = first_s;
                let pause: f64 = Exp1.sample(random);
                let pause_ms = (pause * 180_000.0) as i64;
                session.next = Step::Stop { watched_s: left_s };
                (Action::Pause, Some(now_ms + pause_ms.min(HOUR_MS) + i64::from(left_s) * 1000))
            }
            Step::Stop { watched_s: last_s } => {
                watched_s = last_s;
                session.plays_left -= 1;
                let next_ms =
                    (session.plays_left > 0).then(|| now_ms + random.random_range(3_000..40_000));
                (Action::Stop, next_ms)
            }
        };
        let click = Click {
            event_time_ms: now_ms,
            profile_id: i64::from(session.profile) + 1,
            session_id: session.id,
            title_id: title + 1,
            action,
            watch_seconds: watched_s,
            country: self.profiles.country(session.profile),
            device: session.device,
        };
        if action == Action::Stop && next_ms.is_some() {
            self.popularity.advance(&self.catalogue, now_ms);
            let follows = self.choose_candidate(slot);
            let browses = if follows { 0 } else { self.random.random_range(0..=2) };
            self.sessions[slot as usize].next =
                if browses == 0 { Step::Play } else { Step::Browse { left: browses } };
        }
        (click, next_ms)
    }
}

impl Iterator for OrderedClicks {
    type Item = Click;

    fn next(&mut self) -> Option<Click> {
        loop {
            let Some((now_ms, slot)) = self.due.pop_before(self.next_session_ms) else {
                self.open_session();
                continue;
            };
            let (click, next_ms) = self.step(slot, now_ms);
            match next_ms {
                Some(next_ms) => self.due.push(next_ms, slot),
                None => {
                    self.profiles.close(self.sessions[slot as usize].profile);
                    self.free.push(slot);
                }
            }
            if now_ms >= self.config.start_ms {
                return Some(click);
            }
        }
    }
}

/// Ids that tell nothing of their order (the finaliser of SplitMix64, Steele et al. 2014).
fn session_id(seed: u64, number: u64) -> u64 {
    let mut id = seed
        .wrapping_mul(0x9e37_79b9_7f4a_7c15)
        .wrapping_add(number.wrapping_add(1).wrapping_mul(0xbf58_476d_1ce4_e5b9));
    id = (id ^ (id >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    id = (id ^ (id >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    id ^ (id >> 31)
}

/// What a session does next.
enum Step {
    Browse { left: u8 },
    Trailer,
    Play,
    Pause { watched_s: u32, left_s: u32 },
    Stop { watched_s: u32 },
}

struct Session {
    id: u64,
    profile: u32,
    /// The title played last.
    title: Option<u16>,
    /// The title to be played next, or playing.
    candidate: u16,
    device: &'static str,
    plays_left: u16,
    next: Step,
    /// Titles played last, newest first.
    seen: [u16; 8],
}
