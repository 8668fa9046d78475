//! `PARSE_URL(url, part[, key])`: HOST, PATH, QUERY, REF, PROTOCOL, FILE, AUTHORITY, USERINFO.

use std::sync::Arc;

use arrow::array::{ArrayRef, StringArray};
use datafusion_common::Result;

use super::scalar::{Body, Function, Kind, optional_text, some, text};

pub fn function() -> Function {
    Function {
        name: "parse_url",
        form: "PARSE_URL(url, part[, key])",
        about: "HOST, PATH, QUERY (or the value of a key in it), REF, PROTOCOL, FILE, AUTHORITY or USERINFO",
        takes: some(&[Kind::Text, Kind::Text, Kind::Text], 2),
        gives: text,
        body: Body::Plain(parse_url),
    }
}

fn parse_url(columns: &[ArrayRef], rows: usize) -> Result<ArrayRef> {
    let made = (0..rows).map(|row| {
        let (url, part) = (optional_text(columns, 0, row)?, optional_text(columns, 1, row)?);
        let found = part_of(url, part)?;
        match columns.len() {
            2 => Some(found),
            _ if part == "QUERY" => {
                let key = optional_text(columns, 2, row)?;
                let pairs = found.split('&').filter_map(|pair| pair.split_once('='));
                let value = pairs.filter(|(name, _)| *name == key).map(|(_, value)| value).next();
                value.map(str::to_owned)
            }
            _ => None,
        }
    });
    Ok(Arc::new(made.collect::<StringArray>()))
}

/// As `java.net.URL` takes an address apart.
fn part_of(url: &str, part: &str) -> Option<String> {
    let (protocol, rest) = url.trim().split_once(':')?;
    if !matches!(protocol, "http" | "https" | "ftp" | "file" | "jar") {
        return None;
    }
    let (rest, reference) = match rest.split_once('#') {
        Some((rest, reference)) => (rest, Some(reference)),
        None => (rest, None),
    };
    let (before, query) = match rest.split_once('?') {
        Some((before, query)) => (before, Some(query)),
        None => (rest, None),
    };
    let (authority, path) = match before.strip_prefix("//") {
        Some(after) => after.split_at(after.find('/').unwrap_or(after.len())),
        None => ("", before),
    };
    let (user, host) = match authority.rsplit_once('@') {
        Some((user, host)) => (Some(user), host),
        None => (None, authority),
    };
    let host = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    match part {
        "HOST" => Some(host.to_owned()),
        "PATH" => Some(path.to_owned()),
        "QUERY" => query.map(str::to_owned),
        "REF" => reference.map(str::to_owned),
        "PROTOCOL" => Some(protocol.to_owned()),
        "FILE" => Some(query.map_or(path.to_owned(), |query| format!("{path}?{query}"))),
        "AUTHORITY" => Some(authority.to_owned()),
        "USERINFO" => user.map(str::to_owned),
        _ => None,
    }
}
