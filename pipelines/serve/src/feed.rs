//! One table's feed: a ring of its newest rows and the subscriptions that read it.
//!
//! Clients keep a cursor into the ring instead of a queue of their own. So publishing costs the same
//! with one client or a thousand, and a client that falls behind costs nothing: it finds the newest
//! rows when it comes back, and is told how many it missed.

use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use nowcast_engine::Epoch;
use serde::Serialize;
use tokio::sync::watch;

/// Rows a ring keeps for those who resume: seconds to minutes of a summary table.
pub const RING_ROWS_MAX: usize = 4_096;
/// The same bound for wide rows: what a ring may take of memory.
pub const RING_BYTES_MAX: usize = 4 << 20;
/// A client further behind than this gets the newest row of each key instead of every row. Also the
/// most rows of the past handed over at once.
const BEHIND_ROWS_MAX: u64 = 256;

/// Names a row of a feed: it is the `offset`-th published in `epoch`. Ids of a feed only grow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct EventId {
    pub epoch: Epoch,
    pub offset: u64,
}

impl std::fmt::Display for EventId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.epoch, self.offset)
    }
}

impl std::str::FromStr for EventId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parsed = text.split_once(':').and_then(|(epoch, offset)| {
            Some(Self { epoch: epoch.parse().ok()?, offset: offset.parse().ok()? })
        });
        parsed.ok_or_else(|| format!("last-event-id \"{text}\" is not epoch:offset"))
    }
}

/// A row on its way to clients.
#[derive(Debug)]
pub struct Row {
    pub id: EventId,
    pub json: String,
    /// Text of the key columns; `None` where the table has none.
    pub key: Option<String>,
}

impl Row {
    fn bytes(&self) -> usize {
        self.json.len() + self.key.as_ref().map_or(0, String::len)
    }
}

/// What a client gets.
#[derive(Debug, Clone)]
pub enum Delivery {
    Row(Arc<Row>),
    /// Rows that the client will not get, because it was slower than they came.
    Skipped(u64),
    /// The feed no longer (or not yet again) knows the row the client saw last, so an unknown number
    /// of rows may be missing or come twice.
    Gap,
}

/// Where a client starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// With up to this many of the rows in the ring, then with what comes.
    Tail(u64),
    /// After this row.
    After(EventId),
}

/// A reading of a feed for the list of feeds.
#[derive(Debug, Serialize)]
pub struct Reading {
    pub rows: u64,
    pub oldest: Option<String>,
    pub newest: Option<String>,
}

pub struct Feed {
    ring: Mutex<Ring>,
    /// Says that the ring has changed, or with `Closed` that it will not change again.
    changed: watch::Sender<Change>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    Published,
    Closed,
}

struct Ring {
    rows: VecDeque<Arc<Row>>,
    bytes: usize,
    /// Place of `rows[0]` among all rows ever published.
    first: u64,
    /// The newest row that has left the ring.
    evicted: Option<EventId>,
    /// The id of the next row.
    next_id: EventId,
}

impl Feed {
    pub fn new() -> Self {
        let ring = Ring {
            rows: VecDeque::new(),
            bytes: 0,
            first: 0,
            evicted: None,
            next_id: EventId { epoch: 0, offset: 0 },
        };
        Self { ring: Mutex::new(ring), changed: watch::Sender::new(Change::Published) }
    }

    /// Appends the last rows of a batch of `count`; those before them in the batch only count. The
    /// epoch of ids never steps back, even if workers pass a barrier one after the other.
    pub fn publish(&self, epoch: Epoch, count: u64, rows: Vec<(String, Option<String>)>) {
        if count == 0 {
            return;
        }
        let mut ring = self.ring();
        if epoch > ring.next_id.epoch {
            ring.next_id = EventId { epoch, offset: 0 };
        }
        let unseen = count - rows.len() as u64;
        if unseen > 0 {
            ring.pass_over(unseen);
        }
        for (json, key) in rows {
            ring.push(json, key);
        }
        drop(ring);
        self.changed.send_if_modified(|change| *change != Change::Closed);
    }

    /// Ends all subscriptions after what they have not read yet.
    pub fn close(&self) {
        self.changed.send_replace(Change::Closed);
    }

    /// Whether there is a client.
    pub fn is_followed(&self) -> bool {
        self.changed.receiver_count() > 0
    }

