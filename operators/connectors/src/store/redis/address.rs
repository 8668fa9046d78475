//! Where a Redis is and how it is reached: its nodes, who we are there, whom we trust.

use std::path::Path;
use std::time::Duration;

use nowcast_engine::{Error, Result};
use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::cluster::ClusterClientBuilder;
use redis::io::tcp::TcpSettings;
use redis::{
    ClientTlsConfig, ConnectionAddr, ConnectionInfo, IntoConnectionInfo, RedisResult,
    TlsCertificates,
};

use super::cause;
use super::cluster::Cluster;
use super::link::Link;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
const REPLY_TIMEOUT: Duration = Duration::from_secs(10);
/// How often a request of a cluster is sent to where it has moved before it counts as failed.
const REDIRECTIONS: u32 = 5;

/// A Redis, or the nodes by which a Redis Cluster is found.
#[derive(Clone)]
pub struct RedisAddress {
    nodes: Vec<ConnectionInfo>,
    cluster: bool,
    certificates: TlsCertificates,
}

impl RedisAddress {
    /// `redis://[user:password@]host:port[/db]`, or `rediss://…` for TLS.
    pub fn parse(url: &str) -> Result<Self> {
        let node = url.into_connection_info().map_err(|error| {
            Error::user(format!("redis url is redis://host:port/db: {}", cause(&error)))
        })?;
        let node = node.set_tcp_settings(at_once());
        let certificates = TlsCertificates { client_tls: None, root_cert: None };
        Ok(Self { nodes: vec![node], cluster: false, certificates })
    }

    /// Those of a cluster, found by the node of the URL and by these: `host:port` each.
    ///
    /// # Errors
    /// With the text that is no node.
    pub fn in_cluster(mut self, nodes: &[&str]) -> Result<Self, String> {
        self.cluster = true;
        let first = self.nodes[0].clone();
        for text in nodes {
            let (host, port) = text.rsplit_once(':').ok_or_else(|| (*text).to_owned())?;
            let host = host.trim_matches(['[', ']']).to_owned();
            let port = port.parse().map_err(|_| (*text).to_owned())?;
            let addr = match first.addr() {
                ConnectionAddr::TcpTls { insecure, tls_params, .. } => ConnectionAddr::TcpTls {
                    host,
                    port,
                    insecure: *insecure,
                    tls_params: tls_params.clone(),
                },
                _ => ConnectionAddr::Tcp(host, port),
            };
            self.nodes.push(first.clone().set_addr(addr));
        }
        Ok(self)
    }

    /// Who we are, where the URL does not say it.
    pub fn with_credentials(mut self, user: Option<&str>, password: Option<&str>) -> Self {
        for node in &mut self.nodes {
            let mut settings = node.redis_settings().clone();
            if let Some(user) = user {
                settings = settings.set_username(user);
            }
            if let Some(password) = password {
                settings = settings.set_password(password);
            }
            *node = node.clone().set_redis_settings(settings);
        }
        self
    }

    /// PEM files: whom we trust instead of the system's authorities, and with what we prove who we
    /// are.
    pub fn with_certificates(
        mut self,
        authorities: Option<&str>,
        own: Option<(&str, &str)>,
    ) -> Result<Self> {
        let read = |path: &str| {
            std::fs::read(Path::new(path))
                .map_err(|error| Error::user(format!("cannot read {path}: {error}")))
        };
        self.certificates.root_cert = authorities.map(read).transpose()?;
        if let Some((certificate, key)) = own {
            let (client_cert, client_key) = (read(certificate)?, read(key)?);
            self.certificates.client_tls = Some(ClientTlsConfig { client_cert, client_key });
        }
        Ok(self)
    }

    /// Whether what is said goes through TLS.
    pub fn is_encrypted(&self) -> bool {
        matches!(self.nodes[0].addr(), ConnectionAddr::TcpTls { .. })
    }

    pub fn is_cluster(&self) -> bool {
        self.cluster
    }

    /// For messages: nobody's password is in it.
    pub fn name(&self) -> String {
        let nodes: Vec<String> = self.nodes.iter().map(|node| node.addr().to_string()).collect();
        nodes.join(",")
    }

    /// The same for tables whose keys lie in one place.
    pub fn place(&self) -> String {
        format!("{}/{}", self.name(), self.nodes[0].redis_settings().db())
    }

    pub(super) async fn connect(&self) -> RedisResult<Link> {
        if self.is_encrypted() {
            // The one that is installed already is as good.
            let _ = rustls::crypto::ring::default_provider().install_default();
        }
        if !self.cluster {
            let node = self.nodes[0].clone();
            let client = match self.is_encrypted() {
                true => redis::Client::build_with_tls(node, self.certificates.clone())?,
                false => redis::Client::open(node)?,
            };
            let config = ConnectionManagerConfig::new()
                .set_number_of_retries(1)
                .set_connection_timeout(Some(CONNECT_TIMEOUT))
                .set_response_timeout(Some(REPLY_TIMEOUT));
            return Ok(Link::One(ConnectionManager::new_with_config(client, config).await?));
        }
        let mut client = ClusterClientBuilder::new(self.nodes.clone())
            .tcp_settings(at_once())
            .retries(REDIRECTIONS)
            .connection_timeout(CONNECT_TIMEOUT)
            .response_timeout(REPLY_TIMEOUT);
        if self.is_encrypted() {
            client = client.certs(self.certificates.clone());
        }
        Ok(Link::Cluster(Cluster::new(client.build()?.get_async_connection().await?)))
    }
}

/// What is sent goes out at once: a request ends in a segment that is not full, and others may be
/// under way whose acknowledgement it would wait for.
fn at_once() -> TcpSettings {
    TcpSettings::default().set_nodelay(true)
}
