//! The records inside a batch: read one by one, and put together again without some of them.

use std::borrow::Cow;
use std::io;

use bytes::BufMut;

use crate::batch::{CODEC_MASK, DELETE_HORIZON, HEAD_BYTES, Head, NO_TIMESTAMP, seal};
use crate::codec;

/// One record; the bytes are slices of its batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Record<'a> {
    attributes: u8,
    pub timestamp: i64,
    pub offset_delta: i32,
    pub key: Option<&'a [u8]>,
    pub has_value: bool,
    /// Key, value and headers as they lie, from the key's length on.
    contents: &'a [u8],
}

/// The records' bytes of a whole batch, decoded.
pub(crate) fn decode<'a>(head: &Head, batch: &'a [u8]) -> io::Result<Cow<'a, [u8]>> {
    codec::decode(head.codec(), batch.get(HEAD_BYTES..).unwrap_or_default())
}

/// Each record of what [`decode`] gave; an error ends them.
pub(crate) fn read<'a>(
    head: &Head,
    mut decoded: &'a [u8],
) -> impl Iterator<Item = io::Result<Record<'a>>> {
    let (base, mut left) = (head.base_timestamp, head.records.max(0));
    std::iter::from_fn(move || {
        left = left.checked_sub(1).filter(|&left| left >= 0)?;
        let record = record(&mut decoded, base);
        if record.is_none() {
            left = 0;
        }
        Some(record.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "not a record")))
    })
}

fn record<'a>(rest: &mut &'a [u8], base_timestamp: i64) -> Option<Record<'a>> {
    let bytes = usize::try_from(varint(rest)?).ok()?;
    let mut record = rest.get(..bytes)?;
    *rest = &rest[bytes..];
    let (&attributes, behind) = record.split_first()?;
    record = behind;
    let timestamp = base_timestamp.wrapping_add(varint(&mut record)?);
    let offset_delta = i32::try_from(varint(&mut record)?).ok()?;
    let contents = record;
    let key = field(&mut record)?;
    let has_value = field(&mut record)?.is_some();
    Some(Record { attributes, timestamp, offset_delta, key, has_value, contents })
}

/// Bytes behind their length; a length below 0 is null.
#[expect(clippy::option_option, reason = "the outer one is bad bytes, the inner one a null")]
fn field<'a>(rest: &mut &'a [u8]) -> Option<Option<&'a [u8]>> {
    let Ok(bytes) = usize::try_from(varint(rest)?) else { return Some(None) };
    let field = rest.get(..bytes)?;
    *rest = &rest[bytes..];
    Some(Some(field))
}

/// The batch again with only these of its records: offsets, producer and codec stay. With
/// `horizon_ms`, it says until when its tombstones are kept.
pub(crate) fn rebuild(
    head: &Head,
    kept: &[Record<'_>],
    horizon_ms: Option<i64>,
) -> io::Result<Vec<u8>> {
    // The horizon stands where the base of the times would: the format has no field of its own.
    let first = kept.first().map_or(NO_TIMESTAMP, |record| record.timestamp);
    let base_timestamp = horizon_ms.unwrap_or(first);
    let latest = kept.iter().map(|record| record.timestamp).max();
    let mut attributes = head.attributes & !DELETE_HORIZON;
    if horizon_ms.is_some() {
        attributes |= DELETE_HORIZON;
    }
    if kept.is_empty() {
        // Clients would decode no bytes, and fail.
        attributes &= !CODEC_MASK;
    }
    let head = Head {
        attributes,
        base_timestamp,
        max_timestamp: latest.unwrap_or(NO_TIMESTAMP),
        records: kept.len() as i32,
        ..head.clone()
    };
    let mut records = Vec::new();
    for record in kept {
        let mut front = Vec::with_capacity(24);
        front.put_u8(record.attributes);
        put_varint(&mut front, record.timestamp.wrapping_sub(base_timestamp));
        put_varint(&mut front, i64::from(record.offset_delta));
        put_varint(&mut records, (front.len() + record.contents.len()) as i64);
        records.extend_from_slice(&front);
        records.extend_from_slice(record.contents);
    }
    Ok(seal(&head, &codec::encode(head.codec(), &records)?))
}

/// A zigzag varint, taken off the front.
fn varint(bytes: &mut &[u8]) -> Option<i64> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some((value >> 1) as i64 ^ -((value & 1) as i64));
        }
    }
    None
}

fn put_varint(to: &mut Vec<u8>, value: i64) {
    let mut rest = (value << 1 ^ value >> 63) as u64;
    while rest >= 0x80 {
        to.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    to.push(rest as u8);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::PATCHED_BYTES;
    use crate::batch::tests::batch;

    #[test]
    fn varints_are_read_as_written() {
        for value in [0, -1, 1, 63, 64, -64, -65, 300, i64::MAX, i64::MIN] {
            let mut bytes = Vec::new();
            put_varint(&mut bytes, value);
            assert_eq!(varint(&mut &bytes[..]), Some(value));
        }
        assert_eq!(varint(&mut &[0x80; 11][..]), None);
    }

    #[test]
    fn a_batch_put_together_from_all_its_records_is_the_same() {
        let bytes = batch((7, 1, 40), &[1000, 1005, 1002]);
        let head = Head::read(&bytes).unwrap();
        let decoded = decode(&head, &bytes).unwrap();
        let records: Vec<_> = read(&head, &decoded).map(Result::unwrap).collect();
        let rebuilt = rebuild(&head, &records, None).unwrap();
        assert_eq!(rebuilt[PATCHED_BYTES..], bytes[PATCHED_BYTES..]);
    }

    #[test]
    fn what_is_left_keeps_offsets_times_and_producer_in_every_codec() {
        use kafka_protocol::records::RecordBatchDecoder;
        let bytes = batch((7, 1, 40), &[1000, 1005, 1002]);
        let plain = Head::read(&bytes).unwrap();
        let decoded = decode(&plain, &bytes).unwrap();
        let records: Vec<_> = read(&plain, &decoded).map(Result::unwrap).collect();
        for codec in 0..=4 {
            for horizon_ms in [None, Some(5_000_000)] {
                let of_codec = Head { attributes: codec, base_offset: 100, ..plain.clone() };
                let rebuilt = rebuild(&of_codec, &records[1..], horizon_ms).unwrap();
                let head = Head::read(&rebuilt).unwrap();
                assert!(head.crc_fits(&rebuilt));
                assert_eq!((head.end_offset(), head.records), (103, 2));
                assert_eq!((head.max_timestamp, head.horizon_ms()), (1005, horizon_ms));
                assert_eq!((head.producer_id, head.base_sequence), (7, 40));
                let decoded = decode(&head, &rebuilt).unwrap();
                let seen: Vec<_> = read(&head, &decoded).map(Result::unwrap).collect();
                assert_eq!(seen, records[1..]);
                if codec == 0 {
                    let theirs = RecordBatchDecoder::decode(&mut &rebuilt[..]).unwrap();
                    let offsets: Vec<_> = theirs.records.iter().map(|r| r.offset).collect();
                    assert_eq!(offsets, [101, 102]);
                }
            }
        }
    }

    #[test]
    fn bad_bytes_end_the_records() {
        let bytes = batch((-1, -1, -1), &[1, 2]);
        let head = Head::read(&bytes).unwrap();
        let cut = &bytes[HEAD_BYTES..bytes.len() - 3];
        let seen: Vec<_> = read(&head, cut).collect();
        assert!(seen.len() == 2 && seen[0].is_ok() && seen[1].is_err());
    }
}
