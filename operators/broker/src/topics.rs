//! The topics: made, changed and deleted as folders, each with a small file that says what it is.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, RwLock};

use kafka_protocol::ResponseError;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::config::Limits;
use crate::error::{Error, Refusal, Result};
use crate::files::{Durability, read_json, sync_dir, write_json};
use crate::groups::consumer::Known;
use crate::log::Partition;
use crate::topic_config::{Overrides, TopicConfig};

/// Kafka's own limit; it keeps a name a file name.
const NAME_BYTES_MAX: usize = 249;

/// Made or changed topics appear whole: written here first, then renamed into `topics`.
const STAGING: &str = "staging";
/// Deleted topics go here first, so that a crash in the middle leaves no half topic.
const DELETED: &str = "deleted";
const TOPICS: &str = "topics";
const TOPIC_FILE: &str = "topic.json";

#[derive(Debug)]
pub(crate) struct Topics {
    dir: PathBuf,
    defaults: TopicConfig,
    partitions_max: usize,
    producers_max: usize,
    durability: Durability,
    by_name: RwLock<BTreeMap<String, Arc<Topic>>>,
    /// Held while the set of topics, or one of them, changes; readers go on meanwhile.
    changing: Mutex<()>,
}

/// A topic as it is now; a change puts another one in its place.
#[derive(Clone, Debug)]
pub(crate) struct Topic {
    pub name: String,
    pub id: Uuid,
    pub overrides: Overrides,
    /// The overrides on top of the broker's defaults.
    pub config: TopicConfig,
    pub partitions: Vec<Arc<Partition>>,
}

#[derive(Serialize, Deserialize)]
struct TopicFile {
    id: Uuid,
    partitions: usize,
    configs: Overrides,
}

/// What [`Broker::topics`](crate::Broker::topics) tells of a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicStatus {
    pub name: String,
    pub partitions: Vec<PartitionStatus>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartitionStatus {
    /// The first offset kept.
    pub start_offset: i64,
    /// The offset that the next record gets.
    pub end_offset: i64,
    pub bytes: u64,
}

impl Topics {
    /// Opens all topics of the folder, checking and mending their logs.
    pub fn open(
        dir: &Path,
        defaults: TopicConfig,
        limits: &Limits,
        durability: Durability,
    ) -> Result<Topics> {
        for leftover in [STAGING, DELETED] {
            let path = dir.join(leftover);
            if path.exists() {
                fs::remove_dir_all(&path).map_err(Error::io(&path))?;
            }
            fs::create_dir_all(&path).map_err(Error::io(&path))?;
        }
        let topics_dir = dir.join(TOPICS);
        fs::create_dir_all(&topics_dir).map_err(Error::io(&topics_dir))?;
        let topics = Topics {
            dir: dir.to_path_buf(),
            defaults,
            partitions_max: limits.partitions_max,
            producers_max: limits.producers_max,
            durability,
            by_name: RwLock::default(),
            changing: Mutex::default(),
        };
        for entry in fs::read_dir(&topics_dir).map_err(Error::io(&topics_dir))? {
            let path = entry.map_err(Error::io(&topics_dir))?.path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            let Some(file) = read_json::<TopicFile>(&path.join(TOPIC_FILE))? else {
                tracing::warn!(folder = %path.display(), "not a topic, left alone");
                continue;
            };
            let topic = topics.load(name, &path, file)?;
            topics.put(topic);
        }
        Ok(topics)
    }

    fn load(&self, name: &str, path: &Path, file: TopicFile) -> Result<Topic> {
        let config = self
            .defaults
            .with(&file.configs)
            .map_err(|reason| Error::Topic { topic: name.to_owned(), reason })?;
        let open = |i: usize| {
            let dir = path.join(i.to_string());
            fs::create_dir_all(&dir).map_err(Error::io(&dir))?;
            self.open_partition(dir)
        };
        Ok(Topic {
            name: name.to_owned(),
            id: file.id,
            overrides: file.configs,
            config,
            partitions: (0..file.partitions).map(open).collect::<Result<_>>()?,
        })
    }

    fn open_partition(&self, dir: PathBuf) -> Result<Arc<Partition>> {
        Ok(Arc::new(Partition::open(dir, self.producers_max, self.durability)?))
    }

    fn put(&self, topic: Topic) -> Arc<Topic> {
        let topic = Arc::new(topic);
        let mut by_name = self.by_name.write().expect("no holder panics");
        by_name.insert(topic.name.clone(), Arc::clone(&topic));
        topic
    }

    pub fn get(&self, name: &str) -> Option<Arc<Topic>> {
        self.by_name.read().expect("no holder panics").get(name).cloned()
    }

