//! The head of a record batch (format 2), the checks a batch must pass, its two patched fields, and
//! the control batches that end transactions. What lies inside a batch is told in `records`.

use bytes::{BufMut, Bytes};
use kafka_protocol::ResponseError;
use serde::{Deserialize, Serialize};

/// Everything before the records.
pub(crate) const HEAD_BYTES: usize = 61;
/// The bytes that an append rewrites: base offset, length (as it was), leader epoch.
pub(crate) const PATCHED_BYTES: usize = 16;
/// The only leader epoch there is: one node leads for ever.
pub(crate) const LEADER_EPOCH: i32 = 0;

/// `batch_length` counts from after itself.
const LENGTH_ENDS: usize = 12;
const CRC_FROM: usize = 21;
pub(crate) const CODEC_MASK: i16 = 0b111;
const CODEC_LAST: i16 = 4;
const TRANSACTIONAL: i16 = 1 << 4;
const CONTROL: i16 = 1 << 5;
/// Compaction has seen a tombstone, or a marker without records, in the batch: the base of its times
/// says until when they are kept.
pub(crate) const DELETE_HORIZON: i16 = 1 << 6;

/// No record, or one without a time.
pub(crate) const NO_TIMESTAMP: i64 = -1;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub base_offset: i64,
    /// The whole batch.
    pub bytes: usize,
    pub magic: i8,
    pub crc: u32,
    pub attributes: i16,
    pub last_offset_delta: i32,
    pub base_timestamp: i64,
    pub max_timestamp: i64,
    pub producer_id: i64,
    pub producer_epoch: i16,
    pub base_sequence: i32,
    pub records: i32,
}

impl Head {
    /// `None` if `bytes` is shorter than a head or its length field cannot be one.
    pub fn read(bytes: &[u8]) -> Option<Head> {
        let head: &[u8; HEAD_BYTES] = bytes.first_chunk()?;
        let i16_at = |at: usize| i16::from_be_bytes([head[at], head[at + 1]]);
        let i32_at = |at: usize| {
            i32::from_be_bytes(*head[at..].first_chunk().expect("the head holds its fields"))
        };
        let i64_at = |at: usize| {
            i64::from_be_bytes(*head[at..].first_chunk().expect("the head holds its fields"))
        };
        let bytes = usize::try_from(i32_at(8)).ok()? + LENGTH_ENDS;
        if bytes < HEAD_BYTES {
            return None;
        }
        Some(Head {
            base_offset: i64_at(0),
            bytes,
            magic: head[16] as i8,
            crc: i32_at(17) as u32,
            attributes: i16_at(21),
            last_offset_delta: i32_at(23),
            base_timestamp: i64_at(27),
            max_timestamp: i64_at(35),
            producer_id: i64_at(43),
            producer_epoch: i16_at(51),
            base_sequence: i32_at(53),
            records: i32_at(57),
        })
    }

    pub fn end_offset(&self) -> i64 {
        self.base_offset + i64::from(self.last_offset_delta) + 1
    }

    /// The protocol's number of the codec of the records.
    pub fn codec(&self) -> i16 {
        self.attributes & CODEC_MASK
    }

    /// Until when tombstones in it are kept, where compaction has said so.
    pub fn horizon_ms(&self) -> Option<i64> {
        (self.attributes & DELETE_HORIZON != 0).then_some(self.base_timestamp)
    }

    pub fn is_transactional(&self) -> bool {
        self.attributes & TRANSACTIONAL != 0
    }

    pub fn is_control(&self) -> bool {
        self.attributes & CONTROL != 0
    }

    pub fn crc_fits(&self, batch: &[u8]) -> bool {
        crc32c::crc32c(&batch[CRC_FROM..]) == self.crc
    }
}

/// Takes what a client sent for one partition: exactly one batch, whole and sound.
pub(crate) fn check(batch: &Bytes, bytes_max: i64) -> Result<Head, ResponseError> {
    if batch.len() as i64 > bytes_max {
        return Err(ResponseError::MessageTooLarge);
    }
    // Old message sets have their magic at the same place.
    if batch.len() > 16 && (0..2).contains(&(batch[16] as i8)) {
        return Err(ResponseError::UnsupportedForMessageFormat);
    }
    let head = Head::read(batch).ok_or(ResponseError::CorruptMessage)?;
    // Since format 2 a request carries one batch a partition.
    if head.bytes != batch.len() || head.magic != 2 {
        let several = head.magic == 2 && head.bytes < batch.len();
        return Err(if several {
            ResponseError::InvalidRecord
        } else {
            ResponseError::CorruptMessage
        });
    }
    if !head.crc_fits(batch) {
        return Err(ResponseError::CorruptMessage);
    }
    let counts = head.records > 0 && head.last_offset_delta == head.records - 1;
    let sequenced = if head.producer_id < 0 {
        !head.is_transactional()
    } else {
        head.producer_epoch >= 0 && head.base_sequence >= 0
    };
    if !counts || !sequenced || head.is_control() {
        return Err(ResponseError::InvalidRecord);
    }
    if head.codec() > CODEC_LAST {
        return Err(ResponseError::UnsupportedCompressionType);
    }
    Ok(head)
}

