//! A connection to a broker: requests go out, answers come in, in their order.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::ResponseError;
use kafka_protocol::messages::{
    ApiKey, ApiVersionsRequest, ApiVersionsResponse, RequestHeader, ResponseHeader,
    SaslAuthenticateRequest, SaslHandshakeRequest,
};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, Request, StrBytes};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::scram::Scram;
use super::settings::{Login, Mechanism, Pem, Security, Settings};
use crate::tls::{self, Identity, Trust};

/// More than this is no answer of Kafka's: batches of messages are far smaller.
const ANSWER_BYTES_MAX: usize = 1 << 30;

/// About what stands in front of a request.
const HEADER_BYTES: usize = 128;

/// Why a broker could not be asked.
#[derive(Debug, Clone)]
pub struct Failure {
    pub reason: String,
    /// Whether the broker has said no: asking another one will not help.
    pub refused: bool,
}

impl Failure {
    pub fn passing(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), refused: false }
    }

    pub fn refused(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), refused: true }
    }
}

/// How brokers are reached.
pub struct Door {
    pub settings: Arc<Settings>,
    tls: Option<TlsConnector>,
}

impl Door {
    /// Reads the files of certificates.
    ///
    /// # Errors
    /// In words, for those that cannot be used.
    pub fn new(settings: Arc<Settings>) -> Result<Self, String> {
        let security = &settings.security;
        let tls = match security.tls {
            false => None,
            true => Some(TlsConnector::from(Arc::new(tls_of(security)?))),
        };
        Ok(Self { settings, tls })
    }
}

fn tls_of(security: &Security) -> Result<rustls::ClientConfig, String> {
    let roots = security.roots.as_ref().map(certificates).transpose()?;
    let identity: Option<Identity> = match (&security.chain, &security.key) {
        (None, None) => None,
        (Some(chain), Some(own)) => Some((certificates(chain)?, key(own)?)),
        _ => return Err("a certificate of ours and its key come together".into()),
    };
    let trust = match (security.trust_checked, security.names_checked) {
        (false, _) => Trust::Anyone,
        (true, false) => Trust::Authority,
        (true, true) => Trust::Host,
    };
    tls::client(trust, roots, identity)
}

fn certificates(pem: &Pem) -> Result<Vec<CertificateDer<'static>>, String> {
    match pem {
        Pem::File(path) => tls::certificates(Path::new(path)),
        Pem::Text(text) => {
            let found: Result<Vec<_>, _> =
                CertificateDer::pem_slice_iter(text.as_bytes()).collect();
            match found {
                Ok(found) if !found.is_empty() => Ok(found),
                _ => Err("what is given in place is no certificate in PEM".into()),
            }
        }
    }
}

fn key(pem: &Pem) -> Result<PrivateKeyDer<'static>, String> {
    match pem {
        Pem::File(path) => tls::key(Path::new(path)),
        Pem::Text(text) => PrivateKeyDer::from_pem_slice(text.as_bytes())
            .map_err(|_| "what is given in place is no private key in PEM".into()),
    }
}

trait Wire: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Wire for T {}

pub struct Connection {
    wire: Box<dyn Wire>,
    address: String,
    client_id: StrBytes,
    correlation: i32,
    /// What the broker serves: api, first and last version.
    served: Vec<(i16, i16, i16)>,
    /// Where the next answer is read to.
    buffer: BytesMut,
}

/// A request on its way.
struct Sent {
    correlation: i32,
    version: i16,
}

impl Connection {
    /// Connects, proves who we are, and learns what the broker can do.
    pub async fn open(door: &Door, address: &str) -> Result<Self, Failure> {
        let Settings { connect_timeout, request_timeout, .. } = *door.settings;
        let wire = in_time(connect_timeout, address, dial(door, address)).await?;
        let mut connection = Self {
            wire,
            address: address.to_owned(),
            client_id: StrBytes::from_string(door.settings.client_id.clone()),
            correlation: 0,
            served: vec![],
            buffer: BytesMut::new(),
        };
        let greeting = async {
            connection.learn().await?;
            match &door.settings.security.login {
                Some(login) => connection.log_in(login).await,
                None => Ok(()),
            }
        };
        in_time(request_timeout, address, greeting).await?;
        Ok(connection)
    }

    /// Asks and waits for the answer, in the newest version that both sides and `ceiling` allow.
    pub async fn ask<R: Request>(
        &mut self,
        request: &R,
        ceiling: i16,
        timeout: Duration,
    ) -> Result<R::Response, Failure> {
        let address = self.address.clone();
        let asking = async {
            let sent = self.send(request, ceiling).await?;
            self.receive::<R>(sent).await
        };
        in_time(timeout, &address, asking).await
    }

