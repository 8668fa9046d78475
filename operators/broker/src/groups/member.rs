//! A member of a group, and what it asks and is answered in a rebalance.

use std::time::{Duration, Instant};

use bytes::Bytes;
use kafka_protocol::ResponseError;
use tokio::sync::oneshot;

#[derive(Debug)]
pub(crate) struct Member {
    pub instance: Option<String>,
    pub client_id: String,
    pub client_host: String,
    pub session_timeout: Duration,
    pub rebalance_timeout: Duration,
    pub protocols: Protocols,
    pub assignment: Bytes,
    pub joining: Option<oneshot::Sender<Joined>>,
    pub syncing: Option<oneshot::Sender<Synced>>,
    /// Last sign of life.
    pub seen: Instant,
}

impl Member {
    pub fn waits_to_join(&self) -> bool {
        self.joining.is_some()
    }

    /// A request of it is open here, and its connection still is: it cannot send heartbeats.
    pub fn waits(&self) -> bool {
        self.joining.as_ref().is_some_and(|reply| !reply.is_closed())
            || self.syncing.as_ref().is_some_and(|reply| !reply.is_closed())
    }

    pub fn metadata(&self, protocol: &str) -> Bytes {
        let found = self.protocols.iter().find(|(name, _)| name == protocol);
        found.map(|(_, metadata)| metadata.clone()).unwrap_or_default()
    }
}

/// Name and metadata, best first.
pub(crate) type Protocols = Vec<(String, Bytes)>;

pub(crate) struct JoinRequest {
    pub member_id: String,
    pub instance: Option<String>,
    pub client_id: String,
    pub client_host: String,
    pub session_timeout: Duration,
    pub rebalance_timeout: Duration,
    pub protocol_type: String,
    pub protocols: Protocols,
    /// Whether the client knows to come back with the id it is given (since version 4).
    pub comes_back: bool,
}

/// The answer to a join.
#[derive(Debug, Default)]
pub(crate) struct Joined {
    pub code: i16,
    pub generation: i32,
    pub protocol_type: String,
    pub protocol: String,
    pub leader: String,
    pub member_id: String,
    /// Id, instance and metadata of all, for the leader only.
    pub members: Vec<(String, Option<String>, Bytes)>,
}

/// The answer to a sync.
#[derive(Debug, Default)]
pub(crate) struct Synced {
    pub code: i16,
    pub protocol_type: String,
    pub protocol: String,
    pub assignment: Bytes,
}

/// Who says so: the part that all later requests of a member share.
pub(crate) struct Caller<'a> {
    pub member_id: &'a str,
    pub instance: Option<&'a str>,
    pub generation: i32,
}

impl Joined {
    pub fn refused(code: ResponseError, member_id: &str) -> Joined {
        Joined {
            code: code.code(),
            generation: -1,
            member_id: member_id.to_owned(),
            ..Joined::default()
        }
    }
}

impl Synced {
    pub fn refused(code: ResponseError) -> Synced {
        Synced { code: code.code(), ..Synced::default() }
    }
}