/// The first bytes of the batch as stored: at `base_offset`, in the only leader epoch.
pub(crate) fn patched(batch: &[u8], base_offset: i64) -> [u8; PATCHED_BYTES] {
    let mut head = [0; PATCHED_BYTES];
    head[..8].copy_from_slice(&base_offset.to_be_bytes());
    head[8..12].copy_from_slice(&batch[8..12]);
    head[12..].copy_from_slice(&LEADER_EPOCH.to_be_bytes());
    head
}

/// Whether the fields that no checksum covers, the offset aside, are those of a batch that was stored.
pub(crate) fn is_stored(head: &Head, batch: &[u8]) -> bool {
    head.magic == 2 && batch.get(LENGTH_ENDS..PATCHED_BYTES) == Some(&LEADER_EPOCH.to_be_bytes())
}

/// How a transaction ends; the protocol's number in a control record's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Marker {
    Abort = 0,
    Commit = 1,
}

/// A control record: eight bytes of framing, a key of four, a value of six. Less than 64 bytes, so
/// that each of its lengths is one byte.
const MARKER_RECORD_BYTES: usize = 17;
/// Where the kind stands in a marker's batch: behind the record's frame and the key's version.
const MARKER_KIND_AT: usize = HEAD_BYTES + 7;

/// The control batch that ends a producer's transaction in a partition.
pub(crate) fn marker(producer_id: i64, epoch: i16, marker: Marker, timestamp: i64) -> Bytes {
    let zigzag = |n: usize| (n << 1) as u8;
    let mut record = Vec::with_capacity(MARKER_RECORD_BYTES);
    // Length, attributes, time and offset deltas, the key, the value (coordinator epoch), no headers.
    record.put_slice(&[zigzag(MARKER_RECORD_BYTES - 1), 0, 0, 0, zigzag(4)]);
    record.put_i16(0);
    record.put_i16(marker as i16);
    record.put_u8(zigzag(6));
    record.put_i16(0);
    record.put_i32(0);
    record.put_u8(0);
    let head = Head {
        base_offset: 0,
        bytes: 0,
        magic: 2,
        crc: 0,
        attributes: TRANSACTIONAL | CONTROL,
        last_offset_delta: 0,
        base_timestamp: timestamp,
        max_timestamp: timestamp,
        producer_id,
        producer_epoch: epoch,
        base_sequence: -1,
        records: 1,
    };
    Bytes::from(seal(&head, &record))
}

/// The batch of this head and these encoded records; its length and checksum are worked out.
pub(crate) fn seal(head: &Head, records: &[u8]) -> Vec<u8> {
    let mut batch = Vec::with_capacity(HEAD_BYTES + records.len());
    batch.put_i64(head.base_offset);
    batch.put_i32((HEAD_BYTES + records.len() - LENGTH_ENDS) as i32);
    batch.put_i32(LEADER_EPOCH);
    batch.put_i8(head.magic);
    batch.put_u32(0);
    batch.put_i16(head.attributes);
    batch.put_i32(head.last_offset_delta);
    batch.put_i64(head.base_timestamp);
    batch.put_i64(head.max_timestamp);
    batch.put_i64(head.producer_id);
    batch.put_i16(head.producer_epoch);
    batch.put_i32(head.base_sequence);
    batch.put_i32(head.records);
    batch.put_slice(records);
    let crc = crc32c::crc32c(&batch[CRC_FROM..]);
    batch[CRC_FROM - 4..CRC_FROM].copy_from_slice(&crc.to_be_bytes());
    batch
}

