//! One classic consumer group: who is in it, and the turns of a rebalance.
//!
//! Members join, the last one to come (or the deadline) closes the round, the leader sends the
//! assignment, all fetch their part. A state machine without clock or IO: `now` comes in, answers
//! go out through the senders that requests left behind.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use bytes::Bytes;
use kafka_protocol::ResponseError;
use tokio::sync::oneshot;
use uuid::Uuid;

use super::consumer::ConsumerGroup;
use super::member::{Caller, JoinRequest, Joined, Member, Synced};
use super::offsets::Offsets;

#[derive(Debug)]
pub(crate) struct Group {
    pub state: State,
    pub generation: i32,
    pub protocol_type: String,
    pub protocol: String,
    pub leader: String,
    pub members: BTreeMap<String, Member>,
    /// Ids given out to members that have yet to join with them, until when.
    promised: HashMap<String, Instant>,
    pub offsets: Offsets,
    /// What the group is instead while its members speak the newer protocol.
    pub consumer: Option<ConsumerGroup>,
    members_max: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Empty,
    /// Waiting for members to join, until the deadline and not before `earliest`.
    Joining {
        earliest: Instant,
        deadline: Instant,
    },
    /// Waiting for the leader's assignment.
    Syncing,
    Stable,
}

impl State {
    /// As clients know it.
    pub fn name(self) -> &'static str {
        match self {
            State::Empty => "Empty",
            State::Joining { .. } => "PreparingRebalance",
            State::Syncing => "CompletingRebalance",
            State::Stable => "Stable",
        }
    }
}

impl Group {
    pub fn new(members_max: usize, offsets: Offsets) -> Group {
        Group {
            state: State::Empty,
            generation: 0,
            protocol_type: String::new(),
            protocol: String::new(),
            leader: String::new(),
            members: BTreeMap::new(),
            promised: HashMap::new(),
            offsets,
            consumer: None,
            members_max,
        }
    }

    /// Whether nothing would be lost with it.
    pub fn is_idle(&self) -> bool {
        !self.has_members() && self.offsets.is_empty()
    }

    pub fn has_classic_members(&self) -> bool {
        !self.members.is_empty() || !self.promised.is_empty()
    }

    pub fn has_members(&self) -> bool {
        let of_consumer = self.consumer.as_ref().is_some_and(|group| !group.members.is_empty());
        of_consumer || self.has_classic_members()
    }

    /// Answers at once through `reply`, or when the round is closed.
    pub fn join(
        &mut self,
        request: JoinRequest,
        now: Instant,
        initial_delay: Duration,
        reply: oneshot::Sender<Joined>,
    ) {
        let refuse = |reply: oneshot::Sender<Joined>, code, member_id: &str| {
            // A receiver that is gone is a connection that is gone: nobody left to tell.
            let _ = reply.send(Joined::refused(code, member_id));
        };
        // A group changes its protocol while it is empty.
        self.consumer.take_if(|consumer| consumer.members.is_empty());
        if self.consumer.is_some() {
            return refuse(reply, ResponseError::InconsistentGroupProtocol, &request.member_id);
        }
        if !self.accepts(&request) {
            return refuse(reply, ResponseError::InconsistentGroupProtocol, &request.member_id);
        }
        let replaced = request.instance.as_deref().and_then(|i| self.member_of_instance(i));
        if request.member_id.is_empty() {
            let full = self.members.len() + self.promised.len() >= self.members_max;
            if full && replaced.is_none() {
                return refuse(reply, ResponseError::GroupMaxSizeReached, "");
            }
            let named = request.instance.as_deref().unwrap_or(&request.client_id);
            let member_id = format!("{named}-{}", Uuid::new_v4());
            if request.instance.is_none() && request.comes_back {
                self.promised.insert(member_id.clone(), now + request.session_timeout);
                return refuse(reply, ResponseError::MemberIdRequired, &member_id);
            }
            if let Some(old) = replaced {
                self.drop_member(&old, ResponseError::FencedInstanceId);
            }
            self.put_member(member_id, request, now, reply);
            return self.rebalance(now, initial_delay);
        }
        let member_id = request.member_id.clone();
        if replaced.is_some_and(|id| id != member_id) {
            return refuse(reply, ResponseError::FencedInstanceId, &member_id);
        }
        if self.promised.remove(&member_id).is_some() {
            self.put_member(member_id, request, now, reply);
            return self.rebalance(now, initial_delay);
        }
        let Some(member) = self.members.get(&member_id) else {
            return refuse(reply, ResponseError::UnknownMemberId, &member_id);
        };
        // A member that only lost our answer gets it again; the leader and a changed member
        // want a new round.
        let unchanged = member.protocols == request.protocols;
        let again = match self.state {
            State::Syncing => unchanged,
            State::Stable => unchanged && self.leader != member_id,
            State::Joining { .. } | State::Empty => false,
        };
        self.put_member(member_id.clone(), request, now, reply);
        if again { self.answer_join(&member_id) } else { self.rebalance(now, initial_delay) }
    }

