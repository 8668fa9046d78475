//! The codecs of record batches, into a buffer that is kept from batch to batch.

use std::io::{self, Read};

/// Records of one batch take at most this much, whatever a batch claims to hold.
const DECODED_BYTES_MAX: usize = 512 << 20;

/// snappy-java's stream begins so; its versions follow.
const XERIAL: &[u8; 8] = b"\x82SNAPPY\0";
const XERIAL_HEADER_BYTES: usize = 16;

const LZ4_MAGIC: [u8; 4] = 0x184d_2204_u32.to_le_bytes();

/// Decodes batch after batch.
#[derive(Default)]
pub struct Codecs {
    /// It only grows, so that it is not zeroed for each batch.
    decoded: Vec<u8>,
    zstd: Option<zstd::stream::raw::Decoder<'static>>,
}

impl Codecs {
    /// The records of a batch, as the codec of its attributes left them.
    pub fn decode<'a>(&'a mut self, codec: i16, bytes: &'a [u8]) -> io::Result<&'a [u8]> {
        let length = match codec {
            0 => return Ok(bytes),
            1 => read_all(flate2::read::MultiGzDecoder::new(bytes), &mut self.decoded)?,
            2 => snappy(bytes, &mut self.decoded)?,
            3 => lz4(bytes, &mut self.decoded)?,
            4 => self.zstd(bytes)?,
            _ => return Err(invalid("the codec is unknown")),
        };
        Ok(&self.decoded[..length])
    }

    fn zstd(&mut self, bytes: &[u8]) -> io::Result<usize> {
        use zstd::stream::raw::{InBuffer, Operation as _, OutBuffer};
        let decoder = match &mut self.zstd {
            Some(decoder) => {
                decoder.reinit()?;
                decoder
            }
            none => none.insert(zstd::stream::raw::Decoder::new()?),
        };
        let mut from = InBuffer::around(bytes);
        let mut length = 0;
        loop {
            room(&mut self.decoded, length, 1)?;
            let mut to = OutBuffer::around(&mut self.decoded[length..]);
            let left = decoder.run(&mut from, &mut to)?;
            let (written, full) = (to.pos(), to.pos() == to.capacity());
            length += written;
            match (left, from.pos() == bytes.len()) {
                // More frames may follow the first.
                (0, true) => return Ok(length),
                (_, true) if !full => return Err(invalid("the zstd frame is cut off")),
                _ => {}
            }
        }
    }
}

/// Makes room for more behind `length`.
fn room(decoded: &mut Vec<u8>, length: usize, more: usize) -> io::Result<()> {
    let wanted = length.saturating_add(more);
    if wanted > DECODED_BYTES_MAX {
        return Err(invalid("the records of the batch take more than 512 MB"));
    }
    if decoded.len() < wanted {
        let grown = wanted.max(decoded.len() * 2).clamp(256 << 10, DECODED_BYTES_MAX);
        decoded.resize(grown, 0);
    }
    Ok(())
}

