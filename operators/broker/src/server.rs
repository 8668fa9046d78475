//! The broker itself: opens its folder, listens, looks after logs and groups, stops.

use std::fs::{self, File, TryLockError};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kafka_protocol::protocol::StrBytes;
use serde::{Deserialize, Serialize};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Interval, MissedTickBehavior};
use uuid::Uuid;

use crate::api::Client;
use crate::config::{Config, Fsync, split_address};
use crate::connection;
use crate::error::{Error, Result};
use crate::files::{Durability, read_json, write_json};
use crate::groups::Groups;
use crate::log::Compaction;
use crate::memory::Memory;
use crate::producer_ids::ProducerIds;
use crate::stats::{Stats, StatsSnapshot};
use crate::topics::{TopicStatus, Topics};
use crate::transactions::{Ends, Transactions, now_ms};

/// How often groups are looked at for silent members and rounds to close, transactions for their
/// time.
const GROUP_TICK: Duration = Duration::from_millis(100);
/// How often closed segments get their index files, and retention, compaction and fsync are looked at.
const LOG_TICK: Duration = Duration::from_secs(1);
const LOG_TICK_MIN: Duration = Duration::from_millis(10);
/// What a stopping broker gives its connections to finish their requests.
const GRACE: Duration = Duration::from_secs(3);

/// A running broker. Dropping it stops it as well, without waiting.
#[derive(Debug)]
pub struct Broker {
    shared: Arc<Shared>,
    address: SocketAddr,
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
}

/// What all connections use.
#[derive(Debug)]
pub(crate) struct Shared {
    pub config: Config,
    pub cluster_id: String,
    pub topics: Topics,
    pub groups: Groups,
    pub producer_ids: ProducerIds,
    pub transactions: Transactions,
    pub memory: Memory,
    pub stats: Stats,
    stopping: watch::Receiver<bool>,
    /// Held as long as anything might still write.
    _lock: File,
}

#[derive(Serialize, Deserialize)]
struct BrokerFile {
    cluster_id: String,
}

impl Broker {
    /// Opens the folder (making it, or mending what a crash left), binds the address and serves
    /// on the calling tokio runtime. Clients can connect when this returns.
    ///
    /// # Errors
    /// [`Error::Locked`] if another broker has the folder, [`Error::AddressInUse`] if the port is
    /// taken, [`Error::Config`] for settings that cannot work, [`Error::Io`] for the disk's own.
    pub async fn start(config: Config) -> Result<Broker> {
        config.check()?;
        let listener = listen(&config.listen).await?;
        let address = listener
            .local_addr()
            .map_err(|source| Error::Listen { listen: config.listen.clone(), source })?;
        let (stop, stopping) = watch::channel(false);
        // Reading the last segments may take a while.
        let open = tokio::task::spawn_blocking(move || Shared::open(config, stopping));
        let shared = Arc::new(open.await.expect("opening does not panic")?);
        let tasks = vec![
            tokio::spawn(accept(listener, Arc::clone(&shared))),
            tokio::spawn(tick_groups(Arc::clone(&shared))),
            tokio::spawn(look_after_logs(Arc::clone(&shared))),
        ];
        tracing::info!(%address, dir = %shared.config.dir.display(), "broker started");
        Ok(Broker { shared, address, stop, tasks })
    }

    /// Where it listens, with the port it was given.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Makes a topic; `configs` under Kafka's names.
    ///
    /// # Errors
    /// [`Error::TopicExists`], or [`Error::Topic`] for a name, number or setting that cannot be.
    pub fn create_topic(
        &self,
        name: &str,
        partitions: i32,
        configs: &[(&str, &str)],
    ) -> Result<()> {
        let pair = |&(name, value): &(&str, &str)| (name.to_owned(), value.to_owned());
        let overrides = configs.iter().map(pair).collect();
        let created = self.shared.topics.create(name, partitions, overrides);
        created.map(|_| ()).map_err(|refusal| refusal.into_error(name))
    }

    /// All topics, sorted by name, as they are now.
    pub fn topics(&self) -> Vec<TopicStatus> {
        self.shared.topics.status()
    }

    pub fn stats(&self) -> StatsSnapshot {
        let topics = self.shared.topics.all();
        StatsSnapshot {
            in_flight_bytes: self.shared.memory.held_bytes() as u64,
            groups: self.shared.groups.count() as u64,
            partitions: topics.iter().map(|topic| topic.partitions.len() as u64).sum(),
            ..self.shared.stats.snapshot()
        }
    }