    /// Same type of protocol, and one that all members know.
    fn accepts(&self, request: &JoinRequest) -> bool {
        if request.protocols.is_empty() || request.protocol_type.is_empty() {
            return false;
        }
        let others = || self.members.iter().filter(|(id, _)| **id != request.member_id);
        if others().next().is_none() {
            return true;
        }
        let known_to_all =
            |name: &str| others().all(|(_, member)| member.protocols.iter().any(|p| p.0 == name));
        request.protocol_type == self.protocol_type
            && request.protocols.iter().any(|(name, _)| known_to_all(name))
    }

    pub fn member_of_instance(&self, instance: &str) -> Option<String> {
        let mut members = self.members.iter();
        members.find(|(_, m)| m.instance.as_deref() == Some(instance)).map(|(id, _)| id.clone())
    }

    fn put_member(
        &mut self,
        id: String,
        request: JoinRequest,
        now: Instant,
        reply: oneshot::Sender<Joined>,
    ) {
        self.protocol_type = request.protocol_type;
        let assignment = self.members.remove(&id).map(|old| old.assignment).unwrap_or_default();
        let member = Member {
            instance: request.instance,
            client_id: request.client_id,
            client_host: request.client_host,
            session_timeout: request.session_timeout,
            rebalance_timeout: request.rebalance_timeout,
            protocols: request.protocols,
            assignment,
            joining: Some(reply),
            syncing: None,
            seen: now,
        };
        self.members.insert(id, member);
    }

    /// Opens a round, or looks whether the open one can be closed.
    fn rebalance(&mut self, now: Instant, initial_delay: Duration) {
        if !matches!(self.state, State::Joining { .. }) {
            let delay = if self.state == State::Empty { initial_delay } else { Duration::ZERO };
            for member in self.members.values_mut() {
                if let Some(reply) = member.syncing.take() {
                    let _ = reply.send(Synced::refused(ResponseError::RebalanceInProgress));
                }
            }
            let patience = self.members.values().map(|m| m.rebalance_timeout).max();
            let deadline = now + patience.unwrap_or_default().max(delay);
            self.state = State::Joining { earliest: now + delay, deadline };
        }
        self.close_round_if_complete(now);
    }

    fn close_round_if_complete(&mut self, now: Instant) {
        let State::Joining { earliest, deadline } = self.state else { return };
        let all_here = self.promised.is_empty() && self.members.values().all(Member::waits_to_join);
        if (all_here && now >= earliest) || now >= deadline {
            self.close_round(now);
        }
    }

    fn close_round(&mut self, now: Instant) {
        self.members.retain(|_, member| member.joining.is_some());
        self.generation = self.generation.wrapping_add(1).max(1);
        if self.members.is_empty() {
            self.state = State::Empty;
            self.protocol.clear();
            self.leader.clear();
            return;
        }
        self.protocol = self.vote();
        if !self.members.contains_key(&self.leader) {
            self.leader = self.members.keys().next().cloned().unwrap_or_default();
        }
        self.state = State::Syncing;
        let ids: Vec<String> = self.members.keys().cloned().collect();
        for id in ids {
            if let Some(member) = self.members.get_mut(&id) {
                member.seen = now;
                member.assignment = Bytes::new();
            }
            self.answer_join(&id);
        }
    }

    /// The protocol that most members put first among those that all know.
    fn vote(&self) -> String {
        let known_to_all =
            |name: &str| self.members.values().all(|m| m.protocols.iter().any(|p| p.0 == name));
        let mut votes: BTreeMap<&str, usize> = BTreeMap::new();
        for member in self.members.values() {
            let choice = member.protocols.iter().find(|(name, _)| known_to_all(name));
            if let Some((name, _)) = choice {
                *votes.entry(name).or_default() += 1;
            }
        }
        votes
            .into_iter()
            .max_by_key(|&(_, n)| n)
            .map(|(name, _)| name.to_owned())
            .unwrap_or_default()
    }

    fn answer_join(&mut self, member_id: &str) {
        let members = if member_id == self.leader {
            let metadata = |m: &Member| m.metadata(&self.protocol);
            let all = self.members.iter();
            all.map(|(id, m)| (id.clone(), m.instance.clone(), metadata(m))).collect()
        } else {
            Vec::new()
        };
        let joined = Joined {
            code: 0,
            generation: self.generation,
            protocol_type: self.protocol_type.clone(),
            protocol: self.protocol.clone(),
            leader: self.leader.clone(),
            member_id: member_id.to_owned(),
            members,
        };
        if let Some(reply) = self.members.get_mut(member_id).and_then(|m| m.joining.take()) {
            let _ = reply.send(joined);
        }
    }