/// What a control batch, written by [`marker`], says.
pub(crate) fn marker_of(batch: &[u8]) -> Option<Marker> {
    match batch.get(MARKER_KIND_AT..MARKER_KIND_AT + 2)? {
        [0, 0] => Some(Marker::Abort),
        [0, 1] => Some(Marker::Commit),
        _ => None,
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use bytes::BytesMut;
    use kafka_protocol::records::{
        Compression, Record, RecordBatchEncoder, RecordEncodeOptions, TimestampType,
    };

    /// One uncompressed batch of `timestamps.len()` records, encoded by the outside crate.
    pub fn batch(producer: (i64, i16, i32), timestamps: &[i64]) -> Bytes {
        let records: Vec<Record> = timestamps
            .iter()
            .enumerate()
            .map(|(i, &timestamp)| Record {
                transactional: false,
                control: false,
                partition_leader_epoch: -1,
                producer_id: producer.0,
                producer_epoch: producer.1,
                timestamp_type: TimestampType::Creation,
                offset: i as i64,
                sequence: producer.2 + i as i32,
                timestamp,
                key: Some(Bytes::from(format!("key{i}"))),
                value: Some(Bytes::from(format!("value{i}"))),
                headers: Default::default(),
                delete_horizon: false,
            })
            .collect();
        let mut bytes = BytesMut::new();
        let options = RecordEncodeOptions { version: 2, compression: Compression::None };
        RecordBatchEncoder::encode(&mut bytes, records.iter(), &options).unwrap();
        bytes.freeze()
    }

    #[test]
    fn the_head_of_a_batch_made_elsewhere_is_read() {
        let bytes = batch((7, 1, 40), &[1000, 1005, 1002]);
        let head = check(&bytes, 1 << 20).unwrap();
        assert_eq!((head.producer_id, head.producer_epoch, head.base_sequence), (7, 1, 40));
        assert_eq!((head.base_timestamp, head.max_timestamp, head.records), (1000, 1005, 3));
        let decoded = crate::records::decode(&head, &bytes).unwrap();
        let records = crate::records::read(&head, &decoded).map(Result::unwrap);
        let seen: Vec<_> = records.map(|r| (r.offset_delta, r.timestamp)).collect();
        assert_eq!(seen, [(0, 1000), (1, 1005), (2, 1002)]);
    }

    #[test]
    fn a_patched_batch_keeps_its_checksum() {
        let bytes = batch((-1, -1, -1), &[1, 2]);
        let mut stored = patched(&bytes, 77).to_vec();
        stored.extend_from_slice(&bytes[PATCHED_BYTES..]);
        let head = Head::read(&stored).unwrap();
        assert_eq!((head.base_offset, head.end_offset()), (77, 79));
        assert!(head.crc_fits(&stored));
    }

    #[test]
    fn a_marker_is_read_by_others_and_by_us() {
        use kafka_protocol::records::RecordBatchDecoder;
        for kind in [Marker::Abort, Marker::Commit] {
            let bytes = marker(7, 3, kind, 1000);
            let head = Head::read(&bytes).unwrap();
            assert!(head.is_control() && head.is_transactional() && head.crc_fits(&bytes));
            assert_eq!((head.bytes, head.end_offset()), (bytes.len(), 1));
            assert_eq!(marker_of(&bytes), Some(kind));
            let set = RecordBatchDecoder::decode(&mut bytes.clone()).unwrap();
            let record = &set.records[0];
            assert!(record.control && record.transactional);
            assert_eq!((record.producer_id, record.producer_epoch), (7, 3));
            assert_eq!(record.key.as_deref(), Some(&[0, 0, 0, kind as u8][..]));
            assert_eq!(check(&bytes, 1 << 20), Err(ResponseError::InvalidRecord));
        }
    }

    #[test]
    fn unsound_batches_are_refused() {
        let good = batch((-1, -1, -1), &[1, 2]);
        let flipped = |at: usize| {
            let mut bytes = good.to_vec();
            bytes[at] ^= 1;
            check(&Bytes::from(bytes), 1 << 20)
        };
        assert_eq!(flipped(good.len() - 1), Err(ResponseError::CorruptMessage));
        assert_eq!(flipped(20), Err(ResponseError::CorruptMessage));
        assert_eq!(check(&good.slice(..40), 1 << 20), Err(ResponseError::CorruptMessage));
        assert_eq!(check(&Bytes::new(), 1 << 20), Err(ResponseError::CorruptMessage));
        assert_eq!(check(&good, 10), Err(ResponseError::MessageTooLarge));
        let twice = Bytes::from([&good[..], &good[..]].concat());
        assert_eq!(check(&twice, 1 << 20), Err(ResponseError::InvalidRecord));
        let mut old = good.to_vec();
        old[16] = 1;
        assert_eq!(
            check(&Bytes::from(old), 1 << 20),
            Err(ResponseError::UnsupportedForMessageFormat)
        );
    }
}
