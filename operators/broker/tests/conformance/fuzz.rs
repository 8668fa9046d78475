//! Bytes that no client sends: whatever comes in, the broker answers or closes that connection, and serves
//! the next one. `fuzz/` at the top of the repository has the same as a target for cargo-fuzz.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::messages::{ApiKey, MetadataRequest, RequestHeader};
use kafka_protocol::protocol::{Encodable, StrBytes};

use crate::raw::{NOBODY, Raw, batch, fetch_request, produce_request};
use crate::support::Embedded;

/// How long each of these looks for trouble.
const SEARCH: Duration = Duration::from_secs(4);

/// A small generator, seeded: failures come back.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        ((self.0 >> 33) as usize) % sides.max(1)
    }

    fn bytes(&mut self, most: usize) -> Vec<u8> {
        let edge = [0, 1, 2, 0x7f, 0x80, 0xff];
        let count = self.roll(most);
        (0..count)
            .map(|_| match self.roll(3) {
                0 => edge[self.roll(edge.len())],
                _ => self.roll(256) as u8,
            })
            .collect()
    }
}

/// Panics in tasks of the broker, which tokio would swallow.
static PANICS: AtomicUsize = AtomicUsize::new(0);

fn count_panics() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let place = info.location().map_or("", |location| location.file());
            if !place.contains("conformance") {
                PANICS.fetch_add(1, Relaxed);
            }
            before(info);
        }));
    });
}

/// One request on a connection of its own; what comes back is for nobody.
fn throw(bootstrap: &str, frame: &[u8]) {
    let mut stream = TcpStream::connect(bootstrap).unwrap();
    stream.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
    let mut bytes = (frame.len() as i32).to_be_bytes().to_vec();
    bytes.extend_from_slice(frame);
    let _ = stream.write_all(&bytes);
    let _ = stream.shutdown(std::net::Shutdown::Write);
    let _ = stream.read(&mut [0; 64]);
}

fn search(seed: u64, mut make: impl FnMut(&mut Dice) -> Vec<u8>) {
    count_panics();
    let broker = Embedded::start_with(|config| config.limits.partitions_max = 64);
    broker.broker().create_topic("t", 1, &[]).unwrap();
    let bootstrap = broker.bootstrap();
    let (mut dice, begun, mut thrown) = (Dice(seed), Instant::now(), 0);
    while begun.elapsed() < SEARCH {
        let frame = make(&mut dice);
        let before = PANICS.load(Relaxed);
        throw(&bootstrap, &frame);
        assert_eq!(PANICS.load(Relaxed), before, "after {thrown}: {frame:02x?}");
        thrown += 1;
        if thrown % 100 == 0 {
            serves(&bootstrap);
        }
    }
    serves(&bootstrap);
    println!("{thrown} requests");
}

fn serves(bootstrap: &str) {
    let mut raw = Raw::connect(bootstrap);
    assert!(!raw.call(9, &MetadataRequest::default().with_topics(None)).brokers.is_empty());
    assert_eq!(raw.produce("t", batch(NOBODY, &["x"])).error_code, 0);
}

/// The header of a request of some api that there may be, in some version.
fn header(dice: &mut Dice) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.put_i16(dice.roll(93) as i16 - 1);
    bytes.put_i16(dice.roll(18) as i16 - 1);
    bytes.put_i32(7);
    // A client id of one letter, and no tagged fields where there can be some.
    bytes.put_i16(1);
    bytes.put_u8(b'c');
    if dice.roll(2) == 0 {
        bytes.put_u8(0);
    }
    bytes
}

#[test]
fn any_bytes_are_survived() {
    search(1, |dice| dice.bytes(200));
}

#[test]
fn any_bytes_behind_a_header_are_survived() {
    search(2, |dice| [header(dice), dice.bytes(120)].concat());
}

/// What a client sends, as it lies in its frame.
fn frame<R: Encodable>(key: ApiKey, version: i16, request: &R) -> Vec<u8> {
    let mut bytes = BytesMut::new();
    let header = RequestHeader::default()
        .with_request_api_key(key as i16)
        .with_request_api_version(version)
        .with_client_id(Some(StrBytes::from_static_str("c")));
    header.encode(&mut bytes, key.request_header_version(version)).unwrap();
    request.encode(&mut bytes, version).unwrap();
    bytes.to_vec()
}

#[test]
fn requests_with_wrong_bytes_are_survived() {
    let records = batch(NOBODY, &["one", "two"]);
    let mut seeds = Vec::new();
    for version in 3..=11 {
        seeds.push(frame(ApiKey::Produce, version, &produce_request("t", records.clone())));
    }
    for version in 4..=12 {
        seeds.push(frame(ApiKey::Fetch, version, &fetch_request("t", 0, 0, 1)));
    }
    search(3, |dice| {
        let mut bytes = seeds[dice.roll(seeds.len())].clone();
        for _ in 0..1 + dice.roll(4) {
            let at = dice.roll(bytes.len());
            match dice.roll(4) {
                0 => bytes[at] ^= 1 << dice.roll(8),
                1 => bytes[at] = 0xff,
                2 => bytes.truncate(at.max(8)),
                _ => {
                    let more = dice.bytes(8);
                    bytes.splice(at..at, more);
                }
            }
        }
        bytes
    });
}

/// Records that a checksum covers and that are wrong all the same: compaction and a search by time
/// look into them.
#[test]
fn batches_with_wrong_records_are_survived() {
    count_panics();
    let broker = Embedded::start();
    let settings =
        [("cleanup.policy", "compact,delete"), ("segment.ms", "1"), ("retention.ms", "-1")];
    broker.broker().create_topic("t", 1, &settings).unwrap();
    broker.broker().create_topic("plain", 1, &[("retention.ms", "-1")]).unwrap();
    let mut raw = Raw::connect(&broker.bootstrap());
    let (mut dice, begun, mut taken) = (Dice(4), Instant::now(), 0);
    while begun.elapsed() < SEARCH {
        let mut bytes = batch(NOBODY, &["one", "two", "three"]).to_vec();
        for _ in 0..1 + dice.roll(4) {
            let at = 61 + dice.roll(bytes.len() - 61);
            bytes[at] = dice.roll(256) as u8;
        }
        // A codec, and a checksum that fits.
        bytes[22] = dice.roll(5) as u8;
        let crc = crc32c::crc32c(&bytes[21..]);
        bytes[17..21].copy_from_slice(&crc.to_be_bytes());
        for topic in ["plain", "t"] {
            let answer = raw.produce(topic, Bytes::from(bytes.clone()));
            taken += usize::from(answer.error_code == 0);
        }
        let asked = kafka_protocol::messages::list_offsets_request::ListOffsetsPartition::default()
            .with_timestamp(dice.roll(usize::MAX) as i64);
        let asked = kafka_protocol::messages::list_offsets_request::ListOffsetsTopic::default()
            .with_name(crate::raw::name("plain"))
            .with_partitions(vec![asked]);
        let request = kafka_protocol::messages::ListOffsetsRequest::default();
        raw.call(5, &request.with_topics(vec![asked]));
    }
    assert!(taken > 100, "{taken} batches");
    assert_eq!(PANICS.load(Relaxed), 0);
}
