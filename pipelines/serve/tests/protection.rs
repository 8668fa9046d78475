//! Who is let in and how much of it: TLS, tokens and limits, with real clients.

#![allow(clippy::unwrap_used)] // a test that cannot go on should say where

mod support;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use nowcast_serve::{Limits, Protection, Scope, Tls, TlsFiles, Tokens, token_line};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use support::Server;
use ureq::tls::{Certificate, ClientCert, PrivateKey, RootCerts, TlsConfig};

/// An authority that signs certificates for 127.0.0.1.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    /// A certificate and its key.
    fn signed(&self) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        (params.signed_by(&key, &self.issuer).unwrap().pem(), key.serialize_pem())
    }

    fn write(&self, folder: &Path) -> TlsFiles {
        let (cert, key) = self.signed();
        let file = |name: &str, text: String| -> PathBuf {
            let path = folder.join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        TlsFiles { cert: file("cert.pem", cert), key: file("key.pem", key), client_ca: None }
    }

    /// A client that trusts this authority alone.
    fn client(&self, own: Option<(String, String)>) -> ureq::Agent {
        let root = Certificate::from_pem(self.pem.as_bytes()).unwrap();
        let own = own.map(|(cert, key)| {
            let cert = Certificate::from_pem(cert.as_bytes()).unwrap();
            ClientCert::new_with_certs(&[cert], PrivateKey::from_pem(key.as_bytes()).unwrap())
        });
        let tls = TlsConfig::builder()
            .root_certs(RootCerts::new_with_certs(&[root]))
            .client_cert(own)
            .build();
        ureq::Agent::config_builder().http_status_as_error(false).tls_config(tls).build().into()
    }
}

fn tls(files: TlsFiles) -> Protection {
    Protection { tls: Some(Arc::new(Tls::open(files).unwrap())), ..Protection::default() }
}

#[test]
fn answers_are_encrypted_and_the_certificate_may_change() {
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (Authority::new(), Authority::new());
    let protection = tls(first.write(folder.path()));
    let certificates = protection.tls.clone().unwrap();
    let server = Server::start_behind(protection, |_| ());
    let url = format!("https://{}/livez", server.address);
    let body = first.client(None).get(&url).call().unwrap().into_body().read_to_string().unwrap();
    assert_eq!(body, "{\"status\":\"live\"}");
    assert!(second.client(None).get(&url).call().is_err(), "signed by somebody else");
    let plain = ureq::get(format!("http://{}/livez", server.address)).call();
    assert!(plain.is_err(), "unencrypted");

    second.write(folder.path());
    certificates.reload().unwrap();
    assert_eq!(second.client(None).get(&url).call().unwrap().status(), 200);
    assert!(first.client(None).get(&url).call().is_err());
    // What cannot be used changes nothing.
    std::fs::write(folder.path().join("key.pem"), second.signed().1).unwrap();
    assert!(certificates.reload().unwrap_err().to_string().contains("key.pem"));
    assert_eq!(second.client(None).get(&url).call().unwrap().status(), 200);
    // Feeds live longer than a look-up.
    server.feeds.declare("plays", &[]);
    let feed = format!("https://{}/v1/feeds/plays", server.address);
    let mut feed = second.client(None).get(feed).call().unwrap().into_body().into_reader();
    server.stop().unwrap();
    let mut text = String::new();
    feed.read_to_string(&mut text).unwrap();
    assert!(text.contains("retry: 1000"), "{text}");
}

#[test]
fn clients_show_certificates_where_they_must() {
    let folder = tempfile::tempdir().unwrap();
    let (ours, clients) = (Authority::new(), Authority::new());
    let ca = folder.path().join("clients.pem");
    std::fs::write(&ca, &clients.pem).unwrap();
    let server = Server::start_behind(
        tls(TlsFiles { client_ca: Some(ca), ..ours.write(folder.path()) }),
        |_| (),
    );
    let url = format!("https://{}/livez", server.address);
    let ask = |own| ours.client(own).get(&url).call();
    assert_eq!(ask(Some(clients.signed())).unwrap().status(), 200);
    assert!(ask(Some(ours.signed())).is_err());
    assert!(ask(None).is_err());
}

#[test]
fn files_that_cannot_be_used_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let good = Authority::new().write(folder.path());
    let empty = folder.path().join("empty.pem");
    std::fs::write(&empty, "").unwrap();
    for files in [
        TlsFiles { cert: folder.path().join("none.pem"), ..good.clone() },
        TlsFiles { cert: empty.clone(), ..good.clone() },
        TlsFiles { key: empty.clone(), ..good.clone() },
        TlsFiles { client_ca: Some(empty), ..good },
    ] {
        let error = Tls::open(files).err().unwrap().to_string();
        assert!(error.starts_with("tls /") && error.contains(".pem"), "{error}");
    }
}

/// Status, challenge and words.
fn ask(server: &Server, path: &str, authorization: Option<&str>) -> (u16, String, String) {
    let agent: ureq::Agent =
        ureq::Agent::config_builder().http_status_as_error(false).build().into();
    let mut request = agent.get(format!("http://{}{path}", server.address));
    if let Some(authorization) = authorization {
        request = request.header("Authorization", authorization);
    }
    let response = request.call().unwrap();
    let challenge = response.headers().get("www-authenticate");
    let challenge = challenge.map(|it| it.to_str().unwrap().to_owned()).unwrap_or_default();
    (response.status().as_u16(), challenge, response.into_body().read_to_string().unwrap())
}

