//! What of a table's options is shown to nobody.

use std::borrow::Cow;

/// What stands where a secret would.
pub const HIDDEN: &str = "…";

/// Parts of the names of options whose values are secret, as users of Flink know them.
const SECRET: [&str; 9] = [
    "password",
    "passwd",
    "secret",
    "token",
    "jaas",
    "user-info",
    "apikey",
    "keystore.key",
    "key.pem",
];

/// Whether an option's value is a secret, by its key.
pub fn is_secret(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    SECRET.iter().any(|part| key.contains(part))
}

/// An option's value as it may be shown: a secret is hidden whole, of a URL what names who comes.
pub fn shown<'a>(key: &str, value: &'a str) -> Cow<'a, str> {
    match is_secret(key) {
        true => Cow::Borrowed(HIDDEN),
        false => without_credentials(value),
    }
}

/// A text in which URLs have lost their `user:password@`, and the values of parameters such as
/// `password=`.
pub fn without_credentials(text: &str) -> Cow<'_, str> {
    if !text.contains("://") {
        return Cow::Borrowed(text);
    }
    let mut made = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, behind) = rest.split_at(at + 3);
        made.push_str(before);
        let end = behind.find([' ', '"', '\'', ',', '\n']).unwrap_or(behind.len());
        let (url, behind) = behind.split_at(end);
        let place = url.find(['/', '?']).unwrap_or(url.len());
        // A password may hold anything: the last @ in front of the host's end counts.
        let place = match url[..place].contains('@') {
            true => place,
            false => url.find('?').unwrap_or(url.len()),
        };
        match url[..place].rfind('@') {
            Some(at) => {
                made.push_str(HIDDEN);
                made.push_str(&url[at..place]);
            }
            None => made.push_str(&url[..place]),
        }
        made.push_str(&parameters(&url[place..]));
        rest = behind;
    }
    made.push_str(rest);
    Cow::Owned(made)
}

/// `?user=u&password=…` of what stands behind a URL's path.
fn parameters(text: &str) -> String {
    let Some((path, query)) = text.split_once('?') else { return text.to_owned() };
    let part = |part: &str| match part.split_once('=') {
        Some((key, _)) if is_secret(key) => format!("{key}={HIDDEN}"),
        _ => part.to_owned(),
    };
    let parts: Vec<String> = query.split('&').map(part).collect();
    format!("{path}?{}", parts.join("&"))
}

/// A SQL text with the values of its options as they may be shown; references such as `${env:NAME}`
/// stay.
pub fn of_sql(sql: &str) -> String {
    let mut made = String::with_capacity(sql.len());
    let (mut rest, mut key) = (sql, None);
    while let Some(open) = rest.find('\'') {
        let (before, quoted) = rest.split_at(open + 1);
        made.push_str(before);
        let end = quoted.find('\'').unwrap_or(quoted.len());
        let (text, behind) = quoted.split_at(end);
        let of: Option<&str> = key.take().filter(|_| before[..open].trim() == "=");
        match of {
            Some(key) if !text.starts_with("${") => made.push_str(&shown(key, text)),
            _ => made.push_str(text),
        }
        key = of.is_none().then_some(text);
        let close = usize::from(!behind.is_empty());
        made.push_str(&behind[..close]);
        rest = &behind[close..];
    }
    made.push_str(rest);
    made
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_known_by_their_keys() {
        for key in [
            "password",
            "properties.sasl.jaas.config",
            "avro-confluent.basic-auth.user-info",
            "value.avro-confluent.bearer-auth.token",
            "properties.ssl.keystore.key",
            "properties.ssl.key.password",
            "s3.secret-key",
        ] {
            assert_eq!(shown(key, "hush"), HIDDEN, "{key}");
        }
        for key in ["key.fields", "primary-key", "username", "topic"] {
            assert_eq!(shown(key, "clicks"), "clicks", "{key}");
        }
    }

    #[test]
    fn urls_lose_who_comes_and_keep_where_to() {
        for (text, expected) in [
            ("redis://u:hush@h:1/0", "redis://…@h:1/0"),
            ("redis://:hu/sh@h:1/0", "redis://…@h:1/0"),
            (
                "jdbc:postgresql://h:1/d?user=u&password=hush&ssl=true",
                "jdbc:postgresql://h:1/d?user=u&password=…&ssl=true",
            ),
            ("at \"http://u:hush@h/a@b\", again", "at \"http://…@h/a@b\", again"),
            ("http://h/a b@c", "http://h/a b@c"),
            ("no url: u:p@h", "no url: u:p@h"),
        ] {
            assert_eq!(without_credentials(text), expected);
        }
    }

    #[test]
    fn statements_lose_the_secrets_among_their_options() {
        let sql = "CREATE TABLE t (a INT) WITH ('password'='hush', 'topic' = 'password', \
                   'a' = 'b', 'token' = '${env:T}', 'url' = 'redis://u:hush@h') -- it's";
        let expected = "CREATE TABLE t (a INT) WITH ('password'='…', 'topic' = 'password', \
                        'a' = 'b', 'token' = '${env:T}', 'url' = 'redis://…@h') -- it's";
        assert_eq!(of_sql(sql), expected);
        assert_eq!(of_sql("'password' = 'hush"), "'password' = '…");
    }
}
