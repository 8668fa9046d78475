//! What cannot work is said, with its name.

use super::*;

const START: (&str, &str) = ("scan.startup.mode", "earliest-offset");

with_each_client!(unknown_topics_and_properties_are_named, an_unreachable_broker_is_named);

async fn unknown_topics_and_properties_are_named(client: &'static str) {
    let Some(topic) = Topic::read_by(client, "named", 1).await else { return };
    let mut table = topic.counted(&[]);
    table.options.insert("topic".into(), topic.name.replace("named", "nemad"));
    let error = open_error(&table).await;
    assert_eq!(error.kind(), ErrorKind::User);
    let expected = format!("does not exist; did you mean \"{}\"?", topic.name);
    assert!(error.to_string().ends_with(&expected), "{error}");
    let sunk = registry().sink(&table).unwrap();
    let context = SinkContext::alone("test");
    assert!(sunk.open(context).await.err().unwrap().to_string().contains("does not exist"));
    let error =
        open_error(&topic.counted(&[("properties.fetch.min.bites", "1")])).await.to_string();
    assert!(
        error.starts_with("table \"events\": option \"properties.fetch.min.bites\""),
        "{error}"
    );
}

async fn an_unreachable_broker_is_named(client: &'static str) {
    let fields = || vec![Field::new("n", DataType::Int64, true)];
    let table = table("clicks", "127.0.0.1:1", fields(), &[START, ("client", client)]);
    let sink = registry().sink(&table).unwrap();
    let written = sink.open(SinkContext::alone("test")).await.err().unwrap();
    for error in [open_error(&table).await, written] {
        assert_eq!(error.kind(), ErrorKind::Outside);
        let message = error.to_string();
        let expected = "kafka topic \"clicks\": broker 127.0.0.1:1 unreachable: connect to ";
        assert!(message.starts_with(expected), "{message}");
        assert!(message.ends_with("connection refused"), "{message}");
    }
}

/// What our own client cannot do is librdkafka's where nothing else is said.
#[test]
fn what_only_librdkafka_can_write_is_left_to_it() {
    let fields = || vec![Field::new("n", DataType::Int64, true)];
    let sink = |client: &str, key: &str, value: &str| {
        let options = [("client", client), (key, value)];
        registry().sink(&table("clicks", "127.0.0.1:1", fields(), &options)).map(drop)
    };
    for (key, value) in [
        ("properties.partitioner", "random"),
        ("properties.enable.idempotence", "false"),
        ("properties.acks", "1"),
        ("properties.message.timeout.ms", "0"),
        ("properties.compression.codec", "inherit"),
        ("properties.socket.keepalive.enable", "true"),
    ] {
        let refused = sink("native", key, value).unwrap_err().to_string();
        let expected = format!("table \"events\": option \"{key}\" is ");
        assert!(refused.starts_with(&expected), "{refused}");
        assert!(refused.ends_with("and \"client\" is native"), "{refused}");
        sink("auto", key, value).unwrap();
    }
    for (key, value) in [
        ("properties.partitioner", "murmur2_random"),
        ("properties.acks", "all"),
        ("properties.compression.type", "zstd"),
        ("properties.compression.level", "-1"),
        ("properties.linger.ms", "5"),
    ] {
        sink("native", key, value).unwrap();
    }
    for (key, value) in [
        ("properties.compression.type", "lzma"),
        ("properties.compression.level", "13"),
        ("properties.batch.size", "much"),
    ] {
        for client in ["auto", "native"] {
            let refused = sink(client, key, value).unwrap_err().to_string();
            assert!(refused.contains(key) && refused.contains(value), "{refused}");
        }
    }
}

#[tokio::test]
async fn what_cannot_work_is_said_before_it_starts() {
    let fields = || vec![Field::new("n", DataType::Int64, true)];
    let refused = |options: &[(&str, &str)]| {
        let table = table("clicks", "embedded", fields(), options);
        let environment =
            Environment { embedded_bootstrap: Some("127.0.0.1:1".into()), ..Default::default() };
        Registry::new(environment).source(&table).err().expect("a refusal").to_string()
    };
    for (options, expected) in [
        (vec![START, ("formt", "json")], "unknown option \"formt\"; did you mean \"format\"?"),
        (
            vec![START, ("format", "jsn")],
            "option \"format\" is one of json, csv, raw, debezium-json, canal-json, maxwell-json, ogg-json, avro, avro-confluent, protobuf, not \"jsn\"",
        ),
        (vec![START, ("json.ignore", "x")], "unknown option \"json.ignore\""),
        (vec![("scan.startup.mode", "begin")], "option \"scan.startup.mode\" is one of"),
        (vec![("scan.startup.mode", "timestamp")], "\"scan.startup.timestamp-millis\" is missing"),
        (vec![], "properties.group.id"),
        (vec![START, ("key.fields", "n")], "\"key.fields\" needs \"key.format\""),
        (vec![START, ("key.fields", "m"), ("key.format", "raw")], "unknown column \"m\""),
        (
            vec![
                ("scan.startup.mode", "specific-offsets"),
                ("scan.startup.specific-offsets", "0:1"),
            ],
            "partition:0,offset:42",
        ),
    ] {
        let message = refused(&options);
        assert!(message.starts_with("table \"events\": "), "{message}");
        assert!(message.contains(expected), "{message}");
    }
    let table = table("clicks", "embedded", fields(), &[START]);
    let without = registry().source(&table).err().unwrap().to_string();
    assert!(without.contains("no embedded broker"), "{without}");
    let odd = with_metadata(table, &[("ofset", DataType::Int64, true)]);
    let environment = Environment { embedded_bootstrap: Some("x:1".into()), ..Default::default() };
    let message = Registry::new(environment.clone()).source(&odd).err().unwrap().to_string();
    assert!(message.contains("no metadata \"ofset\"; did you mean \"offset\"?"), "{message}");
    let mut wrong = odd;
    wrong.metadata[0].key = "headers".into();
    let message = Registry::new(environment).source(&wrong).err().unwrap().to_string();
    assert!(message.contains("cannot hold the metadata \"headers\""), "{message}");
}