    /// Stops listening, lets requests under way finish, and gives the folder free. Everything
    /// acknowledged is on the disk afterwards, or in the page cache, as [`Fsync`] says.
    pub async fn shutdown(mut self) {
        let _ = self.stop.send(true);
        for task in self.tasks.drain(..) {
            if let Err(error) = task.await {
                tracing::error!(%error, "broker task failed");
            }
        }
        let shared = Arc::clone(&self.shared);
        let closed = tokio::task::spawn_blocking(move || {
            if shared.config.fsync != Fsync::PageCache {
                shared.sync();
            }
        });
        if let Err(error) = closed.await {
            tracing::error!(%error, "broker could not close its files");
        }
        tracing::info!(address = %self.address, "broker stopped");
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        // Nobody may be listening any more, after `shutdown`.
        let _ = self.stop.send(true);
    }
}

async fn listen(address: &str) -> Result<TcpListener> {
    split_address(address)?;
    TcpListener::bind(address).await.map_err(|source| match source.kind() {
        std::io::ErrorKind::AddrInUse => Error::AddressInUse { listen: address.to_owned() },
        _ => Error::Listen { listen: address.to_owned(), source },
    })
}

impl Shared {
    fn open(config: Config, stopping: watch::Receiver<bool>) -> Result<Shared> {
        let dir = &config.dir;
        fs::create_dir_all(dir).map_err(Error::io(dir))?;
        let lock = lock(dir)?;
        let limits = &config.limits;
        let defaults = config.topic_defaults.clone();
        let topics = Topics::open(dir, defaults, limits, config.fsync.durability())?;
        let groups = Groups::open(&config)?;
        let ends = Ends { topics: &topics, groups: &groups };
        Ok(Shared {
            cluster_id: cluster_id(&dir.join("broker.json"))?,
            transactions: Transactions::open(&config, ends)?,
            topics,
            groups,
            producer_ids: ProducerIds::open(dir.join("producer-ids.json"))?,
            memory: Memory::new(limits.in_flight_bytes_max),
            stats: Stats::default(),
            stopping,
            _lock: lock,
            config,
        })
    }

    /// Where transactions are ended.
    pub fn ends(&self) -> Ends<'_> {
        Ends { topics: &self.topics, groups: &self.groups }
    }

    /// Returns when the broker stops, or is dropped.
    pub async fn stopped(&self) {
        let mut stopping = self.stopping.clone();
        let _ = stopping.wait_for(|stopping| *stopping).await;
    }

    /// Host and port that this client is to connect to.
    pub fn endpoint(&self, client: &Client) -> (StrBytes, i32) {
        let advertised = self.config.advertised.as_deref().and_then(|a| split_address(a).ok());
        let (host, port) = match advertised {
            Some((host, port)) => (host.to_owned(), port),
            None => (client.local.ip().to_string(), client.local.port()),
        };
        (StrBytes::from_string(host), i32::from(port))
    }

    fn each_partition(&self, what: &str, act: impl Fn(&crate::topics::Topic, usize) -> Result<()>) {
        for topic in self.topics.all() {
            for i in 0..topic.partitions.len() {
                if let Err(error) = act(&topic, i) {
                    tracing::error!(topic = topic.name, partition = i, %error, "{what} failed");
                }
            }
        }
    }

    fn sync(&self) {
        self.each_partition("fsync", |topic, i| topic.partitions[i].sync());
    }

    fn seal(&self) {
        self.each_partition("closing a segment", |topic, i| topic.partitions[i].seal());
    }

    fn retain(&self) {
        let now_ms = now_ms();
        self.each_partition("retention", |topic, i| {
            let deleted = topic.partitions[i].retain(&topic.config, now_ms)?;
            if deleted > 0 {
                tracing::info!(topic = topic.name, partition = i, deleted, "segments deleted");
            }
            Ok(())
        });
    }

    fn compact(&self) {
        let now_ms = now_ms();
        self.each_partition("compaction", |topic, i| {
            if let Some(done) = topic.partitions[i].compact(&topic.config, now_ms)? {
                let Compaction { end, bytes_before, bytes_after } = done;
                let topic = &topic.name;
                tracing::info!(topic, partition = i, end, bytes_before, bytes_after, "compacted");
            }
            Ok(())
        });
    }
}

