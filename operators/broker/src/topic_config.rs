//! Settings of a topic, under Kafka's names.

use std::collections::BTreeMap;

/// What a topic sets itself, as text, under Kafka's names.
pub(crate) type Overrides = BTreeMap<String, String>;

/// The settings in effect. `-1` in a retention means without end.
#[derive(Clone, Debug, PartialEq)]
pub struct TopicConfig {
    /// What becomes of old records.
    pub cleanup_policy: CleanupPolicy,
    /// Segments whose newest record is older than this are deleted.
    pub retention_ms: i64,
    /// Oldest segments are deleted while a partition is larger.
    pub retention_bytes: i64,
    /// A segment is closed when it would grow past this; it bounds the check at start as well.
    pub segment_bytes: i64,
    /// A segment is closed by a record so much later than its first ones. Compaction takes closed
    /// segments only.
    pub segment_ms: i64,
    /// How long compaction keeps the tombstone of a key, for readers that are behind.
    pub delete_retention_ms: i64,
    /// The share of a partition not yet compacted above which it is, 0 to 1.
    pub min_cleanable_dirty_ratio: f64,
    /// Younger records are not compacted.
    pub min_compaction_lag_ms: i64,
    /// Largest record batch.
    pub max_message_bytes: i64,
}

/// `cleanup.policy`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CleanupPolicy {
    /// Whole segments go, by age and size.
    #[default]
    Delete,
    /// The last record of each key stays.
    Compact,
    /// Both.
    CompactAndDelete,
}

impl CleanupPolicy {
    pub(crate) fn compacts(self) -> bool {
        self != CleanupPolicy::Delete
    }

    pub(crate) fn deletes(self) -> bool {
        self != CleanupPolicy::Compact
    }

    fn parse(text: &str) -> Option<CleanupPolicy> {
        let (mut compacts, mut deletes) = (false, false);
        for word in text.split(',') {
            match word.trim() {
                "compact" => compacts = true,
                "delete" => deletes = true,
                _ => return None,
            }
        }
        Some(match (compacts, deletes) {
            (true, true) => CleanupPolicy::CompactAndDelete,
            (true, false) => CleanupPolicy::Compact,
            (false, _) => CleanupPolicy::Delete,
        })
    }

    fn text(self) -> &'static str {
        match self {
            CleanupPolicy::Delete => "delete",
            CleanupPolicy::Compact => "compact",
            CleanupPolicy::CompactAndDelete => "compact,delete",
        }
    }
}

impl Default for TopicConfig {
    fn default() -> Self {
        TopicConfig {
            cleanup_policy: CleanupPolicy::default(),
            retention_ms: 7 * DAY_MS,
            retention_bytes: -1,
            // Kafka's is 1 GiB. The last segment is read whole at start: 128 MiB take 50 ms.
            segment_bytes: 128 << 20,
            segment_ms: 7 * DAY_MS,
            delete_retention_ms: DAY_MS,
            min_cleanable_dirty_ratio: 0.5,
            min_compaction_lag_ms: 0,
            // Kafka's own default: 1 MiB of records and the batch's head.
            max_message_bytes: (1 << 20) + 12,
        }
    }
}

const DAY_MS: i64 = 24 * 3600 * 1000;

