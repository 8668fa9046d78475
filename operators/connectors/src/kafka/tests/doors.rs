//! Every kind of listener of a Kafka of the test's own, where `NOWCAST_KAFKA` says that there is one.

use std::path::Path;
use std::process::Command;

use super::*;
use crate::tls_tests::Authority;

/// Its process ends with the test.
struct Doors {
    pid: String,
    plain: String,
    /// Protocol and address.
    others: BTreeMap<String, String>,
    folder: tempfile::TempDir,
}

impl Doors {
    fn open() -> Option<Self> {
        if std::env::var("NOWCAST_KAFKA").is_err() {
            println!("skipped: NOWCAST_KAFKA names no broker");
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: String| std::fs::write(folder.path().join(name), text);
        let authority = Authority::new("ours");
        let (server, key) = authority.signed(&["127.0.0.1"]);
        write("server.pem", key + &server).unwrap();
        let (own, key) = authority.signed(&["alice"]);
        write("own.pem", key + &own).unwrap();
        write("ca.pem", authority.pem()).unwrap();
        write("other.pem", Authority::new("another").pem()).unwrap();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/kafka-up.sh");
        let data = folder.path().join("kafka");
        let started = Command::new(script)
            .arg(&data)
            .env("KAFKA_DOORS", folder.path())
            .env("KAFKA_HEAP", "256m")
            .output()
            .unwrap();
        assert!(started.status.success(), "{}", String::from_utf8_lossy(&started.stderr));
        let plain = String::from_utf8(started.stdout).unwrap().trim().to_owned();
        let pid = std::fs::read_to_string(data.join("kafka.pid")).unwrap().trim().to_owned();
        let others = std::fs::read_to_string(folder.path().join("doors")).unwrap();
        let others = others.lines().map(|line| line.split_once(' ').unwrap());
        let others = others.map(|(name, at)| (name.to_owned(), at.to_owned())).collect();
        Some(Self { pid, plain, others, folder })
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    /// A table of this topic by a protocol's listener.
    fn table(&self, topic: &str, protocol: &str, options: &[(&str, &str)]) -> TableDefinition {
        let fields = vec![Field::new("n", DataType::Int64, true)];
        let mut all = vec![
            ("properties.security.protocol", protocol),
            ("scan.startup.mode", "earliest-offset"),
            ("scan.bounded.mode", "latest-offset"),
        ];
        all.extend(options);
        table(topic, &self.others[protocol], fields, &all)
    }
}

impl Drop for Doors {
    fn drop(&mut self) {
        Command::new("kill").args(["-KILL", &self.pid]).status().unwrap();
    }
}

fn jaas(module: &str, password: &str) -> String {
    let class = format!("org.apache.kafka.common.security.{module}LoginModule");
    format!("{class} required username=\"alice\" password=\"{password}\";")
}

fn mechanism(name: &str) -> (&'static str, &str) {
    ("properties.sasl.mechanism", name)
}

fn login(line: &str) -> (&'static str, &str) {
    ("properties.sasl.jaas.config", line)
}

fn trust(path: &str) -> (&'static str, &str) {
    ("properties.ssl.truststore.location", path)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_go_through_every_door() {
    let Some(doors) = Doors::open() else { return };
    let topic = "behind-doors";
    let new = NewTopic::new(topic, 1, TopicReplication::Fixed(1));
    let made = admin(&doors.plain).create_topics([&new], &AdminOptions::new()).await.unwrap();
    made.into_iter().for_each(|made| drop(made.unwrap()));
    let (plain, scram) = (jaas("plain.Plain", "alice-secret"), jaas("scram.Scram", "alice-secret"));
    let (wrong, wrong_scram, ca, other, own) = (
        jaas("plain.Plain", "wrong-secret"),
        jaas("scram.Scram", "wrong-secret"),
        doors.path("ca.pem"),
        doors.path("other.pem"),
        doors.path("own.pem"),
    );
    let pem = ("properties.ssl.truststore.type", "PEM");
    let store = [
        ("properties.ssl.keystore.location", own.as_str()),
        ("properties.ssl.keystore.type", "PEM"),
    ];
    let native = ("properties.ssl.ca.location", ca.as_str());
    let open = [
        ("SASL_PLAINTEXT", vec![mechanism("PLAIN"), login(&plain)]),
        ("SASL_PLAINTEXT", vec![mechanism("SCRAM-SHA-256"), login(&scram)]),
        ("SASL_PLAINTEXT", vec![mechanism("SCRAM-SHA-512"), login(&scram)]),
        ("SASL_SSL", vec![mechanism("SCRAM-SHA-512"), login(&scram), trust(&ca), pem]),
        ("SASL_SSL", vec![mechanism("PLAIN"), login(&plain), native]),
        ("SSL", vec![store[0], store[1], trust(&ca), pem]),
    ];
    let has_openssl = cfg!(feature = "kafka-tls");
    let mut written: Vec<i64> = vec![];
    for (protocol, options) in &open {
        let table = doors.table(topic, protocol, options);
        let for_all = options.contains(&mechanism("PLAIN")) && *protocol == "SASL_PLAINTEXT";
        let clients = ["native", "librdkafka"];
        let clients = clients.iter().filter(|it| **it == "native" || for_all || has_openssl);
        for client in clients.clone() {
            let mut sink = open_sink(&with_client(&table, client)).await.unwrap();
            written.push(written.len() as i64);
            let number: ArrayRef = Arc::new(Int64Array::from(vec![written.len() as i64 - 1]));
            let rows = RecordBatch::try_new(Arc::clone(&table.schema), vec![number]).unwrap();
            sink.write(&Batch::new(rows), &mut vec![]).await.unwrap();
            sink.flush().await.unwrap();
        }
        for client in clients {
            let read = drained(&with_client(&table, client)).await;
            assert_eq!(read, written, "{client} {protocol} {options:?}");
        }
    }
    let closed = [
        (
            "SASL_PLAINTEXT",
            vec![mechanism("PLAIN"), login(&wrong)],
            "authentication failed: invalid username or password",
        ),
        ("SASL_PLAINTEXT", vec![mechanism("SCRAM-SHA-256"), login(&wrong_scram)], "authentication"),
        ("SSL", vec![trust(&ca), pem], "certificate"),
        (
            "SASL_SSL",
            vec![mechanism("PLAIN"), login(&plain), trust(&other), pem],
            "ssl handshake failed",
        ),
    ];
    for (protocol, options, expected) in closed {
        let table = doors.table(topic, protocol, &options);
        let error = open_error(&with_client(&table, "native")).await.to_string().to_lowercase();
        assert!(error.contains(expected), "{error}");
        assert!(!error.contains("secret"), "{error}");
        let error = open_sink(&with_client(&table, "native")).await.err().unwrap();
        let error = error.to_string().to_lowercase();
        assert!(error.contains(expected) && !error.contains("secret"), "{error}");
        if has_openssl || expected.contains("invalid username") {
            let error = open_error(&with_client(&table, "librdkafka")).await.to_string();
            // Of what goes wrong with TLS librdkafka says one of several things.
            let expected = if expected.contains("authentication") { expected } else { "ssl" };
            assert!(error.contains(expected), "{error}");
            assert!(!error.contains("secret"), "{error}");
        }
    }
}

async fn open_sink(table: &TableDefinition) -> nowcast_engine::Result<Box<dyn Sink>> {
    registry().sink(table)?.open(SinkContext::alone("test")).await
}

fn with_client(table: &TableDefinition, client: &str) -> TableDefinition {
    let mut table = table.clone();
    table.options.insert("client".into(), client.into());
    table
}
