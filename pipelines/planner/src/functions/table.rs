//! The table of all functions, for `docs/functions.md`.

use std::collections::BTreeSet;
use std::fmt::Write;

use super::{aggregate, families, window};

/// Functions that the parser or DataFusion takes apart before they would be called.
const FORMS: [(&str, &str, &str); 25] = [
    ("Condition", "COALESCE(a, …)", "the first value that is not null"),
    ("Condition", "IF(condition, a, b)", "a where the condition holds, else b"),
    ("Condition", "IFNULL(a, b)", "b where a is null"),
    ("Condition", "NULLIF(a, b)", "null where both are equal, else a"),
    ("Date and time", "YEAR(time)", "EXTRACT(YEAR FROM time)"),
    ("Date and time", "QUARTER(time)", "EXTRACT(QUARTER FROM time)"),
    ("Date and time", "MONTH(time)", "EXTRACT(MONTH FROM time)"),
    ("Date and time", "WEEK(time)", "EXTRACT(WEEK FROM time), of ISO 8601"),
    ("Date and time", "DAYOFYEAR(time)", "EXTRACT(DOY FROM time)"),
    ("Date and time", "DAYOFMONTH(time)", "EXTRACT(DAY FROM time)"),
    ("Date and time", "DAYOFWEEK(time)", "EXTRACT(DOW FROM time); Sunday is 1"),
    ("Date and time", "HOUR(time)", "EXTRACT(HOUR FROM time)"),
    ("Date and time", "MINUTE(time)", "EXTRACT(MINUTE FROM time)"),
    ("Date and time", "SECOND(time)", "EXTRACT(SECOND FROM time)"),
    ("Date and time", "CURRENT_TIMESTAMP", "the clock when a row is processed"),
    ("Date and time", "NOW()", "CURRENT_TIMESTAMP"),
    ("Date and time", "LOCALTIMESTAMP", "the clock in the session's time zone"),
    ("Date and time", "CURRENT_DATE", "the day in the session's time zone"),
    ("Date and time", "CURRENT_TIME", "the time of day in the session's time zone"),
    ("Date and time", "LOCALTIME", "CURRENT_TIME"),
    ("Date and time", "UNIX_TIMESTAMP()", "the clock in seconds since the epoch"),
    ("JSON", "JSON(s)", "in JSON_OBJECT and JSON_ARRAY: a text that is JSON already"),
    ("Number", "MOD(a, b)", "the rest of a division, with the sign of a; also a % b"),
    ("Type", "CAST(x AS type)", "a value in another type; the row is set aside where that fails"),
    ("Type", "TRY_CAST(x AS type)", "a value in another type; null where that fails"),
];

/// How to write functions of one's own.
const OWN: &str = include_str!("own.md");

/// Markdown, and how many functions are in it, each name counted once.
pub fn table() -> (String, usize) {
    let (mut made, names) = sections();
    let _ = write!(made, "\n{} functions.\n{OWN}", names.len());
    (made, names.len())
}

/// The names of all functions, in order.
pub fn names() -> Vec<String> {
    sections().1.into_iter().collect()
}

fn sections() -> (String, BTreeSet<String>) {
    let mut made = String::from(
        "# Functions\n\nWritten by `NOWCAST_BLESS=1 cargo test -p nowcast-planner --test functions` from \
         the planner's own list.\nNames and answers are those of Apache Flink 2.3.\n",
    );
    let mut names = BTreeSet::new();
    for family in families() {
        let forms = FORMS.iter().filter(|(heading, ..)| *heading == family.heading);
        let mut rows: Vec<(String, &str)> =
            forms.map(|(_, form, about)| ((*form).to_owned(), *about)).collect();
        let own = family.functions.iter();
        rows.extend(own.map(|function| (form(function.name, function.form), function.about)));
        rows.sort();
        rows.dedup_by(|one, other| one.0 == other.0);
        section(&mut made, family.heading, &rows, &mut names);
    }
    let aggregates = aggregate::aggregate_functions();
    let aggregates = aggregates.iter().map(|function| function.name().to_uppercase());
    let mut rows: Vec<_> = aggregates.map(|name| (format!("{name}(…)"), "")).collect();
    rows.sort();
    section(&mut made, "Aggregate", &rows, &mut names);
    let windows = window::window_functions();
    let windows = windows.iter().map(|function| function.name().to_uppercase());
    let mut rows: Vec<_> = windows.map(|name| (format!("{name}(…) OVER (…)"), "")).collect();
    rows.sort();
    section(&mut made, "Window", &rows, &mut names);
    (made, names)
}

/// A function under another name is called by that name.
fn form(name: &str, form: &str) -> String {
    let name = name.to_uppercase();
    match form.split_once('(') {
        Some((other, rest)) if other.len() != name.len() && is_alias(&name, other) => {
            format!("{name}({rest}")
        }
        _ => form.to_owned(),
    }
}

fn is_alias(name: &str, of: &str) -> bool {
    matches!(
        (name, of),
        ("CHARACTER_LENGTH", "CHAR_LENGTH") | ("CEILING", "CEIL") | ("SUBSTR", "SUBSTRING")
    )
}

fn section(
    made: &mut String,
    heading: &str,
    rows: &[(String, &str)],
    names: &mut BTreeSet<String>,
) {
    let _ = write!(made, "\n## {heading}\n\n| call | gives |\n|---|---|\n");
    for (form, about) in rows {
        let _ = writeln!(made, "| `{}` | {about} |", form.replace('|', "\\|"));
        let name: String =
            form.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
        // Operators have no name.
        if heading != "Operator" && name.chars().all(|c| !c.is_ascii_lowercase()) {
            names.insert(name);
        }
    }
}
