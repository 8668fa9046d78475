//! Values of options that lie outside of the SQL: `${env:NAME}` and `${file:/path}`.
//!
//! They are read when a connector takes its options, so that plans, and what is told of them, hold the
//! reference alone. Whatever the process prints is searched for the values that were read.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

use nowcast_connectors::{Registry, StoredTable};
use nowcast_engine::secret::{HIDDEN, is_secret};
use nowcast_engine::{
    Connectors, Error, Lookup, Result, SinkFactory, SourceFactory, TableDefinition,
};

/// The secrets that this process has read.
static READ: Mutex<Vec<String>> = Mutex::new(vec![]);

/// A shorter text is hidden by its option's name alone: elsewhere it would be part of words.
const LETTERS_MIN: usize = 4;

/// The connectors, with secrets in the place of references to them.
pub struct Secrets {
    pub connectors: Registry,
    /// A reference that leads nowhere stays as it is: only a plan is wanted.
    pub may_lack: bool,
}

impl Secrets {
    /// The table with its secrets.
    fn of(&self, table: &TableDefinition) -> Result<TableDefinition> {
        let mut table = table.clone();
        for (key, value) in &mut table.options {
            match filled(key, value, &read) {
                Ok(Some(filled)) => *value = filled,
                Ok(None) => {}
                Err(_) if self.may_lack => {}
                Err(why) => {
                    let name = &table.name;
                    return Err(Error::user(format!("table \"{name}\": option \"{key}\": {why}")));
                }
            }
        }
        Ok(table)
    }
}

impl Secrets {
    /// The store of a table, if it has one that can be served.
    pub fn store_place(&self, table: &TableDefinition) -> Result<Option<String>> {
        self.connectors.store_place(&self.of(table)?)
    }

    /// Opens it.
    pub async fn stored_table(&self, table: &TableDefinition) -> Result<Option<StoredTable>> {
        self.connectors.stored_table(&self.of(table)?).await
    }
}

impl Connectors for Secrets {
    fn source(&self, table: &TableDefinition) -> Result<Arc<dyn SourceFactory>> {
        self.connectors.source(&self.of(table)?)
    }

    fn sink(&self, table: &TableDefinition) -> Result<Arc<dyn SinkFactory>> {
        self.connectors.sink(&self.of(table)?)
    }

    fn lookup(&self, table: &TableDefinition, keys: &[usize]) -> Result<Arc<dyn Lookup>> {
        self.connectors.lookup(&self.of(table)?, keys)
    }
}

/// A value with what its references name; `None` without any. What is read is hidden from then on,
/// unless it is all of an option that is no secret.
fn filled(
    key: &str,
    value: &str,
    read: &dyn Fn(&str, &str) -> Result<String, String>,
) -> Result<Option<String>, String> {
    let (mut made, mut rest, mut any) = (String::new(), value, false);
    while let Some(at) = rest.find("${") {
        let inside = rest[at + 2..].split_once('}');
        let Some(((kind, name), behind)) =
            inside.and_then(|(inside, behind)| Some((inside.split_once(':')?, behind)))
        else {
            break;
        };
        let secret = read(kind, name)?;
        made.push_str(&rest[..at]);
        let alone = rest.len() == value.len() && at == 0 && behind.is_empty();
        if is_secret(key) || !alone {
            remember(&secret);
        }
        made.push_str(&secret);
        rest = behind;
        any = true;
    }
    made.push_str(rest);
    Ok(any.then_some(made))
}

/// What lies in a variable of the environment, or in a file, without its last line's end.
fn read(kind: &str, name: &str) -> Result<String, String> {
    match kind {
        "env" => std::env::var(name).map_err(|_| format!("${{env:{name}}} is not set")),
        "file" => match std::fs::read_to_string(name) {
            Ok(text) => Ok(text.trim_end_matches(['\n', '\r']).to_owned()),
            Err(error) => Err(format!("${{file:{name}}}: {error}")),
        },
        _ => Err(format!("${{{kind}:{name}}}: there are env and file")),
    }
}

/// Hides a secret from here on.
pub fn remember(secret: &str) {
    if secret.chars().count() < LETTERS_MIN {
        return;
    }
    let mut known = READ.lock().unwrap_or_else(PoisonError::into_inner);
    if !known.iter().any(|known| known == secret) {
        known.push(secret.to_owned());
        // The longer ones go first: one may be part of another.
        known.sort_by_key(|known| std::cmp::Reverse(known.len()));
    }
}

/// A text without the secrets that were read.
pub fn hidden(text: &str) -> String {
    let known = READ.lock().unwrap_or_else(PoisonError::into_inner);
    known.iter().fold(text.to_owned(), |text, secret| text.replace(secret.as_str(), HIDDEN))
}

/// The standard error, without secrets.
pub struct Stderr;

impl Write for Stderr {
    /// A line of the log comes whole.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(line);
        io::stderr().write_all(hidden(&text).as_bytes())?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_filled_and_their_values_hidden() {
        let read = |kind: &str, name: &str| match kind {
            "env" => Ok(format!("value-of-{name}")),
            _ => Err(format!("no {kind}")),
        };
        let fill = |key: &str, value: &str| filled(key, value, &read);
        assert_eq!(fill("password", "${env:A}").unwrap().unwrap(), "value-of-A");
        assert_eq!(fill("topic", "${env:B}").unwrap().unwrap(), "value-of-B");
        let url = fill("url", "jdbc:x://h?password=${env:C}&user=${env:D}").unwrap().unwrap();
        assert_eq!(url, "jdbc:x://h?password=value-of-C&user=value-of-D");
        assert_eq!(fill("topic", "$ {env:A} ${A} ${").unwrap(), None);
        assert_eq!(fill("password", "${vault:A}").unwrap_err(), "no vault");
        let text = hidden("value-of-A value-of-B value-of-C value-of-D");
        assert_eq!(text, "… value-of-B … …");
    }

    #[test]
    fn files_lose_their_last_line_end() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "a\nb\n").unwrap();
        assert_eq!(read("file", file.path().to_str().unwrap()).unwrap(), "a\nb");
        assert!(
            read("file", "/nowhere").unwrap_err().starts_with("${file:/nowhere}: No such file")
        );
        assert_eq!(read("env", "NOT_SET_AT_ALL").unwrap_err(), "${env:NOT_SET_AT_ALL} is not set");
    }
}
