//! A consumer group of the newer protocol (KIP-848): the broker assigns, members follow one by one.
//!
//! A change of members, subscriptions or topics raises the group's epoch, and the next heartbeat makes
//! a target assignment for it. A member goes towards its target by itself: it gives up what is no longer
//! its own, says so, and gets what others have given up; its own epoch is the target's from when
//! it has nothing left to give up. As `Group`, without clock or IO.

mod assign;
mod member;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use kafka_protocol::ResponseError;
use uuid::Uuid;

pub(crate) use assign::Assignor;
use member::Progress;
pub(crate) use member::{Beat, Member, Partitions};

use crate::error::Refusal;

/// Epochs that mean something else.
pub(crate) const JOIN: i32 = 0;
pub(crate) const LEAVE: i32 = -1;
/// Of a static member that will be back.
pub(crate) const LEAVE_FOR_NOW: i32 = -2;

/// The topics that there are.
pub(crate) trait Known {
    /// Id and number of partitions.
    fn named(&self, name: &str) -> Option<(Uuid, i32)>;
    fn names(&self) -> Vec<String>;
}

#[derive(Debug)]
pub(crate) struct ConsumerGroup {
    pub epoch: i32,
    /// The epoch that the members' targets are of.
    pub target_epoch: i32,
    pub assignor: Assignor,
    pub members: BTreeMap<String, Member>,
    /// What members subscribe to, as it was last seen.
    topics: BTreeMap<Uuid, i32>,
    members_max: usize,
    session_timeout: Duration,
}

/// The answer to a heartbeat.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Beaten {
    pub member_id: String,
    pub epoch: i32,
    /// Told where it has changed, or the member says all of itself.
    pub assigned: Option<Partitions>,
}

impl ConsumerGroup {
    pub fn new(members_max: usize, session_timeout: Duration) -> ConsumerGroup {
        ConsumerGroup {
            epoch: 0,
            target_epoch: 0,
            assignor: Assignor::default(),
            members: BTreeMap::new(),
            topics: BTreeMap::new(),
            members_max,
            session_timeout,
        }
    }

