//! The connection to one Redis or to all nodes of a cluster: several commands, one round trip.

use redis::aio::{ConnectionLike, ConnectionManager};
use redis::{Arg, Cmd, ErrorKind, Pipeline, RedisError, RedisResult, Value};

use super::cluster::{Cluster, Master};

/// Made again by itself when it breaks.
pub enum Link {
    One(ConnectionManager),
    Cluster(Cluster),
}

/// Commands that are sent at once.
pub struct Requests {
    pub commands: Pipeline,
    /// Of each, in a cluster.
    pub slots: Vec<u16>,
}

impl Requests {
    pub fn new(capacity: usize) -> Self {
        Self { commands: Pipeline::with_capacity(capacity), slots: vec![] }
    }

    /// A command whose keys are all in `slot`; without a cluster it is whatever.
    pub fn add(&mut self, slot: u16, command: Cmd) {
        self.slots.push(slot);
        self.commands.add_command(command);
    }

    pub fn is_empty(&self) -> bool {
        self.commands.is_empty()
    }

    /// The calls at these places once more, with the code of the script instead of its name.
    pub fn told(&self, at: &[usize], code: &str) -> Self {
        let mut told = Self::new(at.len());
        for (nth, call) in self.commands.cmd_iter().enumerate() {
            if at.binary_search(&nth).is_err() {
                continue;
            }
            let mut again = redis::cmd("EVAL");
            again.arg(code);
            for arg in call.args_iter().skip(2) {
                if let Arg::Simple(arg) = arg {
                    again.arg(arg);
                }
            }
            told.add(self.slots[nth], again);
        }
        told
    }
}

/// Where there is but one Redis, none is named.
pub type Place = Option<Master>;

impl Link {
    pub fn is_cluster(&self) -> bool {
        matches!(self, Self::Cluster(_))
    }

    /// The answers in order, errors of the server among them. Commands of one slot are carried out in
    /// order.
    pub async fn send(&self, requests: &Requests) -> RedisResult<Vec<Value>> {
        match self {
            Self::One(connection) => {
                let commands = &requests.commands;
                connection.clone().req_packed_commands(commands, 0, commands.len()).await
            }
            Self::Cluster(cluster) => cluster.send(requests).await,
        }
    }

    /// One command to one master.
    pub async fn send_to(&self, place: &Place, command: &Cmd) -> RedisResult<Value> {
        match (self, place) {
            (Self::Cluster(cluster), Some(master)) => cluster.send_to(master, command).await,
            (Self::One(connection), _) => connection.clone().req_packed_command(command).await,
            (Self::Cluster(_), None) => Err(RedisError::from((ErrorKind::Client, "no master"))),
        }
    }

    pub async fn masters(&self) -> RedisResult<Vec<Place>> {
        match self {
            Self::One(_) => Ok(vec![None]),
            Self::Cluster(cluster) => Ok(cluster.masters().await?.into_iter().map(Some).collect()),
        }
    }
}
