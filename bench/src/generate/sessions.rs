//! Sessions of the synthetic clickstream as the titles they played, for training a next-title model.

use std::collections::HashMap;

use super::clicks::{Action, Click};

/// A session with fewer plays holds no next title to learn from.
pub const PLAYS_MIN: usize = 2;

/// Collects the title ids of each session's `play` events and yields the sessions with two or more, in the order in which
/// they ended.
///
/// A session ends when nothing came from it for [`Sessions::GAP_MS`] of event time. Sessions still open when the events
/// end are dropped: they are cut short.
pub struct Sessions<I> {
    clicks: I,
    open: HashMap<u64, Open>,
    newest_ms: i64,
    swept_ms: i64,
    ended: std::vec::IntoIter<Vec<u16>>,
}

struct Open {
    last_ms: i64,
    plays: Vec<(i64, u16)>,
}

impl<I: Iterator<Item = Click>> Sessions<I> {
    /// Longer than the longest title with a pause in it and the longest delay.
    pub const GAP_MS: i64 = 4 * super::HOUR_MS;
    const SWEEP_EVERY_MS: i64 = super::HOUR_MS;

    pub fn new(clicks: I) -> Self {
        Self {
            clicks,
            open: HashMap::new(),
            newest_ms: i64::MIN,
            swept_ms: i64::MIN,
            ended: Vec::new().into_iter(),
        }
    }

    fn add(&mut self, click: &Click) {
        let open = self
            .open
            .entry(click.session_id)
            .or_insert(Open { last_ms: click.event_time_ms, plays: Vec::new() });
        open.last_ms = open.last_ms.max(click.event_time_ms);
        if click.action == Action::Play {
            open.plays.push((click.event_time_ms, click.title_id));
        }
        self.newest_ms = self.newest_ms.max(click.event_time_ms);
    }

    fn sweep(&mut self) {
        self.swept_ms = self.newest_ms;
        let idle_before_ms = self.newest_ms - Self::GAP_MS;
        let mut ended: Vec<(i64, u64, Open)> = self
            .open
            .extract_if(|_, open| open.last_ms < idle_before_ms)
            .map(|(id, open)| (open.last_ms, id, open))
            .collect();
        // A hash map has no order of its own.
        ended.sort_unstable_by_key(|&(last_ms, id, _)| (last_ms, id));
        let sessions = ended.into_iter().filter_map(|(_, _, mut open)| {
            // Plays arrive out of order.
            open.plays.sort_by_key(|play| play.0);
            (open.plays.len() >= PLAYS_MIN).then(|| open.plays.iter().map(|play| play.1).collect())
        });
        self.ended = sessions.collect::<Vec<_>>().into_iter();
    }
}

impl<I: Iterator<Item = Click>> Iterator for Sessions<I> {
    type Item = Vec<u16>;

    fn next(&mut self) -> Option<Vec<u16>> {
        loop {
            if let Some(session) = self.ended.next() {
                return Some(session);
            }
            let click = self.clicks.next()?;
            self.add(&click);
            if self.newest_ms.saturating_sub(self.swept_ms) >= Self::SWEEP_EVERY_MS {
                self.sweep();
            }
        }
    }
}
