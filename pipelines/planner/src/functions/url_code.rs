//! `URL_ENCODE(s)` and `URL_DECODE(s)`: as in HTML forms, in UTF-8.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use super::scalar::{Body, Function, Kind, all, text, text_of_text};

pub fn encode() -> Function {
    Function {
        name: "url_encode",
        form: "URL_ENCODE(s)",
        about: "as in an HTML form",
        takes: all(&[Kind::Text]),
        gives: text,
        body: Body::Plain(|columns, _| {
            text_of_text(columns, |text| {
                Some(utf8_percent_encode(text, KEPT).to_string().replace("%20", "+"))
            })
        }),
    }
}

pub fn decode() -> Function {
    Function {
        name: "url_decode",
        form: "URL_DECODE(s)",
        about: "read from an HTML form; null where that fails",
        takes: all(&[Kind::Text]),
        gives: text,
        body: Body::Plain(|columns, _| text_of_text(columns, decoded)),
    }
}

/// What Java leaves as it is besides letters and digits.
const KEPT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'.').remove(b'-').remove(b'*').remove(b'_');

fn decoded(text: &str) -> Option<String> {
    let escapes = text.match_indices('%').all(|(place, _)| {
        let digits = text.as_bytes().get(place + 1..place + 3);
        digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    });
    let spaced = text.replace('+', " ");
    escapes.then(|| percent_decode_str(&spaced).decode_utf8_lossy().into_owned())
}
