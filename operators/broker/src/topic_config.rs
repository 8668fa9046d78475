//! Settings of a topic, under Kafka's names.

use std::collections::BTreeMap;

/// What a topic sets itself, as text, under Kafka's names.
pub(crate) type Overrides = BTreeMap<String, String>;

/// The settings in effect. `-1` in a retention means without end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicConfig {
    /// Segments whose newest record is older than this are deleted.
    pub retention_ms: i64,
    /// Oldest segments are deleted while a partition is larger.
    pub retention_bytes: i64,
    /// A segment is closed when it would grow past this; it bounds the check at start as well.
    pub segment_bytes: i64,
    /// Largest record batch.
    pub max_message_bytes: i64,
}

impl Default for TopicConfig {
    fn default() -> Self {
        TopicConfig {
            retention_ms: 7 * 24 * 3600 * 1000,
            retention_bytes: -1,
            // Kafka's is 1 GiB. The last segment is read whole at start: 128 MiB take 50 ms.
            segment_bytes: 128 << 20,
            // Kafka's own default: 1 MiB of records and the batch's head.
            max_message_bytes: (1 << 20) + 12,
        }
    }
}

pub(crate) const LONG: i8 = 5;
const INT: i8 = 3;
const LIST: i8 = 7;
const STRING: i8 = 2;

/// A setting as `DescribeConfigs` tells it.
pub(crate) struct Entry {
    pub name: &'static str,
    pub value: String,
    /// The protocol's number for the type.
    pub kind: i8,
    pub documentation: &'static str,
    pub read_only: bool,
}

/// Settings that Kafka has and that here can only have one value.
const FIXED: &[(&str, &str, i8)] = &[
    ("cleanup.policy", "delete", LIST),
    ("compression.type", "producer", STRING),
    ("message.timestamp.type", "CreateTime", STRING),
    ("min.insync.replicas", "1", INT),
];

impl TopicConfig {
    /// These settings with a topic's own on top; the error names the setting and what is wrong.
    pub(crate) fn with(&self, overrides: &Overrides) -> Result<TopicConfig, String> {
        let mut config = self.clone();
        for (name, value) in overrides {
            if let Some((_, only, _)) = FIXED.iter().find(|fixed| fixed.0 == name) {
                if value == only {
                    continue;
                }
                return Err(format!("{name}={value} is not supported, only {only}"));
            }
            let slot = match name.as_str() {
                "retention.ms" => &mut config.retention_ms,
                "retention.bytes" => &mut config.retention_bytes,
                "segment.bytes" => &mut config.segment_bytes,
                "max.message.bytes" => &mut config.max_message_bytes,
                _ => return Err(format!("unknown setting {name}")),
            };
            *slot = value.parse().map_err(|_| format!("{name}={value} is not a whole number"))?;
        }
        config.check()?;
        Ok(config)
    }

    pub(crate) fn check(&self) -> Result<(), String> {
        let within = |name: &str, value: i64, low: i64, high: i64| {
            let fits = (low..=high).contains(&value);
            if fits { Ok(()) } else { Err(format!("{name}={value} is not in {low}..={high}")) }
        };
        within("retention.ms", self.retention_ms, -1, i64::MAX)?;
        within("retention.bytes", self.retention_bytes, -1, i64::MAX)?;
        // Kafka's floor since 4.1: smaller ones only make files.
        within("segment.bytes", self.segment_bytes, 1 << 20, i32::MAX.into())?;
        within("max.message.bytes", self.max_message_bytes, 0, i32::MAX.into())
    }

    pub(crate) fn entries(&self) -> Vec<Entry> {
        let long = |name, value: i64, kind, documentation| {
            let value = value.to_string();
            Entry { name, value, kind, documentation, read_only: false }
        };
        let mut entries = vec![
            long("retention.ms", self.retention_ms, LONG, "age after which segments go; -1: never"),
            long("retention.bytes", self.retention_bytes, LONG, "size of a partition; -1: any"),
            long("segment.bytes", self.segment_bytes, INT, "size at which a segment is closed"),
            long("max.message.bytes", self.max_message_bytes, INT, "largest record batch"),
        ];
        entries.extend(FIXED.iter().map(|&(name, value, kind)| Entry {
            name,
            value: value.to_owned(),
            kind,
            documentation: "has this one value here",
            read_only: false,
        }));
        entries
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn overrides(name: &str, value: &str) -> Overrides {
        Overrides::from([(name.to_owned(), value.to_owned())])
    }

    #[test]
    fn a_topic_setting_wins_over_the_default() {
        let config = TopicConfig::default().with(&overrides("retention.ms", "-1")).unwrap();
        assert_eq!(config.retention_ms, -1);
        assert_eq!(config.segment_bytes, TopicConfig::default().segment_bytes);
    }

    #[test]
    fn what_cannot_be_kept_is_refused_by_name() {
        let refuse = |name, value| TopicConfig::default().with(&overrides(name, value));
        assert_eq!(
            refuse("cleanup.policy", "compact"),
            Err("cleanup.policy=compact is not supported, only delete".into())
        );
        assert_eq!(refuse("retention.msec", "1"), Err("unknown setting retention.msec".into()));
        assert!(refuse("retention.ms", "soon").unwrap_err().contains("not a whole number"));
        assert!(refuse("segment.bytes", "10").unwrap_err().contains("is not in"));
    }
}
