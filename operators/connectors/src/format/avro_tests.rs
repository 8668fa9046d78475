//! Rows as Avro and back, alone and with a registry that speaks Confluent's REST paths.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use apache_avro::Schema;
use apache_avro::types::Value;
use apache_avro::writer::datum::GenericDatumWriter;
use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, Int64Type, TimeUnit};

use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::avro::{AvroDecoder, AvroOptions, decode, schema_of};
use super::avro_read::Steps;
use super::tests::{field, format, list, map, required, row};
use super::*;
use crate::options::Options;
use crate::tls_tests::Authority;

fn every_type() -> Vec<FieldRef> {
    vec![
        required("id", DataType::Int64),
        field("flag", DataType::Boolean),
        field("tiny", DataType::Int8),
        field("small", DataType::Int16),
        field("int", DataType::Int32),
        field("float", DataType::Float32),
        field("double", DataType::Float64),
        field("price", DataType::Decimal128(10, 2)),
        field("text", DataType::Utf8),
        field("bytes", DataType::Binary),
        field("day", DataType::Date32),
        field("time", DataType::Time32(TimeUnit::Millisecond)),
        field("at", DataType::Timestamp(TimeUnit::Millisecond, None)),
        field("list", list(DataType::Int32)),
        field("map", map(DataType::Float64)),
        field("row", row(&[field("a", DataType::Int64), field("b", DataType::Utf8)])),
    ]
}

fn columns() -> Vec<ArrayRef> {
    let mut json = format(&[("format", "json")]).decoder(&every_type()).unwrap();
    for message in [
        r#"{"id":1,"flag":true,"tiny":-1,"small":2,"int":3,"float":1.5,"double":-2.5,"price":-12.34,"text":"ä","bytes":"AQI=","day":"1969-12-31","time":"01:02:03.004","at":"2024-01-31 00:00:00.123","list":[1,null],"map":{"k":1.5},"row":{"a":7,"b":null}}"#,
        r#"{"id":2}"#,
    ] {
        json.decode(message.as_bytes()).unwrap();
    }
    json.rows().finish().unwrap().0
}

/// A value of each type as JSON, or none.
fn random_row() -> impl Strategy<Value = String> {
    let values: Vec<(&str, &[&str])> = vec![
        ("flag", &["true", "false"]),
        ("tiny", &["-128", "7"]),
        ("small", &["-1", "32767"]),
        ("int", &["0", "-2147483648", "64"]),
        ("float", &["1.5", "-0.0"]),
        ("double", &["1e300", "0.1"]),
        ("price", &["12.34", "-99999999.99", "0"]),
        ("text", &["\"\"", "\"漢字 and more\""]),
        ("bytes", &["\"AQI=\"", "\"\""]),
        ("day", &["\"1969-12-31\"", "\"2026-01-05\""]),
        ("time", &["\"01:02:03.004\""]),
        ("at", &["\"2024-01-31 00:00:00.123\"", "\"1900-01-01 00:00:00\""]),
        ("list", &["[]", "[1,null,-3]"]),
        ("map", &["{}", "{\"b\":1.5,\"a\":null,\"é\":-2}"]),
        ("row", &["{\"a\":7,\"b\":null}", "{\"a\":null,\"b\":\"x\"}"]),
    ];
    let members: Vec<_> = values
        .into_iter()
        .map(|(name, values)| {
            proptest::option::weighted(0.8, select(values.to_vec()))
                .prop_map(move |value| value.map(|value| format!(",\"{name}\":{value}")))
        })
        .collect();
    (any::<i64>(), members).prop_map(|(id, members)| {
        format!("{{\"id\":{id}{}}}", members.into_iter().flatten().collect::<String>())
    })
}