fn lock(dir: &Path) -> Result<File> {
    let path = dir.join("lock");
    let file = File::create(&path).map_err(Error::io(&path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Error::Locked { dir: dir.to_path_buf() }),
        Err(TryLockError::Error(e)) => Err(Error::io(&path)(e)),
    }
}

/// The cluster's name, made up at the first start.
fn cluster_id(path: &Path) -> Result<String> {
    if let Some(file) = read_json::<BrokerFile>(path)? {
        return Ok(file.cluster_id);
    }
    let cluster_id = Uuid::new_v4().simple().to_string();
    write_json(path, &BrokerFile { cluster_id: cluster_id.clone() }, Durability::Disk)?;
    Ok(cluster_id)
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            // Ended ones are taken out as they end.
            Some(_) = connections.join_next() => continue,
            () = shared.stopped() => break,
        };
        match accepted {
            Ok((stream, peer)) if connections.len() < shared.config.limits.connections_max => {
                let shared = Arc::clone(&shared);
                connections.spawn(async move { connection::serve(stream, peer, &shared).await });
            }
            Ok((stream, peer)) => refuse(stream, peer, &shared),
            Err(error) => {
                // Most likely no file descriptors are left: wait for one.
                tracing::warn!(%error, "connection not accepted");
                tokio::time::sleep(GROUP_TICK).await;
            }
        }
    }
    drop(listener);
    let finish = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(GRACE, finish).await.is_err() {
        connections.shutdown().await;
    }
}

fn refuse(stream: TcpStream, peer: SocketAddr, shared: &Shared) {
    // Counted first: whoever sees the connection closed sees it counted.
    Stats::add(&shared.stats.connections_refused, 1);
    drop(stream);
    let max = shared.config.limits.connections_max;
    tracing::warn!(client = %peer, connections_max = max, "connection refused: too many");
}

fn ticks(period: Duration) -> Interval {
    let mut ticks = tokio::time::interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

/// Waits for the next tick; `false` once the broker stops.
async fn ticked(ticks: &mut Interval, shared: &Shared) -> bool {
    tokio::select! {
        _ = ticks.tick() => true,
        () = shared.stopped() => false,
    }
}

async fn tick_groups(shared: Arc<Shared>) {
    let mut ticks = ticks(GROUP_TICK);
    while ticked(&mut ticks, &shared).await {
        shared.groups.tick();
        shared.transactions.tick(shared.ends());
    }
}

async fn look_after_logs(shared: Arc<Shared>) {
    let config = &shared.config;
    let mut retention = Due::every(config.retention_check_interval);
    let mut compaction = Due::every(config.compaction_check_interval);
    let mut fsync = match config.fsync {
        Fsync::Every(interval) => Some(Due::every(interval)),
        Fsync::PageCache | Fsync::BeforeAck => None,
    };
    let shortest = retention.interval.min(compaction.interval).min(LOG_TICK);
    let shortest = shortest.min(fsync.as_ref().map_or(LOG_TICK, |due| due.interval));
    let mut ticks = ticks(shortest.max(LOG_TICK_MIN));
    while ticked(&mut ticks, &shared).await {
        let (retain, compact) = (retention.is_due(), compaction.is_due());
        let sync = fsync.as_ref().is_some_and(Due::is_due);
        let logs = Arc::clone(&shared);
        let done = tokio::task::spawn_blocking(move || {
            if sync {
                logs.sync();
            }
            logs.seal();
            if retain {
                logs.retain();
            }
            if compact {
                logs.compact();
            }
        });
        if done.await.is_err() {
            tracing::error!("looking after the logs failed");
        }
        let done = [(retain, &mut retention), (compact, &mut compaction)];
        let synced = fsync.as_mut().map(|due| (sync, due));
        for (_, due) in done.into_iter().chain(synced).filter(|(was_due, _)| *was_due) {
            due.done = Instant::now();
        }
    }
}

/// What is to be done again so long after it was done.
struct Due {
    interval: Duration,
    done: Instant,
}

impl Due {
    fn every(interval: Duration) -> Due {
        Due { interval, done: Instant::now() }
    }

    fn is_due(&self) -> bool {
        self.done.elapsed() >= self.interval
    }
}