    /// `assignments` count when the caller leads.
    pub fn sync(
        &mut self,
        caller: &Caller<'_>,
        protocol: (Option<&str>, Option<&str>),
        assignments: Vec<(String, Bytes)>,
        now: Instant,
        reply: oneshot::Sender<Synced>,
    ) {
        let other = |said: Option<&str>, ours: &str| said.is_some_and(|said| said != ours);
        let refused = if let Err(code) = self.check(caller, now) {
            Some(code)
        } else if other(protocol.0, &self.protocol_type) || other(protocol.1, &self.protocol) {
            Some(ResponseError::InconsistentGroupProtocol)
        } else if matches!(self.state, State::Joining { .. }) {
            Some(ResponseError::RebalanceInProgress)
        } else {
            None
        };
        if let Some(code) = refused {
            let _ = reply.send(Synced::refused(code));
            return;
        }
        if let Some(member) = self.members.get_mut(caller.member_id) {
            member.syncing = Some(reply);
        }
        if self.state == State::Syncing && caller.member_id == self.leader {
            for (id, assignment) in assignments {
                if let Some(member) = self.members.get_mut(&id) {
                    member.assignment = assignment;
                }
            }
            self.state = State::Stable;
        }
        if self.state == State::Stable {
            self.answer_syncs();
        }
    }

    fn answer_syncs(&mut self) {
        for member in self.members.values_mut() {
            if let Some(reply) = member.syncing.take() {
                let _ = reply.send(Synced {
                    code: 0,
                    protocol_type: self.protocol_type.clone(),
                    protocol: self.protocol.clone(),
                    assignment: member.assignment.clone(),
                });
            }
        }
    }

    /// Whether the caller is a member in the current generation; counts as a sign of life.
    fn check(&mut self, caller: &Caller<'_>, now: Instant) -> Result<(), ResponseError> {
        if let Some(instance) = caller.instance
            && self.member_of_instance(instance).is_some_and(|id| id != caller.member_id)
        {
            return Err(ResponseError::FencedInstanceId);
        }
        let member = self.members.get_mut(caller.member_id);
        let member = member.ok_or(ResponseError::UnknownMemberId)?;
        if caller.generation != self.generation {
            return Err(ResponseError::IllegalGeneration);
        }
        member.seen = now;
        Ok(())
    }

    pub fn heartbeat(&mut self, caller: &Caller<'_>, now: Instant) -> Result<(), ResponseError> {
        self.check(caller, now)?;
        match self.state {
            State::Joining { .. } => Err(ResponseError::RebalanceInProgress),
            State::Empty | State::Syncing | State::Stable => Ok(()),
        }
    }

    /// Whether the caller may commit. One that is no member may while there are none.
    pub fn check_commit(&mut self, caller: &Caller<'_>, now: Instant) -> Result<(), ResponseError> {
        let consumer = self.consumer.as_ref().filter(|consumer| !consumer.members.is_empty());
        if let Some(consumer) = consumer {
            return consumer.check_epoch(caller.member_id, caller.generation);
        }
        if caller.generation < 0 && caller.member_id.is_empty() && caller.instance.is_none() {
            let empty = self.members.is_empty();
            return if empty { Ok(()) } else { Err(ResponseError::UnknownMemberId) };
        }
        self.check(caller, now)?;
        if self.state == State::Syncing {
            return Err(ResponseError::RebalanceInProgress);
        }
        Ok(())
    }

    /// By id, or by instance where the id is empty.
    pub fn leave(
        &mut self,
        member_id: &str,
        instance: Option<&str>,
        now: Instant,
    ) -> Result<(), ResponseError> {
        if self.promised.remove(member_id).is_some() {
            self.close_round_if_complete(now);
            return Ok(());
        }
        let of_instance = instance.and_then(|instance| self.member_of_instance(instance));
        let id = match of_instance {
            Some(id) if !member_id.is_empty() && id != member_id => {
                return Err(ResponseError::FencedInstanceId);
            }
            Some(id) => id,
            None if instance.is_some() => return Err(ResponseError::UnknownMemberId),
            None => member_id.to_owned(),
        };
        if !self.members.contains_key(&id) {
            return Err(ResponseError::UnknownMemberId);
        }
        self.drop_member(&id, ResponseError::UnknownMemberId);
        self.rebalance(now, Duration::ZERO);
        Ok(())
    }

    fn drop_member(&mut self, id: &str, code: ResponseError) {
        let Some(member) = self.members.remove(id) else { return };
        if let Some(reply) = member.joining {
            let _ = reply.send(Joined::refused(code, id));
        }
        if let Some(reply) = member.syncing {
            let _ = reply.send(Synced::refused(code));
        }
    }

    /// Drops members that gave no sign of life, and closes rounds whose time is up.
    pub fn tick(&mut self, now: Instant) {
        if let Some(consumer) = &mut self.consumer {
            return consumer.tick(now);
        }
        self.promised.retain(|_, until| *until > now);
        let silent: Vec<String> = self
            .members
            .iter()
            .filter(|(_, member)| !member.waits() && now >= member.seen + member.session_timeout)
            .map(|(id, _)| id.clone())
            .collect();
        for id in &silent {
            tracing::info!(member = id, "group member is silent, dropped");
            self.drop_member(id, ResponseError::UnknownMemberId);
        }
        if silent.is_empty() {
            self.close_round_if_complete(now);
        } else {
            self.rebalance(now, Duration::ZERO);
        }
    }
}

#[cfg(test)]
#[path = "group_tests.rs"]
mod tests;
