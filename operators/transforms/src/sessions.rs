//! Open sessions: their bounds, found by key and by when they end.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use nowcast_engine::Millis;
use nowcast_engine::time::TIME_MIN;

use crate::window::Span;

const NONE: u32 = u32::MAX;

/// The timer of a session that was named as over: no entry has this time.
const NAMED: Millis = Millis::MAX;

/// Sessions have dense numbers; those of sessions that have left are given out again. A key is a slot of
/// `Keys`, and mostly has one session.
#[derive(Default)]
pub(crate) struct Sessions {
    /// By slot of the key: one of its sessions.
    first: Vec<u32>,
    /// By number.
    held: Vec<Session>,
    free: Vec<u32>,
    /// When to look after a session: at the end that it had then. Most rows move the end of their
    /// session on; it is looked after once a gap instead of once a row.
    timers: BinaryHeap<Reverse<(Millis, u32)>>,
}

#[derive(Clone, Copy)]
pub(crate) struct Session {
    pub span: Span,
    /// Of the key.
    pub slot: u32,
    /// Another session of the key.
    next: u32,
    /// Of its entry among the timers, others are of sessions that had the number before; `TIME_MIN`
    /// where the number is free.
    timer: Millis,
}

impl Session {
    /// Sessions leave in this order.
    fn order(&self) -> (Millis, Millis, u32) {
        (self.span.end, self.span.start, self.slot)
    }
}

impl Sessions {
    /// Makes room for keys with slots below `slots`.
    pub fn resize(&mut self, slots: usize) {
        self.first.resize(slots.max(self.first.len()), NONE);
    }

    /// One more than the greatest number given out.
    pub fn numbers_len(&self) -> usize {
        self.held.len()
    }

    pub fn get(&self, number: u32) -> &Session {
        &self.held[number as usize]
    }

    /// Whether a key has no session.
    pub fn none_of(&self, slot: u32) -> bool {
        self.first[slot as usize] == NONE
    }

