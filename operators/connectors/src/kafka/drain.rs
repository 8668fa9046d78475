//! Reads a topic to its end with our own client and does nothing with it: what reading costs at least.

use std::sync::Arc;
use std::time::Duration;

use arrow::datatypes::{DataType, Field, Schema};
use nowcast_engine::{Error, Result, SourceContext, TableDefinition};

use super::contact::{Brokers, Heard, Stop, Take, Taken};
use super::native::Native;
use super::native::settings::Settings;
use super::options::KafkaOptions;
use super::source::{Opened, connect};
use crate::messages::Message;
use crate::parts::TopicMode;
use crate::registry::Environment;

/// No message for so long is the end too.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a topic holds.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Drained {
    pub messages: u64,
    /// Of their values.
    pub bytes: u64,
}

/// Reads what is there of all partitions, in this thread.
///
/// # Errors
/// Where the brokers are away, do not know the topic, or give nothing.
pub fn drain(bootstrap: &str, topic: &str) -> Result<Drained> {
    let options =
        KafkaOptions::read(&table(bootstrap, topic), &Environment::new(), TopicMode::Log)?;
    let options = Arc::new(options);
    let settings = Settings::read(&options).map_err(|refusal| refusal.into_error(topic))?;
    let native = Native::new(Arc::clone(&options), Arc::new(settings))?;
    let context = SourceContext {
        worker: 0,
        workers: 1,
        positions: vec![],
        rows_max: usize::MAX,
        idle_timeout: None,
    };
    let Opened { mut brokers, spans } = connect(native, &options, &context)?;
    let mut counting = Counting { drained: Drained::default() };
    let mut open: Vec<bool> = spans.iter().map(|span| span.start < span.high).collect();
    while open.contains(&true) {
        match brokers.poll(PATIENCE, &mut counting) {
            Ok(Heard::Messages(_)) => {}
            Ok(Heard::Ends(ends)) => ends.iter().for_each(|end| open[end.at] = false),
            Ok(Heard::Trouble(trouble)) => return Err(trouble.error),
            Ok(Heard::Nothing) => {
                return Err(Error::outside(format!("kafka topic \"{topic}\" ended early")));
            }
            Err(Stop::Failed(error)) => return Err(error),
            Err(Stop::Gone) => return Err(Error::bug("nobody reads, so nobody can be gone")),
        }
    }
    Ok(counting.drained)
}

fn table(bootstrap: &str, topic: &str) -> TableDefinition {
    let options = [
        ("connector", "kafka"),
        ("topic", topic),
        ("properties.bootstrap.servers", bootstrap),
        ("scan.startup.mode", "earliest-offset"),
        ("format", "raw"),
    ];
    TableDefinition {
        name: topic.to_owned(),
        schema: Arc::new(Schema::new(vec![Field::new("value", DataType::Binary, true)])),
        metadata: vec![],
        primary_key: vec![],
        partition_keys: vec![],
        unread: vec![],
        unread_fields: vec![],
        options: options.map(|(key, value)| (key.to_owned(), value.to_owned())).into(),
    }
}

struct Counting {
    drained: Drained,
}

impl Take for Counting {
    fn find(&mut self, _: &str, _: i32) -> Option<usize> {
        None
    }

    fn is_finished(&self, _: usize) -> bool {
        false
    }

    fn take(&mut self, _: usize, message: &impl Message) -> Result<Taken, Stop> {
        self.drained.messages += 1;
        self.drained.bytes += message.value().map_or(0, <[u8]>::len) as u64;
        Ok(Taken::Kept)
    }
}
