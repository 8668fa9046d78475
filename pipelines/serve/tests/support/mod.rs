//! A server on a free port before a store in memory, and a client for it.

#![allow(dead_code, reason = "each test binary uses its own part")]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use nowcast_engine::{Error, Result};
use nowcast_serve::{AppState, Feeds, Fields, JobStatus, Protection, Reader, bind, serve};
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// A store in memory; a key that starts with `broken:` is out of reach.
#[derive(Default)]
pub struct Memory(Mutex<BTreeMap<String, Fields>>);

impl Memory {
    pub fn put(&self, key: &str, fields: &[(&str, &str)]) {
        let fields = fields.iter().map(|(name, text)| (name.to_string(), text.to_string()));
        self.0.lock().unwrap().insert(key.to_owned(), fields.collect());
    }
}

#[async_trait]
impl Reader for Memory {
    async fn multi_get(&self, keys: &[String]) -> Result<Vec<Option<Fields>>> {
        if keys.iter().any(|key| key.starts_with("broken:")) {
            return Err(Error::outside("redis 127.0.0.1:1: unreachable"));
        }
        let rows = self.0.lock().unwrap();
        Ok(keys.iter().map(|key| rows.get(key).cloned()).collect())
    }
}

pub struct Job(pub Mutex<Result<(), String>>);

impl JobStatus for Job {
    fn status(&self) -> Value {
        json!({ "job": "clicks", "epoch": 3 })
    }

    fn ready(&self) -> Result<(), String> {
        self.0.lock().unwrap().clone()
    }
}

pub struct Server {
    pub address: String,
    pub store: Arc<Memory>,
    pub feeds: Arc<Feeds>,
    pub job: Arc<Job>,
    runtime: Runtime,
    stop: oneshot::Sender<()>,
    served: JoinHandle<Result<()>>,
}

/// Status, content type and body.
pub struct Answer {
    pub status: u16,
    pub content_type: String,
    pub body: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        assert_eq!(self.content_type, "application/json", "{}", self.body);
        serde_json::from_str(&self.body).unwrap()
    }

    pub fn error(&self) -> String {
        self.json()["error"].as_str().unwrap().to_owned()
    }
}

fn agent() -> ureq::Agent {
    ureq::Agent::config_builder().http_status_as_error(false).build().into()
}

impl Server {
    pub fn start() -> Self {
        Self::start_with(|_| ())
    }

    pub fn start_with(change: impl FnOnce(&mut AppState)) -> Self {
        Self::start_behind(Protection::default(), change)
    }

    pub fn start_behind(protection: Protection, change: impl FnOnce(&mut AppState)) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let store = Arc::new(Memory::default());
        let job = Arc::new(Job(Mutex::new(Ok(()))));
        let feeds = Arc::new(Feeds::default());
        let mut state = AppState {
            reader: store.clone(),
            feeds: feeds.clone(),
            job: job.clone(),
            metrics: None,
            tables: None,
        };
        change(&mut state);
        let listener = runtime.block_on(bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (stop, stopped) = oneshot::channel();
        let served = runtime.spawn(serve(listener, state, protection, async move {
            let _ = stopped.await;
        }));
        Self { address, store, feeds, job, runtime, stop, served }
    }

    pub fn get(&self, path: &str) -> Answer {
        self.read(agent().get(format!("http://{}{path}", self.address)).call().unwrap())
    }

    pub fn post(&self, path: &str) -> Answer {
        self.read(agent().post(format!("http://{}{path}", self.address)).send("").unwrap())
    }

    pub fn follow(&self, path: &str, last_event_id: Option<&str>) -> Events {
        let mut request = agent().get(format!("http://{}{path}", self.address));
        if let Some(id) = last_event_id {
            request = request.header("Last-Event-ID", id);
        }
        let response = request.call().unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        let mut events = Events(BufReader::new(Box::new(response.into_body().into_reader())));
        assert_eq!(events.next().unwrap().retry, "1000", "the first event sets the retry time");
        events
    }

    /// Shuts down and returns when the server has.
    pub fn stop(self) -> Result<()> {
        self.stop.send(()).unwrap();
        self.runtime.block_on(self.served).unwrap()
    }

    fn read(&self, response: ureq::http::Response<ureq::Body>) -> Answer {
        let status = response.status().as_u16();
        let content_type = response.headers()["content-type"].to_str().unwrap().to_owned();
        let body = response.into_body().read_to_string().unwrap();
        Answer { status, content_type, body }
    }
}

/// A stream of server-sent events; comments are passed over.
pub struct Events(BufReader<Box<dyn std::io::Read>>);

#[derive(Debug, Default, PartialEq, Eq)]
pub struct Event {
    pub id: String,
    pub event: String,
    pub data: String,
    pub retry: String,
}

impl Events {
    /// `None` at the end of the stream.
    pub fn next(&mut self) -> Option<Event> {
        let mut event = Event::default();
        loop {
            let mut line = String::new();
            if self.0.read_line(&mut line).unwrap() == 0 {
                return None;
            }
            let line = line.trim_end_matches('\n');
            if line.is_empty() {
                if event != Event::default() {
                    return Some(event);
                }
                continue;
            }
            let (name, value) = line.split_once(':').unwrap();
            let value = value.strip_prefix(' ').unwrap_or(value).to_owned();
            match name {
                "" => {}
                "id" => event.id = value,
                "event" => event.event = value,
                "data" => event.data = value,
                "retry" => event.retry = value,
                other => panic!("unknown field {other}"),
            }
        }
    }
}
