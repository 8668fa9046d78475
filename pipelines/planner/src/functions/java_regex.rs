//! Java's regular expressions, with look-around and back references.

use fancy_regex::Regex;

/// Keeps the last expression: it is a literal in practice.
#[derive(Default)]
pub struct Regexes(Option<(String, Option<Regex>)>);

impl Regexes {
    /// None where the text is no regular expression: Flink's functions then give null or false.
    pub fn get(&mut self, java: &str) -> Option<&Regex> {
        let known = match self.0.take() {
            Some(known) if known.0 == java => known,
            _ => (java.to_owned(), Regex::new(&translated(java)).ok()),
        };
        self.0.insert(known).1.as_ref()
    }
}

/// Java's `\d`, `\w` and `\s` are of ASCII.
fn translated(java: &str) -> String {
    let mut made = String::with_capacity(java.len());
    let mut letters = java.chars();
    while let Some(letter) = letters.next() {
        if letter != '\\' {
            made.push(letter);
            continue;
        }
        match letters.next() {
            Some('d') => made.push_str("[0-9]"),
            Some('D') => made.push_str("[^0-9]"),
            Some('w') => made.push_str("[a-zA-Z0-9_]"),
            Some('W') => made.push_str("[^a-zA-Z0-9_]"),
            Some('s') => made.push_str("[ \\t\\n\\x0B\\f\\r]"),
            Some('S') => made.push_str("[^ \\t\\n\\x0B\\f\\r]"),
            Some('Q') => {
                let rest: String = letters.clone().collect();
                let (quoted, _) = rest.split_once("\\E").unwrap_or((&rest, ""));
                made.push_str(&fancy_regex::escape(quoted));
                letters.nth(quoted.chars().count() + 1);
            }
            Some('Z') => made.push_str("(?=\\n?\\z)"),
            Some(other) => made.extend(['\\', other]),
            None => made.push('\\'),
        }
    }
    made
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_of_ascii_and_quotes_are_taken_as_they_are() {
        assert_eq!(translated(r"\Qa.b\E\d"), r"a\.b[0-9]");
        assert!(Regexes::default().get("(?<=a)b\\w").is_some());
        assert!(Regexes::default().get("[").is_none());
    }
}
