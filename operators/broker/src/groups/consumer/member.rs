//! A member of a consumer group: what it wants, what it has, and how far it is on its way.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use kafka_protocol::ResponseError;
use regex::Regex;
use uuid::Uuid;

use super::{JOIN, Known, LEAVE_FOR_NOW, refuse};
use crate::error::Refusal;
use crate::groups::consumer::Assignor;
use crate::pattern;

/// Topic and index.
pub(crate) type Partitions = BTreeSet<(Uuid, i32)>;

/// A heartbeat. What a member leaves out is as it was.
#[derive(Clone, Debug, Default)]
pub(crate) struct Beat {
    pub member_id: String,
    pub epoch: i32,
    pub instance: Option<String>,
    pub rack: Option<String>,
    pub rebalance_timeout: Option<Duration>,
    pub names: Option<Vec<String>>,
    pub pattern: Option<String>,
    pub assignor: Option<Assignor>,
    pub owned: Option<Partitions>,
    pub client_id: String,
    pub client_host: String,
}

impl Beat {
    /// Whether the member says all of itself: it may have missed an answer.
    pub fn is_whole(&self) -> bool {
        let subscribes = self.names.is_some() || self.pattern.is_some();
        self.rebalance_timeout.is_some() && subscribes && self.owned.is_some()
    }

    /// The pattern that is new, compiled; an empty one is none.
    pub(super) fn subscription(&self) -> Result<Option<Option<Pattern>>, Refusal> {
        let Some(text) = &self.pattern else { return Ok(None) };
        if text.is_empty() {
            return Ok(Some(None));
        }
        let regex = pattern::whole(text).map_err(|error| {
            let message = format!("subscribed topic regex {text:?}: {error}");
            refuse(ResponseError::InvalidRegularExpression, message)
        })?;
        Ok(Some(Some(Pattern { text: text.clone(), regex })))
    }
}

#[derive(Debug)]
pub(crate) struct Pattern {
    pub text: String,
    regex: Regex,
}

/// The topics a member wants: by name, and by pattern.
#[derive(Debug, Default)]
pub(crate) struct Subscription {
    pub names: BTreeSet<String>,
    pub pattern: Option<Pattern>,
}

impl Subscription {
    /// Those of them that exist, with their number of partitions.
    pub fn topics(&self, known: &impl Known) -> BTreeMap<Uuid, i32> {
        let mut topics: BTreeMap<_, _> =
            self.names.iter().filter_map(|name| known.named(name)).collect();
        if let Some(pattern) = &self.pattern {
            let names = known.names();
            let fitting = names.iter().filter(|name| pattern.regex.is_match(name));
            topics.extend(fitting.filter_map(|name| known.named(name)));
        }
        topics
    }
}

/// Where a member is on its way to its target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// It has what it is to have, at its epoch.
    Stable,
    /// It has still to give up what it is to lose.
    Revoking,
    /// Others have still to give up what it is to get.
    Waiting,
}

#[derive(Debug)]
pub(crate) struct Member {
    pub instance: Option<String>,
    pub rack: Option<String>,
    pub client_id: String,
    pub client_host: String,
    pub subscription: Subscription,
    pub assignor: Option<Assignor>,
    rebalance_timeout: Duration,
    pub epoch: i32,
    /// The one before: the answer with the present one may be lost.
    previous_epoch: i32,
    pub progress: Progress,
    /// What it may read.
    pub assigned: Partitions,
    /// What it is to give up, and nobody else may have meanwhile.
    pub revoking: Partitions,
    pub target: Partitions,
    /// Last sign of life.
    pub seen: Instant,
    pub revoke_by: Option<Instant>,
}

impl Member {
    pub fn new(beat: &Beat, now: Instant) -> Member {
        Member {
            instance: beat.instance.clone(),
            rack: None,
            client_id: String::new(),
            client_host: String::new(),
            subscription: Subscription::default(),
            assignor: None,
            rebalance_timeout: Duration::ZERO,
            epoch: JOIN,
            previous_epoch: JOIN,
            progress: Progress::Stable,
            assigned: Partitions::new(),
            revoking: Partitions::new(),
            target: Partitions::new(),
            seen: now,
            revoke_by: None,
        }
    }

    pub fn set_epoch(&mut self, epoch: i32) {
        if epoch != self.epoch {
            self.previous_epoch = self.epoch;
            self.epoch = epoch;
        }
    }

    /// Whether a heartbeat in this epoch is one of this member, which may have missed an answer.
    pub fn accepts(&self, epoch: i32, owned: Option<&Partitions>) -> bool {
        let missed = epoch == self.previous_epoch
            && owned.is_some_and(|owned| owned.is_subset(&self.assigned));
        epoch == self.epoch || (epoch < self.epoch && missed)
    }

    /// Takes what a heartbeat says anew; whether it subscribes to something else.
    pub fn update(&mut self, beat: &Beat, pattern: Option<Option<Pattern>>, now: Instant) -> bool {
        self.seen = now;
        self.client_id.clone_from(&beat.client_id);
        self.client_host.clone_from(&beat.client_host);
        self.rebalance_timeout = beat.rebalance_timeout.unwrap_or(self.rebalance_timeout);
        self.assignor = beat.assignor.or(self.assignor);
        if beat.rack.is_some() {
            self.rack.clone_from(&beat.rack);
        }
        let mut changed = false;
        if let Some(names) = &beat.names {
            let names = names.iter().cloned().collect();
            changed |= self.subscription.names != names;
            self.subscription.names = names;
        }
        if let Some(pattern) = pattern {
            let text = |pattern: &Option<Pattern>| pattern.as_ref().map(|p| p.text.clone());
            changed |= text(&self.subscription.pattern) != text(&pattern);
            self.subscription.pattern = pattern;
        }
        changed
    }

    /// Leaves and will be back: what it has stays its own.
    pub fn rest(&mut self) {
        self.set_epoch(LEAVE_FOR_NOW);
        self.progress = Progress::Stable;
        self.revoking.clear();
        self.revoke_by = None;
    }

    /// Whether there is no step to take before something else happens.
    pub fn waits(&self, target_epoch: i32, owned: Option<&Partitions>) -> bool {
        match self.progress {
            Progress::Stable => self.epoch == target_epoch,
            Progress::Revoking => owned.is_none_or(|owned| !owned.is_disjoint(&self.revoking)),
            Progress::Waiting => false,
        }
    }

    /// Goes towards the target: gives up first, then takes what is not `held` by others. Whether it
    /// has other partitions now.
    pub fn step(
        &mut self,
        target_epoch: i32,
        held: &Partitions,
        owned: Option<&Partitions>,
        now: Instant,
    ) -> bool {
        let kept: Partitions = self.assigned.intersection(&self.target).copied().collect();
        let revoking: Partitions = self.assigned.difference(&self.target).copied().collect();
        let has_to_say_so = owned.is_none_or(|owned| !owned.is_disjoint(&revoking));
        let before = std::mem::replace(&mut self.assigned, kept);
        if !revoking.is_empty() && has_to_say_so {
            self.progress = Progress::Revoking;
            self.revoking = revoking;
            self.revoke_by = Some(now + self.rebalance_timeout);
            return true;
        }
        self.assigned.extend(self.target.difference(held));
        let has_all = self.assigned.len() == self.target.len();
        self.progress = if has_all { Progress::Stable } else { Progress::Waiting };
        self.revoking.clear();
        self.revoke_by = None;
        self.set_epoch(target_epoch);
        before != self.assigned
    }
}