    /// As clients know it.
    pub fn state(&self) -> &'static str {
        let follows = |m: &Member| m.progress == Progress::Stable && m.epoch == self.target_epoch;
        if self.members.is_empty() {
            "Empty"
        } else if self.epoch > self.target_epoch {
            "Assigning"
        } else if self.members.values().all(follows) {
            "Stable"
        } else {
            "Reconciling"
        }
    }

    pub fn heartbeat(
        &mut self,
        beat: Beat,
        known: &impl Known,
        now: Instant,
    ) -> Result<Beaten, Refusal> {
        if beat.epoch == LEAVE || beat.epoch == LEAVE_FOR_NOW {
            return self.leave(&beat);
        }
        let subscription = beat.subscription()?;
        let members = self.members.len();
        let member_id = self.enter(&beat, now)?;
        let mut changed = self.members.len() > members;
        if let Some(member) = self.members.get_mut(&member_id) {
            changed |= member.update(&beat, subscription, now);
        }
        changed |= self.look_at_topics(known);
        if changed {
            self.epoch += 1;
        }
        if self.epoch > self.target_epoch {
            self.assign(known);
        }
        let moved = self.reconcile(&member_id, beat.owned.as_ref(), now);
        let Some(member) = self.members.get(&member_id) else {
            return Err(refuse(ResponseError::UnknownMemberId, "member is gone"));
        };
        let tells = moved || beat.epoch == JOIN || beat.is_whole();
        let assigned = tells.then(|| member.assigned.clone());
        Ok(Beaten { member_id, epoch: member.epoch, assigned })
    }

    /// The member that a heartbeat is of, made if it joins; its id.
    fn enter(&mut self, beat: &Beat, now: Instant) -> Result<String, Refusal> {
        let of_instance = beat.instance.as_deref().and_then(|i| self.member_of_instance(i));
        if beat.epoch != JOIN {
            self.check(beat, of_instance.as_deref())?;
            return Ok(beat.member_id.clone());
        }
        if let Some(old) = of_instance.filter(|old| *old != beat.member_id) {
            return self.take_over(&old, beat);
        }
        if let Some(member) = self.members.get_mut(&beat.member_id) {
            if member.epoch == LEAVE_FOR_NOW {
                member.set_epoch(JOIN);
            } else if !member.accepts(beat.epoch, beat.owned.as_ref()) {
                return Err(fenced(beat, member.epoch));
            }
            return Ok(beat.member_id.clone());
        }
        if self.members.len() >= self.members_max {
            let message = format!("the group has {} members, and no more", self.members_max);
            return Err(refuse(ResponseError::GroupMaxSizeReached, message));
        }
        self.members.insert(beat.member_id.clone(), Member::new(beat, now));
        Ok(beat.member_id.clone())
    }

    /// A static member comes back under another id, and finds what it had.
    fn take_over(&mut self, old_id: &str, beat: &Beat) -> Result<String, Refusal> {
        let is_away = |member: &Member| member.epoch == LEAVE_FOR_NOW;
        if !self.members.get(old_id).is_some_and(is_away) {
            let instance = beat.instance.as_deref().unwrap_or_default();
            let message = format!("instance {instance:?} is member {old_id:?}, which has not left");
            return Err(refuse(ResponseError::UnreleasedInstanceId, message));
        }
        if let Some(mut member) = self.members.remove(old_id) {
            member.set_epoch(JOIN);
            self.members.insert(beat.member_id.clone(), member);
        }
        Ok(beat.member_id.clone())
    }

    pub fn member_of_instance(&self, instance: &str) -> Option<String> {
        let mut members = self.members.iter();
        members.find(|(_, m)| m.instance.as_deref() == Some(instance)).map(|(id, _)| id.clone())
    }

    /// Whether a heartbeat is of a present member in its present epoch.
    fn check(&self, beat: &Beat, of_instance: Option<&str>) -> Result<(), Refusal> {
        if beat.instance.is_some() {
            self.check_instance(beat, of_instance)?;
        }
        let member = self.members.get(&beat.member_id).ok_or_else(|| unknown(&beat.member_id))?;
        if member.accepts(beat.epoch, beat.owned.as_ref()) {
            Ok(())
        } else {
            Err(fenced(beat, member.epoch))
        }
    }

    fn check_instance(&self, beat: &Beat, of_instance: Option<&str>) -> Result<(), Refusal> {
        match of_instance {
            None => Err(unknown(&beat.member_id)),
            Some(id) if id != beat.member_id => {
                let message = format!("the instance is member {id:?} now");
                Err(refuse(ResponseError::FencedInstanceId, message))
            }
            Some(_) => Ok(()),
        }
    }

    fn leave(&mut self, beat: &Beat) -> Result<Beaten, Refusal> {
        let of_instance = beat.instance.as_deref().and_then(|i| self.member_of_instance(i));
        if beat.instance.is_some() {
            self.check_instance(beat, of_instance.as_deref())?;
        }
        let member = self.members.get_mut(&beat.member_id);
        let member = member.ok_or_else(|| unknown(&beat.member_id))?;
        if beat.epoch == LEAVE_FOR_NOW {
            member.rest();
        } else {
            self.remove(&beat.member_id);
        }
        Ok(Beaten { member_id: beat.member_id.clone(), epoch: beat.epoch, assigned: None })
    }

    fn remove(&mut self, member_id: &str) {
        if self.members.remove(member_id).is_some() {
            self.epoch += 1;
        }
    }

    /// Whether topics came, went or grew.
    fn look_at_topics(&mut self, known: &impl Known) -> bool {
        let mut topics = BTreeMap::new();
        for member in self.members.values() {
            topics.extend(member.subscription.topics(known));
        }
        let changed = topics != self.topics;
        self.topics = topics;
        changed
    }

    fn assign(&mut self, known: &impl Known) {
        self.assignor = self.vote();
        let wants: Vec<assign::Want<'_>> = self
            .members
            .iter()
            .map(|(id, member)| assign::Want {
                name: member.instance.as_deref().unwrap_or(id),
                topics: member.subscription.topics(known),
                had: &member.target,
            })
            .collect();
        let targets = self.assignor.assign(&wants);
        for (member, target) in self.members.values_mut().zip(targets) {
            member.target = target;
        }
        self.target_epoch = self.epoch;
    }

    /// What most members ask for.
    fn vote(&self) -> Assignor {
        let mut votes = BTreeMap::new();
        for assignor in self.members.values().filter_map(|member| member.assignor) {
            *votes.entry(assignor).or_insert(0) += 1;
        }
        votes.into_iter().max_by_key(|&(_, n)| n).map(|(assignor, _)| assignor).unwrap_or_default()
    }

    /// Takes a member a step towards its target; whether it has other partitions now.
    fn reconcile(&mut self, member_id: &str, owned: Option<&Partitions>, now: Instant) -> bool {
        let Some(member) = self.members.get(member_id) else { return false };
        if member.waits(self.target_epoch, owned) {
            return false;
        }
        let others = self.members.iter().filter(|(id, _)| *id != member_id);
        let held: BTreeSet<_> = others
            .flat_map(|(_, other)| other.assigned.union(&other.revoking))
            .filter(|partition| member.target.contains(partition))
            .copied()
            .collect();
        let target_epoch = self.target_epoch;
        let Some(member) = self.members.get_mut(member_id) else { return false };
        member.step(target_epoch, &held, owned, now)
    }

    /// Whether a member may commit, or ask for what is committed.
    pub fn check_epoch(&self, member_id: &str, epoch: i32) -> Result<(), ResponseError> {
        let member = self.members.get(member_id).ok_or(ResponseError::UnknownMemberId)?;
        if member.epoch == epoch { Ok(()) } else { Err(ResponseError::StaleMemberEpoch) }
    }

    /// Drops members that are silent, or give up their partitions too slowly.
    pub fn tick(&mut self, now: Instant) {
        let is_late = |member: &Member| {
            now >= member.seen + self.session_timeout
                || member.revoke_by.is_some_and(|by| now >= by)
        };
        let late: Vec<String> =
            self.members.iter().filter(|(_, m)| is_late(m)).map(|(id, _)| id.clone()).collect();
        for id in late {
            tracing::info!(member = id, "group member is silent or slow, dropped");
            self.remove(&id);
        }
    }
}

fn refuse(code: ResponseError, message: impl Into<String>) -> Refusal {
    Refusal::new(code, message)
}

fn unknown(member_id: &str) -> Refusal {
    refuse(ResponseError::UnknownMemberId, format!("member {member_id:?} is not of the group"))
}

fn fenced(beat: &Beat, epoch: i32) -> Refusal {
    let message = format!("member {:?} is in epoch {epoch}, not {}", beat.member_id, beat.epoch);
    refuse(ResponseError::FencedMemberEpoch, message)
}

#[cfg(test)]
mod tests;
