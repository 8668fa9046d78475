//! `avro-confluent`: a zero byte, the id of the writer's schema in a registry, and an Avro record.

use std::path::Path;
use std::sync::Arc;

use apache_avro::Schema;
use arrow::array::{ArrayRef, Int64Array};
use arrow::datatypes::FieldRef;
use nowcast_engine::{Error, Result};
use rustls::ClientConfig;

use super::avro::{decode, encode, schema_of};
use super::avro_read::Steps;
use super::schema_registry::{Auth, SchemaRegistry};
use super::{DecodedRows, Decoder, Encoded, Encoder, Misfit};
use crate::options::Options;
use crate::tls::{self, Trust};

/// `avro-confluent.*`, as in Flink.
#[derive(Debug, Clone)]
pub struct ConfluentOptions {
    url: String,
    subject: Option<String>,
    schema: Option<Schema>,
    legacy_timestamps: bool,
    auth: Option<Auth>,
    /// Of a registry that is reached by https.
    tls: Option<Arc<ClientConfig>>,
    subject_key: String,
}

impl ConfluentOptions {
    /// Under `prefix` (`value.avro-confluent.`).
    pub fn read(options: &Options<'_>, prefix: &str) -> Result<Self> {
        let key = |name: &str| format!("{prefix}{name}");
        let url = options.required(&key("url"))?;
        let tls = match url.split_once("://") {
            Some(("http", _)) => tls_of(options, prefix).map(|_| None)?,
            Some(("https", _)) => Some(Arc::new(tls_of(options, prefix)?)),
            _ => return Err(options.refuse(&key("url"), url, "http(s)://host:port")),
        };
        let schema = match options.text(&key("schema")) {
            Some(text) => Some(Schema::parse_str(text).map_err(|error| {
                options.refuse(&key("schema"), text, &format!("an avro schema ({error})"))
            })?),
            None => None,
        };
        Ok(Self {
            url: url.to_owned(),
            subject: options.text(&key("subject")).map(str::to_owned),
            schema,
            legacy_timestamps: options.flag(&key("timestamp_mapping.legacy"), true)?,
            auth: auth(options, prefix)?,
            tls,
            subject_key: key("subject"),
        })
    }

    fn registry(&self) -> SchemaRegistry {
        SchemaRegistry::new(&self.url, self.auth.as_ref(), self.tls.clone())
    }

    fn schema(&self, fields: &[FieldRef]) -> Result<Schema> {
        match &self.schema {
            Some(schema) => Ok(schema.clone()),
            None => schema_of(fields, self.legacy_timestamps),
        }
    }
}

fn auth(options: &Options<'_>, prefix: &str) -> Result<Option<Auth>> {
    let key = |name: &str| format!("{prefix}{name}");
    options.choice(&key("basic-auth.credentials-source"), &[("USER_INFO", ()), ("URL", ())])?;
    options.choice(&key("bearer-auth.credentials-source"), &[("STATIC_TOKEN", ())])?;
    let (user, token) = (key("basic-auth.user-info"), key("bearer-auth.token"));
    match (options.text(&user), options.text(&token)) {
        (Some(pair), None) if pair.contains(':') => Ok(Some(Auth::Basic(pair.to_owned()))),
        (Some(_), None) => Err(options.refuse(&user, "…", "user:password")),
        (None, Some(token)) => Ok(Some(Auth::Bearer(token.to_owned()))),
        (None, None) => Ok(None),
        (Some(_), Some(_)) => Err(options.refuse(&token, "…", "given without basic-auth")),
    }
}

