//! SCRAM (RFC 5802, RFC 7677), a client's side without channel binding, as Kafka has it.

use std::num::NonZeroU32;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::{digest, hmac, pbkdf2, rand};

use super::settings::{Login, Mechanism};

/// The most rounds that a broker may ask for: Kafka's own brokers allow 16,384.
const ROUNDS_MAX: u32 = 1_000_000;

pub struct Scram {
    hash: Hash,
    password: String,
    nonce: String,
    /// The client's first message without its head.
    first: String,
}

#[derive(Clone, Copy)]
struct Hash {
    hmac: hmac::Algorithm,
    pbkdf2: pbkdf2::Algorithm,
    digest: &'static digest::Algorithm,
}

const SHA_256: Hash =
    Hash { hmac: hmac::HMAC_SHA256, pbkdf2: pbkdf2::PBKDF2_HMAC_SHA256, digest: &digest::SHA256 };
const SHA_512: Hash =
    Hash { hmac: hmac::HMAC_SHA512, pbkdf2: pbkdf2::PBKDF2_HMAC_SHA512, digest: &digest::SHA512 };

/// What the broker has to send last.
pub struct Expected(Vec<u8>);

impl Scram {
    /// # Errors
    /// Where the system gives no random bytes.
    pub fn new(login: &Login) -> Result<Self, String> {
        let random = rand::generate::<[u8; 32]>(&rand::SystemRandom::new());
        let random = random.map_err(|_| "the system gives no random bytes".to_owned())?;
        Ok(Self::with_nonce(login, STANDARD.encode(random.expose())))
    }

    fn with_nonce(login: &Login, nonce: String) -> Self {
        let hash = match login.mechanism {
            Mechanism::ScramSha512 => SHA_512,
            Mechanism::ScramSha256 | Mechanism::Plain => SHA_256,
        };
        let name = login.username.replace('=', "=3D").replace(',', "=2C");
        let first = format!("n={name},r={nonce}");
        Self { hash, password: login.password.clone(), nonce, first }
    }

    /// The client's first message.
    pub fn first(&self) -> String {
        format!("n,,{}", self.first)
    }

    /// The client's last message, in answer to the broker's first.
    ///
    /// # Errors
    /// Where that is none of SCRAM, or not for us.
    pub fn last(self, answer: &str) -> Result<(String, Expected), String> {
        let field = |name: &str| {
            let found = answer.split(',').find_map(|field| field.strip_prefix(name));
            found.ok_or_else(|| format!("the broker's answer has no \"{name}\""))
        };
        let nonce = field("r=")?;
        if !nonce.starts_with(&self.nonce) || nonce.len() == self.nonce.len() {
            return Err("the broker answers somebody else".into());
        }
        let salt = STANDARD.decode(field("s=")?).map_err(|_| "the broker's salt is bad")?;
        let rounds: Option<NonZeroU32> = field("i=")?.parse().ok();
        let rounds = rounds.filter(|rounds| rounds.get() <= ROUNDS_MAX);
        let rounds = rounds.ok_or("the broker's number of rounds is bad")?;
        let mut salted = vec![0; self.hash.digest.output_len()];
        pbkdf2::derive(self.hash.pbkdf2, rounds, &salt, self.password.as_bytes(), &mut salted);
        let sign = |key: &[u8], text: &[u8]| hmac::sign(&hmac::Key::new(self.hash.hmac, key), text);
        let key = sign(&salted, b"Client Key");
        let stored = digest::digest(self.hash.digest, key.as_ref());
        // `biws` is `n,,`, as the first message began.
        let without_proof = format!("c=biws,r={nonce}");
        let all = format!("{},{answer},{without_proof}", self.first);
        let signature = sign(stored.as_ref(), all.as_bytes());
        let proof = key.as_ref().iter().zip(signature.as_ref()).map(|(key, sign)| key ^ sign);
        let proof = STANDARD.encode(proof.collect::<Vec<u8>>());
        let server = sign(&salted, b"Server Key");
        let expected = sign(server.as_ref(), all.as_bytes()).as_ref().to_vec();
        Ok((format!("{without_proof},p={proof}"), Expected(expected)))
    }
}

impl Expected {
    /// Whether the broker knows the password too.
    pub fn is(&self, answer: &str) -> bool {
        let given = answer.split(',').find_map(|field| field.strip_prefix("v="));
        given.is_some_and(|given| STANDARD.decode(given).is_ok_and(|given| given == self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of RFC 7677.
    #[test]
    fn the_rfcs_conversation_is_held() {
        let login = Login {
            mechanism: Mechanism::ScramSha256,
            username: "user".into(),
            password: "pencil".into(),
        };
        let scram = Scram::with_nonce(&login, "rOprNGfwEbeRWgbNEkqO".into());
        assert_eq!(scram.first(), "n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
        let answer = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
                      s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
        let (last, expected) = scram.last(answer).unwrap();
        assert_eq!(
            last,
            "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
             p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
        );
        assert!(expected.is("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="));
        assert!(!expected.is("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G5="));
        assert!(!expected.is("e=invalid-proof"));
    }

    #[test]
    fn answers_that_are_none_are_refused() {
        let login = |name: &str| Login {
            mechanism: Mechanism::ScramSha512,
            username: name.into(),
            password: "x".into(),
        };
        let scram = Scram::with_nonce(&login("a=b,c"), "mine".into());
        assert_eq!(scram.first(), "n,,n=a=3Db=2Cc,r=mine");
        for answer in [
            "",
            "r=mine,s=AAAA,i=4096",
            "r=yours,s=AAAA,i=4096",
            "r=mineyours,s=!,i=4096",
            "r=mineyours,s=AAAA,i=0",
            "r=mineyours,s=AAAA,i=4000000000",
            "r=mineyours,s=AAAA",
        ] {
            let scram = Scram::with_nonce(&login("a"), "mine".into());
            assert!(scram.last(answer).is_err(), "{answer}");
        }
    }
}