    pub fn subscribe(self: &Arc<Self>, start: Start) -> Subscription {
        let changed = self.changed.subscribe();
        let ring = self.ring();
        let (cursor, gap) = match start {
            Start::Tail(rows) => (ring.next().saturating_sub(rows).max(ring.first), false),
            Start::After(id) => ring.after(id),
        };
        let replay_until = ring.next();
        Subscription { feed: self.clone(), changed, cursor, replay_until, gap }
    }

    pub fn reading(&self) -> Reading {
        let ring = self.ring();
        Reading {
            rows: ring.next(),
            oldest: ring.rows.front().map(|row| row.id.to_string()),
            newest: ring.rows.back().map(|row| row.id.to_string()),
        }
    }

    /// A panic while holding the lock leaves the ring whole: every change to it is complete before
    /// anything that may panic.
    fn ring(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ring {
    /// Place of the row that comes next.
    fn next(&self) -> u64 {
        self.first + self.rows.len() as u64
    }

    fn push(&mut self, json: String, key: Option<String>) {
        let row = Row { id: self.next_id, json, key };
        self.bytes += row.bytes();
        self.rows.push_back(Arc::new(row));
        self.next_id.offset += 1;
        while self.rows.len() > RING_ROWS_MAX
            || (self.bytes > RING_BYTES_MAX && self.rows.len() > 1)
        {
            let Some(row) = self.rows.pop_front() else { break };
            self.bytes -= row.bytes();
            self.evicted = Some(row.id);
            self.first += 1;
        }
    }

    /// Counts rows that are published but kept by nobody. All before them leave the ring, which holds
    /// the newest rows without holes.
    fn pass_over(&mut self, count: u64) {
        self.first = self.next() + count;
        self.rows.clear();
        self.bytes = 0;
        self.next_id.offset += count;
        self.evicted = Some(EventId { offset: self.next_id.offset - 1, ..self.next_id });
    }

    /// The place after the row `id`, and whether rows may be missing between.
    fn after(&self, id: EventId) -> (u64, bool) {
        match self.rows.binary_search_by_key(&id, |row| row.id) {
            Ok(index) => (self.first + index as u64 + 1, false),
            Err(_) => (self.first, self.evicted != Some(id)),
        }
    }
}

/// One client's place in a feed.
pub struct Subscription {
    feed: Arc<Feed>,
    changed: watch::Receiver<Change>,
    cursor: u64,
    /// Rows before this place were there when the client came: it gets each of them.
    replay_until: u64,
    gap: bool,
}

impl Subscription {
    /// What there is for the client, once there is something; `None` when the feed is closed and
    /// read to its end. Cancel-safe.
    pub async fn next(&mut self) -> Option<Vec<Delivery>> {
        loop {
            let change = *self.changed.borrow_and_update();
            let deliveries = self.take();
            if !deliveries.is_empty() {
                return Some(deliveries);
            }
            if change == Change::Closed || self.changed.changed().await.is_err() {
                return None;
            }
        }
    }

    /// What there is now.
    pub fn take(&mut self) -> Vec<Delivery> {
        let mut deliveries = Vec::new();
        if std::mem::take(&mut self.gap) {
            deliveries.push(Delivery::Gap);
        }
        let ring = self.feed.ring();
        let mut skipped = ring.first.saturating_sub(self.cursor);
        self.cursor += skipped;
        let replaying = self.cursor < self.replay_until;
        let until = match replaying {
            true => self.replay_until.min(self.cursor + BEHIND_ROWS_MAX),
            false => ring.next(),
        };
        let rows =
            ring.rows.range((self.cursor - ring.first) as usize..(until - ring.first) as usize);
        let mut rows: Vec<Arc<Row>> = rows.cloned().collect();
        self.cursor = until;
        drop(ring);
        if !replaying && rows.len() as u64 > BEHIND_ROWS_MAX {
            skipped += keep_newest_by_key(&mut rows);
        }
        if skipped > 0 {
            deliveries.push(Delivery::Skipped(skipped));
        }
        deliveries.extend(rows.into_iter().map(Delivery::Row));
        deliveries
    }
}

/// Leaves the newest row of each key, in order, and every row without a key. Returns how many left.
fn keep_newest_by_key(rows: &mut Vec<Arc<Row>>) -> u64 {
    let before = rows.len();
    let mut seen = HashSet::new();
    let mut keep: Vec<bool> = rows
        .iter()
        .rev()
        .map(|row| row.key.as_deref().is_none_or(|key| seen.insert(key)))
        .collect();
    drop(seen);
    rows.retain(|_| keep.pop().expect("one decision for each row"));
    (before - rows.len()) as u64
}

#[cfg(test)]
#[path = "feed_tests.rs"]
mod tests;
