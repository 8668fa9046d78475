//! What exactly-once asks of the brokers, looked at before a transaction begins.
//!
//! An old producer protocol, librdkafka's and ours, leaves it to the brokers to see whether a message belongs to
//! a transaction that is open (KIP-890): without, one that is late after an abort lies in the log as if
//! it were open, and readers of committed messages wait behind it for ever. Brokers before Apache Kafka
//! 4.0 also do without other parts of it.

use std::time::Duration;

use nowcast_engine::{Error, Result};
use rdkafka::admin::{AdminClient, AdminOptions, ConfigResource, ResourceSpecifier};

use super::client::{ASK_TIMEOUT, Watch, config, failed, partitions, refused};
use super::options::KafkaOptions;
use super::transaction::TIMEOUT_KEY;

/// How long an open transaction lives when its job is gone and does not come back, unless the brokers
/// allow less.
const TIMEOUT: Duration = Duration::from_mins(15);

const TIMEOUT_MAX: &str = "transaction.max.timeout.ms";
const VERIFIES: &str = "transaction.partition.verification.enable";
/// A setting that Apache Kafka had until 4.0.
const PROTOCOL: &str = "inter.broker.protocol.version";
/// A setting that Apache Kafka has from 4.3 on.
const CORDONED: &str = "cordoned.log.dirs";

/// How long a transaction of this table lives. It warns of brokers that do not keep exactly-once; those
/// that do not say what they do are let pass, for that takes the right to ask.
///
/// # Errors
/// Where the table wants more than the brokers allow, or they cannot be reached.
pub fn transaction_timeout(options: &KafkaOptions) -> Result<Duration> {
    let given = given_timeout(options)?;
    let admin: AdminClient<Watch> = config(options, &[])
        .create_with_context(Watch::default())
        .map_err(|error| refused(options, error))?;
    let topics = partitions(admin.inner(), options, &|| {})?;
    let topic = topics.first().map(|(topic, _)| topic.as_str());
    let known = admin.inner().fetch_metadata(topic, ASK_TIMEOUT);
    let known = known.map_err(|error| failed(options, error))?;
    let replicas = known.topics().iter().flat_map(|topic| topic.partitions());
    let replicas = replicas.map(|partition| partition.replicas().len()).min().unwrap_or(0);
    let mut most = None;
    for broker in known.brokers() {
        let Some(settings) = settings(&admin, broker.id()) else { continue };
        for why in doubts(&settings).into_iter().chain(drops_rows(&settings, replicas)) {
            tracing::warn!("table \"{}\": kafka broker {}: {why}", options.table, broker.id());
        }
        let allows = value(&settings, TIMEOUT_MAX).and_then(|millis| millis.parse().ok());
        most = most.into_iter().chain(allows).min();
    }
    let most = most.map(Duration::from_millis);
    match (given, most) {
        (Some(given), Some(most)) if given > most => Err(Error::user(format!(
            "table \"{}\": \"properties.{TIMEOUT_KEY}\" is {given:?}, and the brokers allow {most:?} \
             at most (\"{TIMEOUT_MAX}\")",
            options.table
        ))),
        (Some(given), _) => Ok(given),
        (None, most) => Ok(most.map_or(TIMEOUT, |most| most.min(TIMEOUT))),
    }
}

fn given_timeout(options: &KafkaOptions) -> Result<Option<Duration>> {
    let given = options.properties.iter().find(|(key, _)| key == TIMEOUT_KEY);
    let Some((_, value)) = given else { return Ok(None) };
    let millis = value.parse().map_err(|_| {
        Error::user(format!(
            "table \"{}\": option \"properties.{TIMEOUT_KEY}\" = \"{value}\": no number of \
             milliseconds",
            options.table
        ))
    });
    millis.map(|millis| Some(Duration::from_millis(millis)))
}

