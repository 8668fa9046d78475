//! Pauses between tries: each twice the one before, up to a longest, and never quite as long.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::random::Random;

pub struct Backoff {
    first: Duration,
    most: Duration,
    next: Duration,
    random: Random,
}

impl Backoff {
    pub fn new(first: Duration, most: Duration) -> Self {
        // Those that failed together do not come back together.
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let seed = u64::from(now.subsec_nanos()) ^ u64::from(std::process::id()) << 32;
        Self { first, most, next: first, random: Random::seeded(seed) }
    }

    /// The pause to make now: 80 to 120 % of what is its turn.
    pub fn next(&mut self) -> Duration {
        let pause = self.next;
        self.next = (pause * 2).min(self.most);
        pause.mul_f64(0.8 + 0.4 * self.random.unit())
    }

    pub fn reset(&mut self) {
        self.next = self.first;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_begin_anew() {
        let ms = Duration::from_millis;
        let mut backoff = Backoff::new(ms(100), ms(1_000));
        for around in [100, 200, 400, 800, 1_000, 1_000] {
            let pause = backoff.next();
            assert!((ms(around * 8 / 10)..=ms(around * 12 / 10)).contains(&pause), "{pause:?}");
        }
        backoff.reset();
        assert!(backoff.next() <= ms(120));
    }
}
