//! Java's regular expressions, with look-around and back references.

use fancy_regex::{Captures, Regex};

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

/// `String.replaceAll`: none where the replacement names a group that there is not.
pub fn replace_all(regex: &Regex, text: &str, replacement: &str) -> Option<String> {
    let mut made = String::with_capacity(text.len());
    let mut copied = 0;
    for found in regex.captures_iter(text) {
        let found = found.ok()?;
        let whole = found.get(0)?;
        made.push_str(&text[copied..whole.start()]);
        expand(&found, replacement, &mut made)?;
        copied = whole.end();
    }
    made.push_str(&text[copied..]);
    Some(made)
}

/// `$1`, `${name}` and `\$` of a replacement. A group has as many digits as there are groups for.
fn expand(found: &Captures<str>, replacement: &str, made: &mut String) -> Option<()> {
    let mut rest = replacement;
    while let Some(letter) = rest.chars().next() {
        rest = &rest[letter.len_utf8()..];
        match letter {
            '\\' => {
                let escaped = rest.chars().next()?;
                made.push(escaped);
                rest = &rest[escaped.len_utf8()..];
            }
            '$' if rest.starts_with('{') => {
                let (name, after) = rest[1..].split_once('}')?;
                made.push_str(found.name(name).map_or("", |group| group.as_str()));
                rest = after;
            }
            '$' => {
                let first = rest.chars().next()?.to_digit(10)? as usize;
                if first >= found.len() {
                    return None;
                }
                rest = &rest[1..];
                let mut group = first;
                while let Some(digit) = rest.chars().next().and_then(|next| next.to_digit(10)) {
                    let longer = group * 10 + digit as usize;
                    if longer >= found.len() {
                        break;
                    }
                    group = longer;
                    rest = &rest[1..];
                }
                made.push_str(found.get(group).map_or("", |group| group.as_str()));
            }
            other => made.push(other),
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replacements_name_groups_as_in_java() {
        let regex = Regex::new(&translated(r"(\w)X(\w)")).unwrap();
        assert_eq!(replace_all(&regex, "aXb", "$2-$1").unwrap(), "b-a");
        assert_eq!(replace_all(&regex, "aXb", "$12").unwrap(), "a2");
        assert_eq!(replace_all(&regex, "aXb", r"\$1").unwrap(), "$1");
        assert_eq!(replace_all(&regex, "aXb", "$3"), None);
        assert_eq!(translated(r"\Qa.b\E\d"), r"a\.b[0-9]");
    }
}
