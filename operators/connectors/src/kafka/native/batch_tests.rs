//! Batches as another library writes them.

use bytes::{Bytes, BytesMut};
use kafka_protocol::protocol::StrBytes;
use kafka_protocol::records::{
    Compression, Record as Written, RecordBatchDecoder, RecordBatchEncoder, RecordEncodeOptions,
    TimestampType,
};
use proptest::prelude::*;

use super::batch::{Batches, Located, Malformed};
use super::codec::Codecs;
use super::produce::batch::{Building, Identity};
use super::produce::compress::{Codec, Compressor};
use crate::kafka::writing::{Headers, Outgoing};
use crate::messages::Message;

fn written(offset: i64, key: Option<&[u8]>, value: Option<&[u8]>) -> Written {
    Written {
        transactional: false,
        control: false,
        delete_horizon: false,
        partition_leader_epoch: 0,
        producer_id: -1,
        producer_epoch: -1,
        timestamp_type: TimestampType::Creation,
        offset,
        // The library begins a batch where numbers do not go on.
        sequence: offset as i32,
        timestamp: 1_000 + offset,
        key: key.map(Bytes::copy_from_slice),
        value: value.map(Bytes::copy_from_slice),
        headers: Default::default(),
    }
}

fn encoded(records: &[Written]) -> Vec<u8> {
    let options = RecordEncodeOptions { version: 2, compression: Compression::None };
    let mut bytes = BytesMut::new();
    RecordBatchEncoder::encode(&mut bytes, records, &options).unwrap();
    bytes.to_vec()
}

/// Offset, timestamp, key, value and headers of each record.
type Read = (i64, Option<i64>, Option<Vec<u8>>, Option<Vec<u8>>, Vec<(String, Option<Vec<u8>>)>);

fn read(bytes: &[u8]) -> Result<Vec<Read>, Malformed> {
    let (mut all, mut codecs) = (vec![], Codecs::default());
    for batch in Batches(bytes) {
        let batch = batch?;
        batch.check()?;
        for record in batch.records(&mut codecs)? {
            let message = Located { topic: "t", partition: 3, record: record? };
            let headers = message.headers();
            let headers = headers.map(|(name, value)| (name.to_owned(), value.map(<[u8]>::to_vec)));
            all.push((
                message.offset(),
                message.timestamp(),
                message.key().map(<[u8]>::to_vec),
                message.value().map(<[u8]>::to_vec),
                headers.collect(),
            ));
        }
    }
    Ok(all)
}

#[test]
fn records_are_read_as_they_were_written() {
    let long = vec![7; 70_000];
    let mut with_headers = written(12, Some(b"k"), Some(&long));
    with_headers.headers.insert(StrBytes::from_static_str("trace"), Some(Bytes::from_static(b"x")));
    with_headers.headers.insert(StrBytes::from_static_str("none"), None);
    let records =
        [written(10, None, Some(b"a")), written(11, Some(b""), None), with_headers.clone()];
    let bytes = encoded(&records);
    let expected = vec![
        (10, Some(1_010), None, Some(b"a".to_vec()), vec![]),
        (11, Some(1_011), Some(vec![]), None, vec![]),
        (
            12,
            Some(1_012),
            Some(b"k".to_vec()),
            Some(long.clone()),
            vec![("trace".to_owned(), Some(b"x".to_vec())), ("none".to_owned(), None)],
        ),
    ];
    assert_eq!(read(&bytes).unwrap(), expected);
    let batch = Batches(&bytes).next().unwrap().unwrap();
    assert_eq!((batch.base_offset, batch.next_offset(), batch.max_timestamp()), (10, 13, 1_012));
    // A second batch that is cut off comes with the next answer.
    let cut = [&bytes[..], &bytes[..bytes.len() - 1]].concat();
    assert_eq!(read(&cut).unwrap(), expected);
    assert_eq!(read(&bytes[..40]).unwrap(), []);
}

#[test]
fn markers_of_transactions_are_told_from_records() {
    let marker = |kind: u8| {
        let mut record = written(5, Some(&[0, 0, 0, kind]), Some(&[0; 6]));
        (record.transactional, record.control, record.producer_id) = (true, true, 77);
        encoded(&[record])
    };
    for (kind, aborts) in [(0, true), (1, false)] {
        let bytes = marker(kind);
        let batch = Batches(&bytes).next().unwrap().unwrap();
        assert!(batch.is_control() && batch.is_transactional());
        assert_eq!((batch.is_abort(), batch.producer()), (aborts, 77));
    }
    let bytes = encoded(&[written(0, None, None)]);
    let batch = Batches(&bytes).next().unwrap().unwrap();
    assert!(!batch.is_control() && !batch.is_transactional() && !batch.is_abort());
}

