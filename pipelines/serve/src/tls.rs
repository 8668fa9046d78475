//! TLS of the HTTP doors: certificate and key from files, which may change while the server runs.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use nowcast_engine::{Error, Result};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};

/// Files in PEM.
#[derive(Debug, Clone)]
pub struct TlsFiles {
    /// The server's certificate, then those that it is signed with.
    pub cert: PathBuf,
    pub key: PathBuf,
    /// Who signs clients: without a certificate of theirs no client is served then.
    pub client_ca: Option<PathBuf>,
}

/// What connections are accepted with.
pub struct Tls {
    files: TlsFiles,
    config: ArcSwap<ServerConfig>,
}

impl Tls {
    /// # Errors
    /// For a file that cannot be read, and a key that is not the certificate's.
    pub fn open(files: TlsFiles) -> Result<Self> {
        let config = ArcSwap::new(Arc::new(config(&files)?));
        Ok(Self { files, config })
    }

    /// Reads the files again, for connections to come. After an error all stays as it was.
    pub fn reload(&self) -> Result<()> {
        self.config.store(Arc::new(config(&self.files)?));
        Ok(())
    }

    /// The files that a change of is a reason to reload.
    pub fn files(&self) -> Vec<&Path> {
        let TlsFiles { cert, key, client_ca } = &self.files;
        [Some(cert), Some(key), client_ca.as_ref()]
            .into_iter()
            .flatten()
            .map(AsRef::as_ref)
            .collect()
    }

    /// Whether clients show a certificate.
    pub fn knows_clients(&self) -> bool {
        self.files.client_ca.is_some()
    }

    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(self.config.load_full())
    }
}

fn config(files: &TlsFiles) -> Result<ServerConfig> {
    let provider = Arc::new(ring::default_provider());
    let versions = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(Error::bug)?;
    let builder = match &files.client_ca {
        None => versions.with_no_client_auth(),
        Some(path) => {
            let mut roots = RootCertStore::empty();
            for certificate in certificates(path)? {
                roots.add(certificate).map_err(|error| failed(path, error))?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            versions
                .with_client_cert_verifier(verifier.build().map_err(|error| failed(path, error))?)
        }
    };
    let key =
        PrivateKeyDer::from_pem_file(&files.key).map_err(|error| failed(&files.key, error))?;
    let with_cert = builder.with_single_cert(certificates(&files.cert)?, key);
    let mut config = with_cert.map_err(|error| {
        failed(&files.cert, format_args!("not usable with {}: {error}", files.key.display()))
    })?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let read =
        CertificateDer::pem_file_iter(path).and_then(|found| found.collect::<Result<Vec<_>, _>>());
    let found = read.map_err(|error| failed(path, error))?;
    match found.is_empty() {
        true => Err(failed(path, "no certificate in it")),
        false => Ok(found),
    }
}

fn failed(path: &Path, why: impl std::fmt::Display) -> Error {
    Error::user(format!("tls {}: {why}", path.display()))
}
