//! The slots of a Redis Cluster: which one a key is in, and a text that is in a given one.

use std::sync::LazyLock;

/// Into how many slots the keys of a cluster are divided.
pub const SLOTS: usize = 16_384;

/// The slot of a key: of what stands between its first `{` and the next `}`, if that is anything, of
/// all of it otherwise.
pub fn slot(key: &str) -> u16 {
    let tag = key.split_once('{').and_then(|(_, rest)| rest.split_once('}')).map(|(tag, _)| tag);
    crc16(tag.filter(|tag| !tag.is_empty()).unwrap_or(key).as_bytes()) % SLOTS as u16
}

/// A short text that is in a slot: a key that begins with it in braces is there too.
pub fn tag(slot: u16) -> &'static str {
    &TAGS[usize::from(slot) % SLOTS]
}

static TAGS: LazyLock<Vec<String>> = LazyLock::new(|| {
    let mut tags = vec![String::new(); SLOTS];
    let mut open = SLOTS;
    for number in 0_u64.. {
        if open == 0 {
            break;
        }
        let text = number.to_string();
        let found = &mut tags[usize::from(slot(&text))];
        if found.is_empty() {
            *found = text;
            open -= 1;
        }
    }
    tags
});

/// CRC-16/XMODEM, as the specification of Redis Cluster has it (appendix A).
fn crc16(bytes: &[u8]) -> u16 {
    bytes
        .iter()
        .fold(0, |crc: u16, byte| (crc << 8) ^ CRC_OF_BYTE[usize::from((crc >> 8) as u8 ^ byte)])
}

const CRC_OF_BYTE: [u16; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut crc = (byte as u16) << 8;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ 0x1021 };
            bit += 1;
        }
        table[byte] = crc;
        byte += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_those_of_redis() {
        // What CLUSTER KEYSLOT answers.
        assert_eq!(crc16(b"123456789"), 0x31c3);
        assert_eq!(slot("foo"), 12_182);
        assert_eq!(slot("{foo}bar"), 12_182);
        assert_eq!(slot("a{foo}{bar}"), 12_182);
        assert_eq!(slot("{}foo"), slot_of_all("{}foo"));
        assert_eq!(slot("foo}{bar"), slot_of_all("foo}{bar"));
        assert_eq!(slot("a}{foo}"), 12_182);
    }

    fn slot_of_all(key: &str) -> u16 {
        crc16(key.as_bytes()) % SLOTS as u16
    }

    #[test]
    fn every_slot_has_a_text() {
        for number in 0..SLOTS as u16 {
            assert_eq!(slot(&format!("x{{{}}}:a}}b{{c}}", tag(number))), number);
        }
    }
}
