//! Who we are to the brokers and how we reach them: the properties of Java's clients as librdkafka
//! has them. Our own client reads these too.

use std::collections::BTreeMap;

use nowcast_engine::{Error, Result};

/// Properties of librdkafka for those of a table that stand under `properties.`: the `sasl.` and
/// `ssl.` of Java's clients are translated, librdkafka's own go on as they are.
///
/// # Errors
/// For what neither client can do.
pub fn translated(
    table: &str,
    given: BTreeMap<String, String>,
) -> Result<BTreeMap<String, String>> {
    let mut doors = Doors { table, given, made: BTreeMap::new() };
    doors.protocol()?;
    doors.sasl()?;
    doors.trust()?;
    doors.identity()?;
    let Doors { mut given, made, .. } = doors;
    // Its checks cannot be chosen here, and no others are worse.
    for java_only in ["ssl.protocol", "ssl.enabled.protocols", "ssl.provider"] {
        given.remove(java_only);
    }
    given.extend(made);
    Ok(given)
}

/// Whether the librdkafka of this build can do what translated properties ask.
///
/// # Errors
/// Where it takes OpenSSL and the build has none.
pub fn check_build(table: &str, properties: &[(String, String)]) -> Result<()> {
    match cfg!(feature = "kafka-tls") {
        true => Ok(()),
        false => check_without_openssl(table, properties),
    }
}

fn check_without_openssl(table: &str, properties: &[(String, String)]) -> Result<()> {
    for (key, value) in properties {
        let what = match (key.as_str(), value.as_str()) {
            ("security.protocol", "ssl" | "sasl_ssl") => "TLS",
            ("sasl.mechanism", "SCRAM-SHA-256" | "SCRAM-SHA-512") => "SCRAM",
            _ => continue,
        };
        return Err(Error::user(format!(
            "table \"{table}\": option \"properties.{key}\": the librdkafka of this build has no \
             {what}; build it with `cargo build --release --features kafka-tls`"
        )));
    }
    Ok(())
}

struct Doors<'a> {
    table: &'a str,
    given: BTreeMap<String, String>,
    made: BTreeMap<String, String>,
}

impl Doors<'_> {
    fn refuse<T>(&self, key: &str, why: &str) -> Result<T> {
        let table = self.table;
        Err(Error::user(format!("table \"{table}\": option \"properties.{key}\": {why}")))
    }

    fn protocol(&mut self) -> Result<()> {
        let key = "security.protocol";
        let Some(protocol) = self.given.get(key).map(|given| given.to_ascii_uppercase()) else {
            return Ok(());
        };
        match protocol.as_str() {
            "PLAINTEXT" | "SASL_PLAINTEXT" | "SSL" | "SASL_SSL" => {}
            _ => {
                let one_of = "one of PLAINTEXT, SSL, SASL_PLAINTEXT, SASL_SSL";
                return self.refuse(key, &format!("it is {one_of}, not \"{protocol}\""));
            }
        }
        self.made.insert(key.into(), protocol.to_ascii_lowercase());
        Ok(())
    }

    fn sasl(&mut self) -> Result<()> {
        let key = "sasl.mechanism";
        let plural = self.given.remove("sasl.mechanisms");
        let mechanism = self.given.remove(key).or(plural);
        let jaas = match self.given.remove("sasl.jaas.config") {
            Some(line) => match jaas(&line) {
                Ok(login) => Some(login),
                Err(why) => return self.refuse("sasl.jaas.config", &why),
            },
            None => None,
        };
        match mechanism.as_deref() {
            None if jaas.is_some() || self.given.keys().any(|key| key.starts_with("sasl.")) => {
                let why = "it is missing: Java's default GSSAPI (Kerberos) is not there; \
                           PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512";
                return self.refuse(key, why);
            }
            None | Some("PLAIN" | "SCRAM-SHA-256" | "SCRAM-SHA-512") => {}
            Some(other) => {
                let why =
                    format!("there are PLAIN, SCRAM-SHA-256 and SCRAM-SHA-512, not \"{other}\"");
                return self.refuse(key, &why);
            }
        }
        if let Some(mechanism) = &mechanism {
            self.made.insert(key.into(), mechanism.clone());
        }
        if let Some(Login { module, username, password }) = jaas {
            let fits = mechanism.is_some_and(|mechanism| {
                mechanism.starts_with(if module == Module::Plain { "PLAIN" } else { "SCRAM" })
            });
            if !fits {
                let why = format!("its login module is not that of \"properties.{key}\"");
                return self.refuse("sasl.jaas.config", &why);
            }
            self.made.insert("sasl.username".into(), username);
            self.made.insert("sasl.password".into(), password);
        }
        Ok(())
    }

    /// Which certificates are trusted.
    fn trust(&mut self) -> Result<()> {
        let location = "ssl.truststore.location";
        let ty = self.given.remove("ssl.truststore.type");
        let path = self.given.remove(location);
        let inline = self.given.remove("ssl.truststore.certificates");
        let password = self.given.remove("ssl.truststore.password");
        if let Some(pem) = inline {
            self.made.insert("ssl.ca.pem".into(), pem);
        }
        if let Some(path) = path {
            match ty.as_deref().map(str::to_ascii_uppercase).as_deref() {
                Some("PEM") => drop(self.made.insert("ssl.ca.location".into(), path)),
                other => {
                    let kind = other.unwrap_or("JKS, which is the default");
                    let how = match other {
                        Some("PKCS12") => {
                            format!("`openssl pkcs12 -in {path} -nokeys -out trust.pem`")
                        }
                        _ => format!("`keytool -list -rfc -keystore {path} > trust.pem`"),
                    };
                    let why = format!(
                        "\"properties.ssl.truststore.type\" is {kind}; only PEM is read: {how}, \
                         then set both"
                    );
                    return self.refuse(location, &why);
                }
            }
            if password.is_some() {
                return self.refuse("ssl.truststore.password", "a PEM file has none");
            }
        }
        let key = "ssl.endpoint.identification.algorithm";
        if let Some("") = self.given.get(key).map(String::as_str) {
            self.made.insert(key.into(), "none".into());
        }
        Ok(())
    }

    /// Our own certificate. A PKCS#12 file is librdkafka's to read.
    fn identity(&mut self) -> Result<()> {
        let location = "ssl.keystore.location";
        let ty = self.given.remove("ssl.keystore.type").map(|ty| ty.to_ascii_uppercase());
        if let Some(chain) = self.given.remove("ssl.keystore.certificate.chain") {
            self.made.insert("ssl.certificate.pem".into(), chain);
        }
        if let Some(key) = self.given.remove("ssl.keystore.key") {
            self.made.insert("ssl.key.pem".into(), key);
        }
        let Some(path) = self.given.get(location).cloned() else { return Ok(()) };
        match ty.as_deref() {
            Some("PKCS12") => {}
            Some("PEM") => {
                self.given.remove(location);
                self.made.insert("ssl.certificate.location".into(), path.clone());
                self.made.insert("ssl.key.location".into(), path);
            }
            other => {
                let kind = other.unwrap_or("JKS, which is the default");
                let why = format!(
                    "\"properties.ssl.keystore.type\" is {kind}; PEM and PKCS12 are read: \
                     `keytool -importkeystore -srckeystore {path} -destkeystore own.p12 \
                     -deststoretype PKCS12`, then set both"
                );
                return self.refuse(location, &why);
            }
        }
        Ok(())
    }
}

