//! What our own client is set to, by the table's properties.

use std::collections::BTreeMap;
use std::time::Duration;

use nowcast_engine::{Error, secret};

use super::super::options::{Client, KafkaOptions};
use super::super::security;

/// Bytes of all partitions in one answer of a broker. A source holds two of them a broker: one is
/// read while the next is on its way.
const FETCH_BYTES: i32 = 4 << 20;
/// Bytes of one partition in an answer, so that several have their turn.
const PARTITION_BYTES: i32 = 1 << 20;

/// Properties that both ends of a table are given and that only writing, or only librdkafka's way of
/// reading, looks at. They change no row that is read.
const ELSEWHERE: [&str; 41] = [
    "acks",
    "allow.auto.create.topics",
    "auto.commit.interval.ms",
    "batch.num.messages",
    "batch.size",
    "check.crcs",
    "compression.codec",
    "compression.level",
    "compression.type",
    "connections.max.idle.ms",
    "delivery.timeout.ms",
    "enable.auto.commit",
    "enable.auto.offset.store",
    "enable.gapless.guarantee",
    "enable.idempotence",
    "enable.partition.eof",
    "fetch.error.backoff.ms",
    "fetch.queue.backoff.ms",
    "heartbeat.interval.ms",
    "linger.ms",
    "log.connection.close",
    "log_level",
    "max.in.flight",
    "max.in.flight.requests.per.connection",
    "max.poll.interval.ms",
    "message.max.bytes",
    "message.send.max.retries",
    "message.timeout.ms",
    "partition.assignment.strategy",
    "partitioner",
    "queue.buffering.max.kbytes",
    "queue.buffering.max.messages",
    "queue.buffering.max.ms",
    "queued.min.messages",
    "request.required.acks",
    "retries",
    "session.timeout.ms",
    "socket.nagle.disable",
    "statistics.interval.ms",
    "sticky.partitioning.linger.ms",
    "transaction.timeout.ms",
];

#[derive(Debug, Clone)]
pub struct Settings {
    /// What messages begin with: `kafka topic "clicks"`.
    pub name: String,
    /// `host:port` of brokers to begin with.
    pub bootstrap: Vec<String>,
    pub client_id: String,
    pub group: Option<String>,
    /// How long a broker may wait for `fetch_bytes_min`.
    pub fetch_wait: Duration,
    pub fetch_bytes_min: i32,
    pub fetch_bytes_max: i32,
    pub partition_bytes_max: i32,
    /// Whether messages of transactions are read before they are committed.
    pub uncommitted: bool,
    /// How long a broker has for an answer.
    pub request_timeout: Duration,
    pub connect_timeout: Duration,
    /// The pause after a first failure, which doubles from one to the next, and the longest.
    pub backoff: (Duration, Duration),
    /// How often to ask who leads partitions, if nothing says that it has changed.
    pub metadata_age: Duration,
    /// How long a topic has to be unknown to be taken for deleted: brokers do not hear of it at once.
    pub propagation: Duration,
    pub security: Security,
}

#[derive(Debug, Clone, Default)]
pub struct Security {
    pub tls: bool,
    /// Whether the broker's certificate has to name the host that was asked for.
    pub names_checked: bool,
    /// Whether it has to lead to a trusted one.
    pub trust_checked: bool,
    pub roots: Option<Pem>,
    pub chain: Option<Pem>,
    pub key: Option<Pem>,
    pub login: Option<Login>,
}

#[derive(Clone)]
pub enum Pem {
    File(String),
    Text(String),
}

/// Nothing of a key is shown.
impl std::fmt::Debug for Pem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path) => write!(f, "{path}"),
            Self::Text(_) => write!(f, "{}", secret::HIDDEN),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mechanism {
    Plain,
    ScramSha256,
    ScramSha512,
}

#[derive(Clone)]
pub struct Login {
    pub mechanism: Mechanism,
    pub username: String,
    pub password: String,
}

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?} {} {}", self.mechanism, self.username, secret::HIDDEN)
    }
}

/// Why there are no settings.
#[derive(Debug)]
pub enum Refusal {
    /// A property that only librdkafka may know.
    Unknown {
        key: String,
        why: &'static str,
    },
    Wrong(Error),
}

impl Refusal {
    /// For a table that asks for our own client.
    pub fn into_error(self, table: &str) -> Error {
        match self {
            Self::Wrong(error) => error,
            Self::Unknown { key, why } => Error::user(format!(
                "table \"{table}\": option \"properties.{key}\" {why}, and \"client\" is native"
            )),
        }
    }
}