/// The files are PEM, where Flink has Java's key stores; without a trust store the system's
/// certificates are trusted. A key store holds our certificates and their key.
fn tls_of(options: &Options<'_>, prefix: &str) -> Result<ClientConfig> {
    let key = |name: &str| format!("{prefix}ssl.{name}");
    for password in ["truststore.password", "keystore.password"].map(key) {
        if options.text(&password).is_some() {
            let why = "not there: the files are PEM, without a password";
            return Err(options.refuse(&password, "…", why));
        }
    }
    let (trust, own) = (key("truststore.location"), key("keystore.location"));
    let refuse = |key: &str, path: &str, why: String| {
        options.refuse(key, path, &format!("a PEM file ({why})"))
    };
    let roots = options
        .text(&trust)
        .map(|path| tls::certificates(Path::new(path)).map_err(|why| refuse(&trust, path, why)));
    let identity = options.text(&own).map(|path| {
        let path_of = Path::new(path);
        let both = tls::certificates(path_of).and_then(|chain| Ok((chain, tls::key(path_of)?)));
        both.map_err(|why| refuse(&own, path, why))
    });
    let config = tls::client(Trust::Host, roots.transpose()?, identity.transpose()?);
    config.map_err(|why| refuse(&own, options.text(&own).unwrap_or_default(), why))
}

/// Asks for each writer's schema once; fields are matched by name, as Avro resolves them.
pub struct ConfluentDecoder {
    registry: SchemaRegistry,
    /// The table's schema.
    reader: Schema,
    last: Option<Written>,
    rows: DecodedRows,
}

/// The schema of the last message, and how its records are read.
struct Written {
    id: u32,
    schema: Arc<Schema>,
    steps: Option<Steps>,
}

impl ConfluentDecoder {
    /// Of records as `fields`, those that are `wanted`.
    pub fn new(
        fields: &[FieldRef],
        wanted: &[FieldRef],
        options: &ConfluentOptions,
    ) -> Result<Self> {
        let reader = options.schema(fields)?;
        let rows = DecodedRows::new(wanted)?;
        Ok(Self { registry: options.registry(), reader, last: None, rows })
    }
}

impl Decoder for ConfluentDecoder {
    fn decode(&mut self, message: &[u8]) -> Result<usize, Misfit> {
        let Some((0, rest)) = message.split_first().map(|(magic, rest)| (*magic, rest)) else {
            return Err("no zero byte in front: not in Confluent's format".into());
        };
        let Some((id, record)) = rest.split_first_chunk::<4>() else {
            return Err("shorter than a schema's id".into());
        };
        let id = u32::from_be_bytes(*id);
        let written = match self.last.take().filter(|last| last.id == id) {
            Some(written) => written,
            None => match self.registry.schema(id) {
                Ok(Some(schema)) => {
                    let steps = Steps::new(&schema, &self.reader, &self.rows.columns);
                    Written { id, schema, steps }
                }
                Ok(None) => return Err(format!("the registry has no schema {id}")),
                Err(error) => {
                    self.rows.fail(error);
                    return Ok(0);
                }
            },
        };
        let Written { schema, steps, .. } = self.last.insert(written);
        decode(record, (&*schema, &self.reader), steps.as_ref(), &mut self.rows)?;
        Ok(1)
    }

    fn rows(&mut self) -> &mut DecodedRows {
        &mut self.rows
    }
}

/// Registers the table's schema under the subject before the first row.
pub struct ConfluentEncoder {
    registry: SchemaRegistry,
    subject: String,
    schema: Schema,
    /// The zero byte and the schema's id, once it is registered.
    head: Option<[u8; 5]>,
}

impl ConfluentEncoder {
    pub fn new(fields: &[FieldRef], options: &ConfluentOptions) -> Result<Self> {
        let subject = options.subject.clone();
        let subject = subject.ok_or_else(|| {
            Error::user(format!("option \"{}\" is missing: a sink needs it", options.subject_key))
        })?;
        let schema = options.schema(fields)?;
        Ok(Self { registry: options.registry(), subject, schema, head: None })
    }
}

impl Encoder for ConfluentEncoder {
    fn connect(&mut self) -> Result<()> {
        let text = serde_json::to_string(&self.schema).map_err(Error::bug)?;
        let [a, b, c, d] = self.registry.register(&self.subject, &text)?.to_be_bytes();
        self.head = Some([0, a, b, c, d]);
        Ok(())
    }

    fn encode(&self, columns: &[ArrayRef], _: Option<&Int64Array>) -> Result<Encoded> {
        let head = self.head.ok_or_else(|| Error::bug("rows came before the schema's id"))?;
        encode(&self.schema, &head, columns)
    }
}