/// What a line of `sasl.jaas.config` says.
struct Login {
    module: Module,
    username: String,
    password: String,
}

#[derive(PartialEq)]
enum Module {
    Plain,
    Scram,
}

/// `org.apache.kafka.common.security.plain.PlainLoginModule required username="…" password="…";`,
/// with the class as it is or as Flink's jar shades it.
///
/// # Errors
/// In words that repeat nothing of the line but its class.
fn jaas(line: &str) -> Result<Login, String> {
    let mut words = words(line)?.into_iter();
    let class = words.next().unwrap_or_default();
    let name = class.rsplit('.').next().unwrap_or_default();
    let module = match name {
        "PlainLoginModule" => Module::Plain,
        "ScramLoginModule" => Module::Scram,
        "Krb5LoginModule" => return Err("Kerberos is not there; PLAIN and SCRAM are".into()),
        "OAuthBearerLoginModule" => {
            return Err("OAUTHBEARER is not there; PLAIN and SCRAM are".into());
        }
        _ => {
            return Err(format!(
                "\"{class}\" is none of PlainLoginModule and ScramLoginModule of \
                 org.apache.kafka.common.security"
            ));
        }
    };
    let flag = words.next().unwrap_or_default().to_ascii_lowercase();
    if !["required", "requisite", "sufficient", "optional"].contains(&flag.as_str()) {
        return Err("behind the class comes \"required\"".into());
    }
    let (mut username, mut password) = (None, None);
    for word in words {
        match word.split_once('=') {
            Some(("username", value)) => username = Some(value.to_owned()),
            Some(("password", value)) => password = Some(value.to_owned()),
            Some((other, _)) => return Err(format!("the setting \"{other}\" is unknown")),
            None => return Err("settings are written key=\"value\"".into()),
        }
    }
    match (username, password) {
        (Some(username), Some(password)) => Ok(Login { module, username, password }),
        _ => Err("it names no username and password".into()),
    }
}

