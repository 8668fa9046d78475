//! Functions of one's own, as `docs/functions.md` shows them: `cargo build -p nowcast-udf-example`.

use nowcast_udf::udf;

/// How many letters must change to make one text of the other.
#[udf]
fn levenshtein(a: &str, b: &str) -> i32 {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in b.iter().enumerate() {
            let changed = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()] as i32
}

/// A price and its currency, where there is one.
#[udf]
fn priced(amount: f64, currency: Option<&str>) -> String {
    format!("{amount:.2} {}", currency.unwrap_or("?"))
}

/// The domain of an address; null where it has none.
#[udf]
fn domain(address: &str) -> Option<&str> {
    address.split_once('@').map(|(_, domain)| domain)
}

/// A number in hexadecimal digits; the row is set aside where it is none.
#[udf]
fn from_hex(digits: &str) -> Result<i64, std::num::ParseIntError> {
    i64::from_str_radix(digits, 16)
}

/// The element at an index; the row is set aside where there is none.
#[udf]
fn byte_at(bytes: &[u8], index: i64) -> i16 {
    i16::from(bytes[index as usize])
}

/// All types that there are.
#[udf]
#[allow(clippy::too_many_arguments)]
fn all_types(
    a: bool,
    b: i8,
    c: i16,
    d: i32,
    e: i64,
    f: f32,
    g: f64,
    h: String,
    i: Vec<u8>,
) -> Vec<u8> {
    format!("{a} {b} {c} {d} {e} {f} {g} {h} {i:?}").into_bytes()
}

/// Whether a number is even; without arguments that are null.
#[udf]
fn is_even(number: Option<i8>) -> Option<bool> {
    Some(number? % 2 == 0)
}

/// The same for all rows.
#[udf]
fn answer() -> f32 {
    42.0
}
