//! A client of Confluent's schema registry.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use apache_avro::Schema;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use nowcast_engine::{Error, Result};
use serde::Deserialize;
use serde_json::json;
use ureq::http::Response;
use ureq::{Agent, Body};

/// How long one answer may take.
const TIMEOUT: Duration = Duration::from_secs(10);
const CONTENT_TYPE: &str = "application/vnd.schemaregistry.v1+json";

/// What a request is authorised by.
#[derive(Debug, Clone)]
pub enum Auth {
    /// `user:password`
    Basic(String),
    Bearer(String),
}

/// Keeps each schema that it was asked for: an id means the same schema forever.
pub struct SchemaRegistry {
    url: String,
    authorization: Option<String>,
    agent: Agent,
    by_id: Mutex<HashMap<u32, Arc<Schema>>>,
}

#[derive(Deserialize)]
struct Answer {
    schema: Option<String>,
    #[serde(rename = "schemaType")]
    schema_type: Option<String>,
    id: Option<u32>,
    message: Option<String>,
}

impl SchemaRegistry {
    pub fn new(url: &str, auth: Option<&Auth>) -> Self {
        let authorization = auth.map(|auth| match auth {
            Auth::Basic(pair) => format!("Basic {}", BASE64.encode(pair)),
            Auth::Bearer(token) => format!("Bearer {token}"),
        });
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(TIMEOUT))
            .build();
        let url = url.trim_end_matches('/').to_owned();
        Self { url, authorization, agent: config.into(), by_id: Mutex::default() }
    }

    /// The schema of an id; `None` where the registry has none. It blocks.
    ///
    /// # Errors
    /// Of kind `Outside` where the registry does not answer, of kind `User` where it refuses.
    pub fn schema(&self, id: u32) -> Result<Option<Arc<Schema>>> {
        let known = |by_id: &HashMap<u32, Arc<Schema>>| by_id.get(&id).cloned();
        if let Some(schema) = known(&self.by_id.lock().unwrap_or_else(PoisonError::into_inner)) {
            return Ok(Some(schema));
        }
        let path = format!("/schemas/ids/{id}");
        let mut request = self.agent.get(format!("{}{path}", self.url));
        if let Some(authorization) = &self.authorization {
            request = request.header("Authorization", authorization);
        }
        let Some(answer) = self.read(&path, request.call())? else { return Ok(None) };
        if let Some(other) = answer.schema_type.filter(|ty| ty != "AVRO") {
            return Err(self.failed(&path, format!("a schema of type {other}, not AVRO")));
        }
        let text = answer.schema.ok_or_else(|| self.failed(&path, "an answer without a schema"))?;
        let schema = Schema::parse_str(&text).map_err(|error| self.failed(&path, error))?;
        let mut by_id = self.by_id.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(Some(Arc::clone(by_id.entry(id).or_insert(Arc::new(schema)))))
    }

    /// Registers a schema under a subject, or finds it there: its id. It blocks.
    pub fn register(&self, subject: &str, schema: &str) -> Result<u32> {
        let path = format!("/subjects/{}/versions", escaped(subject));
        let mut request = self.agent.post(format!("{}{path}", self.url));
        if let Some(authorization) = &self.authorization {
            request = request.header("Authorization", authorization);
        }
        let body = json!({"schema": schema}).to_string();
        let sent = request.header("Content-Type", CONTENT_TYPE).send(body);
        let id = self.read(&path, sent)?.and_then(|answer| answer.id);
        id.ok_or_else(|| self.failed(&path, "an answer without an id"))
    }

    fn read(
        &self,
        path: &str,
        answer: std::result::Result<Response<Body>, ureq::Error>,
    ) -> Result<Option<Answer>> {
        let mut answer = answer.map_err(|error| self.failed(path, error))?;
        let status = answer.status();
        let text = answer.body_mut().read_to_string();
        let text = text.map_err(|error| self.failed(path, error))?;
        let read = serde_json::from_str::<Answer>(&text);
        if status.is_success() {
            return read.map(Some).map_err(|error| self.failed(path, error));
        }
        if status == 404 {
            return Ok(None);
        }
        let message = read.ok().and_then(|answer| answer.message).unwrap_or_default();
        let problem = format!("{status} {message}");
        match status.is_client_error() {
            true => Err(Error::user(format!("schema registry {}{path}: {problem}", self.url))),
            false => Err(self.failed(path, problem)),
        }
    }

    fn failed(&self, path: &str, error: impl std::fmt::Display) -> Error {
        Error::outside(format!("schema registry {}{path}: {error}", self.url))
    }
}

/// A subject as one part of a path.
fn escaped(subject: &str) -> String {
    let escape = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
            char::from(byte).to_string()
        }
        byte => format!("%{byte:02X}"),
    };
    subject.bytes().map(escape).collect()
}