    pub fn get_by_id(&self, id: Uuid) -> Option<Arc<Topic>> {
        let by_name = self.by_name.read().expect("no holder panics");
        by_name.values().find(|topic| topic.id == id).cloned()
    }

    /// Sorted by name.
    pub fn all(&self) -> Vec<Arc<Topic>> {
        self.by_name.read().expect("no holder panics").values().cloned().collect()
    }

    pub fn partition(&self, name: &str, index: i32) -> Option<(Arc<Topic>, Arc<Partition>)> {
        let topic = self.get(name)?;
        let partition = Arc::clone(topic.partitions.get(usize::try_from(index).ok()?)?);
        Some((topic, partition))
    }

    /// Whether `create` would take these, and with which settings.
    pub fn check_new(
        &self,
        name: &str,
        partitions: i32,
        overrides: &Overrides,
    ) -> Result<TopicConfig, Refusal> {
        check_name(name)?;
        if self.get(name).is_some() {
            let message = format!("topic {name:?} exists already");
            return Err(Refusal::new(ResponseError::TopicAlreadyExists, message));
        }
        self.check_count(partitions, 0)?;
        self.check_overrides(overrides)
    }

    fn check_count(&self, partitions: i32, present: usize) -> Result<usize, Refusal> {
        let refuse = |message| Err(Refusal::new(ResponseError::InvalidPartitions, message));
        let Some(wanted) = usize::try_from(partitions).ok().filter(|&n| n > present) else {
            let message = format!("{partitions} partitions asked for, must be more than {present}");
            return refuse(message);
        };
        let others: usize = self.all().iter().map(|topic| topic.partitions.len()).sum();
        if others - present + wanted > self.partitions_max {
            return refuse(format!("the broker's partitions_max is {}", self.partitions_max));
        }
        Ok(wanted)
    }

    pub fn check_overrides(&self, overrides: &Overrides) -> Result<TopicConfig, Refusal> {
        let config = self.defaults.with(overrides);
        config.map_err(|message| Refusal::new(ResponseError::InvalidConfig, message))
    }

    pub fn create(
        &self,
        name: &str,
        partitions: i32,
        overrides: Overrides,
    ) -> Result<Arc<Topic>, Refusal> {
        let _changing = self.changing.lock().expect("no holder panics");
        let config = self.check_new(name, partitions, &overrides)?;
        let count = self.check_count(partitions, 0)?;
        let file = TopicFile { id: Uuid::new_v4(), partitions: count, configs: overrides };
        let staging = self.dir.join(STAGING).join(file.id.to_string());
        for i in 0..count {
            let dir = staging.join(i.to_string());
            fs::create_dir_all(&dir).map_err(Error::io(&dir))?;
        }
        write_json(&staging.join(TOPIC_FILE), &file, Durability::Disk)?;
        let path = self.topic_dir(name);
        fs::rename(&staging, &path).map_err(Error::io(&path))?;
        sync_dir(&self.dir.join(TOPICS))?;
        tracing::info!(topic = name, partitions = count, ?config, "topic created");
        Ok(self.put(self.load(name, &path, file)?))
    }

    /// The topic's partitions, more of them; there is no way back.
    pub fn add_partitions(&self, name: &str, count: i32, how: Change) -> Result<(), Refusal> {
        let _changing = self.changing.lock().expect("no holder panics");
        let topic = self.get(name).ok_or_else(|| unknown(name))?;
        let count = self.check_count(count, topic.partitions.len())?;
        if how == Change::CheckOnly {
            return Ok(());
        }
        let mut changed = (*topic).clone();
        for i in topic.partitions.len()..count {
            let dir = self.topic_dir(name).join(i.to_string());
            fs::create_dir_all(&dir).map_err(Error::io(&dir))?;
            changed.partitions.push(self.open_partition(dir)?);
        }
        self.write_and_put(changed)
    }

    /// Replaces the topic's own settings by what `edit` makes of them.
    pub fn configure(
        &self,
        name: &str,
        how: Change,
        edit: impl FnOnce(&mut Overrides) -> Result<(), Refusal>,
    ) -> Result<(), Refusal> {
        let _changing = self.changing.lock().expect("no holder panics");
        let mut changed = (*self.get(name).ok_or_else(|| unknown(name))?).clone();
        edit(&mut changed.overrides)?;
        changed.config = self.check_overrides(&changed.overrides)?;
        if how == Change::CheckOnly {
            return Ok(());
        }
        self.write_and_put(changed)
    }

    fn write_and_put(&self, topic: Topic) -> Result<(), Refusal> {
        let file = TopicFile {
            id: topic.id,
            partitions: topic.partitions.len(),
            configs: topic.overrides.clone(),
        };
        write_json(&self.topic_dir(&topic.name).join(TOPIC_FILE), &file, Durability::Disk)?;
        self.put(topic);
        Ok(())
    }

