//! TLS of the clients that are written in Rust: whom they trust, and who they are.

use std::path::Path;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
};

/// Which servers a client talks to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trust {
    /// Any: what is sent cannot be read on its way, but may go to somebody else.
    Anyone,
    /// Those whose certificate leads to a trusted one.
    Authority,
    /// Those of them that have the name which was asked for.
    Host,
}

/// A client's certificates with their key.
pub type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

/// A client's side of TLS. `roots` are the certificates to trust; without them those of the system.
///
/// # Errors
/// In words, for certificates that cannot be used.
pub fn client(
    trust: Trust,
    roots: Option<Vec<CertificateDer<'static>>>,
    identity: Option<Identity>,
) -> Result<ClientConfig, String> {
    let provider = provider();
    let roots = match (trust, roots) {
        (Trust::Anyone, _) => vec![],
        (_, Some(roots)) => roots,
        (_, None) => system_roots(),
    };
    let verifier = Verifier::new(trust, roots, &provider)?;
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier));
    match identity {
        None => Ok(config.with_no_client_auth()),
        Some((chain, key)) => {
            config.with_client_auth_cert(chain, key).map_err(|error| error.to_string())
        }
    }
}

pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

/// The certificates that the system trusts.
pub fn system_roots() -> Vec<CertificateDer<'static>> {
    let loaded = rustls_native_certs::load_native_certs();
    for error in &loaded.errors {
        tracing::debug!("the system's certificates: {error}");
    }
    loaded.certs
}

/// The certificates of a PEM file.
///
/// # Errors
/// In words; for a Java key store with how to turn it into PEM.
pub fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let bytes = read(path)?;
    refuse_stores(path, &bytes)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    let found = found.map_err(|error| format!("{}: {error}", path.display()))?;
    match found.is_empty() {
        true => Err(format!("{} holds no certificate in PEM", path.display())),
        false => Ok(found),
    }
}

/// A private key of a PEM file, or of one in DER (`.pk8`).
pub fn key(path: &Path) -> Result<PrivateKeyDer<'static>, String> {
    let bytes = read(path)?;
    let failed = |error: String| format!("{}: {error}", path.display());
    if bytes.starts_with(b"-----BEGIN ENCRYPTED") {
        return Err(failed("an encrypted key, write it without its password".into()));
    }
    match bytes.windows(11).any(|part| part == b"-----BEGIN ") {
        true => PrivateKeyDer::from_pem_slice(&bytes).map_err(|error| failed(error.to_string())),
        false => PrivateKeyDer::try_from(bytes).map_err(|error| failed(error.into())),
    }
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))
}

/// The first bytes of Java's own key stores, and of PKCS#12 and DER.
const JKS: [u8; 4] = [0xFE, 0xED, 0xFE, 0xED];
const ASN1: [u8; 2] = [0x30, 0x82];

fn refuse_stores(path: &Path, bytes: &[u8]) -> Result<(), String> {
    let path = path.display();
    if bytes.starts_with(&JKS) {
        Err(format!("{path} is a JKS key store; {}", from_jks("trust.jks")))
    } else if bytes.starts_with(&ASN1) {
        Err(format!("{path} is not in PEM; {FROM_PKCS12}"))
    } else {
        Ok(())
    }
}

/// How a JKS key store becomes PEM.
pub fn from_jks(path: &str) -> String {
    format!("write it in PEM: `keytool -list -rfc -keystore {path} > trust.pem`")
}

const FROM_PKCS12: &str =
    "write it in PEM: `openssl pkcs12 -in trust.p12 -nokeys -out trust.pem` (of PKCS#12)";

#[derive(Debug)]
struct Verifier {
    trust: Trust,
    roots: Vec<CertificateDer<'static>>,
    /// `None` where anyone is trusted.
    chains: Option<Arc<WebPkiServerVerifier>>,
    provider: Arc<CryptoProvider>,
}

impl Verifier {
    fn new(
        trust: Trust,
        roots: Vec<CertificateDer<'static>>,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Self, String> {
        let chains = match trust {
            Trust::Anyone => None,
            Trust::Authority | Trust::Host => {
                let mut store = RootCertStore::empty();
                store.add_parsable_certificates(roots.iter().cloned());
                let store = Arc::new(store);
                let built =
                    WebPkiServerVerifier::builder_with_provider(store, Arc::clone(provider));
                Some(built.build().map_err(|error| error.to_string())?)
            }
        };
        Ok(Self { trust, roots, chains, provider: Arc::clone(provider) })
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Some(chains) = &self.chains else { return Ok(ServerCertVerified::assertion()) };
        // A certificate that signs itself is trusted where it is named itself.
        if !self.roots.contains(certificate) {
            use CertificateError::{NotValidForName, NotValidForNameContext};
            match chains.verify_server_cert(certificate, between, name, ocsp, now) {
                Ok(_)
                | Err(Error::InvalidCertificate(NotValidForName | NotValidForNameContext { .. })) =>
                    {}
                Err(error) => return Err(error),
            }
        }
        if self.trust == Trust::Host {
            let parsed = ParsedCertificate::try_from(certificate)?;
            rustls::client::verify_server_name(&parsed, name)?;
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
