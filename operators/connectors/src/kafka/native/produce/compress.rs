//! The codecs of record batches, for writing.

use std::io::Write as _;

use super::super::batch::HEAD_BYTES;

/// What a batch is compressed by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Codec {
    #[default]
    None,
    Gzip,
    Snappy,
    Lz4,
    Zstd,
}

impl Codec {
    /// As `compression.type` names them.
    pub const NAMES: [(&'static str, Self); 5] = [
        ("none", Self::None),
        ("gzip", Self::Gzip),
        ("snappy", Self::Snappy),
        ("lz4", Self::Lz4),
        ("zstd", Self::Zstd),
    ];

    fn number(self) -> i16 {
        self as i16
    }
}

/// Compresses batch after batch.
#[derive(Debug, Clone, Copy, Default)]
pub struct Compressor {
    pub codec: Codec,
    /// `None`: the codec's own.
    pub level: Option<i32>,
}

impl Compressor {
    /// A batch whose records are compressed, and the codec's number; the head's room stays. One that
    /// cannot be compressed stays as it is.
    pub fn compress(&mut self, batch: Vec<u8>) -> (Vec<u8>, i16) {
        if self.codec == Codec::None {
            return (batch, Codec::None.number());
        }
        match self.encode(&batch[HEAD_BYTES..]) {
            Ok(mut encoded) => {
                encoded.shrink_to_fit();
                (encoded, self.codec.number())
            }
            Err(error) => {
                tracing::debug!("a batch is sent as it is, for it was not compressed: {error}");
                (batch, Codec::None.number())
            }
        }
    }

    fn encode(&mut self, records: &[u8]) -> std::io::Result<Vec<u8>> {
        let mut to = vec![0; HEAD_BYTES];
        to.reserve(records.len() / 2);
        match self.codec {
            Codec::None => to.extend_from_slice(records),
            Codec::Gzip => {
                let level = self.level.map_or(flate2::Compression::default(), |level| {
                    flate2::Compression::new(level.clamp(0, 9).unsigned_abs())
                });
                let mut encoder = flate2::write::GzEncoder::new(to, level);
                encoder.write_all(records)?;
                return encoder.finish();
            }
            Codec::Snappy => {
                let most = snap::raw::max_compress_len(records.len());
                to.resize(HEAD_BYTES + most, 0);
                let mut encoder = snap::raw::Encoder::new();
                let length = encoder.compress(records, &mut to[HEAD_BYTES..])?;
                to.truncate(HEAD_BYTES + length);
            }
            Codec::Lz4 => {
                // Independent blocks: what Kafka's clients read.
                let mut info = lz4_flex::frame::FrameInfo::new();
                info.block_mode = lz4_flex::frame::BlockMode::Independent;
                info.block_size = lz4_flex::frame::BlockSize::Max64KB;
                let mut encoder = lz4_flex::frame::FrameEncoder::with_frame_info(info, to);
                encoder.write_all(records)?;
                return Ok(encoder.finish()?);
            }
            Codec::Zstd => {
                let level = self.level.unwrap_or(zstd::DEFAULT_COMPRESSION_LEVEL);
                let mut encoder = zstd::stream::write::Encoder::new(to, level)?;
                encoder.write_all(records)?;
                return encoder.finish();
            }
        }
        Ok(to)
    }
}
