//! Fluvio's client: the first contact with a cluster, and what it knows of a topic.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use fluvio::config::{ConfigFile, TlsPolicy};
use fluvio::dataplane::link::ErrorCode;
use fluvio::dataplane::record::ReplicaKey;
use fluvio::metadata::partition::PartitionSpec;
use fluvio::metadata::spu::SpuSpec;
use fluvio::metadata::topic::TopicSpec;
use fluvio::{Fluvio, FluvioAdmin, FluvioClusterConfig, FluvioError};
use fluvio_future::future::timeout;
use fluvio_future::timer::sleep;
use fluvio_socket::{ClientConfig, MultiplexerSocket, VersionedSerialSocket};
use fluvio_spu_schema::server::fetch_offset::FetchOffsetsRequest;
use nowcast_engine::{Error, Result};

use super::options::{Cluster, FluvioOptions};
use crate::nearest::did_you_mean;

/// How long the cluster has to answer when a table is opened.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long to wait within that time until the next try: a cluster that starts up meanwhile is found.
const CONNECT_PAUSE: Duration = Duration::from_millis(100);
/// How long other questions to the cluster may take.
const ASK_TIMEOUT: Duration = Duration::from_secs(10);

/// A connection to a cluster's controller (SC).
pub struct Client {
    pub fluvio: Fluvio,
    cluster: FluvioClusterConfig,
}

/// What there is of a partition: its records are from `low` to before `high`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    pub low: i64,
    pub high: i64,
}

/// A partition's number and the storage unit (SPU) that leads it.
pub type Led = (i32, i32);

impl Client {
    /// Tries until there is an answer, or the time is over.
    ///
    /// # Errors
    /// Of kind `Outside` where no controller answers, of kind `User` where the user's configuration
    /// does not say where it is.
    pub async fn connect(options: &FluvioOptions) -> Result<Self> {
        let cluster = cluster(options)?;
        let deadline = Instant::now() + CONNECT_TIMEOUT;
        let mut problem = "no answer".to_owned();
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match timeout(left, Fluvio::connect_with_config(&cluster)).await {
                Ok(Ok(fluvio)) => return Ok(Self { fluvio, cluster }),
                Ok(Err(error)) => problem = words(&error),
                // What an earlier try said is worth more.
                Err(_) => {}
            }
            if Instant::now() + CONNECT_PAUSE >= deadline {
                let (name, endpoint) = (options.name(), &cluster.endpoint);
                return Err(Error::outside(format!(
                    "{name}: controller {endpoint} unreachable: {problem}"
                )));
            }
            sleep(CONNECT_PAUSE).await;
        }
    }

    /// The topic's partitions, ascending. A topic that has just been made may still get them.
    ///
    /// # Errors
    /// Of kind `User` where the topic does not exist.
    pub async fn partitions(&self, options: &FluvioOptions) -> Result<Vec<Led>> {
        let admin = self.fluvio.admin().await;
        let deadline = Instant::now() + CONNECT_TIMEOUT;
        loop {
            let found = asked(options, admin.all::<PartitionSpec>()).await?;
            let own = found.into_iter().filter_map(|partition| {
                let replica = ReplicaKey::try_from(partition.name).ok()?;
                let number = i32::try_from(replica.partition).ok()?;
                (replica.topic == options.topic).then_some((number, partition.spec.leader))
            });
            let mut own: Vec<Led> = own.collect();
            if !own.is_empty() {
                own.sort_unstable();
                return Ok(own);
            }
            self.check_topic(&admin, options).await?;
            if Instant::now() >= deadline {
                return Err(Error::outside(format!("{}: no partitions", options.name())));
            }
            sleep(CONNECT_PAUSE).await;
        }
    }

    async fn check_topic(&self, admin: &FluvioAdmin, options: &FluvioOptions) -> Result<()> {
        let topics = asked(options, admin.all::<TopicSpec>()).await?;
        let topic = &options.topic;
        if topics.iter().any(|found| found.name == *topic) {
            return Ok(());
        }
        let hint = did_you_mean(topic, topics.iter().map(|topic| topic.name.as_str()));
        Err(Error::user(format!("{} does not exist{hint}", options.name())))
    }

    /// Where these partitions begin and end, by their number: asked of their leaders.
    pub async fn limits(
        &self,
        options: &FluvioOptions,
        partitions: &[Led],
    ) -> Result<BTreeMap<i32, Limits>> {
        let mut leaders: BTreeMap<i32, VersionedSerialSocket> = BTreeMap::new();
        let mut limits = BTreeMap::new();
        for (partition, leader) in partitions {
            if !leaders.contains_key(leader) {
                leaders.insert(*leader, self.storage_unit(options, *leader).await?);
            }
            let socket = &leaders[leader];
            limits.insert(*partition, limits_of(options, socket, *partition).await?);
        }
        Ok(limits)
    }

    async fn storage_unit(
        &self,
        options: &FluvioOptions,
        leader: i32,
    ) -> Result<VersionedSerialSocket> {
        let admin = self.fluvio.admin().await;
        let units = asked(options, admin.all::<SpuSpec>()).await?;
        let unit = units.into_iter().find(|unit| unit.spec.id == leader);
        let unit = unit.ok_or_else(|| failed(options, format!("no storage unit {leader}")))?.spec;
        let address = match &unit.public_endpoint_local {
            Some(local) if self.cluster.use_spu_local_address => {
                format!("{}:{}", local.host, local.port)
            }
            _ => unit.public_endpoint.addr(),
        };
        let connect = timeout(CONNECT_TIMEOUT, ClientConfig::with_addr(address.clone()).connect());
        let problem = match connect.await {
            Ok(Ok(connected)) => {
                let (socket, config, versions) = connected.split();
                let socket = MultiplexerSocket::shared(socket);
                return Ok(VersionedSerialSocket::new(socket, config, versions));
            }
            Ok(Err(error)) => error.to_string(),
            Err(_) => "no answer".to_owned(),
        };
        Err(failed(options, format!("storage unit {leader} at {address} unreachable: {problem}")))
    }
}