/// Words up to the semicolon, without their quotes; a backslash keeps the next letter as it is.
fn words(line: &str) -> Result<Vec<String>, String> {
    let (mut words, mut word, mut quote) = (vec![], None::<String>, None);
    let mut letters = line.trim().chars();
    while let Some(letter) = letters.next() {
        match (letter, quote) {
            ('\\', _) => word.get_or_insert_default().extend(letters.next()),
            ('"' | '\'', None) => {
                quote = Some(letter);
                word.get_or_insert_default();
            }
            (letter, Some(open)) if letter == open => quote = None,
            (letter, Some(_)) => word.get_or_insert_default().push(letter),
            (';', None) => {
                words.extend(word);
                return match letters.as_str().trim() {
                    "" => Ok(words),
                    _ => Err("one login module is read, and there are several".into()),
                };
            }
            (letter, None) if letter.is_whitespace() => words.extend(word.take()),
            (letter, None) => word.get_or_insert_default().push(letter),
        }
    }
    Err(match quote {
        Some(_) => "a quote is not closed".into(),
        None => "it ends without a semicolon".into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(given: &[(&str, &str)]) -> Result<BTreeMap<String, String>, String> {
        let given = given.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        translated("t", given).map_err(|error| error.to_string())
    }

    const PLAIN: &str = "org.apache.kafka.common.security.plain.PlainLoginModule required \
                         username=\"alice\" password=\"a \\\"b\\\"; c\";";

    #[test]
    fn a_jaas_line_becomes_a_user_and_a_password() {
        let shaded = format!("  org.apache.flink.kafka.shaded.{PLAIN}\n");
        for line in [PLAIN, &shaded] {
            let made = of(&[
                ("security.protocol", "SASL_PLAINTEXT"),
                ("sasl.mechanism", "PLAIN"),
                ("sasl.jaas.config", line),
                ("client.id", "x"),
            ]);
            let made: Vec<_> = made.unwrap().into_iter().collect();
            let expected = [
                ("client.id", "x"),
                ("sasl.mechanism", "PLAIN"),
                ("sasl.password", "a \"b\"; c"),
                ("sasl.username", "alice"),
                ("security.protocol", "sasl_plaintext"),
            ];
            assert_eq!(made, expected.map(|(k, v)| (k.to_owned(), v.to_owned())));
        }
    }

    #[test]
    fn what_cannot_be_done_is_said_without_the_password() {
        let jaas = |line: &str, expected: &str| {
            let error = of(&[("sasl.mechanism", "PLAIN"), ("sasl.jaas.config", line)]).unwrap_err();
            assert!(error.contains(expected), "{error}");
            assert!(!error.contains("hush"), "{error}");
        };
        let class = "org.apache.kafka.common.security";
        jaas("com.sun.security.auth.module.Krb5LoginModule required;", "Kerberos is not there");
        jaas("my.LoginModule required password=hush;", "\"my.LoginModule\" is none of");
        jaas(&format!("{class}.plain.PlainLoginModule required password=hush;"), "no username");
        jaas(&format!("{class}.plain.PlainLoginModule password=hush;"), "comes \"required\"");
        jaas(&format!("{class}.plain.PlainLoginModule required password=\"hush"), "not closed");
        jaas(&format!("{class}.plain.PlainLoginModule required password=hush"), "semicolon");
        jaas(&format!("{PLAIN} {PLAIN}"), "several");
        let scram = PLAIN.replace("plain.Plain", "scram.Scram");
        jaas(&scram, "its login module is not that of \"properties.sasl.mechanism\"");
        for (given, expected) in [
            (&[("sasl.mechanism", "GSSAPI")][..], "not \"GSSAPI\""),
            (&[("sasl.username", "alice")], "\"properties.sasl.mechanism\": it is missing"),
            (&[("security.protocol", "TLS")], "one of PLAINTEXT, SSL"),
            (
                &[("ssl.truststore.location", "trust.jks"), ("ssl.truststore.password", "hush")],
                "is JKS, which is the default; only PEM is read: `keytool -list -rfc -keystore trust.jks",
            ),
            (
                &[("ssl.keystore.location", "own.jks"), ("ssl.keystore.type", "JKS")],
                "type\" is JKS; PEM and PKCS12 are read: `keytool -importkeystore",
            ),
        ] {
            let error = of(given).unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn key_stores_in_pem_become_librdkafkas_files() {
        let made = of(&[
            ("ssl.truststore.location", "ca.pem"),
            ("ssl.truststore.type", "PEM"),
            ("ssl.keystore.location", "own.pem"),
            ("ssl.keystore.type", "PEM"),
            ("ssl.key.password", "x"),
            ("ssl.endpoint.identification.algorithm", ""),
            ("ssl.enabled.protocols", "TLSv1.3"),
        ]);
        let made: Vec<_> = made.unwrap().into_iter().collect();
        let expected = [
            ("ssl.ca.location", "ca.pem"),
            ("ssl.certificate.location", "own.pem"),
            ("ssl.endpoint.identification.algorithm", "none"),
            ("ssl.key.location", "own.pem"),
            ("ssl.key.password", "x"),
        ];
        assert_eq!(made, expected.map(|(k, v)| (k.to_owned(), v.to_owned())));
    }

    #[test]
    fn a_build_without_openssl_says_how_to_get_it() {
        for given in [("security.protocol", "SASL_SSL"), ("sasl.mechanism", "SCRAM-SHA-512")] {
            let made: Vec<_> = of(&[given]).unwrap().into_iter().collect();
            let error = check_without_openssl("t", &made).unwrap_err().to_string();
            assert!(error.contains("--features kafka-tls"), "{error}");
        }
    }
}
