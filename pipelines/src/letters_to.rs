//! Where the SQL of a job says that its dead letters go, and the note of it in the data folder.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use nowcast_engine::TableDefinition;
use nowcast_planner::Job;
use serde::{Deserialize, Serialize};

use crate::home::EMBEDDED;
use crate::letter_topic::TopicPlace;
use crate::set_aside::FOLDER;

const TOPIC: &str = "execution.dead-letter.topic";
const PROPERTIES: &str = "execution.dead-letter.properties.";
const BOOTSTRAP: &str = "bootstrap.servers";

/// What a table's properties have that the dead letters need to come to the same brokers.
const OF_CLIENTS: [&str; 3] = ["security.", "sasl.", "ssl."];

/// What the name of the note ends with, behind the job's.
pub const NOTE: &str = ".dead_letter_topic.json";

/// A topic for dead letters.
#[derive(Debug, PartialEq)]
pub struct LettersTo {
    pub place: TopicPlace,
    pub known: Note,
}

/// What `nowcast dlq` needs to find the topic again. No properties: they hold secrets.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Note {
    pub topic: String,
    /// As it stands in the SQL.
    pub bootstrap: String,
}

impl Note {
    pub fn path(data: &Path, job: &str) -> PathBuf {
        data.join(FOLDER).join(format!("{job}{NOTE}"))
    }

    pub fn write(&self, data: &Path, job: &str) -> Result<()> {
        let path = Self::path(data, job);
        std::fs::write(&path, serde_json::to_vec(self)?).with_context(|| path.display().to_string())
    }

    /// `None` where the job has no such topic.
    pub fn read(data: &Path, job: &str) -> Result<Option<Self>> {
        let path = Self::path(data, job);
        match std::fs::read(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            read => {
                let text = read.with_context(|| path.display().to_string())?;
                let note = serde_json::from_slice(&text);
                Ok(Some(note.with_context(|| path.display().to_string())?))
            }
        }
    }
}

impl LettersTo {
    /// What a job says; `None` where its letters go to a file. `embedded` is the address of the broker
    /// in this process.
    pub fn read(job: &Job, embedded: Option<&str>) -> Result<Option<Self>> {
        let Some(topic) = job.settings.get(TOPIC) else { return Ok(None) };
        let kafka = |table: &&TableDefinition| {
            let connector = table.options.get("connector").map(String::as_str);
            matches!(connector, Some("kafka" | "upsert-kafka"))
        };
        let used = job.graph.nodes.iter().filter_map(|node| {
            let name = crate::pipeline::table_of(&node.name);
            job.tables.iter().find(|table| table.name == name)
        });
        let used: Vec<&TableDefinition> = used.filter(kafka).collect();
        if let Some(table) = used.iter().find(|table| reads(job, table, topic)) {
            bail!("'{TOPIC}' = '{topic}' is read by the job itself, as `{}`", table.name);
        }
        let own: BTreeMap<String, String> = job
            .settings
            .iter()
            .filter_map(|(key, value)| Some((key.strip_prefix(PROPERTIES)?.into(), value.clone())))
            .collect();
        let mut properties = own;
        let bootstrap = match (properties.remove(BOOTSTRAP), used.first()) {
            (Some(given), _) => given,
            (None, Some(table)) => {
                for (key, value) in &table.options {
                    let key = key.strip_prefix("properties.").unwrap_or_default();
                    if OF_CLIENTS.iter().any(|prefix| key.starts_with(prefix)) {
                        properties.entry(key.to_owned()).or_insert_with(|| value.clone());
                    }
                }
                let key = format!("properties.{BOOTSTRAP}");
                table.options.get(&key).cloned().unwrap_or_default()
            }
            (None, None) => bail!(
                "'{TOPIC}' = '{topic}': the job has no Kafka table, so '{PROPERTIES}{BOOTSTRAP}' is needed"
            ),
        };
        let known = Note { topic: topic.clone(), bootstrap: bootstrap.clone() };
        let bootstrap = match (bootstrap.starts_with(EMBEDDED), embedded) {
            (false, _) => bootstrap,
            (true, Some(address)) => address.to_owned(),
            (true, None) => bail!("'{TOPIC}': there is no embedded broker in this process"),
        };
        let place = TopicPlace { topic: topic.clone(), bootstrap, properties };
        Ok(Some(Self { place, known }))
    }
}

/// Whether the job has a source that reads `topic` by name.
fn reads(job: &Job, table: &TableDefinition, topic: &str) -> bool {
    let mut nodes = job.graph.nodes.iter();
    let source = nodes.any(|node| {
        matches!(node.kind, nowcast_engine::NodeKind::Source(_))
            && crate::pipeline::table_of(&node.name) == table.name
    });
    let mut named = table.options.get("topic").into_iter().flat_map(|names| names.split(';'));
    source && named.any(|name| name.trim() == topic)
}