fn read_all(mut from: impl Read, decoded: &mut Vec<u8>) -> io::Result<usize> {
    let mut length = 0;
    loop {
        room(decoded, length, 1)?;
        match from.read(&mut decoded[length..]) {
            Ok(0) => return Ok(length),
            Ok(read) => length += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Blocks, each with its length in front, behind the header; or one block alone.
fn snappy(bytes: &[u8], decoded: &mut Vec<u8>) -> io::Result<usize> {
    if !bytes.starts_with(XERIAL) {
        return snappy_block(bytes, decoded, 0);
    }
    let cut = || invalid("a snappy block is cut off");
    let mut rest = bytes.get(XERIAL_HEADER_BYTES..).ok_or_else(cut)?;
    let mut length = 0;
    while !rest.is_empty() {
        let (size, behind) = rest.split_first_chunk().ok_or_else(cut)?;
        let size = u32::from_be_bytes(*size) as usize;
        let block = behind.get(..size).ok_or_else(cut)?;
        length = snappy_block(block, decoded, length)?;
        rest = &behind[size..];
    }
    Ok(length)
}

fn snappy_block(block: &[u8], decoded: &mut Vec<u8>, length: usize) -> io::Result<usize> {
    let bytes = snap::raw::decompress_len(block)?;
    room(decoded, length, bytes)?;
    let to = &mut decoded[length..length + bytes];
    Ok(length + snap::raw::Decoder::new().decompress(block, to)?)
}

/// An LZ4 frame of independent blocks, which is what Kafka's clients write, straight into the buffer;
/// others by the library's own reader. The checksum of the batch covers the frame, so those within
/// are not looked at.
fn lz4(frame: &[u8], decoded: &mut Vec<u8>) -> io::Result<usize> {
    let cut = || invalid("the lz4 frame is cut off");
    let Some([a, b, c, d, flags, descriptor]) = frame.first_chunk::<6>() else { return Err(cut()) };
    let (independent, block_checksum) = (flags & 0x20 != 0, flags & 0x10 != 0);
    let dictionary = flags & 0x01 != 0;
    if [*a, *b, *c, *d] != LZ4_MAGIC || !independent || dictionary || flags >> 6 != 1 {
        return read_all(lz4_flex::frame::FrameDecoder::new(frame), decoded);
    }
    let block_bytes = match (descriptor >> 4) & 7 {
        size @ 4..=7 => 1_usize << (8 + 2 * size),
        _ => return Err(invalid("the lz4 frame has an odd size of blocks")),
    };
    let header = 7 + if flags & 0x08 != 0 { 8 } else { 0 };
    let mut rest = frame.get(header..).ok_or_else(cut)?;
    let mut length = 0;
    loop {
        let (size, behind) = rest.split_first_chunk().ok_or_else(cut)?;
        let size = u32::from_le_bytes(*size);
        if size == 0 {
            return Ok(length);
        }
        let (bytes, stored) = ((size & 0x7fff_ffff) as usize, size >> 31 != 0);
        let block = behind.get(..bytes).ok_or_else(cut)?;
        room(decoded, length, block_bytes)?;
        let to = &mut decoded[length..length + block_bytes];
        length += match stored {
            true => {
                to.get_mut(..bytes).ok_or_else(cut)?.copy_from_slice(block);
                bytes
            }
            false => lz4_flex::block::decompress_into(block, to).map_err(io::Error::other)?,
        };
        let checksum = if block_checksum { 4 } else { 0 };
        rest = behind.get(bytes + checksum..).ok_or_else(cut)?;
    }
}

fn invalid(reason: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn lz4_frame(bytes: &[u8], mode: lz4_flex::frame::BlockMode) -> Vec<u8> {
        let mut info = lz4_flex::frame::FrameInfo::new();
        info.block_mode = mode;
        info.block_checksums = true;
        let mut to = lz4_flex::frame::FrameEncoder::with_frame_info(info, Vec::new());
        to.write_all(bytes).unwrap();
        to.finish().unwrap()
    }

    /// Each codec's forms of the same bytes.
    fn encoded(bytes: &[u8]) -> Vec<(i16, Vec<u8>)> {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        gzip.write_all(bytes).unwrap();
        let mut xerial = [&XERIAL[..], &[0, 0, 0, 1, 0, 0, 0, 1]].concat();
        for block in bytes.chunks(10_000) {
            let block = snap::raw::Encoder::new().compress_vec(block).unwrap();
            xerial.extend_from_slice(&(block.len() as u32).to_be_bytes());
            xerial.extend_from_slice(&block);
        }
        use lz4_flex::frame::BlockMode::{Independent, Linked};
        vec![
            (0, bytes.to_vec()),
            (1, gzip.finish().unwrap()),
            (2, snap::raw::Encoder::new().compress_vec(bytes).unwrap()),
            (2, xerial),
            (3, lz4_frame(bytes, Independent)),
            (3, lz4_frame(bytes, Linked)),
            (4, zstd::stream::encode_all(bytes, 3).unwrap()),
        ]
    }

    #[test]
    fn each_codec_gives_back_what_it_took() {
        let long = (0..200_000_u32).flat_map(|n| (n % 977).to_le_bytes()).collect::<Vec<u8>>();
        let mut codecs = Codecs::default();
        for bytes in [&long[..], b"short", b"", &long[..70_000]] {
            for (codec, encoded) in encoded(bytes) {
                assert_eq!(codecs.decode(codec, &encoded).unwrap(), bytes, "codec {codec}");
            }
        }
    }

    #[test]
    fn bad_bytes_are_an_error() {
        let bytes = b"some bytes to be compressed ".repeat(5_000);
        let mut codecs = Codecs::default();
        for (codec, encoded) in encoded(&bytes).into_iter().filter(|(codec, _)| *codec > 0) {
            for end in (0..encoded.len()).step_by(encoded.len() / 17 + 1) {
                let decoded = codecs.decode(codec, &encoded[..end]);
                assert!(decoded.is_err() || codec == 2, "codec {codec} of {end}");
            }
            assert!(codecs.decode(codec, &[0xff; 40]).is_err(), "codec {codec}");
            // And it goes on with the next.
            assert_eq!(codecs.decode(codec, &encoded).unwrap(), &bytes[..], "codec {codec}");
        }
        assert!(codecs.decode(5, &bytes).is_err());
    }
}