proptest! {
    #[test]
    fn steps_make_the_same_rows_and_errors_as_the_general_way(
        rows in proptest::collection::vec(random_row(), 1..6),
        kept in proptest::collection::vec(proptest::bool::weighted(0.7), 16),
        changes in proptest::collection::vec((any::<Index>(), any::<Index>(), any::<u8>(), 0..6), 0..6),
    ) {
        let fields = every_type();
        let mut json = format(&[("format", "json")]).decoder(&fields).unwrap();
        for row in &rows {
            json.decode(row.as_bytes()).unwrap();
        }
        let columns = json.rows().finish().unwrap().0;
        let encoder = format(&[("format", "avro")]).encoder(&fields).unwrap();
        let encoded = encoder.encode(&columns, None).unwrap();
        let mut messages: Vec<Vec<u8>> = encoded.rows().map(<[u8]>::to_vec).collect();
        for (message, at, byte, kind) in changes {
            let message = &mut messages[message.index(rows.len())];
            let at = at.index(message.len() + 1);
            match kind {
                0 => message.truncate(at),
                1 => message.insert(at, byte),
                _ => message.iter_mut().skip(at).take(1).for_each(|at| *at = byte),
            }
        }
        let options = AvroOptions { legacy_timestamps: true };
        let wanted: Vec<FieldRef> =
            fields.iter().zip(&kept).filter(|(_, kept)| **kept).map(|(field, _)| field.clone()).collect();
        let mut by_steps = AvroDecoder::new(&fields, &wanted, &options).unwrap();
        let (mut general, has_steps) = AvroDecoder::new(&fields, &wanted, &options).unwrap().in_general();
        prop_assert!(has_steps);
        for message in &messages {
            prop_assert_eq!(by_steps.decode(message), general.decode(message), "{:?}", message);
        }
        prop_assert_eq!(by_steps.rows().finish().unwrap().0, general.rows().finish().unwrap().0);
    }
}

fn schema(fields: &[FieldRef], legacy: bool) -> serde_json::Value {
    serde_json::to_value(schema_of(fields, legacy).unwrap()).unwrap()
}

#[test]
fn rows_survive_avro_and_its_own_crate_reads_them() {
    let avro = format(&[("format", "avro")]);
    let (fields, columns) = (every_type(), columns());
    let encoded = avro.encoder(&fields).unwrap().encode(&columns, None).unwrap();
    let mut decoder = avro.decoder(&fields).unwrap();
    for message in encoded.rows() {
        assert_eq!(decoder.decode(message).unwrap(), 1);
    }
    for message in encoded.rows() {
        for end in 0..message.len() {
            let error = decoder.decode(&message[..end]).unwrap_err();
            assert!(error.starts_with("malformed avro: "), "{error}");
        }
    }
    let error = decoder.decode(&[encoded.rows().next().unwrap(), &[0]].concat()).unwrap_err();
    assert_eq!(error, "malformed avro: 1 bytes behind the record");
    assert_eq!(decoder.rows().finish().unwrap().0, columns);
    // long 1; the union's second branch, true; -1; …
    assert_eq!(encoded.rows().next().unwrap()[..5], [2, 2, 1, 2, 1]);
}

/// Without steps the crate would refuse the decimal, whose two bytes cannot hold all digits of its type.
#[test]
fn a_column_that_the_writer_does_not_have_is_null_and_narrow_integers_are_wide() {
    let (fields, all) = (every_type(), columns());
    let absent = fields.iter().position(|field| field.name() == "text").unwrap();
    let wide = fields.iter().position(|field| field.name() == "int").unwrap();
    let (mut written, mut given) = (fields.clone(), all.clone());
    written.remove(absent);
    given.remove(absent);
    let mut read = fields.clone();
    read[wide] = field("int", DataType::Int64);
    let encoder = format(&[("format", "avro")]).encoder(&written).unwrap();
    let encoded = encoder.encode(&given, None).unwrap();
    let (writer, reader) = (schema_of(&written, true).unwrap(), schema_of(&read, true).unwrap());
    let mut rows = DecodedRows::new(&read).unwrap();
    let steps = Steps::new(&writer, &reader, &rows.columns).unwrap();
    for message in encoded.rows() {
        decode(message, (&writer, &reader), Some(&steps), &mut rows).unwrap();
    }
    let decoded = rows.finish().unwrap().0;
    for (at, column) in decoded.iter().enumerate() {
        match at {
            _ if at == absent => assert_eq!(column.null_count(), 2),
            _ if at == wide => assert_eq!(column.as_primitive::<Int64Type>().value(0), 3),
            _ => assert_eq!(column.as_ref(), all[at].as_ref(), "{}", read[at].name()),
        }
    }
}