    /// Lends a buffer, whatever is in it, for the next answer: memory that is fresh from the system
    /// costs more than what is read to it.
    pub fn lend(&mut self, buffer: BytesMut) {
        self.buffer = buffer;
    }

    async fn send<R: Request>(&mut self, request: &R, ceiling: i16) -> Result<Sent, Failure> {
        let version = self.version::<R>(ceiling)?;
        self.send_as(request, version).await
    }

    /// The version of an api to speak.
    fn version<R: Request>(&self, ceiling: i16) -> Result<i16, Failure> {
        let ours = R::VERSIONS;
        let served = self.served.iter().find(|(key, ..)| *key == R::KEY);
        let common = served.map(|(_, first, last)| (ours.min.max(*first), ceiling.min(*last)));
        match common {
            Some((first, last)) if first <= last => Ok(last),
            _ => {
                let (api, address) = (ApiKey::try_from(R::KEY), &self.address);
                let api = api.map_or_else(|()| R::KEY.to_string(), |api| format!("{api:?}"));
                let reason = format!(
                    "{address} does not serve {api} from version {} to {ceiling}",
                    ours.min
                );
                Err(Failure::refused(reason))
            }
        }
    }

    async fn send_as<R: Request>(&mut self, request: &R, version: i16) -> Result<Sent, Failure> {
        self.correlation = self.correlation.wrapping_add(1);
        let header = RequestHeader::default()
            .with_request_api_key(R::KEY)
            .with_request_api_version(version)
            .with_correlation_id(self.correlation)
            .with_client_id(Some(self.client_id.clone()));
        let room = request.compute_size(version).unwrap_or_default();
        let mut frame = BytesMut::with_capacity(room + HEADER_BYTES);
        frame.put_i32(0);
        let encoded = header.encode(&mut frame, R::header_version(version));
        let encoded = encoded.and_then(|()| request.encode(&mut frame, version));
        encoded.map_err(|error| Failure::refused(format!("{}: {error}", self.address)))?;
        let length = i32::try_from(frame.len() - 4);
        let length = length.map_err(|_| Failure::refused("a request of more than 2 GiB"))?;
        frame[..4].copy_from_slice(&length.to_be_bytes());
        self.wire.write_all(&frame).await.map_err(|error| self.lost(&error))?;
        self.wire.flush().await.map_err(|error| self.lost(&error))?;
        Ok(Sent { correlation: self.correlation, version })
    }

    /// The answer to the request that was sent first of those without one. Not cancel-safe: a
    /// connection that was left in the middle is of no use any more.
    async fn receive<R: Request>(&mut self, sent: Sent) -> Result<R::Response, Failure> {
        let mut frame = self.frame().await?;
        let header_version = R::Response::header_version(sent.version);
        let header = ResponseHeader::decode(&mut frame, header_version);
        let header = header.map_err(|error| self.garbled(error))?;
        if header.correlation_id != sent.correlation {
            return Err(self.garbled("it answers another request"));
        }
        R::Response::decode(&mut frame, sent.version).map_err(|error| self.garbled(error))
    }

    async fn frame(&mut self) -> Result<Bytes, Failure> {
        let length = self.wire.read_i32().await.map_err(|error| self.lost(&error))?;
        let length = usize::try_from(length).ok().filter(|length| *length <= ANSWER_BYTES_MAX);
        let length = length.ok_or_else(|| self.garbled("its length is none"))?;
        let mut frame = std::mem::take(&mut self.buffer);
        frame.clear();
        frame.reserve(length);
        while frame.len() < length {
            let left = length - frame.len();
            let mut rest = (&mut frame).limit(left);
            match self.wire.read_buf(&mut rest).await {
                Ok(0) => return Err(self.lost(&io::ErrorKind::UnexpectedEof.into())),
                Ok(_) => {}
                Err(error) => return Err(self.lost(&error)),
            }
        }
        Ok(frame.freeze())
    }

    /// What the broker serves. One that does not know our version of the question says so in the
    /// oldest one.
    async fn learn(&mut self) -> Result<(), Failure> {
        let ours = ApiVersionsRequest::default()
            .with_client_software_name(StrBytes::from_static_str("nowcast"))
            .with_client_software_version(StrBytes::from_static_str(env!("CARGO_PKG_VERSION")));
        let sent = self.send_as(&ours, 3).await?;
        let mut frame = self.frame().await?;
        let unsupported = ResponseError::UnsupportedVersion.code().to_be_bytes();
        let old = frame.get(4..6) == Some(&unsupported[..]);
        let header = ResponseHeader::decode(&mut frame, 0).map_err(|error| self.garbled(error))?;
        if header.correlation_id != sent.correlation {
            return Err(self.garbled("it answers another request"));
        }
        let answer = match old {
            false => ApiVersionsResponse::decode(&mut frame, 3),
            true => {
                let sent = self.send_as(&ApiVersionsRequest::default(), 0).await?;
                return self.receive::<ApiVersionsRequest>(sent).await.map(|answer| {
                    self.served = served(&answer);
                });
            }
        };
        self.served = served(&answer.map_err(|error| self.garbled(error))?);
        Ok(())
    }