#[test]
fn what_is_no_batch_is_said_with_its_offset() {
    let good = encoded(&[written(9, None, Some(b"abc"))]);
    let spoilt = |at: usize, byte: u8| {
        let mut bytes = good.clone();
        bytes[at] = byte;
        let malformed = read(&bytes).unwrap_err();
        assert_eq!(malformed.offset, 9);
        malformed.reason
    };
    assert_eq!(spoilt(good.len() - 2, b'x'), "the checksum does not fit");
    assert!(spoilt(16, 1).contains("messages of format 1"));
    assert!(spoilt(8, 0xff).contains("a batch of"));
    // A number of records that is too high, under a checksum that fits.
    let mut bytes = good.clone();
    bytes[60] = 9;
    let checksum = crc32c::crc32c(&bytes[21..]);
    bytes[17..21].copy_from_slice(&checksum.to_be_bytes());
    assert_eq!(read(&bytes).unwrap_err().reason, "a record is cut off");
}

proptest! {
    /// Whatever the bytes, under a checksum that fits: an error or records, and an end.
    #[test]
    fn no_bytes_break_the_reader(changes in prop::collection::vec((21_usize..200, any::<u8>()), 0..8)) {
        let mut record = written(3, Some(b"key"), Some(&[1; 60]));
        record.headers.insert(StrBytes::from_static_str("name"), Some(Bytes::from_static(b"value")));
        let mut bytes = encoded(&[record.clone(), record]);
        for (at, byte) in changes {
            let at = 21 + at % (bytes.len() - 21);
            bytes[at] = byte;
        }
        let checksum = crc32c::crc32c(&bytes[21..]);
        bytes[17..21].copy_from_slice(&checksum.to_be_bytes());
        for batch in Batches(&bytes).flatten() {
            let _ = (batch.is_abort(), batch.next_offset());
        }
        let _ = read(&bytes);
    }
}

/// Values of a record that is written: key, value, timestamp and headers.
type Line = (Option<Vec<u8>>, Option<Vec<u8>>, i64, Headers);

fn line() -> impl Strategy<Value = Line> {
    let bytes = || prop::option::of(prop::collection::vec(any::<u8>(), 0..300));
    let headers = prop::collection::vec(("[a-z]{0,9}", bytes()), 0..3);
    // The library does not wrap where times lie too far apart.
    (bytes(), bytes(), -1_000_000_000_000..4_000_000_000_000_i64, headers)
}

proptest! {
    /// What is written another library reads, and our own reader by each codec.
    #[test]
    fn batches_are_read_as_they_were_laid(
        lines in prop::collection::vec(line(), 1..40),
        codec in 0..Codec::NAMES.len(),
        transactional: bool,
    ) {
        let mut building = Building::default();
        for (key, value, timestamp, headers) in &lines {
            let message = Outgoing {
                partition: None,
                key: key.as_deref(),
                value: value.as_deref(),
                timestamp: None,
                headers: Some(headers),
            };
            let before = building.bytes();
            building.push(&message, *timestamp);
            prop_assert!(building.bytes() - before <= message.bytes());
        }
        let mut compressor = Compressor { codec: Codec::NAMES[codec].1, level: None };
        let sealed = building.seal(&mut compressor, transactional, 0);
        prop_assert!(building.is_empty() && building.bytes() == 0);
        prop_assert_eq!(sealed.records as usize, lines.len());
        let bytes = sealed.number(Identity { id: 4_711, epoch: 3 }, 100);
        // The codecs are judged by librdkafka and a broker (`tests::sink`).
        if codec == 0 {
            let judged = RecordBatchDecoder::decode(&mut bytes.clone()).unwrap();
            prop_assert_eq!(judged.records.len(), lines.len());
            for (at, (record, line)) in judged.records.iter().zip(&lines).enumerate() {
                let (key, value, timestamp, headers) = line;
                prop_assert_eq!(&record.key.as_ref().map(|key| key.to_vec()), key);
                prop_assert_eq!(&record.value.as_ref().map(|value| value.to_vec()), value);
                prop_assert_eq!(record.timestamp, *timestamp);
                // The library keeps the last header of a name alone.
                for (name, value) in &record.headers {
                    let last = headers.iter().rfind(|(header, _)| *header == **name).unwrap();
                    prop_assert_eq!(&value.as_ref().map(|value| value.to_vec()), &last.1);
                }
                prop_assert_eq!((record.offset, record.sequence), (at as i64, 100 + at as i32));
                prop_assert_eq!((record.producer_id, record.producer_epoch), (4_711, 3));
                prop_assert_eq!((record.transactional, record.control), (transactional, false));
            }
        }
        let most = lines.iter().map(|(_, _, timestamp, _)| *timestamp).max();
        let batch = Batches(&bytes).next().unwrap().unwrap();
        prop_assert_eq!(Some(batch.max_timestamp()), most);
        let own = read(&bytes).unwrap();
        for (at, (record, (key, value, timestamp, headers))) in own.iter().zip(&lines).enumerate() {
            let stamp = (*timestamp >= 0).then_some(*timestamp);
            let line = (at as i64, stamp, key.clone(), value.clone(), headers.clone());
            prop_assert_eq!(record, &line);
        }
    }
}