/// The schema and the bytes are what flink-avro 2.3.0 makes of the same row type and row.
#[test]
fn schema_and_bytes_equal_flinks() {
    let (fields, columns) = (every_type(), columns());
    let flinks = include_str!("flink_record.avsc");
    assert_eq!(schema_of(&fields, true).unwrap(), Schema::parse_str(flinks).unwrap());
    let encoder = format(&[("format", "avro")]).encoder(&fields).unwrap();
    let encoded = encoder.encode(&columns, None).unwrap();
    let bytes = encoded.rows().next().unwrap().iter().map(|byte| format!("{byte:02x}"));
    assert_eq!(
        bytes.collect::<String>(),
        "020201020102040206020000c03f0200000000000004c00204fb2e0204c3a402040102020102f8bbc60302\
         f6f185cdab630204020200000202026b02000000000000f83f0002020e00"
    );
}

#[test]
fn the_derived_schema_is_flinks() {
    let nested =
        [field("r", row(&[required("n", DataType::Int32)])), required("t", DataType::Utf8)];
    let read = schema(&nested, true);
    assert_eq!(read["name"], "record");
    assert_eq!(read["namespace"], "org.apache.flink.avro.generated");
    assert_eq!(read["fields"][0]["type"][0], "null");
    assert_eq!(read["fields"][0]["default"], serde_json::Value::Null);
    assert_eq!(read["fields"][0]["type"][1]["name"], "record_r");
    assert_eq!(read["fields"][1]["type"], "string");
    let micros = |zone: Option<&str>| {
        [required("t", DataType::Timestamp(TimeUnit::Microsecond, zone.map(Into::into)))]
    };
    assert!(schema_of(&micros(None), true).unwrap_err().to_string().contains("TIMESTAMP(6)"));
    assert!(schema_of(&micros(Some("UTC")), true).is_err());
    let logical = |read: serde_json::Value| read["fields"][0]["type"]["logicalType"].clone();
    assert_eq!(logical(schema(&micros(None), false)), "local-timestamp-micros");
    assert_eq!(logical(schema(&micros(Some("UTC")), false)), "timestamp-micros");
}

/// A registry of the paths that a client needs, and what it was asked.
struct Registry {
    address: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Registry {
    /// Answers `GET /schemas/ids/7` with `schema` and any registration with the id 7.
    fn start(schema: &str, authorization: Option<&'static str>) -> Self {
        Self::start_with(schema, authorization, None)
    }

    fn start_with(
        schema: &str,
        authorization: Option<&'static str>,
        tls: Option<rustls::ServerConfig>,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let scheme = if tls.is_some() { "https" } else { "http" };
        let address = format!("{scheme}://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(vec![]));
        let (log, schema) = (Arc::clone(&asked), schema.to_owned());
        let tls = tls.map(Arc::new);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let stream = stream.unwrap();
                match &tls {
                    None => serve(stream, &schema, authorization, &log),
                    Some(tls) => {
                        let session = rustls::ServerConnection::new(Arc::clone(tls)).unwrap();
                        let stream = rustls::StreamOwned::new(session, stream);
                        serve(stream, &schema, authorization, &log);
                    }
                }
            }
        });
        Self { address, asked }
    }
}