#[test]
fn tokens_say_who_may_ask_what() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tokens");
    let lines = [
        token_line("reader", &[Scope::Read], "r"),
        token_line("viewer", &[Scope::Feeds], "f"),
        token_line("operator", &[Scope::Admin], "a"),
    ];
    std::fs::write(&file, lines.join("\n")).unwrap();
    let tokens = Some(Arc::new(Tokens::open(&file).unwrap()));
    let protection = Protection { tokens, ..Protection::default() };
    let server = Server::start_behind(protection.clone(), |_| ());
    for free in ["/livez", "/readyz", "/", "/openapi.json"] {
        assert_eq!(ask(&server, free, None).0, 200, "{free}");
    }
    for (path, allowed, forbidden) in [
        ("/status", "r", "f"),
        ("/v1/feeds", "r", "f"),
        ("/metrics", "r", "f"),
        ("/none", "r", "f"),
    ] {
        let (status, challenge, words) = ask(&server, path, None);
        assert_eq!((status, &*challenge), (401, "Bearer"), "{path} {words}");
        assert!(words.contains("a token is needed"), "{words}");
        let (status, challenge, _) = ask(&server, path, Some("Bearer x"));
        assert_eq!((status, &*challenge), (401, "Bearer error=\"invalid_token\""), "{path}");
        assert_eq!(ask(&server, path, Some("Basic r")).0, 401);
        let (status, challenge, words) = ask(&server, path, Some(&format!("Bearer {forbidden}")));
        assert_eq!(status, 403, "{path}");
        assert!(
            challenge.contains("insufficient_scope") && words.contains("\\\"read\\\""),
            "{words}"
        );
        for token in [allowed, "a"] {
            let status = ask(&server, path, Some(&format!("bearer {token}"))).0;
            assert!(!matches!(status, 401 | 403), "{path} {status}");
        }
    }
    assert_eq!(ask(&server, "/v1/feeds/plays", Some("Bearer r")).0, 403);
    assert_eq!(ask(&server, "/v1/feeds/plays", Some("Bearer f")).0, 404);
    let open = Protection { metrics_open: true, ..protection };
    let server = Server::start_behind(open, |_| ());
    assert_eq!(ask(&server, "/metrics", None).0, 404, "this process records none");
}

fn limited(change: impl FnOnce(&mut Limits)) -> Server {
    let mut protection = Protection::default();
    change(&mut protection.limits);
    Server::start_behind(protection, |_| ())
}

/// Sends a request as it is; the whole answer.
fn raw(server: &Server, request: &str) -> String {
    let mut stream = TcpStream::connect(&server.address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = vec![];
    // A server that has read enough resets the connection.
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

#[test]
fn what_is_too_large_is_refused_in_words() {
    let server = limited(|limits| {
        limits.header_bytes_max = 4_096;
        limits.body_bytes_max = 10;
    });
    let filler = "x".repeat(5_000);
    let answer = raw(
        &server,
        &format!("GET /livez HTTP/1.1\r\nHost: t\r\nX: {filler}\r\nConnection: close\r\n\r\n"),
    );
    assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");
    assert!(answer.contains("headers of more than 4096 bytes"), "{answer}");
    let huge = "x".repeat(100_000);
    let answer = raw(&server, &format!("GET /livez HTTP/1.1\r\nHost: t\r\nX: {huge}\r\n\r\n"));
    assert!(answer.starts_with("HTTP/1.1 431") || answer.is_empty(), "{answer}");
    let answer = raw(
        &server,
        "POST /status HTTP/1.1\r\nHost: t\r\nConnection: close\r\nContent-Length: 11\r\n\r\nhello world",
    );
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    assert!(answer.contains("a body of more than 10 bytes"), "{answer}");
}

#[test]
fn a_client_that_asks_too_often_is_told_to_wait() {
    let server = limited(|limits| limits.requests_per_second_max = 5.try_into().unwrap());
    let answers: Vec<_> = (0..100).map(|_| ask(&server, "/status", None)).collect();
    let refused: Vec<_> = answers.iter().filter(|(status, ..)| *status == 429).collect();
    // Five at once, and five more each second that it takes.
    assert!((1..=95).contains(&refused.len()), "{}", refused.len());
    assert!(refused[0].2.contains("more than 5 requests a second"), "{}", refused[0].2);
    assert_eq!(ask(&server, "/livez", None).0, 200, "probes are not counted");
}

#[test]
fn one_connection_too_many_is_told_so_and_a_silent_one_is_closed() {
    let server = limited(|limits| {
        limits.connections_max = 1;
        limits.timeout = Duration::from_secs(3);
    });
    let mut silent = TcpStream::connect(&server.address).unwrap();
    let request = "GET /livez HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n";
    let answer = raw(&server, request);
    assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
    assert!(answer.contains("no room for another connection: 1 at most"), "{answer}");
    silent.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let mut rest = vec![];
    silent.read_to_end(&mut rest).unwrap();
    let mut answer = String::new();
    for _ in 0..100 {
        answer = raw(&server, request);
        if answer.starts_with("HTTP/1.1 200") {
            return;
        }
    }
    panic!("its place is not free: {answer}");
}
