//! Names, places and letters of Nexmark's events.

use crate::random::Random;

const FIRST_NAMES: [&str; 11] = [
    "Peter", "Paul", "Luke", "John", "Saul", "Vicky", "Kate", "Julie", "Sarah", "Deiter", "Walter",
];
const LAST_NAMES: [&str; 9] =
    ["Shultz", "Abrams", "Spencer", "White", "Bartels", "Walton", "Smith", "Jones", "Noris"];
const CITIES: [&str; 10] = [
    "Phoenix",
    "Los Angeles",
    "San Francisco",
    "Boise",
    "Portland",
    "Bend",
    "Redmond",
    "Seattle",
    "Kent",
    "Cheyenne",
];
const STATES: [&str; 6] = ["AZ", "CA", "ID", "OR", "WA", "WY"];

/// The fewest letters of a text.
const LETTERS_MIN: u64 = 3;

pub(super) fn one_of<'a>(random: &mut Random, of: &[&'a str]) -> &'a str {
    of[random.below(of.len() as u64) as usize]
}

pub(super) fn name(random: &mut Random) -> String {
    format!("{} {}", one_of(random, &FIRST_NAMES), one_of(random, &LAST_NAMES))
}

pub(super) fn email(random: &mut Random) -> String {
    format!("{}@{}.com", text(random, 7, ' '), text(random, 5, ' '))
}

pub(super) fn credit_card(random: &mut Random) -> String {
    let mut four = || random.below(10_000);
    format!("{:04} {:04} {:04} {:04}", four(), four(), four(), four())
}

pub(super) fn city(random: &mut Random) -> &'static str {
    one_of(random, &CITIES)
}

pub(super) fn state(random: &mut Random) -> &'static str {
    one_of(random, &STATES)
}

/// Lower-case letters, fewer than `max`, about every thirteenth of them `special`; no spaces at either
/// end.
pub(super) fn text(random: &mut Random, max: u64, special: char) -> String {
    let length = LETTERS_MIN + random.below(max - LETTERS_MIN);
    let mut letter = || if random.below(13) == 0 { special } else { letter(random.next()) };
    let text: String = (0..length).map(|_| letter()).collect();
    text.trim().to_owned()
}

/// Letters that fill an event of `bytes` up to about `mean_bytes`.
pub(super) fn filling(random: &mut Random, bytes: usize, mean_bytes: u64) -> String {
    let Some(missing) = mean_bytes.checked_sub(bytes as u64) else { return String::new() };
    let spread = (missing as f64 * 0.2).round() as u64;
    let length = missing - spread + if spread == 0 { 0 } else { random.below(2 * spread) };
    let mut letters = String::with_capacity(length as usize);
    // Twelve letters out of each random number: 26^12 < 2^57.
    while letters.len() < length as usize {
        let mut rest = random.next() >> 7;
        for _ in letters.len()..(length as usize).min(letters.len() + 12) {
            letters.push(letter(rest));
            rest /= 26;
        }
    }
    letters
}

fn letter(random: u64) -> char {
    char::from(b'a' + (random % 26) as u8)
}
