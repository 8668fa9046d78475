//! What of a SQL file would not run on Apache Flink.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use sqlparser::tokenizer::{Location, Token, TokenWithSpan, Whitespace};

use crate::error::{SqlError, SqlResult};
use crate::parse::tokens::tokenize;
use crate::variables::{substitute, variables};

/// A version of Apache Flink.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    V2_1,
    V2_2,
    V2_3,
}

const VERSIONS: [(&str, Version); 3] =
    [("2.1", Version::V2_1), ("2.2", Version::V2_2), ("2.3", Version::V2_3)];

impl FromStr for Version {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = VERSIONS.iter().find(|(name, _)| *name == text);
        found.map(|(_, version)| *version).ok_or_else(|| "one of 2.1, 2.2, 2.3".to_owned())
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let name = VERSIONS.iter().find(|(_, version)| version == self).map(|(name, _)| *name);
        f.write_str(name.unwrap_or_default())
    }
}

/// Connectors that are in Flink's own distribution.
const BUILT_IN: [&str; 4] = ["blackhole", "datagen", "filesystem", "print"];

/// Jars that bring other connectors.
const JARS: [(&str, &str); 7] = [
    ("jdbc", "flink-connector-jdbc and the driver of the database"),
    ("kafka", "flink-sql-connector-kafka"),
    ("nexmark", "nexmark-flink"),
    ("redis", "the jar of nowcast (deploy/flink)"),
    ("upsert-kafka", "flink-sql-connector-kafka"),
    ("avro-confluent", "flink-sql-avro-confluent-registry"),
    ("protobuf", "flink-sql-protobuf"),
];

/// Functions that only nowcast's jar brings to Flink.
const OURS: [&str; 2] = ["ML_FORECAST", "ML_NOWCAST"];

/// Units of intervals that take two digits unless they say more.
const UNITS: [&str; 12] = [
    "SECOND", "SECONDS", "MINUTE", "MINUTES", "HOUR", "HOURS", "DAY", "DAYS", "MONTH", "MONTHS",
    "YEAR", "YEARS",
];

/// What would not run on Flink of `version`, with its place; `sets` and `env` fill in variables as
/// [`substitute`] does. What only a plan shows is in [`crate::Job::unportable`].
///
/// # Errors
/// Where the text cannot be read at all.
pub fn portability(
    text: &str,
    sets: &BTreeMap<String, String>,
    env: impl Fn(&str) -> Option<String>,
    version: Version,
) -> SqlResult<Vec<SqlError>> {
    let mut found: Vec<SqlError> = variables(text)
        .into_iter()
        .map(|(name, at)| {
            let message = format!("${{{name}}} is filled in by nowcast, Flink takes it as it is");
            SqlError::new(at, message).hint("write the value into the file")
        })
        .collect();
    let tokens: Vec<TokenWithSpan> = tokenize(&substitute(text, sets, env)?)?
        .into_iter()
        .filter(|token| !matches!(token.token, Token::Whitespace(_)))
        .collect();
    for at in 0..tokens.len() {
        found.extend(of_option(&tokens[at..]));
        found.extend(of_words(&tokens[at..], version));
    }
    found.sort_by_key(|error| (error.line, error.column));
    // One finding a name is enough: the tenth table of a connector needs the same jar.
    let mut said = BTreeSet::new();
    found.retain(|error| said.insert(error.message.clone()));
    Ok(found)
}

/// `'key' = 'value'` of tables and models.
fn of_option(tokens: &[TokenWithSpan]) -> Option<SqlError> {
    let [key, equals, value, ..] = tokens else { return None };
    let (Token::SingleQuotedString(option), Token::Eq, Token::SingleQuotedString(text)) =
        (&key.token, &equals.token, &value.token)
    else {
        return None;
    };
    let at = value.span.start;
    let jar = |name: &str| JARS.iter().find(|(known, _)| *known == name).map(|(_, jar)| *jar);
    let needs = |what: &str| {
        let error = SqlError::new(at, format!("{what} '{text}' is not in Flink's distribution"));
        match jar(text) {
            Some(jar) => error.hint(format!("needs {jar}")),
            None => error.hint("there is no jar of it that we know"),
        }
    };
    match option.as_str() {
        "connector" if !BUILT_IN.contains(&text.as_str()) => Some(needs("connector")),
        "format" | "key.format" | "value.format" if jar(text).is_some() => Some(needs("format")),
        "provider" if text == "onnx" => Some(
            SqlError::new(at, "model provider 'onnx' is not in Flink's distribution")
                .hint("needs the jar of nowcast (deploy/flink)"),
        ),
        _ if text == "embedded" || text.starts_with("embedded:") => Some(
            SqlError::new(at, format!("'{option}' = '{text}' lives inside nowcast"))
                .hint("give the address of a server"),
        ),
        _ => None,
    }
}

