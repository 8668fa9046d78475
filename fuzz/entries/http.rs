//! What a client sends to the HTTP server of a job: whatever it is, nothing breaks within, and the next client is
//! served.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::num::NonZeroU32;
use std::panic;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use nowcast_engine::Result;
use nowcast_serve::{AppState, Feeds, Fields, JobStatus, Limits, Protection, Reader, bind, serve};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

pub const SEEDS: &[&[u8]] = &[
    b"GET /v1/features/next_titles/42?fields=a,b HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /v1/features/next_titles?keys=1,2,%C3%A9 HTTP/1.1\r\nHost: x\r\nAccept: */*\r\n\r\n",
    b"GET /v1/recommendations/42?k=3&country=US HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer abc\r\n\r\n",
    b"GET /v1/nowcasts/members:north?horizon=24 HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip\r\n\r\n",
    b"GET /v1/feeds/counts?key=a HTTP/1.1\r\nHost: x\r\nLast-Event-ID: 3-7\r\n\r\n",
    b"GET /status HTTP/1.1\r\nHost: x\r\n\r\nGET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    b"POST /v1/features/t/1 HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n{}\n",
    b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    b"GET /metrics HTTP/1.0\r\n\r\n",
    b"HEAD /openapi.json HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n",
];

pub const WORDS: &[&[u8]] = &[
    b"GET ",
    b"OPTIONS * ",
    b" HTTP/1.1\r\n",
    b"\r\n\r\n",
    b"/v1/features/",
    b"/v1/recommendations/",
    b"/v1/nowcasts/",
    b"/v1/feeds/",
    b"/readyz",
    b"?k=",
    b"&k=99999999999999999999",
    b"&k=-1",
    b"%00",
    b"%ff",
    b"%2F",
    b"%",
    b"..",
    b"?",
    b"&",
    b"=",
    b",",
    b":",
    b"Last-Event-ID: ",
    b"Content-Length: 18446744073709551615\r\n",
    b"Authorization: Bearer ",
    b"Host: ",
    b"\x00",
    b"\x80",
    b"\xf0\x9f\x92\xa9",
];

/// A store that has every other key.
struct Store;

#[async_trait::async_trait]
impl Reader for Store {
    async fn multi_get(&self, keys: &[String]) -> Result<Vec<Option<Fields>>> {
        let row = |key: &String| {
            let fields = [("country", "US"), ("titles", "[1,2]"), ("p50", "1.5"), ("key", key)];
            fields.map(|(name, text)| (name.to_owned(), text.to_owned())).to_vec()
        };
        Ok(keys.iter().map(|key| (key.len() % 2 == 0).then(|| row(key))).collect())
    }
}

struct Job;

impl JobStatus for Job {
    fn status(&self) -> Value {
        json!({ "job": "clicks" })
    }

    fn ready(&self) -> std::result::Result<(), String> {
        Ok(())
    }
}

/// Of the server's threads.
const NAME: &str = "server";

/// For an answer that must come.
const PATIENCE: Duration = Duration::from_secs(4);

static PANICKED: AtomicBool = AtomicBool::new(false);

struct Served {
    address: SocketAddr,
    _runtime: Runtime,
}

static SERVED: LazyLock<Served> = LazyLock::new(|| {
    // One within the server ends a task of its own, which nobody here waits for.
    let before = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        if std::thread::current().name() == Some(NAME) {
            PANICKED.store(true, Ordering::Relaxed);
        }
        before(info);
    }));
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(1).enable_all().thread_name(NAME).build();
    let runtime = runtime.expect("a runtime");
    let feeds = Arc::new(Feeds::default());
    feeds.declare("counts", &["key".to_owned()]);
    let state = AppState {
        reader: Arc::new(Store),
        feeds,
        job: Arc::new(Job),
        metrics: None,
        tables: None,
    };
    let limits = Limits { requests_per_second_max: NonZeroU32::MAX, ..Limits::default() };
    let protection = Protection { limits, ..Protection::default() };
    let listener = runtime.block_on(bind("127.0.0.1:0")).expect("a port");
    let address = listener.local_addr().expect("an address");
    runtime.spawn(serve(listener, state, protection, std::future::pending()));
    Served { address, _runtime: runtime }
});

pub fn run(bytes: &[u8]) {
    // Most ends of a request do not come; what the server says to those that do comes at once.
    let answer = ask(bytes, Duration::from_millis(10));
    assert!(!PANICKED.load(Ordering::Relaxed), "a request broke the server");
    assert!(!answer.contains("HTTP/1.1 500"), "{answer}");
    let next = ask(b"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", PATIENCE);
    assert!(next.starts_with("HTTP/1.1 200"), "{next}");
}

/// What comes back until the server closes, or is quiet for so long.
fn ask(bytes: &[u8], quiet: Duration) -> String {
    let mut stream = TcpStream::connect(SERVED.address).expect("clients are let in");
    stream.set_read_timeout(Some(quiet)).expect("a time-out");
    // It may close before it has read all.
    let _ = stream.write_all(bytes);
    let mut answer = vec![];
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}
