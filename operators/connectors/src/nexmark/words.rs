//! Names, places and letters of Nexmark's events.

use std::fmt::Write;

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
/// One letter in so many is a special one.
const SPECIAL: u64 = 13;
const ALPHABET: u64 = 26;

fn one_of(random: &mut Random, of: &[&'static str]) -> &'static str {
    of[random.below(of.len() as u64) as usize]
}

pub(super) fn name(random: &mut Random, to: &mut String) {
    to.push_str(one_of(random, &FIRST_NAMES));
    to.push(' ');
    to.push_str(one_of(random, &LAST_NAMES));
}

pub(super) fn email(random: &mut Random, to: &mut String) {
    text(random, 7, ' ', to);
    to.push('@');
    text(random, 5, ' ', to);
    to.push_str(".com");
}

pub(super) fn credit_card(random: &mut Random, to: &mut String) {
    let mut four = || random.below(10_000);
    // Writing to a string does not fail.
    let _ = write!(to, "{:04} {:04} {:04} {:04}", four(), four(), four(), four());
}

pub(super) fn city(random: &mut Random) -> &'static str {
    one_of(random, &CITIES)
}

pub(super) fn state(random: &mut Random) -> &'static str {
    one_of(random, &STATES)
}

/// Lower-case letters, fewer than `max`, about every thirteenth of them `special`; neither the first nor the last.
pub(super) fn text(random: &mut Random, max: u64, special: char, to: &mut String) {
    let length = LETTERS_MIN + random.below(max - LETTERS_MIN);
    let mut rest = 0;
    for at in 0..length {
        // Seven letters out of each random number: (13 · 26)^7 < 2^59.
        if at % 7 == 0 {
            rest = random.next() >> 5;
        }
        let inner = at > 0 && at + 1 < length;
        to.push(if inner && rest % SPECIAL == 0 { special } else { letter(rest / SPECIAL) });
        rest /= SPECIAL * ALPHABET;
    }
}

/// Letters that fill an event of `bytes` up to about `mean_bytes`.
pub(super) fn filling(random: &mut Random, bytes: usize, mean_bytes: u64, to: &mut String) {
    let Some(missing) = mean_bytes.checked_sub(bytes as u64) else { return };
    let spread = (missing as f64 * 0.2).round() as u64;
    let length = missing - spread + if spread == 0 { 0 } else { random.below(2 * spread) };
    let mut rest = 0;
    for at in 0..length {
        // Twelve letters out of each random number: 26^12 < 2^57.
        if at % 12 == 0 {
            rest = random.next() >> 7;
        }
        to.push(letter(rest));
        rest /= ALPHABET;
    }
}

fn letter(random: u64) -> char {
    char::from(b'a' + (random % ALPHABET) as u8)
}
