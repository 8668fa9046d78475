//! TLS to PostgreSQL, by the parameters `ssl…` of a JDBC URL.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures::future::BoxFuture;
use rustls::pki_types::{InvalidDnsNameError, ServerName};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::config::SslMode;
use tokio_postgres::tls::{ChannelBinding, MakeTlsConnect, TlsConnect};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::tls::{Trust, certificates, client, key};

/// A factory of Java's driver that trusts anyone.
const NON_VALIDATING: &str = "org.postgresql.ssl.NonValidatingFactory";

/// As Java's driver: `prefer` where nothing is said, `verify-full` with `ssl=true`.
///
/// # Errors
/// In words.
pub fn tls(parameters: &BTreeMap<&str, String>) -> Result<(SslMode, Option<Tls>), String> {
    let given = |key| parameters.get(key).map(String::as_str);
    let known =
        ["ssl", "sslmode", "sslrootcert", "sslcert", "sslkey", "sslfactory", "sslnegotiation"];
    if parameters.contains_key("sslpassword") {
        return Err("an encrypted \"sslkey\" is not read, write it without its password".into());
    }
    if let Some(other) = parameters.keys().find(|key| !known.contains(*key)) {
        return Err(format!("\"{other}\" is unknown"));
    }
    let anyone = match given("sslfactory") {
        None => false,
        Some(NON_VALIDATING) => true,
        Some(other) => {
            return Err(format!("\"sslfactory\" is {NON_VALIDATING}, not \"{other}\""));
        }
    };
    let default = match given("ssl") {
        None | Some("false") => "prefer",
        Some("" | "true") => "verify-full",
        Some(_) => return Err("\"ssl\" is true or false".into()),
    };
    let (mode, trust) = match given("sslmode").unwrap_or(default) {
        "disable" => return Ok((SslMode::Disable, None)),
        // Java's driver would try without first; a server that wants no TLS gets none.
        "allow" | "prefer" => (SslMode::Prefer, Trust::Anyone),
        "require" => (SslMode::Require, Trust::Anyone),
        "verify-ca" => (SslMode::Require, Trust::Authority),
        "verify-full" => (SslMode::Require, Trust::Host),
        _ => {
            let modes = "disable, allow, prefer, require, verify-ca, verify-full";
            return Err(format!("\"sslmode\" is one of {modes}"));
        }
    };
    let roots = given("sslrootcert").map(|path| certificates(Path::new(path))).transpose()?;
    let identity = match (given("sslcert"), given("sslkey")) {
        (None, None) => None,
        (Some(chain), Some(own)) => Some((certificates(Path::new(chain))?, key(Path::new(own))?)),
        _ => return Err("\"sslcert\" and \"sslkey\" come together".into()),
    };
    let trust = if anyone { Trust::Anyone } else { trust };
    let connector = TlsConnector::from(Arc::new(client(trust, roots, identity)?));
    Ok((mode, Some(Tls(connector))))
}

/// Encrypts connections to PostgreSQL.
#[derive(Clone)]
pub struct Tls(TlsConnector);

impl<S> MakeTlsConnect<S> for Tls
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    type Stream = Encrypted<S>;
    type TlsConnect = Handshake;
    type Error = InvalidDnsNameError;

    fn make_tls_connect(&mut self, host: &str) -> Result<Handshake, InvalidDnsNameError> {
        Ok(Handshake(self.0.clone(), ServerName::try_from(host.to_owned())?))
    }
}

/// A handshake to begin, and the server's name.
pub struct Handshake(TlsConnector, ServerName<'static>);

impl<S> TlsConnect<S> for Handshake
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    type Stream = Encrypted<S>;
    type Error = io::Error;
    type Future = BoxFuture<'static, io::Result<Encrypted<S>>>;

    fn connect(self, stream: S) -> Self::Future {
        Box::pin(async move { Ok(Encrypted(self.0.connect(self.1, stream).await?)) })
    }
}

/// An encrypted connection.
pub struct Encrypted<S>(TlsStream<S>);

/// SCRAM goes without channel binding, which servers do not insist on.
impl<S> tokio_postgres::tls::TlsStream for Encrypted<S>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    fn channel_binding(&self) -> ChannelBinding {
        ChannelBinding::none()
    }
}

impl<S> AsyncRead for Encrypted<S>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, into)
    }
}

impl<S> AsyncWrite for Encrypted<S>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}
