//! Consumer groups, classic ones and those of KIP-848: members in memory, committed offsets on disk.

pub(crate) mod consumer;
mod group;
mod member;
mod offsets;

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use bytes::Bytes;
use kafka_protocol::ResponseError;
use tokio::sync::oneshot;

pub(crate) use group::Group;
pub(crate) use member::{Caller, JoinRequest, Joined, Synced};
pub(crate) use offsets::{Committed, Offsets};

use crate::config::{Config, Limits};
use crate::error::{Error, Refusal, Result};
use crate::files::{Durability, named};
use consumer::{Beat, Beaten, ConsumerGroup, JOIN, Known};

#[derive(Debug)]
pub(crate) struct Groups {
    dir: PathBuf,
    limits: Limits,
    initial_delay: Duration,
    /// After so much silence a member of a KIP-848 group is dropped.
    session_timeout: Duration,
    durability: Durability,
    by_name: Mutex<BTreeMap<String, Group>>,
}

/// One offset of a commit, and what is wrong with it, if anything.
pub(crate) struct Commit {
    pub topic: String,
    pub partition: i32,
    pub committed: Committed,
}

/// A group as a list has it.
pub(crate) struct Listed {
    pub name: String,
    pub protocol_type: String,
    pub state: &'static str,
    /// The protocol's word for which of its protocols it follows.
    pub kind: &'static str,
}

