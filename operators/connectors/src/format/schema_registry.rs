//! A client of Confluent's schema registry.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use apache_avro::Schema;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use nowcast_engine::{Error, Result};
use percent_encoding::percent_decode_str;
use reqwest::{Client, RequestBuilder, StatusCode};
use rustls::ClientConfig;
use serde::Deserialize;
use serde_json::json;
use tokio::runtime::Builder;

/// How long one answer may take.
const TIMEOUT: Duration = Duration::from_secs(10);
const CONTENT_TYPE: &str = "application/vnd.schemaregistry.v1+json";

/// What a request is authorised by.
#[derive(Clone)]
pub enum Auth {
    /// `user:password`
    Basic(String),
    Bearer(String),
}

/// Keeps each schema that it was asked for: an id means the same schema forever.
pub struct SchemaRegistry {
    url: String,
    authorization: Option<String>,
    /// Of a registry that is reached by https.
    tls: Option<Arc<ClientConfig>>,
    client: OnceLock<Client>,
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

/// It says what kind it is, and no secret.
impl fmt::Debug for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Basic(_) => "Basic",
            Self::Bearer(_) => "Bearer",
        })
    }
}

impl SchemaRegistry {
    pub fn new(url: &str, auth: Option<&Auth>, tls: Option<Arc<ClientConfig>>) -> Self {
        let (url, of_url) = credentials(url);
        let of_url = of_url.map(Auth::Basic);
        let authorization = auth.or(of_url.as_ref()).map(|auth| match auth {
            Auth::Basic(pair) => format!("Basic {}", BASE64.encode(pair)),
            Auth::Bearer(token) => format!("Bearer {token}"),
        });
        let url = url.trim_end_matches('/').to_owned();
        let client = OnceLock::new();
        Self { url, authorization, tls, client, by_id: Mutex::default() }
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
        let request = self.client(&path)?.get(format!("{}{path}", self.url));
        let Some(answer) = self.ask(&path, request)? else { return Ok(None) };
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
        let body = json!({"schema": schema}).to_string();
        let request = self.client(&path)?.post(format!("{}{path}", self.url)).body(body);
        let id = self.ask(&path, request.header("Content-Type", CONTENT_TYPE))?;
        let id = id.and_then(|answer| answer.id);
        id.ok_or_else(|| self.failed(&path, "an answer without an id"))
    }

    fn client(&self, path: &str) -> Result<&Client> {
        if self.client.get().is_none() {
            let builder = Client::builder().timeout(TIMEOUT).no_proxy();
            let builder = match &self.tls {
                Some(tls) => builder.use_preconfigured_tls(tls.as_ref().clone()),
                None => builder,
            };
            let client = builder.build().map_err(|error| self.failed(path, reason(&error)))?;
            // Another thread may have been first.
            let _ = self.client.set(client);
        }
        self.client.get().ok_or_else(|| Error::bug("a client that was just made"))
    }

    /// The answer, unless the registry has none. It blocks, wherever it is called from: the request
    /// has a thread of its own.
    fn ask(&self, path: &str, request: RequestBuilder) -> Result<Option<Answer>> {
        let request = match &self.authorization {
            Some(authorization) => request.header("Authorization", authorization),
            None => request,
        };
        let ask = || -> Result<(StatusCode, String)> {
            let runtime = Builder::new_current_thread().enable_all().build();
            runtime.map_err(|error| self.failed(path, error))?.block_on(async {
                let failed = |error: reqwest::Error| self.failed(path, reason(&error));
                let answer = request.send().await.map_err(failed)?;
                Ok((answer.status(), answer.text().await.map_err(failed)?))
            })
        };
        let asked = std::thread::scope(|scope| scope.spawn(ask).join());
        let (status, text) =
            asked.map_err(|_| Error::bug("a request to the schema registry died"))??;
        let read = serde_json::from_str::<Answer>(&text);
        if status.is_success() {
            return read.map(Some).map_err(|error| self.failed(path, error));
        }
        if status == StatusCode::NOT_FOUND {
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

/// What went wrong, from the innermost error: the outer ones say that a request failed.
fn reason(error: &reqwest::Error) -> String {
    let mut innermost: &dyn std::error::Error = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

/// A URL without the `user:password@` in it, and what that is.
fn credentials(url: &str) -> (String, Option<String>) {
    let parts = url.split_once("://").and_then(|(scheme, rest)| {
        let (pair, place) = rest.split_once('@')?;
        Some((format!("{scheme}://{place}"), pair))
    });
    match parts {
        Some((url, pair)) => (url, Some(percent_decode_str(pair).decode_utf8_lossy().into_owned())),
        None => (url.to_owned(), None),
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
