//! Settings of the broker and the bounds of its memory.

use std::path::PathBuf;
use std::time::Duration;

use crate::error::{Error, Result};
use crate::files::Durability;
use crate::topic_config::TopicConfig;

/// How a broker is started. `Config { dir, ..Config::default() }` is a working one.
#[derive(Clone, Debug)]
pub struct Config {
    /// Everything the broker keeps lies here; made if absent. One broker at a time.
    pub dir: PathBuf,
    /// `host:port` to listen on; port 0 takes a free one.
    pub listen: String,
    /// `host:port` that clients are told to connect to; `None` tells each client the address it
    /// came in by, which is right except behind a proxy.
    pub advertised: Option<String>,
    /// Partitions of a topic that is created without a number.
    pub default_partitions: i32,
    /// Whether a client may create a topic by asking for its metadata.
    pub auto_create_topics: bool,
    /// Settings of topics that do not set their own.
    pub topic_defaults: TopicConfig,
    pub fsync: Fsync,
    /// How often retention is checked.
    pub retention_check_interval: Duration,
    /// How often it is looked whether a partition is to be compacted.
    pub compaction_check_interval: Duration,
    /// How long a new group waits for further members before its first assignment.
    pub group_initial_delay: Duration,
    /// How often members of a KIP-848 group are to say that they live.
    pub group_heartbeat_interval: Duration,
    /// After so much silence such a member is dropped.
    pub group_session_timeout: Duration,
    pub limits: Limits,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            dir: PathBuf::from("broker-data"),
            listen: "127.0.0.1:0".to_owned(),
            advertised: None,
            default_partitions: 1,
            auto_create_topics: true,
            topic_defaults: TopicConfig::default(),
            fsync: Fsync::default(),
            retention_check_interval: Duration::from_secs(10),
            compaction_check_interval: Duration::from_secs(10),
            group_initial_delay: Duration::ZERO,
            // Kafka's, both.
            group_heartbeat_interval: Duration::from_secs(5),
            group_session_timeout: Duration::from_secs(45),
            limits: Limits::default(),
        }
    }
}

/// When appended records are forced to the disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fsync {
    /// Never by us: the page cache survives `kill -9`, not a power cut. Kafka's default as well.
    #[default]
    PageCache,
    /// In the background, this often: a power cut loses at most so much.
    Every(Duration),
    /// Before each acknowledgement.
    BeforeAck,
}

/// Bounds of what clients can make the broker hold. Reaching one refuses the request in the
/// protocol's own words, or lets the client wait.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Connections at a time; the next one is closed at once (and counted in the stats). With the
    /// partitions they stay below 1024 open files, the usual soft limit: raise that first.
    pub connections_max: usize,
    /// A connection that asks nothing for so long is closed.
    pub idle_max: Duration,
    /// A client that takes longer to send a request it began, or to take an answer, is cut off: it
    /// holds memory that others wait for.
    pub transfer_max: Duration,
    /// One request; a longer one closes its connection, as in Kafka. One without records may have
    /// 4 MiB at most.
    pub request_bytes_max: usize,
    /// Record bytes in one fetch response, whatever the client asks for.
    pub fetch_bytes_max: usize,
    /// Large requests and fetch responses together; past it connections wait their turn.
    pub in_flight_bytes_max: usize,
    /// Partitions of all topics; each costs an open file and about 1 MiB of index per 1 GiB.
    pub partitions_max: usize,
    /// Consumer groups, each with its committed offsets in memory.
    pub groups_max: usize,
    pub group_members_max: usize,
    /// Longest session timeout of a group member: how long a dead one is remembered.
    pub session_timeout_max: Duration,
    /// Metadata string beside a committed offset.
    pub offset_metadata_bytes_max: usize,
    /// Idempotent producers remembered per partition; the longest silent is forgotten first.
    pub producers_max: usize,
    /// Transactional ids remembered; the longest silent without a transaction is forgotten first.
    pub transactional_ids_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            connections_max: 256,
            // Kafka's.
            idle_max: Duration::from_secs(10 * 60),
            transfer_max: Duration::from_secs(60),
            request_bytes_max: 64 << 20,
            fetch_bytes_max: 16 << 20,
            in_flight_bytes_max: 256 << 20,
            partitions_max: 512,
            groups_max: 4096,
            group_members_max: 1024,
            session_timeout_max: Duration::from_secs(30 * 60),
            offset_metadata_bytes_max: 4096,
            producers_max: 4096,
            transactional_ids_max: 4096,
        }
    }
}

impl Fsync {
    /// What small files, and the names of new ones, are to reach.
    pub(crate) fn durability(self) -> Durability {
        match self {
            Fsync::PageCache => Durability::PageCache,
            Fsync::Every(_) | Fsync::BeforeAck => Durability::Disk,
        }
    }
}

impl Config {
    /// Refuses settings under which the broker could not work.
    pub(crate) fn check(&self) -> Result<()> {
        let limits = &self.limits;
        let refuse = |reason: &str| Err(Error::Config(reason.to_owned()));
        if self.default_partitions < 1 {
            return refuse("default_partitions must be 1 or more");
        }
        if limits.request_bytes_max > i32::MAX as usize {
            return refuse("request_bytes_max must be below 2 GiB");
        }
        // Otherwise a single request could wait for permits that never exist.
        if limits.in_flight_bytes_max < limits.request_bytes_max.max(2 * limits.fetch_bytes_max) {
            return refuse("in_flight_bytes_max must hold a request and two fetches");
        }
        if self.retention_check_interval.is_zero() {
            return refuse("retention_check_interval must be more than 0");
        }
        if self.compaction_check_interval.is_zero() {
            return refuse("compaction_check_interval must be more than 0");
        }
        if self.group_heartbeat_interval >= self.group_session_timeout
            || self.group_heartbeat_interval.as_millis() == 0
        {
            return refuse("group_heartbeat_interval must be within group_session_timeout");
        }
        if let Some(advertised) = &self.advertised {
            split_address(advertised)?;
        }
        self.topic_defaults.check().map_err(Error::Config)
    }
}

/// `host:port` in its parts.
pub(crate) fn split_address(address: &str) -> Result<(&str, u16)> {
    let parts = address.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse().ok()?)));
    parts.ok_or_else(|| Error::Config(format!("address {address:?} is not host:port")))
}