/// Our own client's settings where it is asked for, or nothing is said and it can do all that the table
/// asks; else librdkafka does it.
pub fn chosen<T>(
    options: &KafkaOptions,
    read: Result<T, Refusal>,
    does: &str,
) -> Result<Option<T>, Error> {
    let (key, why) = match (read, options.client) {
        (_, Some(Client::Librdkafka)) => {
            security::check_build(&options.table, &options.properties)?;
            return Ok(None);
        }
        (Ok(settings), _) => return Ok(Some(settings)),
        (Err(Refusal::Wrong(error)), _) => return Err(error),
        (Err(refusal), Some(Client::Native)) => return Err(refusal.into_error(&options.table)),
        (Err(Refusal::Unknown { key, why }), None) => (key, why),
    };
    let table = &options.table;
    tracing::info!("table \"{table}\": librdkafka {does}, for \"properties.{key}\" {why}");
    security::check_build(table, &options.properties)?;
    Ok(None)
}

impl Settings {
    /// Says what is wrong with names and values; files are not looked at.
    pub fn read(options: &KafkaOptions) -> Result<Self, Refusal> {
        let mut given = Given::of(options);
        let ms = Duration::from_millis;
        let kbytes = given.number("queued.max.messages.kbytes", 1, 2_097_151)?;
        let bytes_max = given.number("fetch.max.bytes", 1, i32::MAX)?.unwrap_or(FETCH_BYTES);
        let bytes_max = kbytes.map_or(bytes_max, |kbytes| bytes_max.min(kbytes * 1_024));
        let of_partition = given.number("max.partition.fetch.bytes", 1, i32::MAX)?;
        let of_message = given.number("fetch.message.max.bytes", 1, i32::MAX)?;
        let settings = Self {
            name: options.name(),
            bootstrap: options.bootstrap.split(',').map(|at| at.trim().to_owned()).collect(),
            client_id: given.text("client.id").unwrap_or("nowcast").to_owned(),
            group: options.group.clone(),
            fetch_wait: ms(given.number("fetch.wait.max.ms", 0, 300_000)?.unwrap_or(500)),
            fetch_bytes_min: given.number("fetch.min.bytes", 1, 100_000_000)?.unwrap_or(1),
            fetch_bytes_max: bytes_max,
            partition_bytes_max: of_partition.or(of_message).unwrap_or(PARTITION_BYTES),
            uncommitted: given.choice(
                "isolation.level",
                &[("read_committed", false), ("read_uncommitted", true)],
            )?,
            request_timeout: ms(match given.number("request.timeout.ms", 1, 300_000)? {
                Some(timeout) => timeout,
                None => given.number("socket.timeout.ms", 10, 300_000)?.unwrap_or(30_000),
            }),
            connect_timeout: ms(given
                .number("socket.connection.setup.timeout.ms", 1_000, 300_000)?
                .unwrap_or(10_000)),
            backoff: given.backoff()?,
            metadata_age: ms(match given.number("metadata.max.age.ms", 1, 86_400_000)? {
                Some(age) => age,
                None => given
                    .number("topic.metadata.refresh.interval.ms", 10, 3_600_000)?
                    .unwrap_or(300_000),
            }),
            propagation: ms(given
                .number("topic.metadata.propagation.max.ms", 0, 3_600_000)?
                .unwrap_or(30_000)),
            security: given.security()?,
        };
        for key in ELSEWHERE {
            given.left.remove(key);
        }
        match given.left.into_keys().next() {
            None => Ok(settings),
            Some(key) => {
                Err(Refusal::Unknown { key: key.to_owned(), why: "is none of our own client" })
            }
        }
    }
}

/// The properties that nobody has asked for yet.
pub struct Given<'a> {
    table: &'a str,
    left: BTreeMap<&'a str, &'a str>,
}

impl<'a> Given<'a> {
    pub fn of(options: &'a KafkaOptions) -> Self {
        let properties = options.properties.iter();
        let left = properties.map(|(key, value)| (key.as_str(), value.as_str())).collect();
        Self { table: &options.table, left }
    }