    pub fn delete(&self, name: &str) -> Result<(), Refusal> {
        let _changing = self.changing.lock().expect("no holder panics");
        let topic = self.get(name).ok_or_else(|| unknown(name))?;
        let path = self.topic_dir(name);
        let aside = self.dir.join(DELETED).join(topic.id.to_string());
        fs::rename(&path, &aside).map_err(Error::io(&path))?;
        self.by_name.write().expect("no holder panics").remove(name);
        for partition in &topic.partitions {
            partition.delete();
        }
        tracing::info!(topic = name, "topic deleted");
        // What cannot be removed now is removed at the next start.
        if let Err(error) = fs::remove_dir_all(&aside) {
            tracing::warn!(%error, folder = %aside.display(), "deleted topic still takes space");
        }
        Ok(())
    }

    fn topic_dir(&self, name: &str) -> PathBuf {
        self.dir.join(TOPICS).join(name)
    }

    pub fn status(&self) -> Vec<TopicStatus> {
        let partition = |partition: &Arc<Partition>| {
            let bounds = partition.bounds();
            PartitionStatus {
                start_offset: bounds.start,
                end_offset: bounds.end,
                bytes: partition.bytes(),
            }
        };
        let topics = self.all();
        let status = topics.iter().map(|topic| TopicStatus {
            name: topic.name.clone(),
            partitions: topic.partitions.iter().map(partition).collect(),
        });
        status.collect()
    }
}

impl Known for Topics {
    fn named(&self, name: &str) -> Option<(Uuid, i32)> {
        self.get(name).map(|topic| (topic.id, topic.partitions.len() as i32))
    }

    fn names(&self) -> Vec<String> {
        self.by_name.read().expect("no holder panics").keys().cloned().collect()
    }
}

/// Whether a change is made, or only checked (`validate_only`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    Make,
    CheckOnly,
}

impl Change {
    pub fn unless(validate_only: bool) -> Change {
        if validate_only { Change::CheckOnly } else { Change::Make }
    }
}

/// Kafka's rule; it also keeps a name from leading out of its folder.
pub(crate) fn check_name(name: &str) -> Result<(), Refusal> {
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let fits = (1..=NAME_BYTES_MAX).contains(&name.len());
    if fits && name != "." && name != ".." && name.chars().all(legal) {
        return Ok(());
    }
    let message = format!(
        "topic name {name:?} is not 1 to {NAME_BYTES_MAX} letters, digits, dots, underscores, dashes"
    );
    Err(Refusal::new(ResponseError::InvalidTopicException, message))
}

pub(crate) fn unknown(name: &str) -> Refusal {
    Refusal::new(ResponseError::UnknownTopicOrPartition, format!("topic {name:?} is unknown"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(dir: &Path) -> Topics {
        let limits = Limits { partitions_max: 10, ..Limits::default() };
        Topics::open(dir, TopicConfig::default(), &limits, Durability::PageCache).unwrap()
    }

    #[test]
    fn topics_outlive_a_restart_with_id_partitions_and_settings() {
        let dir = tempfile::tempdir().unwrap();
        let topics = open(dir.path());
        let overrides = Overrides::from([("retention.ms".to_owned(), "-1".to_owned())]);
        let id = topics.create("clicks", 2, overrides).unwrap().id;
        topics.create("gone", 1, Overrides::new()).unwrap();
        topics.add_partitions("clicks", 3, Change::Make).unwrap();
        topics.delete("gone").unwrap();
        drop(topics);
        let topics = open(dir.path());
        let clicks = topics.get("clicks").unwrap();
        assert_eq!((clicks.id, clicks.partitions.len(), clicks.config.retention_ms), (id, 3, -1));
        assert!(topics.get("gone").is_none());
        assert_eq!(fs::read_dir(dir.path().join(DELETED)).unwrap().count(), 0);
    }

    #[test]
    fn what_cannot_be_a_topic_is_refused_and_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let topics = open(dir.path());
        let code = |name: &str, partitions| {
            topics.create(name, partitions, Overrides::new()).unwrap_err().code
        };
        assert_eq!(code("../x", 1), ResponseError::InvalidTopicException);
        assert_eq!(code("..", 1), ResponseError::InvalidTopicException);
        assert_eq!(code("", 1), ResponseError::InvalidTopicException);
        assert_eq!(code("x", 0), ResponseError::InvalidPartitions);
        assert_eq!(code("x", 11), ResponseError::InvalidPartitions);
        topics.create("x", 1, Overrides::new()).unwrap();
        assert_eq!(code("x", 1), ResponseError::TopicAlreadyExists);
        assert_eq!(fs::read_dir(dir.path().join(TOPICS)).unwrap().count(), 1);
    }
}
