//! `${NAME}` and `${NAME:-default}` in a SQL file.

use std::collections::BTreeMap;

use sqlparser::tokenizer::Location;

use crate::error::{SqlError, SqlResult, nearest};

/// Replaces each `${NAME}` by the value in `sets`, else by that of the environment, else by the
/// default after `:-`. A default may be empty; it ends at the first `}`.
///
/// # Errors
/// Where a variable has no value, with its place.
///
/// `${env:NAME}` and `${file:/path}` stay as they are: they are secrets, and a connector's to read.
pub fn substitute(
    sql: &str,
    sets: &BTreeMap<String, String>,
    env: impl Fn(&str) -> Option<String>,
) -> SqlResult<String> {
    let mut made = String::with_capacity(sql.len());
    let mut rest = sql;
    while let Some(start) = rest.find("${") {
        let place = location(&sql[..sql.len() - rest.len() + start]);
        made.push_str(&rest[..start]);
        let Some(end) = rest[start..].find('}') else {
            return Err(SqlError::new(place, "a variable that begins with ${ does not end with }"));
        };
        let (name, default) = match rest[start + 2..start + end].split_once(":-") {
            Some((name, default)) => (name, Some(default)),
            None => (&rest[start + 2..start + end], None),
        };
        if is_reference(name) {
            made.push_str(&rest[start..=start + end]);
            rest = &rest[start + end + 1..];
            continue;
        }
        let value = sets.get(name).cloned().or_else(|| env(name));
        match value.or_else(|| default.map(str::to_owned)) {
            Some(value) => made.push_str(&value),
            None => return Err(unset(name, place, sets)),
        }
        rest = &rest[start + end + 1..];
    }
    made.push_str(rest);
    Ok(made)
}

/// Whether a variable names where a secret lies.
fn is_reference(name: &str) -> bool {
    name.starts_with("env:") || name.starts_with("file:")
}

/// The variables of a text by name, each with the first place of it.
pub fn variables(sql: &str) -> Vec<(String, Location)> {
    let mut found: Vec<(String, Location)> = vec![];
    for (at, _) in sql.match_indices("${") {
        let rest = &sql[at + 2..];
        let inside = rest.split('}').next().unwrap_or(rest);
        let name = inside.split(":-").next().unwrap_or(inside);
        if !found.iter().any(|(known, _)| known == name) {
            found.push((name.to_owned(), location(&sql[..at])));
        }
    }
    found
}

fn unset(name: &str, place: Location, sets: &BTreeMap<String, String>) -> SqlError {
    let error = SqlError::new(place, format!("variable ${{{name}}} has no value"));
    match nearest(name, sets.keys().map(String::as_str)) {
        Some(near) => error.hint(format!("`{near}` is set; did you mean ${{{near}}}?")),
        None => error.hint(format!("give one with --set {name}=… or write ${{{name}:-default}}")),
    }
}

/// The place just after `before`.
fn location(before: &str) -> Location {
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    Location { line: line as u64, column: column as u64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sets(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn a_set_value_wins_over_the_environment_and_that_over_the_default() {
        let sql = "'${A:-a}' '${B:-b}' '${C:-c}' '${D:-}'";
        let env = |name: &str| (name != "C" && name != "D").then(|| format!("env-{name}"));
        let made = substitute(sql, &sets(&[("A", "set-a")]), env).unwrap();
        assert_eq!(made, "'set-a' 'env-B' 'c' ''");
        let secrets = "'${env:A}' ${file:/run/a b}, '${A}'";
        let made = substitute(secrets, &sets(&[("A", "a")]), |_| None).unwrap();
        assert_eq!(made, "'${env:A}' ${file:/run/a b}, 'a'");
    }

    #[test]
    fn a_variable_without_value_is_named_with_its_place() {
        let error = substitute("a\n  '${BROKR}'", &sets(&[("BROKER", "x")]), |_| None).unwrap_err();
        assert_eq!(
            error.to_string(),
            "line 2, column 4: variable ${BROKR} has no value \
             (hint: `BROKER` is set; did you mean ${BROKER}?)"
        );
        let error = substitute("${X", &sets(&[]), |_| None).unwrap_err();
        assert_eq!((error.line, error.column), (1, 1));
    }
}
