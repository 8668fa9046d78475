//! A dead letter as it stands outside of the job: as a line of JSON, and as a message of Kafka.

use std::fmt::Write as _;

use nowcast_engine::{DeadLetter, Millis};
use rdkafka::message::{Header, Headers, Message, OwnedHeaders};
use serde::{Deserialize, Serialize};

/// What the names of headers begin with.
const PREFIX: &str = "nowcast.errors.";

/// A dead letter; its bytes are text where they are UTF-8.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Letter {
    /// When it was set aside, on the wall clock, ms.
    #[serde(default)]
    pub at: Option<Millis>,
    pub stage: String,
    pub topic: Option<String>,
    pub partition: Option<i32>,
    pub offset: Option<i64>,
    pub timestamp: Option<Millis>,
    pub error: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Whether `key` is hexadecimal because the bytes are not UTF-8.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub key_hex: bool,
    pub raw: String,
    /// Whether `raw` is hexadecimal because the bytes are not UTF-8.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub hex: bool,
}

impl Letter {
    /// Of a letter that is set aside `at` this time.
    pub fn new(letter: DeadLetter, at: Option<Millis>) -> Self {
        let DeadLetter { stage, topic, partition, offset, timestamp, error, key, raw } = letter;
        let (raw, hex) = text(raw);
        let (key, key_hex) = match key.map(text) {
            Some((key, hex)) => (Some(key), hex),
            None => (None, false),
        };
        Self { at, stage, topic, partition, offset, timestamp, error, key, key_hex, raw, hex }
    }

    /// The letter in a message of its topic, and its job; `None` where the message is none of ours.
    pub fn of_message(message: &impl Message) -> Option<(String, Self)> {
        let headers = message.headers()?;
        let header = |name: &str| {
            let mut all = headers.iter();
            let found = all.find(|header| header.key.strip_prefix(PREFIX) == Some(name))?;
            Some(String::from_utf8_lossy(found.value?).into_owned())
        };
        let letter = DeadLetter {
            stage: header("stage")?,
            topic: header("topic"),
            partition: header("partition").and_then(|text| text.parse().ok()),
            offset: header("offset").and_then(|text| text.parse().ok()),
            timestamp: header("timestamp").and_then(|text| text.parse().ok()),
            error: header("reason").unwrap_or_default(),
            key: message.key().map(<[u8]>::to_vec),
            raw: message.payload().unwrap_or_default().to_vec(),
        };
        Some((header("job")?, Self::new(letter, message.timestamp().to_millis())))
    }

    /// The message as it was received.
    pub fn bytes(&self) -> Vec<u8> {
        bytes(&self.raw, self.hex)
    }

    /// Its key as it was received.
    pub fn key_bytes(&self) -> Option<Vec<u8>> {
        self.key.as_ref().map(|key| bytes(key, self.key_hex))
    }

    /// The message that it was, where it was one of Kafka's.
    pub fn origin(&self) -> Option<(&str, i32, i64)> {
        Some((self.topic.as_deref()?, self.partition?, self.offset?))
    }
}

/// What a message says of a letter beside its bytes.
pub fn headers(letter: &DeadLetter, job: &str) -> OwnedHeaders {
    let known = [
        ("job", Some(job.to_owned())),
        ("stage", Some(letter.stage.clone())),
        ("topic", letter.topic.clone()),
        ("partition", letter.partition.map(|partition| partition.to_string())),
        ("offset", letter.offset.map(|offset| offset.to_string())),
        ("timestamp", letter.timestamp.map(|timestamp| timestamp.to_string())),
        ("reason", Some(letter.error.clone())),
    ];
    let known = known.into_iter().filter_map(|(name, value)| Some((name, value?)));
    known.fold(OwnedHeaders::new(), |headers, (name, value)| {
        headers.insert(Header { key: &format!("{PREFIX}{name}"), value: Some(&value) })
    })
}

/// Text, or hexadecimal and that it is.
fn text(raw: Vec<u8>) -> (String, bool) {
    match String::from_utf8(raw) {
        Ok(text) => (text, false),
        Err(error) => {
            let bytes = error.as_bytes();
            let mut hex = String::with_capacity(2 * bytes.len());
            // Writing to a string never fails.
            bytes.iter().for_each(|byte| write!(hex, "{byte:02x}").unwrap_or_default());
            (hex, true)
        }
    }
}

fn bytes(text: &str, hex: bool) -> Vec<u8> {
    if !hex {
        return text.as_bytes().to_vec();
    }
    let digit = |byte: u8| (byte as char).to_digit(16).map(|digit| digit as u8);
    let digits: Vec<u8> = text.bytes().filter_map(digit).collect();
    digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

#[cfg(test)]
mod tests {
    use rdkafka::Timestamp;
    use rdkafka::message::OwnedMessage;

    use super::*;

    fn letter() -> DeadLetter {
        DeadLetter {
            stage: "orders".into(),
            topic: Some("orders-in".into()),
            partition: Some(2),
            offset: Some(41),
            timestamp: Some(1_000),
            error: "field \"id\": \"x\" is no BIGINT".into(),
            key: Some(b"k\xff".to_vec()),
            raw: b"{\"id\":\"x\"}".to_vec(),
        }
    }

    #[test]
    fn a_line_is_read_as_it_was_written() {
        let written = Letter::new(letter(), Some(5));
        let line = serde_json::to_string(&written).unwrap();
        let read: Letter = serde_json::from_str(&line).unwrap();
        assert_eq!(read, written);
        assert_eq!(read.bytes(), letter().raw);
        assert_eq!(read.key_bytes(), letter().key);
        assert_eq!(read.origin(), Some(("orders-in", 2, 41)));
    }

    #[test]
    fn a_line_of_an_older_version_is_read() {
        let line = r#"{"stage":"s","topic":null,"partition":null,"offset":null,"timestamp":null,"error":"e","raw":"00ff","hex":true}"#;
        let read: Letter = serde_json::from_str(line).unwrap();
        assert_eq!(read.bytes(), [0, 255]);
        assert_eq!((read.key_bytes(), read.at, read.origin()), (None, None, None));
    }

    #[test]
    fn a_message_says_in_its_headers_what_a_line_says() {
        let DeadLetter { key, raw, .. } = letter();
        let message = |headers| {
            let at = Timestamp::CreateTime(5);
            OwnedMessage::new(Some(raw.clone()), key.clone(), "dlq".into(), at, 0, 7, headers)
        };
        let ours = message(Some(headers(&letter(), "job")));
        let expected = Letter::new(letter(), Some(5));
        assert_eq!(Letter::of_message(&ours), Some(("job".into(), expected)));
        assert_eq!(Letter::of_message(&message(None)), None);
    }
}