/// Functions and clauses.
fn of_words(tokens: &[TokenWithSpan], version: Version) -> Option<SqlError> {
    let word = |ahead: usize| match tokens.get(ahead).map(|token| &token.token) {
        Some(Token::Word(word)) if word.quote_style.is_none() => word.value.to_ascii_uppercase(),
        _ => String::new(),
    };
    let at: Location = tokens.first()?.span.start;
    let first = word(0);
    match (first.as_str(), word(1).as_str()) {
        ("ON", "CONFLICT") if version < Version::V2_3 => Some(
            SqlError::new(at, "ON CONFLICT is there from Flink 2.3 on")
                .hint("leave it out: before, the sink sorts updates out by itself"),
        ),
        ("LANGUAGE", "RUST") => Some(
            SqlError::new(at, "functions in Rust run in nowcast alone")
                .hint("Flink takes LANGUAGE JAVA, SCALA and PYTHON"),
        ),
        (name, _) if OURS.contains(&name) && is_call(tokens) => Some(
            SqlError::new(at, format!("Flink has no function {name}"))
                .hint("needs the jar of nowcast (deploy/flink)"),
        ),
        ("INTERVAL", _) => {
            let Some(Token::SingleQuotedString(digits)) = tokens.get(1).map(|token| &token.token)
            else {
                return None;
            };
            let digits = digits.trim_start_matches(['-', '+']);
            let many = digits.len() > 2 && digits.chars().all(|digit| digit.is_ascii_digit());
            let unit = word(2);
            let precise = matches!(tokens.get(3).map(|token| &token.token), Some(Token::LParen));
            (many && UNITS.contains(&unit.as_str()) && !precise).then(|| {
                let message = format!("INTERVAL '{digits}' {unit} has more than two digits");
                SqlError::new(at, message)
                    .hint(format!("write INTERVAL '{digits}' {unit}({})", digits.len()))
            })
        }
        _ => None,
    }
}

fn is_call(tokens: &[TokenWithSpan]) -> bool {
    let next = tokens.iter().skip(1).find(|token| !is_space(&token.token));
    next.is_some_and(|token| token.token == Token::LParen)
}

fn is_space(token: &Token) -> bool {
    matches!(token, Token::Whitespace(Whitespace::Space | Whitespace::Newline | Whitespace::Tab))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(sql: &str, version: Version) -> Vec<String> {
        let found = portability(sql, &BTreeMap::new(), |_| None, version).unwrap();
        found.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_flink_lacks_is_found_with_its_place() {
        let sql =
            "SELECT ML_FORECAST(a, ts, '{}'),\n  INTERVAL '100' SECOND, INTERVAL '100' SECOND(3)";
        let found = found(sql, Version::V2_3);
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].starts_with("line 1, column 8: Flink has no function ML_FORECAST"));
        assert!(found[1].starts_with("line 2, column 3: INTERVAL '100' SECOND has more than two"));
        assert!(found[1].contains("SECOND(3)"));
    }

    #[test]
    fn on_conflict_is_new_in_2_3() {
        let sql = "INSERT INTO t SELECT 1 ON CONFLICT DO DEDUPLICATE";
        assert_eq!(found(sql, Version::V2_2).len(), 1);
        assert_eq!(found(sql, Version::V2_3), Vec::<String>::new());
    }

    #[test]
    fn a_jar_is_named_once() {
        let sql = "'connector' = 'kafka' 'topic' = '${A:-a}' 'connector' = 'kafka'";
        let found = found(sql, Version::V2_3);
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].contains("needs flink-sql-connector-kafka"));
        assert!(found[1].starts_with("line 1, column 34: ${A} is filled in"));
    }
}
