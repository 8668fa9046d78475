//! `nowcast dlq show`: dead letters as people read them, or as JSON lines.

use std::collections::VecDeque;
use std::fmt::Write;

use anyhow::Result;
use serde_json::Value;

use super::time;
use crate::letter::Letter;
use crate::letters::{Letters, Wanted};

/// How many are shown where nothing is said.
const LIMIT: usize = 20;

/// Bytes in a line of a dump.
const DUMPED: usize = 16;

pub fn show(letters: &Letters, wanted: &Wanted, limit: Option<usize>, json: bool) -> Result<()> {
    let limit = limit.unwrap_or(if json { 0 } else { LIMIT });
    let mut newest = VecDeque::new();
    let mut all = 0_u64;
    letters.read(&mut |found| {
        if !wanted.has(&found.letter) {
            return Ok(());
        }
        all += 1;
        match (limit, json) {
            // Nothing needs to be kept.
            (0, true) => say!("{}", serde_json::to_string(&found.letter)?),
            (0, false) => say!("{}", pretty(&found.letter)),
            _ => {
                newest.push_back(found.letter);
                if newest.len() > limit {
                    newest.pop_front();
                }
            }
        }
        Ok(())
    })?;
    for letter in &newest {
        match json {
            true => say!("{}", serde_json::to_string(letter)?),
            false => say!("{}", pretty(letter)),
        }
    }
    if !json {
        match all {
            0 => say!("job {}: no such dead letters", letters.job),
            all if limit > 0 && all > limit as u64 => {
                say!("the newest {limit} of {all}; --limit 0 shows all");
            }
            _ => {}
        }
    }
    Ok(())
}

/// Where a letter came from, why it is one, and its bytes.
fn pretty(letter: &Letter) -> String {
    let mut text = letter.stage.clone();
    let place = [
        letter.topic.as_ref().map(|topic| format!("topic {topic}")),
        letter.partition.map(|partition| format!("partition {partition}")),
        letter.offset.map(|offset| format!("offset {offset}")),
        time(letter.timestamp).map(|time| format!("of {time}")),
        letter.key.as_ref().map(|key| match letter.key_hex {
            true => format!("key 0x{key}"),
            false => format!("key {key}"),
        }),
    ];
    let place: Vec<String> = place.into_iter().flatten().collect();
    let place = match place.is_empty() {
        true => "a row of the query, whose message is not known".to_owned(),
        false => place.join(", "),
    };
    // Writing to a string never fails.
    let _ = write!(text, ": {place}");
    if let Some(at) = time(letter.at) {
        let _ = write!(text, "; set aside {at}");
    }
    let _ = write!(text, "\n  {}\n", letter.error);
    let raw = match letter.hex {
        true => dump(&letter.bytes()),
        false => match serde_json::from_str::<Value>(&letter.raw) {
            Ok(value) => serde_json::to_string_pretty(&value).unwrap_or_default(),
            Err(_) => letter.raw.clone(),
        },
    };
    for line in raw.lines() {
        let _ = writeln!(text, "    {line}");
    }
    text
}

/// Bytes as hexadecimal numbers, with those that are letters beside them.
fn dump(bytes: &[u8]) -> String {
    let mut text = String::new();
    for (number, line) in bytes.chunks(DUMPED).enumerate() {
        let hex: Vec<String> = line.iter().map(|byte| format!("{byte:02x}")).collect();
        let seen = |byte: &u8| match byte {
            b' '..=b'~' => *byte as char,
            _ => '.',
        };
        let seen: String = line.iter().map(seen).collect();
        let (at, hex, width) = (number * DUMPED, hex.join(" "), 3 * DUMPED);
        text.push_str(&format!("{at:08x}  {hex:width$} |{seen}|\n"));
    }
    text
}

#[cfg(test)]
mod tests {
    use nowcast_engine::DeadLetter;

    use super::*;

    fn letter(raw: &[u8]) -> Letter {
        let letter = DeadLetter {
            stage: "orders".into(),
            error: "no row".into(),
            raw: raw.to_vec(),
            ..DeadLetter::default()
        };
        Letter::new(letter, Some(0))
    }

    #[test]
    fn json_is_laid_out_and_bytes_are_dumped() {
        let head = "orders: a row of the query, whose message is not known; set aside \
                    1970-01-01 00:00:00.000\n  no row\n";
        let json = pretty(&letter(b"{\"a\":1}"));
        assert_eq!(json, format!("{head}    {{\n      \"a\": 1\n    }}\n"));
        assert_eq!(pretty(&letter(b"{\"a\":")), format!("{head}    {{\"a\":\n"));
        let bytes = pretty(&letter(b"\xff\x00ab"));
        let dumped = format!("    00000000  {:48} |..ab|\n", "ff 00 61 62");
        assert_eq!(bytes, format!("{head}{dumped}"));
    }

    #[test]
    fn a_message_is_named() {
        let mut letter = letter(b"x");
        letter.topic = Some("clicks".into());
        letter.partition = Some(1);
        letter.offset = Some(2);
        letter.key = Some("k".into());
        let first = pretty(&letter).lines().next().unwrap().to_owned();
        assert_eq!(
            first,
            "orders: topic clicks, partition 1, offset 2, key k; set aside 1970-01-01 00:00:00.000"
        );
    }
}
