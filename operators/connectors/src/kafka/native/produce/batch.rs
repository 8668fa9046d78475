//! Record batches (format 2) as they are written: records one behind the other, then their head; see
//! "Record Batch" of Kafka's protocol guide.

use std::time::Instant;

use bytes::Bytes;

use super::super::batch::{CHECKED_FROM, HEAD_BYTES, LENGTH_END};
use super::compress::Compressor;
use crate::kafka::writing::Outgoing;

const FORMAT: u8 = 2;
const TRANSACTIONAL: i16 = 0x10;

/// A batch that is being filled. The room for its head lies in front.
#[derive(Default)]
pub struct Building {
    bytes: Vec<u8>,
    records: i32,
    first: i64,
    most: i64,
}

/// A batch that is full, without the numbers that it gets when it is sent for the first time.
pub struct Sealed {
    bytes: Vec<u8>,
    pub records: i32,
    pub since: Instant,
}

/// What all batches of a producer say of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    pub id: i64,
    pub epoch: i16,
}

impl Building {
    pub fn is_empty(&self) -> bool {
        self.records == 0
    }

    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }

    pub fn push(&mut self, message: &Outgoing<'_>, timestamp: i64) {
        if self.bytes.is_empty() {
            self.bytes.resize(HEAD_BYTES, 0);
        }
        if self.records == 0 {
            (self.first, self.most) = (timestamp, timestamp);
        }
        self.most = self.most.max(timestamp);
        let since = timestamp.wrapping_sub(self.first);
        let headers = message.headers.map_or(&[][..], Vec::as_slice);
        let of_headers = headers.iter().map(|(name, value)| {
            varint_bytes(name.len() as i64) + name.len() + field_bytes(value.as_deref())
        });
        let length = 1
            + varint_bytes(since)
            + varint_bytes(self.records.into())
            + field_bytes(message.key)
            + field_bytes(message.value)
            + varint_bytes(headers.len() as i64)
            + of_headers.sum::<usize>();
        let to = &mut self.bytes;
        put_varint(to, length as i64);
        // Its attributes: none are in use.
        to.push(0);
        put_varint(to, since);
        put_varint(to, self.records.into());
        put_field(to, message.key);
        put_field(to, message.value);
        put_varint(to, headers.len() as i64);
        for (name, value) in headers {
            put_field(to, Some(name.as_bytes()));
            put_field(to, value.as_deref());
        }
        self.records += 1;
    }

    /// The batch; an empty one is begun, with as much room, if that is not more than `room_max`.
    pub fn seal(
        &mut self,
        compressor: &mut Compressor,
        transactional: bool,
        room_max: usize,
    ) -> Sealed {
        let room = Vec::with_capacity(self.bytes.len().min(room_max));
        let Self { bytes, records, first, most } =
            std::mem::replace(self, Self { bytes: room, ..Self::default() });
        let (mut bytes, codec) = compressor.compress(bytes);
        let length = (bytes.len() - LENGTH_END) as i32;
        let attributes = codec | if transactional { TRANSACTIONAL } else { 0 };
        put(&mut bytes, 8, &length.to_be_bytes());
        // The leader's epoch is the broker's to say.
        put(&mut bytes, 12, &(-1_i32).to_be_bytes());
        put(&mut bytes, 16, &[FORMAT]);
        put(&mut bytes, 21, &attributes.to_be_bytes());
        put(&mut bytes, 23, &(records - 1).to_be_bytes());
        put(&mut bytes, 27, &first.to_be_bytes());
        put(&mut bytes, 35, &most.to_be_bytes());
        put(&mut bytes, 57, &records.to_be_bytes());
        Sealed { bytes, records, since: Instant::now() }
    }
}

impl Sealed {
    /// That it holds in memory.
    pub fn bytes(&self) -> usize {
        self.bytes.capacity()
    }

    /// With its numbers: from now on it stays as it is, however often it is sent.
    pub fn number(mut self, producer: Identity, sequence: i32) -> Bytes {
        put(&mut self.bytes, 43, &producer.id.to_be_bytes());
        put(&mut self.bytes, 51, &producer.epoch.to_be_bytes());
        put(&mut self.bytes, 53, &sequence.to_be_bytes());
        let checksum = crc32c::crc32c(&self.bytes[CHECKED_FROM..]);
        put(&mut self.bytes, 17, &checksum.to_be_bytes());
        self.bytes.into()
    }
}

fn put(bytes: &mut [u8], at: usize, what: &[u8]) {
    bytes[at..at + what.len()].copy_from_slice(what);
}

fn zigzag(value: i64) -> u64 {
    (value << 1) as u64 ^ (value >> 63) as u64
}

#[inline]
fn varint_bytes(value: i64) -> usize {
    let bits = 64 - (zigzag(value) | 1).leading_zeros() as usize;
    bits.div_ceil(7)
}

#[inline]
fn put_varint(to: &mut Vec<u8>, value: i64) {
    let mut rest = zigzag(value);
    while rest >= 0x80 {
        to.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    to.push(rest as u8);
}

fn field_bytes(field: Option<&[u8]>) -> usize {
    field.map_or(1, |field| varint_bytes(field.len() as i64) + field.len())
}

#[inline]
fn put_field(to: &mut Vec<u8>, field: Option<&[u8]>) {
    match field {
        None => put_varint(to, -1),
        Some(field) => {
            put_varint(to, field.len() as i64);
            to.extend_from_slice(field);
        }
    }
}
