//! The last complete checkpoint, as sinks hear of it.
//!
//! Sinks with transactions hear of it first. The others hear of a checkpoint when it is settled: when
//! the transactions of the job are committed, for until then a crash goes back behind it.
//!
//! What belongs to a checkpoint that was given up belongs to the next one.
//!
//! Sinks are woken in the order in which they wait: any other would make a simulation that cannot be
//! repeated.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use tokio::sync::Notify;

use crate::operator::Epoch;

struct Shared {
    complete: AtomicU64,
    settled: AtomicU64,
    /// The last that never will be complete.
    given_up: AtomicU64,
    /// Whether transactions settle checkpoints; else they are settled when they are complete.
    transactions: bool,
    /// Sinks that may still commit a transaction.
    committers: AtomicUsize,
    /// No further one will be complete.
    over: AtomicBool,
    news: Notify,
}

/// The end of the coordinator; when it is dropped no checkpoint will be complete any more.
pub(crate) struct Completed(Arc<Shared>);

/// The end of a worker, which makes those of its sinks.
#[derive(Clone)]
pub(crate) struct Complete(Arc<Shared>);

/// The end of one sink.
pub(crate) struct Completion {
    shared: Arc<Shared>,
    /// Whether it is the sink's transaction that settles.
    settles: bool,
    seen: Epoch,
}

/// A pair that begins with `epoch`.
pub(crate) fn complete(epoch: Epoch, transactions: bool) -> (Completed, Complete) {
    let shared = Arc::new(Shared {
        complete: AtomicU64::new(epoch),
        settled: AtomicU64::new(epoch),
        given_up: AtomicU64::new(epoch),
        transactions,
        committers: AtomicUsize::new(0),
        over: AtomicBool::new(false),
        news: Notify::new(),
    });
    (Completed(Arc::clone(&shared)), Complete(shared))
}

impl Completed {
    /// The last complete one.
    pub fn last(&self) -> Epoch {
        self.0.complete.load(Ordering::Acquire)
    }

    /// The last that is settled, its transactions committed: no start goes back behind it.
    pub fn settled(&self) -> Epoch {
        self.0.settled.load(Ordering::Acquire)
    }

    pub fn tell(&self, epoch: Epoch) {
        self.0.complete.store(epoch, Ordering::Release);
        if !self.0.transactions {
            self.0.settled.store(epoch, Ordering::Release);
        }
        self.0.news.notify_waiters();
    }

    pub fn give_up(&self, epoch: Epoch) {
        self.0.given_up.store(epoch, Ordering::Release);
        self.0.news.notify_waiters();
    }
}

impl Drop for Completed {
    fn drop(&mut self) {
        self.0.over.store(true, Ordering::Release);
        self.0.news.notify_waiters();
    }
}

impl Complete {
    /// For a sink; one that waits for its commit has the transaction.
    pub fn sink(&self, waits_for_commit: bool) -> Completion {
        let settles = waits_for_commit && self.0.transactions;
        self.0.committers.fetch_add(usize::from(settles), Ordering::AcqRel);
        let seen = self.0.settled.load(Ordering::Acquire);
        Completion { shared: Arc::clone(&self.0), settles, seen }
    }
}

impl Completion {
    fn last(&self) -> Epoch {
        match self.settles {
            true => self.shared.complete.load(Ordering::Acquire),
            false => self.shared.settled.load(Ordering::Acquire),
        }
    }

    /// The last one to commit, from now on no news.
    pub fn see(&mut self) -> Epoch {
        self.seen = self.last();
        self.seen
    }

    /// Waits for one that was not seen yet; false if there will be none. Cancel-safe.
    pub async fn changed(&self) -> bool {
        self.wait(self.seen + 1, false).await.is_some()
    }

    /// Waits until this epoch or a later one is to be committed, and which it is; `None` if it never
    /// will be. Cancel-safe.
    pub async fn reached(&self, epoch: Epoch) -> Option<Epoch> {
        self.wait(epoch, false).await
    }

    /// As [`Completion::reached`], or until the epoch was given up: then the last one to commit.
    pub async fn decided(&self, epoch: Epoch) -> Option<Epoch> {
        self.wait(epoch, true).await
    }

    async fn wait(&self, epoch: Epoch, or_given_up: bool) -> Option<Epoch> {
        loop {
            // Made before the look, so that nothing in between is missed.
            let news = self.shared.news.notified();
            let last = self.last();
            let given_up = or_given_up && self.shared.given_up.load(Ordering::Acquire) >= epoch;
            if last >= epoch || given_up {
                return Some(last);
            }
            let over = self.shared.over.load(Ordering::Acquire);
            let complete = self.shared.complete.load(Ordering::Acquire) >= epoch;
            if over && !(complete && self.shared.committers.load(Ordering::Acquire) > 0) {
                return None;
            }
            news.await;
        }
    }

    /// The sink has committed this epoch: with the transactions of the job it is settled.
    pub fn committed(&self, epoch: Epoch) {
        if self.settles && self.shared.settled.fetch_max(epoch, Ordering::AcqRel) < epoch {
            self.shared.news.notify_waiters();
        }
    }
}

impl Drop for Completion {
    fn drop(&mut self) {
        if self.settles {
            self.shared.committers.fetch_sub(1, Ordering::AcqRel);
            self.shared.news.notify_waiters();
        }
    }
}
