//! TLS against a PostgreSQL of the test's own, where `NOWCAST_POSTGRES` says that there is one.

use std::path::Path;
use std::process::Command;

use arrow::datatypes::{DataType, Field, Schema};
use nowcast_engine::{Error, TableDefinition};
use tokio_postgres::NoTls;

use super::*;
use crate::tls_tests::Authority;

/// Its process ends with the test.
struct Server {
    pid: String,
    place: String,
}

impl Server {
    fn start(folder: &Path) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/postgres-up.sh");
        let data = folder.join("postgres");
        let started = Command::new(script).arg(&data).env("POSTGRES_TLS", folder).output().unwrap();
        assert!(started.status.success(), "{}", String::from_utf8_lossy(&started.stderr));
        let url = String::from_utf8(started.stdout).unwrap();
        let (_, place) = url.trim().split_once('@').unwrap();
        let pid = std::fs::read_to_string(data.join("postgres.pid")).unwrap().trim().to_owned();
        Self { pid, place: place.to_owned() }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        Command::new("kill").args(["-QUIT", &self.pid]).status().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_is_encrypted_as_the_url_says() {
    if std::env::var("NOWCAST_POSTGRES").is_err() {
        println!("skipped: NOWCAST_POSTGRES names no server");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let (authority, other) = (Authority::new("ours"), Authority::new("another"));
    let (server, server_key) = authority.signed(&["127.0.0.1"]);
    let (own, own_key) = authority.signed(&["certified"]);
    for (name, text) in [
        ("ca.pem", authority.pem()),
        ("other.pem", other.pem()),
        ("server.pem", server),
        ("server.key", server_key),
        ("own.pem", own),
        ("own.key", own_key),
    ] {
        std::fs::write(path(name), text).unwrap();
    }
    let running = Server::start(folder.path());
    let plain = format!("postgresql://nowcast@{}", running.place);
    let (judge, connection) = tokio_postgres::connect(&plain, NoTls).await.unwrap();
    tokio::spawn(connection);
    let setup = "CREATE TABLE t (id bigint); CREATE USER somebody; CREATE USER certified; \
                 GRANT SELECT ON t TO somebody, certified";
    judge.batch_execute(setup).await.unwrap();
    let connect_to = async |place: &str, user: &str, query: &str| -> Result<(), Error> {
        let url = format!("jdbc:postgresql://{place}?{query}");
        let given = [("connector", "jdbc"), ("url", &url), ("table-name", "t"), ("username", user)];
        let table = TableDefinition {
            name: "t".into(),
            schema: Arc::new(Schema::new(vec![Field::new("id", DataType::Int64, true)])),
            metadata: vec![],
            primary_key: vec![],
            partition_keys: vec![],
            unread: vec![],
            unread_fields: vec![],
            options: given.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect(),
        };
        JdbcTable::read(&table)?.connect().await.map(drop)
    };
    let connect = async |user: &str, query: &str| connect_to(&running.place, user, query).await;
    let (ca, another) = (path("ca.pem"), path("other.pem"));
    for query in [
        "",
        "ssl=false",
        "sslmode=require",
        &format!("sslmode=require&sslrootcert={another}"),
        &format!("sslmode=verify-ca&sslrootcert={ca}"),
        &format!("sslmode=verify-full&sslrootcert={ca}"),
        &format!("ssl=true&sslrootcert={}", ca.replace('/', "%2F")),
        &format!("sslmode=verify-full&sslrootcert={}", path("server.pem")),
        "ssl=true&sslfactory=org.postgresql.ssl.NonValidatingFactory",
    ] {
        connect("somebody", query).await.unwrap_or_else(|error| panic!("{query}: {error}"));
    }
    connect("nowcast", "sslmode=disable").await.unwrap();
    let identity = format!("&sslcert={}&sslkey={}", path("own.pem"), path("own.key"));
    connect("certified", &format!("sslmode=require{identity}")).await.unwrap();
    for (user, query, expected) in [
        ("somebody", "sslmode=disable".to_owned(), "no pg_hba.conf entry"),
        ("certified", "sslmode=require".to_owned(), "requires a valid client certificate"),
        ("somebody", format!("sslmode=verify-ca&sslrootcert={another}"), "UnknownIssuer"),
        ("somebody", "sslmode=verify-full".to_owned(), "UnknownIssuer"),
        ("somebody", format!("sslmode=verify-ca&sslrootcert={}", path("gone.pem")), "gone.pem"),
        ("somebody", format!("sslmode=require&sslcert={ca}"), "come together"),
        ("somebody", "sslmode=always".to_owned(), "\"sslmode\" is one of disable, allow"),
        ("somebody", "sslmod=require".to_owned(), "\"sslmod\" is unknown"),
    ] {
        let error = connect(user, &query).await.unwrap_err();
        assert!(error.to_string().contains(expected), "{query}: {error}");
    }
    // Another name leads to the same server: the authority is right, the name is not.
    let named = running.place.replace("127.0.0.1", "localhost");
    let of = |mode: &str| format!("sslmode={mode}&sslrootcert={ca}");
    connect_to(&named, "somebody", &of("verify-ca")).await.unwrap();
    let error = connect_to(&named, "somebody", &of("verify-full")).await.unwrap_err();
    assert!(error.to_string().contains("not valid for name"), "{error}");
}
