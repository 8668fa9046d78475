//! The declaration of a function in Rust, read for its types.

use nowcast_engine::{Error, Result};

/// `fn name(a: i64, b: Option<&str>) -> String`, its types as letters of Arrow's C data interface.
#[derive(Debug, PartialEq, Eq)]
pub struct Declaration {
    pub name: String,
    pub arguments: Vec<u8>,
    pub result: u8,
}

impl Declaration {
    /// # Errors
    /// Names what is no declaration, or the type that is not known.
    pub fn parse(text: &str) -> Result<Self> {
        let parts = parts(text).ok_or_else(|| {
            Error::user(format!("`{text}` is no declaration such as `fn name(a: i64) -> String`"))
        })?;
        let (name, arguments, result) = parts;
        // One comma may follow the last argument.
        let arguments = arguments.trim().strip_suffix(',').unwrap_or(arguments).trim();
        let arguments = match arguments {
            "" => vec![],
            some => some.split(',').map(argument).collect::<Result<_>>()?,
        };
        let result = letter(result, &[("String", b'u'), ("Vec<u8>", b'z')])?;
        Ok(Self { name: name.to_owned(), arguments, result })
    }
}

/// The name, what stands between the parentheses, and the result.
fn parts(text: &str) -> Option<(&str, &str, &str)> {
    let text = text.trim();
    let text = text.strip_prefix("pub ").unwrap_or(text).trim_start();
    let (name, rest) = text.strip_prefix("fn ")?.split_once('(')?;
    let (arguments, result) = rest.rsplit_once(')')?;
    let name = name.trim();
    let known = !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || c == '_');
    known.then_some((name, arguments, result.trim().strip_prefix("->")?))
}

fn argument(text: &str) -> Result<u8> {
    let (_, ty) = text
        .split_once(':')
        .ok_or_else(|| Error::user(format!("argument `{}` has no type", text.trim())))?;
    letter(ty, &[("&str", b'u'), ("&[u8]", b'z')])
}

/// The letter of a number, or of one of these texts; `Option` makes no difference.
fn letter(ty: &str, texts: &[(&str, u8)]) -> Result<u8> {
    let shown = ty.trim();
    let plain: String = ty.chars().filter(|c| !c.is_whitespace()).collect();
    let inner = plain.strip_prefix("Option<").and_then(|inner| inner.strip_suffix('>'));
    let numbers =
        [("i8", b'c'), ("i16", b's'), ("i32", b'i'), ("i64", b'l'), ("f32", b'f'), ("f64", b'g')];
    let wanted = inner.unwrap_or(&plain);
    let found = numbers.iter().chain(texts).find(|(name, _)| *name == wanted);
    found.map(|(_, letter)| *letter).ok_or_else(|| {
        let names: Vec<_> = numbers.iter().chain(texts).map(|(name, _)| *name).collect();
        Error::user(format!("type `{shown}` is none of {}", names.join(", ")))
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn types_are_read() {
        let text = "pub fn f_1(a: i64, b : Option< &str >,\n c: &[u8],) -> Option<Vec<u8>>";
        let read = Declaration::parse(text).unwrap();
        assert_eq!(
            read,
            Declaration { name: "f_1".into(), arguments: b"luz".into(), result: b'z' }
        );
        assert_eq!(Declaration::parse("fn f() -> f32").unwrap().arguments, b"");
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, why) in [
            ("f", "`f` is no declaration such as"),
            ("fn f(a: i64)", "is no declaration such as"),
            ("fn (a: i64) -> i64", "is no declaration such as"),
            ("fn f)(a: i64 -> i64", "is no declaration such as"),
            ("fn f(a) -> i64", "argument `a` has no type"),
            ("fn f(a: i64, , b: i64) -> i64", "argument `` has no type"),
            ("fn f(a: Vec<i64>) -> i64", "type `Vec<i64>` is none of i8, i16"),
            ("fn f(a: String) -> i64", "type `String` is none of"),
            ("fn f(a: i64) -> u64", "type `u64` is none of"),
            ("fn f(a: i64) -> &str", "type `&str` is none of"),
        ] {
            let error = Declaration::parse(text).unwrap_err().to_string();
            assert!(error.contains(why), "{text}: {error}");
        }
    }
}