    async fn log_in(&mut self, login: &Login) -> Result<(), Failure> {
        let name = match login.mechanism {
            Mechanism::Plain => "PLAIN",
            Mechanism::ScramSha256 => "SCRAM-SHA-256",
            Mechanism::ScramSha512 => "SCRAM-SHA-512",
        };
        let handshake =
            SaslHandshakeRequest::default().with_mechanism(StrBytes::from_static_str(name));
        let sent = self.send(&handshake, 1).await?;
        let answer = self.receive::<SaslHandshakeRequest>(sent).await?;
        if answer.error_code != 0 {
            let there: Vec<&str> = answer.mechanisms.iter().map(StrBytes::as_str).collect();
            let (address, there) = (&self.address, there.join(", "));
            let reason = format!("{address}: sasl mechanism {name} is not there, {there} are");
            return Err(Failure::refused(reason));
        }
        match login.mechanism {
            Mechanism::Plain => {
                let Login { username, password, .. } = login;
                self.prove(format!("\0{username}\0{password}")).await.map(drop)
            }
            Mechanism::ScramSha256 | Mechanism::ScramSha512 => self.scram(login).await,
        }
    }

    async fn scram(&mut self, login: &Login) -> Result<(), Failure> {
        let refused =
            |reason: String| Failure::refused(format!("sasl authentication failed: {reason}"));
        let scram = Scram::new(login).map_err(refused)?;
        let answer = self.prove(scram.first()).await?;
        let (last, expected) = scram.last(&answer).map_err(refused)?;
        match expected.is(&self.prove(last).await?) {
            true => Ok(()),
            false => Err(refused("the broker does not know the password".into())),
        }
    }

    async fn prove(&mut self, proof: String) -> Result<String, Failure> {
        let request = SaslAuthenticateRequest::default().with_auth_bytes(Bytes::from(proof));
        let sent = self.send(&request, 2).await?;
        let answer = self.receive::<SaslAuthenticateRequest>(sent).await?;
        if answer.error_code != 0 {
            let said = answer.error_message.map(|said| said.as_str().to_lowercase());
            let said = said.unwrap_or_else(|| format!("error {}", answer.error_code));
            let reason = format!("{}: sasl authentication failed: {said}", self.address);
            return Err(Failure::refused(reason));
        }
        String::from_utf8(answer.auth_bytes.to_vec()).map_err(|_| self.garbled("it is no text"))
    }

    fn lost(&self, error: &io::Error) -> Failure {
        Failure::passing(format!("{}: connection lost: {}", self.address, plain(error)))
    }

    fn garbled(&self, why: impl std::fmt::Display) -> Failure {
        Failure::passing(format!("{}: the answer is not of Kafka's protocol: {why}", self.address))
    }
}

fn served(answer: &ApiVersionsResponse) -> Vec<(i16, i16, i16)> {
    let keys = answer.api_keys.iter();
    keys.map(|served| (served.api_key, served.min_version, served.max_version)).collect()
}

async fn dial(door: &Door, address: &str) -> Result<Box<dyn Wire>, Failure> {
    let failed = |error: io::Error| {
        Failure::passing(format!("connect to {address} failed: {}", plain(&error)))
    };
    let stream = TcpStream::connect(address).await.map_err(failed)?;
    stream.set_nodelay(true).map_err(failed)?;
    let Some(tls) = &door.tls else { return Ok(Box::new(stream)) };
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    let name = ServerName::try_from(host.clone());
    let name = name.map_err(|_| Failure::refused(format!("\"{host}\" is no name of a host")))?;
    let stream = tls.connect(name, stream).await;
    let stream = stream.map_err(|error| match error.get_ref() {
        Some(inner) if inner.is::<rustls::Error>() => {
            Failure::refused(format!("{address}: ssl handshake failed: {inner}"))
        }
        // It may be a broker that comes or goes.
        _ => failed(error),
    })?;
    Ok(Box::new(stream))
}

/// What went wrong, without the system's number.
fn plain(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(_) => error.kind().to_string(),
        None => error.to_string(),
    }
}

async fn in_time<T>(
    timeout: Duration,
    address: &str,
    work: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    match tokio::time::timeout(timeout, work).await {
        Ok(done) => done,
        Err(_) => Err(Failure::passing(format!("{address} has not answered for {timeout:?}"))),
    }
}