fn serve(
    stream: impl Read + Write,
    schema: &str,
    authorization: Option<&str>,
    log: &Mutex<Vec<String>>,
) {
    let mut reader = BufReader::new(stream);
    let (mut head, mut length, mut authorized) = (String::new(), 0, authorization.is_none());
    loop {
        let mut line = String::new();
        // A handshake that came to nothing ends here too.
        if reader.read_line(&mut line).unwrap_or(0) == 0 {
            return;
        }
        if head.is_empty() {
            head.clone_from(&line);
        }
        let (name, value) = line.trim().split_once(": ").unwrap_or((line.trim(), ""));
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.parse().unwrap(),
            "authorization" => authorized = authorization == Some(value),
            "" => break,
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    let asked = format!("{} {}", head.trim(), String::from_utf8(body).unwrap());
    log.lock().unwrap().push(asked.trim().to_owned());
    let (status, body) = match head.trim() {
        _ if !authorized => {
            ("401 Unauthorized", r#"{"error_code":401,"message":"who?"}"#.to_owned())
        }
        "GET /schemas/ids/7 HTTP/1.1" => {
            ("200 OK", serde_json::json!({"schema": schema}).to_string())
        }
        "POST /subjects/clicks-value/versions HTTP/1.1" => ("200 OK", r#"{"id":7}"#.to_owned()),
        _ => ("404 Not Found", r#"{"error_code":40403,"message":"Schema not found"}"#.to_owned()),
    };
    let length = body.len();
    write!(
        reader.get_mut(),
        "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    )
    .unwrap();
}

fn confluent(url: &str, more: &[(&str, &str)]) -> Format {
    let options = [("format", "avro-confluent"), ("avro-confluent.url", url)];
    format(&[&options, more].concat())
}

#[test]
fn messages_name_the_schema_that_they_were_written_with() {
    // Another order, another width, and a field that the table does not have.
    let writer = r#"{"type":"record","name":"Click","fields":[
        {"name":"extra","type":"string"},{"name":"name","type":["null","string"]},
        {"name":"id","type":"int"}]}"#;
    let registry = Registry::start(writer, None);
    let fields =
        [field("id", DataType::Int64), field("name", DataType::Utf8), field("new", DataType::Utf8)];
    let mut decoder = confluent(&registry.address, &[]).decoder(&fields).unwrap();
    let message = |id: i32, name: &str| {
        let record = Value::Record(vec![
            ("extra".into(), Value::String("x".into())),
            ("name".into(), Value::Union(1, Box::new(Value::String(name.into())))),
            ("id".into(), Value::Int(id)),
        ]);
        let schema = Schema::parse_str(writer).unwrap();
        let datum = GenericDatumWriter::builder(&schema).build().unwrap();
        let datum = datum.write_value_to_vec(record).unwrap();
        [&[0, 0, 0, 0, 7], datum.as_slice()].concat()
    };
    for id in 0..3 {
        assert_eq!(decoder.decode(&message(id, "a")).unwrap(), 1);
    }
    assert_eq!(decoder.decode(&[0, 0, 0, 0, 8, 1]).unwrap_err(), "the registry has no schema 8");
    assert!(decoder.decode(&[1, 0, 0, 0, 7]).unwrap_err().contains("Confluent"));
    assert!(decoder.decode(&[0, 0]).unwrap_err().contains("shorter"));
    assert!(decoder.decode(b"").is_err());
    let columns = decoder.rows().finish().unwrap().0;
    assert_eq!(columns[0].as_primitive::<Int64Type>().values(), &[0, 1, 2]);
    assert_eq!(columns[1].as_string::<i32>().value(2), "a");
    assert_eq!(columns[2].null_count(), 3);
    // Each schema is asked for once; ids that are unknown may come to be.
    let asked = registry.asked.lock().unwrap();
    assert_eq!(*asked, ["GET /schemas/ids/7 HTTP/1.1", "GET /schemas/ids/8 HTTP/1.1"]);
}

#[test]
fn a_sink_registers_its_schema_under_the_subject() {
    let registry = Registry::start("\"null\"", Some("Basic dTpw"));
    let fields = [required("id", DataType::Int64)];
    let columns: [ArrayRef; 1] = [Arc::new(Int64Array::from(vec![3]))];
    let subject = ("avro-confluent.subject", "clicks-value");
    let user = ("avro-confluent.basic-auth.user-info", "u:p");
    let mut encoder = confluent(&registry.address, &[subject, user]).encoder(&fields).unwrap();
    encoder.connect().unwrap();
    let encoded = encoder.encode(&columns, None).unwrap();
    assert_eq!(encoded.rows().next().unwrap(), [0, 0, 0, 0, 7, 6]);
    let asked = registry.asked.lock().unwrap()[0].clone();
    let (head, body) = asked.split_once("HTTP/1.1 ").unwrap();
    assert_eq!(head, "POST /subjects/clicks-value/versions ");
    let body: serde_json::Value = serde_json::from_str(body).unwrap();
    let sent: serde_json::Value = serde_json::from_str(body["schema"].as_str().unwrap()).unwrap();
    assert_eq!(sent["fields"][0]["type"], "long");

    let mut stranger = confluent(&registry.address, &[subject]).encoder(&fields).unwrap();
    let error = stranger.connect().unwrap_err();
    assert!(error.to_string().contains("401 Unauthorized who?"), "{error}");
    assert_eq!(error.kind(), nowcast_engine::ErrorKind::User);
    let error = confluent(&registry.address, &[]).encoder(&fields).err().unwrap().to_string();
    assert_eq!(error, "option \"avro-confluent.subject\" is missing: a sink needs it");
}

#[test]
fn a_registry_that_is_away_fails_the_read_and_not_the_message() {
    let mut decoder =
        confluent("http://127.0.0.1:1", &[]).decoder(&[field("id", DataType::Int64)]).unwrap();
    assert_eq!(decoder.decode(&[0, 0, 0, 0, 7, 2, 2]).unwrap(), 0);
    let error = decoder.rows().finish().unwrap_err();
    assert_eq!(error.kind(), nowcast_engine::ErrorKind::Outside);
    assert!(error.to_string().starts_with("schema registry http://127.0.0.1:1/schemas/ids/7: "));
}

#[test]
fn a_registry_is_reached_by_https() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let authority = Authority::new("registry");
    let server = authority.signed(&["127.0.0.1"]);
    let client = authority.signed(&["somebody"]);
    std::fs::write(path("ca.pem"), authority.pem()).unwrap();
    std::fs::write(path("other.pem"), Authority::new("other").pem()).unwrap();
    std::fs::write(path("client.pem"), client.0.clone() + &client.1).unwrap();
    std::fs::write(path("trust.jks"), [0xFE, 0xED, 0xFE, 0xED, 0, 0]).unwrap();
    let mut roots = rustls::RootCertStore::empty();
    for root in crate::tls::certificates(path("ca.pem").as_ref()).unwrap() {
        roots.add(root).unwrap();
    }
    let verifier = rustls::server::WebPkiClientVerifier::builder_with_provider(
        Arc::new(roots),
        crate::tls::provider(),
    );
    std::fs::write(path("server.pem"), server.0 + &server.1).unwrap();
    let tls = rustls::ServerConfig::builder_with_provider(crate::tls::provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier.build().unwrap())
        .with_single_cert(
            crate::tls::certificates(path("server.pem").as_ref()).unwrap(),
            crate::tls::key(path("server.pem").as_ref()).unwrap(),
        )
        .unwrap();
    let registry = Registry::start_with("\"null\"", Some("Basic dTpw"), Some(tls));
    let connect = |url: &str, trust: &str, own: Option<&str>| {
        let trust = path(trust);
        let mut options = vec![
            ("avro-confluent.subject", "clicks-value"),
            ("avro-confluent.ssl.truststore.location", trust.as_str()),
        ];
        let own = own.map(path);
        options.extend(own.as_ref().map(|own| ("avro-confluent.ssl.keystore.location", &**own)));
        let fields = [required("id", DataType::Int64)];
        confluent(url, &options).encoder(&fields).unwrap().connect()
    };
    let with_user = registry.address.replace("https://", "https://u:p@");
    connect(&with_user, "ca.pem", Some("client.pem")).unwrap();
    let other = connect(&with_user, "other.pem", Some("client.pem")).unwrap_err().to_string();
    assert!(other.contains("UnknownIssuer") && !other.contains("u:p"), "{other}");
    connect(&with_user, "ca.pem", None).unwrap_err();
    let jks = path("trust.jks");
    let given = [
        ("connector", "kafka"),
        ("avro-confluent.url", &registry.address),
        ("avro-confluent.ssl.truststore.location", &jks),
    ];
    let table = nowcast_engine::TableDefinition {
        name: "t".into(),
        schema: Arc::new(arrow::datatypes::Schema::empty()),
        metadata: vec![],
        primary_key: vec![],
        partition_keys: vec![],
        unread: vec![],
        unread_fields: vec![],
        options: given.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect(),
    };
    let refused = Format::read(&Options::new(&table), "format", "avro-confluent", "");
    let refused = refused.err().unwrap().to_string();
    assert!(refused.contains("JKS key store; write it in PEM: `keytool"), "{refused}");
}