async fn limits_of(
    options: &FluvioOptions,
    socket: &VersionedSerialSocket,
    partition: i32,
) -> Result<Limits> {
    let replica = ReplicaKey::new(options.topic.as_str(), partition.unsigned_abs());
    let request = FetchOffsetsRequest::new(replica.topic.clone(), replica.partition);
    let answer = asked(options, async { Ok(socket.send_receive(request).await?) }).await?;
    match answer.find_partition(&replica) {
        Some(found) if found.error_code == ErrorCode::None => {
            Ok(Limits { low: found.start_offset, high: found.last_stable_offset })
        }
        Some(found) => Err(failed(options, format!("partition {partition}: {}", found.error_code))),
        None => Err(failed(options, format!("partition {partition}: no answer of its leader"))),
    }
}

/// Where the cluster is.
fn cluster(options: &FluvioOptions) -> Result<FluvioClusterConfig> {
    match &options.cluster {
        Cluster::Endpoint(endpoint) => Ok(FluvioClusterConfig::new(endpoint)),
        Cluster::Profile(name) => of_profile(options, ConfigFile::load(None), Some(name)),
        Cluster::CurrentProfile => of_profile(options, ConfigFile::load(None), None),
    }
}

/// The cluster of a profile, of the current one without a name.
pub fn of_profile(
    options: &FluvioOptions,
    file: Result<ConfigFile, FluvioError>,
    name: Option<&str>,
) -> Result<FluvioClusterConfig> {
    let refuse = |problem: String| {
        let table = &options.table;
        Error::user(format!("table \"{table}\": {problem}; name a \"profile\" or set \"endpoint\""))
    };
    let client_says =
        |error: FluvioError| refuse(format!("fluvio's {}", lower(&error.to_string())));
    let file = file.map_err(client_says)?;
    let cluster = match name {
        Some(name) => file.config().cluster_with_profile(name).ok_or_else(|| {
            let hint = did_you_mean(name, file.config().profile.keys().map(String::as_str));
            refuse(format!("fluvio's configuration has no profile \"{name}\"{hint}"))
        })?,
        None => file.config().current_cluster().map_err(client_says)?,
    };
    if cluster.tls != TlsPolicy::Disabled {
        return Err(refuse(
            "the cluster of fluvio's profile asks for TLS, which is not built in".into(),
        ));
    }
    Ok(cluster.clone())
}

/// The answer to a question, in time.
async fn asked<T: Send + 'static>(
    options: &FluvioOptions,
    question: impl Future<Output = anyhow::Result<T>>,
) -> Result<T> {
    match timeout(ASK_TIMEOUT, question).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => Err(failed(options, words(&error))),
        Err(_) => Err(failed(options, "no answer")),
    }
}

/// An error of the cluster.
pub fn failed(options: &FluvioOptions, error: impl std::fmt::Display) -> Error {
    Error::outside(format!("{}: {}", options.name(), lower(&error.to_string())))
}

/// An error of the client, without what it wraps again in other words.
pub fn words(error: &anyhow::Error) -> String {
    let text = error.to_string();
    let text = text.strip_prefix("Socket error: ").unwrap_or(&text);
    lower(text.strip_prefix("Socket io ").unwrap_or(text))
}

fn lower(text: &str) -> String {
    let mut letters = text.trim_end_matches('.').chars();
    let first = letters.next().map(|letter| letter.to_lowercase().to_string()).unwrap_or_default();
    format!("{first}{}", letters.as_str())
}
