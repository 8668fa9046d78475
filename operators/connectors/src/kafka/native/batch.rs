//! Record batches (format 2) walked in place: messages are views of the bytes that the broker sent.
//!
//! A batch is a head of 61 bytes and its records, which a codec may have compressed; see "Record
//! Batch" of Kafka's protocol guide.

use super::codec::Codecs;
use crate::messages::Message;

/// From the base offset to the number of records.
pub const HEAD_BYTES: usize = 61;
/// The base offset and the length, which the length does not count.
pub const LENGTH_END: usize = 12;
/// Where the number of the format is, in all of them.
const FORMAT: usize = 16;
/// What the checksum covers begins here.
pub const CHECKED_FROM: usize = 21;

/// Bytes that are no batch, or no record.
#[derive(Debug, PartialEq, Eq)]
pub struct Malformed {
    /// Of the batch.
    pub offset: i64,
    pub reason: String,
    /// Whether the checksum says that the bytes are those which the producer sent.
    pub whole: bool,
}

/// The head of a batch.
#[derive(Debug, Clone, Copy)]
pub struct Batch<'a> {
    pub base_offset: i64,
    /// The whole batch.
    bytes: &'a [u8],
}

/// The whole batches in an answer; brokers may cut off the last, which then comes again.
pub struct Batches<'a>(pub &'a [u8]);

impl<'a> Iterator for Batches<'a> {
    type Item = Result<Batch<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        let base_offset = i64::from_be_bytes(chunk(self.0, 0)?);
        let length = i32::from_be_bytes(chunk(self.0, 8)?);
        let [format] = chunk(self.0, FORMAT)?;
        let malformed = |reason| Some(Err(Malformed { offset: base_offset, reason, whole: false }));
        if format != 2 {
            return malformed(format!(
                "messages of format {format}, which brokers wrote before version 0.11; \
                 'client' = 'librdkafka' reads them"
            ));
        }
        let Some(length) = usize::try_from(length).ok().filter(|it| *it >= HEAD_BYTES - LENGTH_END)
        else {
            return malformed(format!("a batch of {length} bytes"));
        };
        let (bytes, rest) = self.0.split_at_checked(LENGTH_END + length)?;
        self.0 = rest;
        Some(Ok(Batch { base_offset, bytes }))
    }
}

impl<'a> Batch<'a> {
    /// The head's bytes from a place on; it is there whole.
    fn at<const N: usize>(&self, at: usize) -> [u8; N] {
        chunk(self.bytes, at).expect("a batch has a head")
    }

    /// The offset behind the last record, also where compaction has taken that away.
    pub fn next_offset(&self) -> i64 {
        let last = i32::from_be_bytes(self.at(23));
        self.base_offset.saturating_add(i64::from(last)).saturating_add(1)
    }

    pub fn max_timestamp(&self) -> i64 {
        i64::from_be_bytes(self.at(35))
    }

    fn attributes(&self) -> i16 {
        i16::from_be_bytes(self.at(21))
    }

    pub fn is_transactional(&self) -> bool {
        self.attributes() & 0x10 != 0
    }

    /// Whether its one record marks the end of a transaction.
    pub fn is_control(&self) -> bool {
        self.attributes() & 0x20 != 0
    }

    pub fn producer(&self) -> i64 {
        i64::from_be_bytes(self.at(43))
    }

    /// Looks whether the bytes are those that the producer sent.
    pub fn check(&self) -> Result<(), Malformed> {
        let checksum = u32::from_be_bytes(self.at(17));
        match crc32c::crc32c(&self.bytes[CHECKED_FROM..]) == checksum {
            true => Ok(()),
            false => Err(Malformed {
                offset: self.base_offset,
                reason: "the checksum does not fit".into(),
                whole: false,
            }),
        }
    }

    /// Whether a control batch ends a transaction without its records.
    pub fn is_abort(&self) -> bool {
        let mut records = Records::of(self, &self.bytes[HEAD_BYTES..]);
        let record = records.next();
        let key = record.and_then(Result::ok).and_then(|record| record.key);
        key.and_then(|key| chunk(key, 2)).map(i16::from_be_bytes) == Some(0)
    }

    /// Its records, decoded by `codecs`, of a batch that was looked at by [`Batch::check`].
    pub fn records(&self, codecs: &'a mut Codecs) -> Result<Records<'a>, Malformed> {
        let body = &self.bytes[HEAD_BYTES..];
        let decoded = codecs.decode(self.attributes() & 7, body);
        let decoded = decoded.map_err(|error| Malformed {
            offset: self.base_offset,
            reason: error.to_string(),
            whole: true,
        })?;
        Ok(Records::of(self, decoded))
    }
}

/// The records of a batch, one after the other.
pub struct Records<'a> {
    rest: &'a [u8],
    left: i32,
    base_offset: i64,
    base_timestamp: i64,
    /// The one timestamp of all, where the broker has set it.
    appended: Option<i64>,
}