    /// The sessions of a key.
    pub fn of_key(&self, slot: u32) -> impl Iterator<Item = u32> + '_ {
        let found = |number: u32| (number != NONE).then_some(number);
        let first = self.first.get(slot as usize).and_then(|number| found(*number));
        std::iter::successors(first, move |number| found(self.held[*number as usize].next))
    }

    /// Bytes of memory that they take, about.
    pub fn bytes(&self) -> usize {
        size_of_val(self.first.as_slice())
            + size_of_val(self.held.as_slice())
            + size_of_val(self.free.as_slice())
            + self.timers.len() * size_of::<(Millis, u32)>()
    }

    /// Puts into `joined` the sessions of a key that overlap or touch `span` and whose end is `open`,
    /// by their start and end.
    pub fn touching(
        &self,
        slot: u32,
        span: Span,
        open: impl Fn(Millis) -> bool,
        joined: &mut Vec<u32>,
    ) {
        joined.clear();
        let mut number = self.first[slot as usize];
        while number != NONE {
            let Session { span: held, next, .. } = self.held[number as usize];
            if held.start <= span.end && held.end >= span.start && open(held.end) {
                joined.push(number);
            }
            number = next;
        }
        if joined.len() > 1 {
            joined.sort_unstable_by_key(|number| {
                let Span { start, end } = self.held[*number as usize].span;
                (start, end)
            });
        }
    }

    /// Opens a session; its number.
    pub fn open(&mut self, slot: u32, span: Span) -> u32 {
        let next = self.first[slot as usize];
        let session = Session { span, slot, next, timer: span.end };
        let number = match self.free.pop() {
            Some(number) => {
                self.held[number as usize] = session;
                number
            }
            None => {
                self.held.push(session);
                (self.held.len() - 1) as u32
            }
        };
        self.first[slot as usize] = number;
        self.timers.push(Reverse((span.end, number)));
        number
    }

    /// Gives a session other bounds, whose end is no earlier than its own.
    pub fn extend(&mut self, number: u32, span: Span) {
        let session = &mut self.held[number as usize];
        assert!(span.end >= session.span.end, "a session ends earlier than it did");
        session.span = span;
    }

    /// Takes a session out; its number may come back at once.
    pub fn remove(&mut self, number: u32) {
        let Session { slot, next, .. } = self.held[number as usize];
        let first = &mut self.first[slot as usize];
        if *first == number {
            *first = next;
        } else {
            let mut before = *first;
            while self.held[before as usize].next != number {
                before = self.held[before as usize].next;
            }
            self.held[before as usize].next = next;
        }
        self.held[number as usize].timer = TIME_MIN;
        self.free.push(number);
    }

    /// The sessions whose end `is_over`, by end, start and key. They stay until they are removed, but
    /// are not named again.
    pub fn over(&mut self, is_over: impl Fn(Millis) -> bool) -> Vec<u32> {
        let mut over = vec![];
        while let Some(Reverse((time, number))) = self.timers.peek().copied() {
            let session = &mut self.held[number as usize];
            let end = session.span.end;
            if session.timer != time {
                self.timers.pop();
            } else if is_over(end) {
                // One that had the number before may have left an entry of the same time.
                session.timer = NAMED;
                self.timers.pop();
                over.push(number);
            } else if end > time {
                // So that the first timer tells when the first session ends.
                session.timer = end;
                self.timers.pop();
                self.timers.push(Reverse((end, number)));
            } else {
                break;
            }
        }
        over.sort_unstable_by_key(|number| self.get(*number).order());
        over
    }

    /// When the first session ends, unless rows have come since that moved it on.
    pub fn first_end(&self) -> Option<Millis> {
        self.timers.peek().map(|Reverse((time, _))| *time)
    }

    /// All sessions, by end, start and key.
    pub fn sorted(&self) -> Vec<u32> {
        let held = |number: &u32| self.held[*number as usize].timer != TIME_MIN;
        let mut all: Vec<u32> = (0..self.held.len() as u32).filter(held).collect();
        all.sort_unstable_by_key(|number| self.get(*number).order());
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(start: Millis, end: Millis) -> Span {
        Span { start, end }
    }

    #[test]
    fn a_session_that_moves_on_is_over_when_its_last_end_is() {
        let mut sessions = Sessions::default();
        sessions.resize(2);
        let long = sessions.open(0, span(0, 10));
        let short = sessions.open(1, span(1, 11));
        sessions.extend(long, span(0, 30));
        assert_eq!(sessions.over(|end| end <= 10), [0; 0]);
        assert_eq!(sessions.over(|end| end <= 29), [short]);
        sessions.remove(short);
        assert_eq!(sessions.first_end(), Some(30));
        // The number comes back while nothing is left of its first session.
        assert_eq!(sessions.open(1, span(15, 25)), short);
        assert_eq!(sessions.over(|end| end <= 30), [short, long]);
    }

    #[test]
    fn a_number_that_comes_back_with_the_same_end_is_named_once() {
        let mut sessions = Sessions::default();
        sessions.resize(1);
        let joined = sessions.open(0, span(0, 10));
        sessions.remove(joined);
        assert_eq!(sessions.open(0, span(5, 10)), joined);
        assert_eq!(sessions.over(|end| end <= 10), [joined]);
        assert_eq!(sessions.sorted(), [joined], "until it is removed");
        assert_eq!(sessions.over(|end| end <= 10), [0; 0]);
    }

    #[test]
    fn sessions_of_a_key_are_found_where_they_touch() {
        let mut sessions = Sessions::default();
        sessions.resize(1);
        let later = sessions.open(0, span(20, 30));
        let earlier = sessions.open(0, span(0, 10));
        let far = sessions.open(0, span(50, 60));
        let mut joined = vec![];
        sessions.touching(0, span(10, 20), |_| true, &mut joined);
        assert_eq!(joined, [earlier, later]);
        sessions.remove(later);
        sessions.touching(0, span(0, 60), |end| end > 10, &mut joined);
        assert_eq!(joined, [far]);
        sessions.remove(far);
        sessions.remove(earlier);
        assert!(sessions.none_of(0));
        assert_eq!(sessions.sorted(), [0; 0]);
    }
}
