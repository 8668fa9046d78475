//! A connection that speaks plain protocol, for what librdkafka would never ask.

use std::io::{Read, Write};
use std::net::TcpStream;

use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchRequest, FetchTopic};
use kafka_protocol::messages::fetch_response::PartitionData;
use kafka_protocol::messages::produce_request::{
    PartitionProduceData, ProduceRequest, TopicProduceData,
};
use kafka_protocol::messages::produce_response::PartitionProduceResponse;
use kafka_protocol::messages::{ApiKey, RequestHeader, ResponseHeader, TopicName};
use kafka_protocol::protocol::{Decodable, Encodable, Request, StrBytes};
use kafka_protocol::records::{
    Compression, Record, RecordBatchEncoder, RecordEncodeOptions, TimestampType,
};

use crate::support::PATIENCE;

pub struct Raw {
    stream: TcpStream,
    correlation: i32,
}

impl Raw {
    pub fn connect(bootstrap: &str) -> Raw {
        let stream = TcpStream::connect(bootstrap).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Raw { stream, correlation: 0 }
    }

    /// The answer, fully decoded: bytes left over are an error.
    pub fn call<R: Request>(&mut self, version: i16, request: &R) -> R::Response {
        self.send(version, request);
        let key = ApiKey::try_from(R::KEY).unwrap();
        // The answer to this one has the old header always.
        let header_version =
            if key == ApiKey::ApiVersions { 0 } else { key.response_header_version(version) };
        let mut answer = self.receive();
        let header = ResponseHeader::decode(&mut answer, header_version).unwrap();
        assert_eq!(header.correlation_id, self.correlation);
        let response = R::Response::decode(&mut answer, version);
        let response = response.unwrap_or_else(|e| panic!("{key:?} v{version}: {e}"));
        assert!(answer.is_empty(), "{key:?} v{version}: {} bytes left over", answer.len());
        response
    }

    pub fn send<R: Request>(&mut self, version: i16, request: &R) {
        let key = ApiKey::try_from(R::KEY).unwrap();
        let mut body = BytesMut::new();
        request.encode(&mut body, version).unwrap_or_else(|e| panic!("{key:?} v{version}: {e}"));
        self.send_bytes(R::KEY, version, key.request_header_version(version), &body);
    }

    pub fn send_bytes(&mut self, key: i16, version: i16, header_version: i16, body: &[u8]) {
        self.correlation += 1;
        let header = RequestHeader::default()
            .with_request_api_key(key)
            .with_request_api_version(version)
            .with_correlation_id(self.correlation)
            .with_client_id(Some(StrBytes::from_static_str("raw")));
        let mut frame = BytesMut::new();
        frame.put_i32(0);
        header.encode(&mut frame, header_version).unwrap();
        frame.extend_from_slice(body);
        let bytes = (frame.len() - 4) as i32;
        frame[..4].copy_from_slice(&bytes.to_be_bytes());
        // Where the broker has closed the connection, the missing answer tells.
        let _ = self.stream.write_all(&frame);
    }

    /// The next answer, from its correlation id on.
    pub fn receive(&mut self) -> Bytes {
        self.try_receive().unwrap()
    }

    /// Fails where the connection was closed instead.
    pub fn try_receive(&mut self) -> std::io::Result<Bytes> {
        let mut length = [0; 4];
        self.stream.read_exact(&mut length)?;
        let mut answer = vec![0; i32::from_be_bytes(length) as usize];
        self.stream.read_exact(&mut answer)?;
        Ok(Bytes::from(answer))
    }

    /// Bytes as they are.
    pub fn write(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    pub fn is_closed(&mut self) -> bool {
        matches!(self.stream.read(&mut [0]), Ok(0) | Err(_))
    }

    /// Sends one batch for partition 0.
    pub fn produce(&mut self, topic: &str, batch: Bytes) -> PartitionProduceResponse {
        let mut response = self.call(8, &produce_request(topic, batch));
        response.responses.remove(0).partition_responses.remove(0)
    }

    /// Fetches from partition 0.
    pub fn fetch(
        &mut self,
        topic: &str,
        offset: i64,
        wait_ms: i32,
        min_bytes: i32,
    ) -> PartitionData {
        let mut response = self.call(11, &fetch_request(topic, offset, wait_ms, min_bytes));
        assert_eq!(response.error_code, 0);
        response.responses.remove(0).partitions.remove(0)
    }
}

pub fn name(text: &str) -> TopicName {
    TopicName(StrBytes::from_string(text.to_owned()))
}

pub fn produce_request(topic: &str, batch: Bytes) -> ProduceRequest {
    let data = PartitionProduceData::default().with_records(Some(batch));
    let topic = TopicProduceData::default().with_name(name(topic));
    ProduceRequest::default()
        .with_acks(-1)
        .with_timeout_ms(30_000)
        .with_topic_data(vec![topic.with_partition_data(vec![data])])
}

pub fn fetch_request(topic: &str, offset: i64, wait_ms: i32, min_bytes: i32) -> FetchRequest {
    let partition =
        FetchPartition::default().with_fetch_offset(offset).with_partition_max_bytes(1 << 20);
    let topic = FetchTopic::default().with_topic(name(topic)).with_partitions(vec![partition]);
    FetchRequest::default()
        .with_max_wait_ms(wait_ms)
        .with_min_bytes(min_bytes)
        .with_max_bytes(8 << 20)
        .with_session_epoch(-1)
        .with_topics(vec![topic])
}

/// Who writes a batch: producer id, epoch, first sequence number.
pub type From = (i64, i16, i32);
pub const NOBODY: From = (-1, -1, -1);

/// An uncompressed batch of as many records as there are values.
pub fn batch(from: From, values: &[&str]) -> Bytes {
    batch_of(from, values, false)
}

pub fn transactional_batch(from: From, values: &[&str]) -> Bytes {
    batch_of(from, values, true)
}

fn batch_of(from: From, values: &[&str], transactional: bool) -> Bytes {
    let record = |(i, value): (usize, &&str)| Record {
        transactional,
        control: false,
        partition_leader_epoch: -1,
        producer_id: from.0,
        producer_epoch: from.1,
        timestamp_type: TimestampType::Creation,
        offset: i as i64,
        sequence: from.2 + i as i32,
        timestamp: 1_700_000_000_000,
        key: None,
        value: Some(Bytes::from(value.to_string())),
        headers: Default::default(),
        delete_horizon: false,
    };
    let records: Vec<Record> = values.iter().enumerate().map(record).collect();
    let mut bytes = BytesMut::new();
    let options = RecordEncodeOptions { version: 2, compression: Compression::None };
    RecordBatchEncoder::encode(&mut bytes, records.iter(), &options).unwrap();
    bytes.freeze()
}
