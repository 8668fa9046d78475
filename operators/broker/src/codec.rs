//! The codecs of record batches: gzip, snappy, lz4, zstd.
//!
//! Only what has to look into records calls them: compaction, a search by time, and appends to a
//! compacted topic. What a client compressed is decoded up to a bound, whatever it claims to be.

use std::borrow::Cow;
use std::io::{self, Read, Write};

/// A batch whose records take more than this is not looked into: it stays as it is.
pub(crate) const DECODED_BYTES_MAX: usize = 128 << 20;

const NONE: i16 = 0;
const GZIP: i16 = 1;
const SNAPPY: i16 = 2;
const LZ4: i16 = 3;
const ZSTD: i16 = 4;

/// snappy-java's stream: magic, version, lowest version that reads it.
const XERIAL: &[u8; 16] = b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01";
/// snappy-java's default.
const XERIAL_BLOCK_BYTES: usize = 32 << 10;

/// The records of a batch, as the codec of its attributes left them.
pub(crate) fn decode(codec: i16, bytes: &[u8]) -> io::Result<Cow<'_, [u8]>> {
    let decoded = match codec {
        NONE => return Ok(Cow::Borrowed(bytes)),
        GZIP => bounded(flate2::read::MultiGzDecoder::new(bytes))?,
        SNAPPY => snappy(bytes)?,
        LZ4 => bounded(lz4_flex::frame::FrameDecoder::new(bytes))?,
        ZSTD => bounded(zstd::stream::read::Decoder::new(bytes)?)?,
        _ => return Err(invalid("unknown codec")),
    };
    Ok(Cow::Owned(decoded))
}

/// What [`decode`] takes.
pub(crate) fn encode(codec: i16, bytes: &[u8]) -> io::Result<Cow<'_, [u8]>> {
    let encoded = match codec {
        NONE => return Ok(Cow::Borrowed(bytes)),
        GZIP => {
            let mut to = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
            to.write_all(bytes)?;
            to.finish()?
        }
        SNAPPY => to_xerial(bytes)?,
        LZ4 => {
            let mut to = lz4_flex::frame::FrameEncoder::new(Vec::new());
            to.write_all(bytes)?;
            to.finish().map_err(io::Error::other)?
        }
        ZSTD => zstd::stream::encode_all(bytes, zstd::DEFAULT_COMPRESSION_LEVEL)?,
        _ => return Err(invalid("unknown codec")),
    };
    Ok(Cow::Owned(encoded))
}

fn bounded(from: impl Read) -> io::Result<Vec<u8>> {
    let mut decoded = Vec::new();
    from.take(DECODED_BYTES_MAX as u64 + 1).read_to_end(&mut decoded)?;
    if decoded.len() > DECODED_BYTES_MAX { Err(too_large()) } else { Ok(decoded) }
}

/// Blocks, each with its length in front, behind the header; or one block alone.
fn snappy(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut decoded = Vec::new();
    let Some(mut rest) = bytes.strip_prefix(&XERIAL[..]) else {
        snappy_block(bytes, &mut decoded)?;
        return Ok(decoded);
    };
    while let Some((length, behind)) = rest.split_first_chunk() {
        let block = behind.get(..u32::from_be_bytes(*length) as usize);
        let block = block.ok_or_else(|| invalid("snappy block is cut off"))?;
        snappy_block(block, &mut decoded)?;
        rest = &behind[block.len()..];
    }
    Ok(decoded)
}

fn snappy_block(block: &[u8], decoded: &mut Vec<u8>) -> io::Result<()> {
    let (start, bytes) = (decoded.len(), snap::raw::decompress_len(block)?);
    if bytes > DECODED_BYTES_MAX - start {
        return Err(too_large());
    }
    decoded.resize(start + bytes, 0);
    snap::raw::Decoder::new().decompress(block, &mut decoded[start..])?;
    Ok(())
}

fn to_xerial(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoded = XERIAL.to_vec();
    for block in bytes.chunks(XERIAL_BLOCK_BYTES) {
        let block = snap::raw::Encoder::new().compress_vec(block)?;
        encoded.extend_from_slice(&(block.len() as u32).to_be_bytes());
        encoded.extend_from_slice(&block);
    }
    Ok(encoded)
}

fn invalid(reason: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason)
}

fn too_large() -> io::Error {
    let reason = format!("records of more than {DECODED_BYTES_MAX} bytes in one batch");
    io::Error::new(io::ErrorKind::InvalidData, reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_codec_gives_back_what_it_took() {
        let text = "one line of many, ".repeat(10_000).into_bytes();
        for codec in NONE..=ZSTD {
            for bytes in [&text[..], b"short", b""] {
                let encoded = encode(codec, bytes).unwrap();
                assert_eq!(*decode(codec, &encoded).unwrap(), *bytes, "codec {codec}");
            }
        }
        assert!(decode(5, &text).is_err());
    }

    #[test]
    fn a_bomb_is_not_let_off() {
        let zeros = vec![0; DECODED_BYTES_MAX + 1];
        for codec in GZIP..=ZSTD {
            let encoded = encode(codec, &zeros).unwrap();
            assert!(encoded.len() < zeros.len() / 15);
            assert!(decode(codec, &encoded).is_err(), "codec {codec}");
        }
    }

    #[test]
    fn bad_bytes_are_an_error() {
        let bytes = b"some bytes to be compressed ".repeat(50);
        for codec in GZIP..=ZSTD {
            let encoded = encode(codec, &bytes).unwrap();
            assert!(decode(codec, &encoded[..encoded.len() / 2]).is_err(), "codec {codec}");
            assert!(decode(codec, &[0xff; 40]).is_err(), "codec {codec}");
        }
    }
}
