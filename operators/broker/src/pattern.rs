//! Patterns that clients send: Kafka's are of RE2, as ours, and match a whole name.

use regex::Regex;

/// What a compiled pattern may take: a larger one is refused, not built.
const BYTES_MAX: usize = 1 << 20;

pub(crate) fn whole(text: &str) -> Result<Regex, regex::Error> {
    regex::RegexBuilder::new(&format!("^(?:{text})$")).size_limit(BYTES_MAX).build()
}