pub(crate) const LONG: i8 = 5;
const INT: i8 = 3;
const DOUBLE: i8 = 6;
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
            config.set(name, value)?;
        }
        config.check()?;
        Ok(config)
    }

    fn set(&mut self, name: &str, value: &str) -> Result<(), String> {
        let slot = match name {
            "retention.ms" => &mut self.retention_ms,
            "retention.bytes" => &mut self.retention_bytes,
            "segment.bytes" => &mut self.segment_bytes,
            "segment.ms" => &mut self.segment_ms,
            "delete.retention.ms" => &mut self.delete_retention_ms,
            "min.compaction.lag.ms" => &mut self.min_compaction_lag_ms,
            "max.message.bytes" => &mut self.max_message_bytes,
            "cleanup.policy" => {
                let policy = CleanupPolicy::parse(value);
                let expected = "is not one of delete; compact; compact,delete";
                self.cleanup_policy = policy.ok_or_else(|| format!("{name}={value} {expected}"))?;
                return Ok(());
            }
            "min.cleanable.dirty.ratio" => {
                let ratio = value.parse().map_err(|_| format!("{name}={value} is not a number"))?;
                self.min_cleanable_dirty_ratio = ratio;
                return Ok(());
            }
            _ => return Err(format!("unknown setting {name}")),
        };
        *slot = value.parse().map_err(|_| format!("{name}={value} is not a whole number"))?;
        Ok(())
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
        within("segment.ms", self.segment_ms, 1, i64::MAX)?;
        within("delete.retention.ms", self.delete_retention_ms, 0, i64::MAX)?;
        within("min.compaction.lag.ms", self.min_compaction_lag_ms, 0, i64::MAX)?;
        let ratio = self.min_cleanable_dirty_ratio;
        if !(0.0..=1.0).contains(&ratio) {
            return Err(format!("min.cleanable.dirty.ratio={ratio} is not in 0..=1"));
        }
        within("max.message.bytes", self.max_message_bytes, 0, i32::MAX.into())
    }

    pub(crate) fn entries(&self) -> Vec<Entry> {
        let of = |name, value: String, kind, documentation| Entry {
            name,
            value,
            kind,
            documentation,
            read_only: false,
        };
        let long = |name, value: i64, kind, about| of(name, value.to_string(), kind, about);
        let mut entries = vec![
            of("cleanup.policy", self.cleanup_policy.text().to_owned(), LIST, "delete, compact"),
            long("retention.ms", self.retention_ms, LONG, "age after which segments go; -1: never"),
            long("retention.bytes", self.retention_bytes, LONG, "size of a partition; -1: any"),
            long("segment.bytes", self.segment_bytes, INT, "size at which a segment is closed"),
            long("segment.ms", self.segment_ms, LONG, "span of time after which it is closed"),
            long(
                "delete.retention.ms",
                self.delete_retention_ms,
                LONG,
                "how long a compacted topic keeps a tombstone",
            ),
            of(
                "min.cleanable.dirty.ratio",
                self.min_cleanable_dirty_ratio.to_string(),
                DOUBLE,
                "share not yet compacted above which a partition is",
            ),
            long(
                "min.compaction.lag.ms",
                self.min_compaction_lag_ms,
                LONG,
                "age below which records are not compacted",
            ),
            long("max.message.bytes", self.max_message_bytes, INT, "largest record batch"),
        ];
        let fixed = |&(name, value, kind): &(&'static str, &str, i8)| {
            of(name, value.to_owned(), kind, "has this one value here")
        };
        entries.extend(FIXED.iter().map(fixed));
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
    fn policies_are_read_in_any_order() {
        for (text, policy) in [
            ("delete", CleanupPolicy::Delete),
            ("compact", CleanupPolicy::Compact),
            ("delete, compact", CleanupPolicy::CompactAndDelete),
        ] {
            let config = TopicConfig::default().with(&overrides("cleanup.policy", text)).unwrap();
            assert_eq!(config.cleanup_policy, policy);
            let told = config.entries().into_iter().find(|entry| entry.name == "cleanup.policy");
            let told = told.unwrap().value;
            let again = TopicConfig::default().with(&overrides("cleanup.policy", &told)).unwrap();
            assert_eq!(again.cleanup_policy, policy);
        }
    }

    #[test]
    fn what_cannot_be_kept_is_refused_by_name() {
        let refuse = |name, value| TopicConfig::default().with(&overrides(name, value));
        assert_eq!(
            refuse("message.timestamp.type", "LogAppendTime"),
            Err("message.timestamp.type=LogAppendTime is not supported, only CreateTime".into())
        );
        assert!(refuse("cleanup.policy", "shrink").unwrap_err().contains("is not one of delete"));
        assert!(refuse("min.cleanable.dirty.ratio", "2").unwrap_err().contains("is not in 0..=1"));
        assert_eq!(refuse("retention.msec", "1"), Err("unknown setting retention.msec".into()));
        assert!(refuse("retention.ms", "soon").unwrap_err().contains("not a whole number"));
        assert!(refuse("segment.bytes", "10").unwrap_err().contains("is not in"));
    }
}