/// What a broker says of itself.
fn settings(admin: &AdminClient<Watch>, broker: i32) -> Option<ConfigResource> {
    let asked = AdminOptions::new().request_timeout(Some(ASK_TIMEOUT));
    let resource = ResourceSpecifier::Broker(broker);
    let told = futures::executor::block_on(admin.describe_configs([&resource], &asked));
    match told.map(|mut told| told.pop()) {
        Ok(Some(Ok(settings))) => Some(settings),
        Ok(Some(Err(code))) => {
            tracing::info!("kafka broker {broker} does not say how it is set: {code}");
            None
        }
        Ok(None) => None,
        Err(error) => {
            tracing::info!("kafka broker {broker} does not say how it is set: {error}");
            None
        }
    }
}

fn value<'a>(settings: &'a ConfigResource, name: &str) -> Option<&'a str> {
    settings.get(name)?.value.as_deref()
}

/// Why a broker with these settings does not keep exactly-once.
fn doubts(settings: &ConfigResource) -> Option<String> {
    let late = "a message that comes late, after its transaction was aborted, can stay in the topic and \
                hold up readers of committed messages (KIP-890)";
    match (value(settings, PROTOCOL), value(settings, VERIFIES)) {
        (Some(version), _) => Some(format!(
            "older than Apache Kafka 4.0 (\"{PROTOCOL}\" = \"{version}\"), which exactly-once is made \
             for: {late}"
        )),
        (None, Some("true")) => None,
        (None, Some(_)) => Some(format!("\"{VERIFIES}\" is off: {late}")),
        (None, None) => Some(format!("there is no \"{VERIFIES}\": {late}")),
    }
}

/// Why a broker with these settings may lose rows of a topic of so many replicas, committed ones.
fn drops_rows(settings: &ConfigResource, replicas: usize) -> Option<String> {
    (replicas == 1 && settings.get(CORDONED).is_some()).then(|| {
        "Apache Kafka 4.3 or later, and the topic has one replica: if the broker dies in just the moment \
         of a commit, 4.3 and 4.4 can leave rows of it out or show them twice (KAFKA-20734); brokers \
         before 4.3 do not, nor while another replica is in sync"
            .to_owned()
    })
}

#[cfg(test)]
mod tests {
    use rdkafka::admin::{ConfigEntry, ConfigSource, OwnedResourceSpecifier};

    use super::*;

    fn broker(settings: &[(&str, &str)]) -> ConfigResource {
        let entry = |(name, value): &(&str, &str)| ConfigEntry {
            name: (*name).to_owned(),
            value: Some((*value).to_owned()),
            source: ConfigSource::Default,
            is_read_only: true,
            is_default: true,
            is_sensitive: false,
        };
        let entries = settings.iter().map(entry).collect();
        ConfigResource { specifier: OwnedResourceSpecifier::Broker(1), entries }
    }

    #[test]
    fn brokers_that_do_not_keep_exactly_once_are_known_by_their_settings() {
        assert_eq!(doubts(&broker(&[(VERIFIES, "true")])), None);
        for (settings, why) in [
            (vec![(PROTOCOL, "3.9-IV0"), (VERIFIES, "true")], "older than Apache Kafka 4.0"),
            (vec![(VERIFIES, "false")], "is off"),
            (vec![("broker.id", "1")], "there is no"),
        ] {
            let doubts = doubts(&broker(&settings)).unwrap();
            assert!(doubts.contains(why) && doubts.contains("KIP-890"), "{doubts}");
        }
    }

    #[test]
    fn brokers_that_drop_rows_of_topics_of_one_replica_are_known_by_their_settings() {
        let (later, earlier) = (broker(&[(CORDONED, "")]), broker(&[(VERIFIES, "true")]));
        assert!(drops_rows(&later, 1).unwrap().contains("KAFKA-20734"));
        assert_eq!((drops_rows(&later, 3), drops_rows(&earlier, 1)), (None, None));
    }
}
