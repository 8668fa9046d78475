//! Redis behind TLS, with certificates on both sides and users: a server of the test's own, where
//! `NOWCAST_REDIS` says that there is one to start.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use super::*;

const TRIES: usize = 5;

struct Server {
    child: Child,
    port: u16,
    folder: tempfile::TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn openssl(folder: &Path, arguments: &str) {
    let mut command = Command::new("openssl");
    command.current_dir(folder).args(arguments.split(' ')).stderr(Stdio::piped());
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// An authority, and certificates of a server and of a client.
fn certificates(folder: &Path) {
    let new = "req -new -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
    openssl(folder, &format!("{new} -x509 -days 1 -subj /CN=ca -keyout ca.key -out ca.pem"));
    for (name, more) in [("server", "subjectAltName=IP:127.0.0.1\n"), ("client", "")] {
        std::fs::write(folder.join("more"), format!("basicConstraints=CA:FALSE\n{more}")).unwrap();
        openssl(folder, &format!("{new} -subj /CN={name} -keyout {name}.key -out {name}.csr"));
        openssl(
            folder,
            &format!(
                "x509 -req -days 1 -in {name}.csr -CA ca.pem -CAkey ca.key -CAcreateserial \
                 -extfile more -out {name}.pem"
            ),
        );
    }
}

impl Server {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        certificates(folder.path());
        let mut command = Command::new("redis-server");
        command.current_dir(folder.path()).stdout(Stdio::null());
        command.args("--bind 127.0.0.1 --port 0 --tls-auth-clients yes --save".split(' ')).arg("");
        command.args("--tls-cert-file server.pem --tls-key-file server.key".split(' '));
        command.args("--tls-ca-cert-file ca.pem --user default off".split(' '));
        command.args("--user nowcast on >secret ~* +@all".split(' '));
        for _ in 0..TRIES {
            let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            let port = free.local_addr().unwrap().port();
            drop(free);
            let mut child = command.args(["--tls-port", &port.to_string()]).spawn().unwrap();
            while child.try_wait().unwrap().is_none() {
                if std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
                    return Self { child, port, folder };
                }
                std::thread::sleep(Duration::from_millis(20));
            }
        }
        panic!("no server");
    }

    fn table(&self, options: &[(&str, &str)]) -> TableDefinition {
        let mut table = table(&format!("rediss://127.0.0.1:{}", self.port), "features");
        let path = |name: &str| self.folder.path().join(name).display().to_string();
        for (key, value) in options {
            let file = key.ends_with("-file");
            let value = if file { path(value) } else { (*value).to_owned() };
            table.options.insert((*key).to_owned(), value);
        }
        table
    }
}

const CA: (&str, &str) = ("tls.ca-file", "ca.pem");
const CERTIFICATE: (&str, &str) = ("tls.certificate-file", "client.pem");
const KEY: (&str, &str) = ("tls.key-file", "client.key");
const USER: (&str, &str) = ("username", "nowcast");

#[tokio::test]
async fn rows_become_hashes_behind_tls() {
    if std::env::var("NOWCAST_REDIS").is_err() {
        println!("skipped: NOWCAST_REDIS names no server");
        return;
    }
    let server = Server::start();
    rows_become_hashes(server.table(&[CA, CERTIFICATE, KEY, USER, ("password", "secret")])).await;

    let refused = async |options: &[(&str, &str)]| {
        let factory = Registry::new(Environment::default()).sink(&server.table(options)).unwrap();
        let error = factory.open(context()).await.err().unwrap();
        println!("{error}");
        assert!(!error.to_string().contains("wrong"), "{error}");
        assert!(error.to_string().contains(&format!("redis 127.0.0.1:{}", server.port)));
        error.to_string()
    };
    let error = refused(&[CA, CERTIFICATE, KEY, USER, ("password", "wrong-one")]).await;
    assert!(error.contains("authentication"), "{error}");
    // Nobody knows this authority, and nobody comes in without a certificate.
    let error = refused(&[CERTIFICATE, KEY, USER, ("password", "secret")]).await;
    assert!(error.contains("certificate"), "{error}");
    refused(&[CA, USER, ("password", "secret")]).await;
    let missing = server.table(&[("tls.ca-file", "nowhere.pem")]);
    let error = Registry::new(Environment::default()).sink(&missing).err().unwrap().to_string();
    assert!(error.starts_with("table \"features\": cannot read"), "{error}");
}
