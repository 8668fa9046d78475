//! Bearer tokens: who may ask what. The file holds digests, so that whoever reads it has no token.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use arc_swap::ArcSwap;
use nowcast_engine::{Error, Result};
use sha2::{Digest, Sha256};
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};

/// How a line of the file names its digest.
const SHA256: &str = "sha256:";

/// What a token may ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Scope {
    /// Look-ups, status, metrics and the list of feeds.
    Read = 1,
    /// Live feeds.
    Feeds = 2,
    /// All of it.
    Admin = 4,
}

impl Scope {
    pub const ALL: [Self; 3] = [Self::Read, Self::Feeds, Self::Admin];
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Read => "read",
            Self::Feeds => "feeds",
            Self::Admin => "admin",
        })
    }
}

impl FromStr for Scope {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|scope| scope.to_string() == text);
        found.ok_or_else(|| format!("unknown scope \"{text}\": read, feeds or admin"))
    }
}

/// The scopes of one token.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Scopes(u8);

impl Scopes {
    pub fn allow(self, scope: Scope) -> bool {
        self.0 & (scope as u8 | Scope::Admin as u8) != 0
    }
}

impl FromIterator<Scope> for Scopes {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        Self(scopes.into_iter().fold(0, |all, scope| all | scope as u8))
    }
}

struct Token {
    digest: [u8; 32],
    scopes: Scopes,
}

/// The tokens of a file, one a line: `name scope,scope sha256:HEX`. Empty lines and those that begin
/// with `#` are passed over.
pub struct Tokens {
    file: PathBuf,
    list: ArcSwap<Vec<Token>>,
}

impl Tokens {
    /// # Errors
    /// Names the line that is none, without its digest.
    pub fn open(file: &Path) -> Result<Self> {
        Ok(Self { file: file.to_owned(), list: ArcSwap::new(Arc::new(read(file)?)) })
    }

    /// Reads the file again, for requests to come. After an error all stays as it was.
    pub fn reload(&self) -> Result<()> {
        self.list.store(Arc::new(read(&self.file)?));
        Ok(())
    }

    pub fn file(&self) -> &Path {
        &self.file
    }

    /// What a token may ask; `None` for one that is not known. How long it takes says nothing of the
    /// tokens in the file.
    pub fn scopes(&self, token: &str) -> Option<Scopes> {
        let digest: [u8; 32] = Sha256::digest(token).into();
        let mut found = Choice::from(0);
        let mut scopes = 0;
        for token in self.list.load().iter() {
            let same = token.digest.ct_eq(&digest);
            scopes = u8::conditional_select(&scopes, &token.scopes.0, same);
            found |= same;
        }
        bool::from(found).then_some(Scopes(scopes))
    }
}

/// The line of a token for the file.
pub fn token_line(name: &str, scopes: &[Scope], token: &str) -> String {
    let scopes: Vec<String> = scopes.iter().map(Scope::to_string).collect();
    let digest: String = Sha256::digest(token).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{name} {} {SHA256}{digest}", scopes.join(","))
}

fn read(file: &Path) -> Result<Vec<Token>> {
    let named = |why: String| Error::user(format!("tokens {}: {why}", file.display()));
    let text = std::fs::read_to_string(file).map_err(|error| named(error.to_string()))?;
    let mut tokens = vec![];
    for (at, line) in text.lines().enumerate() {
        let line = line.trim();
        if !line.is_empty() && !line.starts_with('#') {
            tokens.push(token(line).map_err(|why| named(format!("line {}: {why}", at + 1)))?);
        }
    }
    match tokens.is_empty() {
        true => Err(named("no token in it: `nowcast token new` makes one".into())),
        false => Ok(tokens),
    }
}

fn token(line: &str) -> Result<Token, String> {
    let mut words = line.split_whitespace();
    let (Some(_), Some(scopes), Some(digest), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Err("expected: name scope,scope sha256:HEX".into());
    };
    let scopes = scopes.split(',').map(Scope::from_str).collect::<Result<Scopes, _>>()?;
    let hex = digest.strip_prefix(SHA256).filter(|hex| hex.len() == 64 && hex.is_ascii());
    let hex = hex.ok_or("the digest is not sha256: and 64 digits")?;
    let mut digest = [0; 32];
    for (byte, pair) in digest.iter_mut().zip(hex.as_bytes().chunks_exact(2)) {
        let digits = std::str::from_utf8(pair).map_err(|_| "the digest is no text")?;
        *byte = u8::from_str_radix(digits, 16).map_err(|_| "the digest is not hexadecimal")?;
    }
    Ok(Token { digest, scopes })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_as_it_is_written() {
        let line = token_line("shop", &[Scope::Read, Scope::Feeds], "secret");
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("tokens");
        std::fs::write(&file, format!("# who\n\n{line}\n")).unwrap();
        let tokens = Tokens::open(&file).unwrap();
        assert_eq!(tokens.scopes("other"), None);
        let scopes = tokens.scopes("secret").unwrap();
        assert!(scopes.allow(Scope::Read) && scopes.allow(Scope::Feeds));
        assert!(!scopes.allow(Scope::Admin));
        let admin = token_line("ops", &[Scope::Admin], "root");
        std::fs::write(&file, admin).unwrap();
        tokens.reload().unwrap();
        assert_eq!(tokens.scopes("secret"), None);
        assert!(tokens.scopes("root").unwrap().allow(Scope::Read));
        for (wrong, why) in [
            ("", "no token in it"),
            ("shop read", "line 1: expected"),
            ("shop write sha256:00", "unknown scope \"write\""),
            ("shop read sha256:00", "64 digits"),
            (&format!("shop read sha256:{}", "x".repeat(64)), "hexadecimal"),
            (&format!("shop read sha256:{}", "é".repeat(32)), "64 digits"),
        ] {
            std::fs::write(&file, wrong).unwrap();
            let error = tokens.reload().unwrap_err().to_string();
            assert!(error.contains(why) && error.contains("tokens"), "{error}");
        }
        assert!(tokens.scopes("root").is_some(), "a wrong file changes nothing");
    }
}