    pub fn text(&mut self, key: &str) -> Option<&'a str> {
        self.left.remove(key)
    }

    /// As [`Self::text`], and it can be asked for again.
    pub fn shows(&self, key: &str) -> Option<&'a str> {
        self.left.get(key).copied()
    }

    fn wrong(&self, key: &str, value: &str, expected: &str) -> Refusal {
        let (table, value) = (self.table, secret::shown(key, value));
        Refusal::Wrong(Error::user(format!(
            "table \"{table}\": option \"properties.{key}\" is {expected}, not \"{value}\""
        )))
    }

    pub fn number<T>(&mut self, key: &str, least: T, most: T) -> Result<Option<T>, Refusal>
    where
        T: std::str::FromStr + PartialOrd + std::fmt::Display,
    {
        let Some(value) = self.text(key) else { return Ok(None) };
        match value.trim().parse::<T>() {
            Ok(number) if (&least..=&most).contains(&&number) => Ok(Some(number)),
            _ => Err(self.wrong(key, value, &format!("a number from {least} to {most}"))),
        }
    }

    /// One of the named values; the first is the default.
    pub fn choice<T: Copy>(&mut self, key: &str, values: &[(&str, T)]) -> Result<T, Refusal> {
        let Some(value) = self.text(key) else { return Ok(values[0].1) };
        match values.iter().find(|(name, _)| name.eq_ignore_ascii_case(value)) {
            Some((_, chosen)) => Ok(*chosen),
            None => {
                let names: Vec<_> = values.iter().map(|(name, _)| *name).collect();
                Err(self.wrong(key, value, &format!("one of {}", names.join(", "))))
            }
        }
    }

    fn backoff(&mut self) -> Result<(Duration, Duration), Refusal> {
        let reconnect = self.number("reconnect.backoff.ms", 0, 3_600_000)?;
        let retry = self.number("retry.backoff.ms", 1, 300_000)?;
        let first = reconnect.or(retry).unwrap_or(100).max(1);
        let reconnect = self.number("reconnect.backoff.max.ms", 0, 3_600_000)?;
        let retry = self.number("retry.backoff.max.ms", 1, 300_000)?;
        let most = reconnect.or(retry).unwrap_or(1_000).max(first);
        Ok((Duration::from_millis(first), Duration::from_millis(most)))
    }

    fn security(&mut self) -> Result<Security, Refusal> {
        let protocols = [
            ("plaintext", (false, false)),
            ("ssl", (true, false)),
            ("sasl_plaintext", (false, true)),
            ("sasl_ssl", (true, true)),
        ];
        let (tls, sasl) = self.choice("security.protocol", &protocols)?;
        for (key, why) in [
            ("ssl.key.password", "means an encrypted key, which only librdkafka reads"),
            ("ssl.keystore.location", "is a PKCS#12 file, which only librdkafka reads"),
        ] {
            if self.left.contains_key(key) {
                return Err(Refusal::Unknown { key: key.into(), why });
            }
        }
        let mut pem = |file: &str, text: &str| {
            let inline = self.text(text).map(|text| Pem::Text(text.to_owned()));
            self.text(file).map(|path| Pem::File(path.to_owned())).or(inline)
        };
        let roots = pem("ssl.ca.location", "ssl.ca.pem");
        let chain = pem("ssl.certificate.location", "ssl.certificate.pem");
        let key = pem("ssl.key.location", "ssl.key.pem");
        let checks = [("https", true), ("none", false)];
        let names_checked = self.choice("ssl.endpoint.identification.algorithm", &checks)?;
        let checks = [("true", true), ("false", false)];
        let trust_checked = self.choice("enable.ssl.certificate.verification", &checks)?;
        let mechanisms = [
            ("PLAIN", Mechanism::Plain),
            ("SCRAM-SHA-256", Mechanism::ScramSha256),
            ("SCRAM-SHA-512", Mechanism::ScramSha512),
        ];
        let mechanism = self.choice("sasl.mechanism", &mechanisms)?;
        let (username, password) = (self.text("sasl.username"), self.text("sasl.password"));
        let login = match (sasl, username, password) {
            (false, ..) => None,
            (true, Some(username), Some(password)) => Some(Login {
                mechanism,
                username: username.to_owned(),
                password: password.to_owned(),
            }),
            (true, ..) => {
                let table = self.table;
                return Err(Refusal::Wrong(Error::user(format!(
                    "table \"{table}\": option \"properties.sasl.jaas.config\" is missing: it names \
                     who comes"
                ))));
            }
        };
        Ok(Security { tls, names_checked, trust_checked, roots, chain, key, login })
    }
}
