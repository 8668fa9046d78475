//! JSON paths: `lax $.a['b'][0]`, with `*`, slices, unions and `..`.

use datafusion_common::Result;

use super::value::Json;
use crate::functions::scalar::failed;

/// What a path that leads nowhere is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Empty.
    Lax,
    /// An error.
    Strict,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Members(Vec<String>),
    Elements(Vec<i64>),
    Slice(Option<i64>, Option<i64>),
    All,
    /// `..`: the value and all that is in it.
    Deep,
}

#[derive(Debug, Clone)]
pub struct Path {
    text: String,
    pub mode: Mode,
    steps: Vec<Step>,
}

impl Path {
    /// # Errors
    /// Where the text is no path.
    pub fn new(text: &str) -> Result<Self> {
        let bad = || failed(format!("'{text}' is no JSON path such as $.a.b[0]"));
        let trimmed = text.trim();
        let (mode, spec) = match trimmed.split_once(char::is_whitespace) {
            Some(("lax", spec)) => (Mode::Lax, spec.trim()),
            Some(("strict", spec)) => (Mode::Strict, spec.trim()),
            _ => (Mode::Strict, trimmed),
        };
        let mut rest = spec.strip_prefix('$').ok_or_else(bad)?;
        let mut steps = vec![];
        while !rest.is_empty() {
            if let Some(after) = rest.strip_prefix("..") {
                steps.push(Step::Deep);
                rest = after;
                if rest.starts_with('[') {
                    continue;
                }
            } else if let Some(after) = rest.strip_prefix('.') {
                rest = after;
            } else {
                let (inside, after) = bracketed(rest).ok_or_else(bad)?;
                steps.push(step(inside.trim()).ok_or_else(bad)?);
                rest = after;
                continue;
            }
            let end = rest.find(['.', '[']).unwrap_or(rest.len());
            steps.push(match &rest[..end] {
                "" => return Err(bad()),
                "*" => Step::All,
                name => Step::Members(vec![name.trim_matches('"').to_owned()]),
            });
            rest = &rest[end..];
        }
        Ok(Self { text: text.to_owned(), mode, steps })
    }

    pub fn is(&self, text: &str) -> bool {
        self.text == text
    }

    /// What the path leads to: one value, or an array where it can lead to several. None where
    /// there is nothing.
    pub fn find(&self, json: &Json) -> Option<Json> {
        let mut found = vec![json];
        let mut is_one = true;
        for step in &self.steps {
            let is_first = is_one;
            is_one &= !leads_to_several(step);
            found = found.into_iter().flat_map(|value| taken(value, step)).collect();
            // A single place that is not there is nothing; of several, none may be.
            if found.is_empty() && is_first && is_one {
                return None;
            }
        }
        match is_one {
            false => Some(Json::Array(found.into_iter().cloned().collect())),
            true => found.first().map(|value| (*value).clone()),
        }
    }
}

fn leads_to_several(step: &Step) -> bool {
    match step {
        Step::Members(names) => names.len() > 1,
        Step::Elements(places) => places.len() > 1,
        Step::Slice(..) | Step::All | Step::Deep => true,
    }
}

/// What is between `[` and its `]`, and what comes after.
fn bracketed(text: &str) -> Option<(&str, &str)> {
    let inside = text.strip_prefix('[')?;
    let mut quote = None;
    for (at, letter) in inside.char_indices() {
        match (quote, letter) {
            (None, ']') => return Some((&inside[..at], &inside[at + 1..])),
            (None, '\'' | '"') => quote = Some(letter),
            (Some(open), letter) if open == letter => quote = None,
            _ => {}
        }
    }
    None
}

fn step(inside: &str) -> Option<Step> {
    if inside == "*" {
        return Some(Step::All);
    }
    if inside.starts_with(['\'', '"']) {
        let names = inside.split(',').map(|name| {
            let name = name.trim();
            let quote = name.chars().next()?;
            Some(name.strip_prefix(quote)?.strip_suffix(quote)?.to_owned())
        });
        return names.collect::<Option<Vec<_>>>().map(Step::Members);
    }
    if let Some((start, end)) = inside.split_once(':') {
        let bound = |text: &str| match text.trim() {
            "" => Some(None),
            text => text.parse().ok().map(Some),
        };
        return Some(Step::Slice(bound(start)?, bound(end)?));
    }
    let places = inside.split(',').map(|place| place.trim().parse().ok());
    places.collect::<Option<Vec<_>>>().map(Step::Elements)
}

fn taken<'a>(value: &'a Json, step: &Step) -> Vec<&'a Json> {
    match (step, value) {
        (Step::Members(names), Json::Object(members)) => names
            .iter()
            .filter_map(|name| members.iter().find(|(known, _)| known == name))
            .map(|(_, value)| value)
            .collect(),
        (Step::Elements(places), Json::Array(items)) => {
            places.iter().filter_map(|place| items.get(at(*place, items.len())?)).collect()
        }
        (Step::Slice(start, end), Json::Array(items)) => {
            let bound = |place: Option<i64>, default: usize| match place {
                None => default,
                Some(place) => at(place, items.len()).unwrap_or(0).min(items.len()),
            };
            let range = bound(*start, 0)..bound(*end, items.len());
            items.get(range).unwrap_or_default().iter().collect()
        }
        (Step::All, Json::Array(items)) => items.iter().collect(),
        (Step::All, Json::Object(members)) => members.iter().map(|(_, value)| value).collect(),
        (Step::Deep, value) => {
            let mut found = vec![value];
            for inner in taken(value, &Step::All) {
                found.extend(taken(inner, &Step::Deep));
            }
            found
        }
        _ => vec![],
    }
}

/// A place counted from 0, or from the end where negative.
fn at(place: i64, length: usize) -> Option<usize> {
    let place = if place < 0 { place + length as i64 } else { place };
    usize::try_from(place).ok()
}

/// Keeps the last path: it is a literal in practice.
#[derive(Default)]
pub struct Paths(Option<Path>);

impl Paths {
    pub fn get(&mut self, text: &str) -> Result<&Path> {
        let path = match self.0.take() {
            Some(known) if known.is(text) => known,
            _ => Path::new(text)?,
        };
        Ok(self.0.insert(path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_lead_to_values() {
        let json = Json::parse(r#"{"a":{"b":[1,"two",{"c d":true}]},"e":null}"#).unwrap();
        let find = |path: &str| Path::new(path).unwrap().find(&json).map(|value| value.to_text());
        assert_eq!(find("$.a.b[0]").as_deref(), Some("1"));
        assert_eq!(find("lax $.a.b[-1]['c d']").as_deref(), Some("true"));
        assert_eq!(find("$.a.b[*]").as_deref(), Some(r#"[1,"two",{"c d":true}]"#));
        assert_eq!(find("$.a.b[0,1]").as_deref(), Some(r#"[1,"two"]"#));
        assert_eq!(find("$.a.b[1:]").as_deref(), Some(r#"["two",{"c d":true}]"#));
        assert_eq!(find("$..['c d']").as_deref(), Some("[true]"));
        assert_eq!(find("$.e").as_deref(), Some("null"));
        assert_eq!(find("$.x.y"), None);
        for bad in ["a.b", "$.", "$[", "$[x]"] {
            assert!(Path::new(bad).is_err(), "{bad}");
        }
    }
}