impl Groups {
    /// Opens the groups that have committed offsets; members have to join again.
    pub fn open(config: &Config) -> Result<Groups> {
        let dir = config.dir.join("groups");
        fs::create_dir_all(&dir).map_err(Error::io(&dir))?;
        let limits = config.limits.clone();
        let groups = offsets::read_all(&dir)?.into_iter();
        let by_name = groups
            .map(|(name, offsets)| (name, Group::new(limits.group_members_max, offsets)))
            .collect();
        let durability = config.fsync.durability();
        let initial_delay = config.group_initial_delay;
        Ok(Groups {
            dir,
            limits,
            initial_delay,
            session_timeout: config.group_session_timeout,
            durability,
            by_name: Mutex::new(by_name),
        })
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Group>> {
        self.by_name.lock().expect("no holder panics")
    }

    pub fn count(&self) -> usize {
        self.lock().len()
    }

    /// The group, made if there is room for one more.
    fn make<'a>(
        &self,
        groups: &'a mut BTreeMap<String, Group>,
        name: &str,
    ) -> Result<&'a mut Group, ResponseError> {
        self.check_name(name)?;
        if !groups.contains_key(name) && groups.len() >= self.limits.groups_max {
            tracing::warn!(group = name, "no room: groups_max is reached");
            return Err(ResponseError::CoordinatorNotAvailable);
        }
        let fresh = || Group::new(self.limits.group_members_max, Offsets::new());
        Ok(groups.entry(name.to_owned()).or_insert_with(fresh))
    }

    /// Whether there can be a group of this name.
    pub fn check_name(&self, name: &str) -> Result<(), ResponseError> {
        named(&self.dir, name).map(|_| ()).ok_or(ResponseError::InvalidGroupId)
    }

    pub fn join(&self, name: &str, request: JoinRequest) -> oneshot::Receiver<Joined> {
        let (reply, answer) = oneshot::channel();
        let longest = self.limits.session_timeout_max;
        if request.session_timeout.is_zero() || request.session_timeout > longest {
            let refused = Joined::refused(ResponseError::InvalidSessionTimeout, &request.member_id);
            let _ = reply.send(refused);
            return answer;
        }
        let mut groups = self.lock();
        match self.make(&mut groups, name) {
            Ok(group) => group.join(request, Instant::now(), self.initial_delay, reply),
            Err(code) => {
                let _ = reply.send(Joined::refused(code, &request.member_id));
            }
        }
        answer
    }

    /// A heartbeat of the newer protocol, by which members join and leave as well.
    pub fn beat(&self, name: &str, beat: Beat, known: &impl Known) -> Result<Beaten, Refusal> {
        let refuse = |code: ResponseError| Refusal::new(code, format!("group {name:?}: {code}"));
        let mut groups = self.lock();
        let group = if beat.epoch == JOIN {
            self.make(&mut groups, name).map_err(refuse)?
        } else {
            // A restart forgets members, and they join again when they hear that.
            groups.get_mut(name).ok_or_else(|| refuse(ResponseError::UnknownMemberId))?
        };
        if group.has_classic_members() {
            let message = format!("group {name:?} has members of the classic protocol");
            return Err(Refusal::new(ResponseError::GroupIdNotFound, message));
        }
        let fresh = || ConsumerGroup::new(self.limits.group_members_max, self.session_timeout);
        let consumer = group.consumer.get_or_insert_with(fresh);
        consumer.heartbeat(beat, known, Instant::now())
    }

    pub fn sync(
        &self,
        name: &str,
        caller: &Caller<'_>,
        protocol: (Option<&str>, Option<&str>),
        assignments: Vec<(String, Bytes)>,
    ) -> oneshot::Receiver<Synced> {
        let (reply, answer) = oneshot::channel();
        match self.lock().get_mut(name) {
            Some(group) => group.sync(caller, protocol, assignments, Instant::now(), reply),
            None => {
                let _ = reply.send(Synced::refused(ResponseError::UnknownMemberId));
            }
        }
        answer
    }

    pub fn heartbeat(&self, name: &str, caller: &Caller<'_>) -> Result<(), ResponseError> {
        let mut groups = self.lock();
        let group = groups.get_mut(name).ok_or(ResponseError::UnknownMemberId)?;
        group.heartbeat(caller, Instant::now())
    }

    pub fn leave(
        &self,
        name: &str,
        member_id: &str,
        instance: Option<&str>,
    ) -> Result<(), ResponseError> {
        let mut groups = self.lock();
        let group = groups.get_mut(name).ok_or(ResponseError::UnknownMemberId)?;
        group.leave(member_id, instance, Instant::now())
    }

    /// Keeps the offsets, all or none; on success they are in the group's file.
    pub fn commit(
        &self,
        name: &str,
        caller: &Caller<'_>,
        commits: Vec<Commit>,
    ) -> Result<(), ResponseError> {
        let mut groups = self.lock();
        // A commit by one that is no member makes the group; one by a member does not.
        let group = if caller.generation < 0 {
            self.make(&mut groups, name)?
        } else {
            groups.get_mut(name).ok_or(ResponseError::IllegalGeneration)?
        };
        group.check_commit(caller, Instant::now())?;
        self.keep(name, group, commits)
    }

    /// Whether the caller may commit offsets in a transaction: one that is no member always may.
    pub fn check_transactional_commit(
        &self,
        name: &str,
        caller: &Caller<'_>,
    ) -> Result<(), ResponseError> {
        if caller.generation < 0 && caller.member_id.is_empty() && caller.instance.is_none() {
            return Ok(());
        }
        let mut groups = self.lock();
        let group = groups.get_mut(name).ok_or(ResponseError::IllegalGeneration)?;
        group.check_commit(caller, Instant::now()).map_err(|code| match code {
            // Producers know only the older word.
            ResponseError::StaleMemberEpoch => ResponseError::IllegalGeneration,
            other => other,
        })
    }

    /// Keeps the offsets of a transaction that commits.
    pub fn put(&self, name: &str, commits: Vec<Commit>) -> Result<(), ResponseError> {
        let mut groups = self.lock();
        let group = self.make(&mut groups, name)?;
        self.keep(name, group, commits)
    }

    fn keep(
        &self,
        name: &str,
        group: &mut Group,
        commits: Vec<Commit>,
    ) -> Result<(), ResponseError> {
        let mut offsets = group.offsets.clone();
        for commit in commits {
            let partitions = offsets.entry(commit.topic).or_default();
            partitions.insert(commit.partition, commit.committed);
        }
        self.write(name, &offsets).map_err(|error| {
            tracing::error!(%error, group = name, "offsets not kept");
            ResponseError::CoordinatorNotAvailable
        })?;
        group.offsets = offsets;
        Ok(())
    }

    fn write(&self, name: &str, offsets: &Offsets) -> Result<()> {
        let path = named(&self.dir, name);
        let path = path.expect("a group is made only if its name has a file");
        if offsets.is_empty() {
            return offsets::remove(&path);
        }
        offsets::write(&path, name, offsets, self.durability)
    }

    /// Empty for a group that is unknown: it has committed nothing.
    pub fn offsets(&self, name: &str) -> Offsets {
        self.lock().get(name).map(|group| group.offsets.clone()).unwrap_or_default()
    }

    /// Forgets what groups committed for a topic that is gone.
    pub fn forget_topic(&self, topic: &str) {
        for (name, group) in self.lock().iter_mut() {
            if group.offsets.remove(topic).is_some()
                && let Err(error) = self.write(name, &group.offsets)
            {
                tracing::warn!(%error, group = name, topic, "offsets of a deleted topic stay");
            }
        }
    }

    pub fn delete(&self, name: &str) -> Result<(), ResponseError> {
        let mut groups = self.lock();
        let group = groups.get(name).ok_or(ResponseError::GroupIdNotFound)?;
        if group.has_members() {
            return Err(ResponseError::NonEmptyGroup);
        }
        self.write(name, &Offsets::new()).map_err(|error| {
            tracing::error!(%error, group = name, "group not deleted");
            ResponseError::CoordinatorNotAvailable
        })?;
        groups.remove(name);
        Ok(())
    }

    /// Looks at a group; `None` if it is unknown.
    pub fn look<T>(&self, name: &str, look: impl FnOnce(&Group) -> T) -> Option<T> {
        self.lock().get(name).map(look)
    }

    /// What is told of each in a list.
    pub fn list(&self) -> Vec<Listed> {
        let row = |(name, group): (&String, &Group)| match &group.consumer {
            Some(consumer) => Listed {
                name: name.clone(),
                protocol_type: "consumer".to_owned(),
                state: consumer.state(),
                kind: "consumer",
            },
            None => Listed {
                name: name.clone(),
                protocol_type: group.protocol_type.clone(),
                state: group.state.name(),
                kind: "classic",
            },
        };
        self.lock().iter().map(row).collect()
    }

    /// Whether a member of a KIP-848 group, if it says to be one, may ask for what is committed.
    pub fn check_reader(
        &self,
        name: &str,
        member_id: Option<&str>,
        epoch: i32,
    ) -> Result<(), ResponseError> {
        let groups = self.lock();
        let consumer = groups.get(name).and_then(|group| group.consumer.as_ref());
        match (consumer, member_id) {
            (Some(consumer), Some(member_id)) if epoch >= 0 => {
                consumer.check_epoch(member_id, epoch)
            }
            _ => Ok(()),
        }
    }

    /// To be called a few times a second.
    pub fn tick(&self) {
        let now = Instant::now();
        self.lock().retain(|_, group| {
            group.tick(now);
            !group.is_idle()
        });
    }
}
