//! Decodes requests without believing the lengths of their arrays.
//!
//! The codecs allocate as many items as an array says to have before they read the first: a request
//! of a few bytes could ask for more memory than there is, which ends the process. No item takes less than
//! a byte, so a length beyond the bytes left is never true. The buffer that decoders read from sees
//! their reads, though not what they are for. Lengths in the newer, compact form are the only
//! varints that can be large, so a varint beyond the bytes left is refused. In the older form they are
//! plain numbers among others: there the request is first decoded for a trial, with every number held
//! down to one more than the bytes left. That changes no field on which decoding depends but such a length, and
//! its trial ends where the bytes do.

use bytes::{Buf, Bytes, TryGetError};
use kafka_protocol::protocol::Decodable;
use kafka_protocol::protocol::buf::ByteBuf;

/// Which form the lengths of a request are in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lengths {
    Plain,
    Compact,
}

/// Decodes a request, or its header, off the front.
pub(crate) fn decode<T: Decodable>(
    bytes: &mut Bytes,
    version: i16,
    lengths: Lengths,
) -> Result<T, String> {
    if lengths == Lengths::Plain {
        let mut trial = Guard { bytes: bytes.clone(), lengths, varint: Varint::default() };
        T::decode(&mut trial, version).map_err(|e| e.to_string())?;
        return T::decode(bytes, version).map_err(|e| e.to_string());
    }
    let mut guarded = Guard { bytes: std::mem::take(bytes), lengths, varint: Varint::default() };
    let decoded = T::decode(&mut guarded, version).map_err(|e| e.to_string())?;
    *bytes = guarded.bytes;
    Ok(decoded)
}

struct Guard {
    bytes: Bytes,
    lengths: Lengths,
    varint: Varint,
}

/// A varint that is being read, a byte at a time.
#[derive(Clone, Copy, Default)]
struct Varint {
    value: u64,
    shift: u32,
}

impl Guard {
    fn refuse(&self) -> TryGetError {
        TryGetError { requested: self.varint.value as usize, available: self.bytes.remaining() }
    }
}

impl Buf for Guard {
    fn remaining(&self) -> usize {
        self.bytes.remaining()
    }

    fn chunk(&self) -> &[u8] {
        self.bytes.chunk()
    }

    fn advance(&mut self, bytes: usize) {
        self.varint = Varint::default();
        self.bytes.advance(bytes);
    }

    fn try_get_u8(&mut self) -> Result<u8, TryGetError> {
        let byte = self.bytes.try_get_u8()?;
        let Varint { value, shift } = self.varint;
        self.varint.value = value | u64::from(byte & 0x7f) << shift;
        // A compact length is one more than it says.
        if self.varint.value > self.bytes.remaining() as u64 + 1 {
            return Err(self.refuse());
        }
        let goes_on = byte >= 0x80 && shift < 28;
        self.varint.shift = shift + 7;
        if !goes_on {
            self.varint = Varint::default();
        }
        Ok(byte)
    }

    fn try_get_i32(&mut self) -> Result<i32, TryGetError> {
        self.varint = Varint::default();
        let value = self.bytes.try_get_i32()?;
        // One more than there can be, so that the trial of a length that is held down fails.
        let most = i32::try_from(self.bytes.remaining() + 1).unwrap_or(i32::MAX);
        Ok(if self.lengths == Lengths::Plain { value.min(most) } else { value })
    }
}

impl ByteBuf for Guard {
    fn peek_bytes(&mut self, range: std::ops::Range<usize>) -> Bytes {
        self.bytes.slice(range)
    }

    fn get_bytes(&mut self, bytes: usize) -> Bytes {
        self.varint = Varint::default();
        self.bytes.split_to(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::BytesMut;
    use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
    use kafka_protocol::messages::{MetadataRequest, ProduceRequest, TopicName};
    use kafka_protocol::protocol::{Encodable, StrBytes};

    fn encoded(version: i16, topics: usize) -> Bytes {
        let name = TopicName(StrBytes::from_static_str("t"));
        let topic = MetadataRequestTopic::default().with_name(Some(name));
        let request = MetadataRequest::default().with_topics(Some(vec![topic; topics]));
        let mut bytes = BytesMut::new();
        request.encode(&mut bytes, version).unwrap();
        bytes.freeze()
    }

    #[test]
    fn what_a_client_sends_is_decoded_and_what_follows_left() {
        for (version, lengths) in [(1, Lengths::Plain), (12, Lengths::Compact)] {
            for topics in [0, 1, 200] {
                let mut bytes = Bytes::from([&encoded(version, topics)[..], b"more"].concat());
                let request: MetadataRequest = decode(&mut bytes, version, lengths).unwrap();
                assert_eq!(request.topics.unwrap().len(), topics);
                assert_eq!(bytes, "more");
            }
        }
    }

    #[test]
    fn a_length_that_cannot_be_is_refused_before_anything_is_made() {
        // Two thousand million topics, in the one form and the other.
        for behind in [&[0, 1, b't'][..], &[0, 0], &[]] {
            let mut plain = Bytes::from([&[0x7f, 0xff, 0xff, 0xff], behind].concat());
            assert!(decode::<MetadataRequest>(&mut plain, 1, Lengths::Plain).is_err());
        }
        let mut compact = Bytes::from_static(&[0xff, 0xff, 0xff, 0xff, 0x0f, 2, b't']);
        assert!(decode::<MetadataRequest>(&mut compact, 12, Lengths::Compact).is_err());
        // A number that is no length may be as large as it likes.
        let mut bytes = BytesMut::new();
        let request = ProduceRequest::default().with_timeout_ms(i32::MAX);
        request.encode(&mut bytes, 3).unwrap();
        let decoded = decode::<ProduceRequest>(&mut bytes.freeze(), 3, Lengths::Plain).unwrap();
        assert_eq!(decoded.timeout_ms, i32::MAX);
    }
}