/// A record as it lies in its batch.
#[derive(Debug, Clone, Copy)]
pub struct Record<'a> {
    pub offset: i64,
    timestamp: i64,
    appended: bool,
    pub key: Option<&'a [u8]>,
    pub value: Option<&'a [u8]>,
    /// Their number and what follows it.
    headers: &'a [u8],
}

impl<'a> Records<'a> {
    fn of(batch: &Batch<'_>, rest: &'a [u8]) -> Self {
        let appended = (batch.attributes() & 8 != 0).then(|| batch.max_timestamp());
        Self {
            rest,
            left: i32::from_be_bytes(batch.at(57)),
            base_offset: batch.base_offset,
            base_timestamp: i64::from_be_bytes(batch.at(27)),
            appended,
        }
    }

    #[inline]
    fn read(&mut self) -> Option<Record<'a>> {
        let length = varint(&mut self.rest)?;
        let mut record = take(&mut self.rest, length)?;
        // Its attributes: none are in use.
        take(&mut record, 1)?;
        let timestamp = varint(&mut record)?;
        let offset = varint(&mut record)?;
        let key = bytes(&mut record)?;
        let value = bytes(&mut record)?;
        Some(Record {
            offset: self.base_offset.wrapping_add(offset),
            timestamp: self.appended.unwrap_or(self.base_timestamp.wrapping_add(timestamp)),
            appended: self.appended.is_some(),
            key,
            value,
            headers: record,
        })
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<Record<'a>, Malformed>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.left <= 0 {
            return None;
        }
        self.left -= 1;
        let record = self.read();
        if record.is_none() {
            self.left = 0;
        }
        let offset = self.base_offset;
        let cut = || Malformed { offset, reason: "a record is cut off".into(), whole: true };
        Some(record.ok_or_else(cut))
    }
}

/// A record of a partition.
pub struct Located<'a> {
    pub topic: &'a str,
    pub partition: i32,
    pub record: Record<'a>,
}

impl Message for Located<'_> {
    fn topic(&self) -> &str {
        self.topic
    }

    fn partition(&self) -> i32 {
        self.partition
    }

    fn offset(&self) -> i64 {
        self.record.offset
    }

    fn timestamp(&self) -> Option<i64> {
        (self.record.timestamp >= 0).then_some(self.record.timestamp)
    }

    fn timestamp_type(&self) -> &'static str {
        match (self.record.timestamp, self.record.appended) {
            (..0, _) => "NoTimestampType",
            (_, true) => "LogAppendTime",
            (_, false) => "CreateTime",
        }
    }

    fn key(&self) -> Option<&[u8]> {
        self.record.key
    }

    fn value(&self) -> Option<&[u8]> {
        self.record.value
    }

    fn headers(&self) -> impl Iterator<Item = (&str, Option<&[u8]>)> {
        let mut rest = self.record.headers;
        let count = varint(&mut rest).unwrap_or_default();
        (0..count).map_while(move |_| {
            // A name that is no text is shown as one that stands for such.
            let name = bytes(&mut rest)??;
            Some((std::str::from_utf8(name).unwrap_or("\u{fffd}"), bytes(&mut rest)?))
        })
    }
}

fn chunk<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}

#[inline]
fn take<'a>(from: &mut &'a [u8], length: i64) -> Option<&'a [u8]> {
    let (taken, rest) = from.split_at_checked(usize::try_from(length).ok()?)?;
    *from = rest;
    Some(taken)
}

/// Bytes with their length in front; one below 0 means that there are none.
#[inline]
#[expect(clippy::option_option, reason = "cut off, none, or some")]
fn bytes<'a>(from: &mut &'a [u8]) -> Option<Option<&'a [u8]>> {
    match varint(from)? {
        ..0 => Some(None),
        length => Some(Some(take(from, length)?)),
    }
}

/// A signed number in groups of seven bits, the lowest first, zigzag.
#[inline(always)]
fn varint(from: &mut &[u8]) -> Option<i64> {
    let (&first, rest) = from.split_first()?;
    *from = rest;
    let mut value = u64::from(first & 0x7f);
    if first >= 0x80 {
        let (&second, rest) = from.split_first()?;
        *from = rest;
        value |= u64::from(second & 0x7f) << 7;
        if second >= 0x80 {
            value |= longer_varint(from)?;
        }
    }
    Some((value >> 1) as i64 ^ -((value & 1) as i64))
}

/// What stands behind the first two groups.
fn longer_varint(from: &mut &[u8]) -> Option<u64> {
    let (mut value, mut shift) = (0, 14);
    loop {
        let (&byte, rest) = from.split_first()?;
        *from = rest;
        if shift > 63 {
            return None;
        }
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(value);
        }
        shift += 7;
    }
}
