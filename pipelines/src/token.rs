//! `nowcast token`: who may ask over HTTP.

use anyhow::{Result, bail};
use clap::Subcommand;
use nowcast_serve::{Scope, token_line};

/// What tokens of ours begin with, so that scanners for secrets know them.
const PREFIX: &str = "nct_";

#[derive(Subcommand)]
pub enum Token {
    /// Makes a token: prints it, to be given away, and its line for the file of --tokens.
    New {
        /// What it may ask: read, feeds, admin; several joined by commas.
        #[arg(long, value_delimiter = ',', default_value = "read")]
        scope: Vec<Scope>,
        /// Who it is for.
        #[arg(long, default_value = "client")]
        name: String,
    },
}

pub fn token(command: Token) -> Result<()> {
    let Token::New { scope, name } = command;
    if name.is_empty() || name.starts_with('#') || name.contains(char::is_whitespace) {
        bail!("--name {name:?}: one word");
    }
    let secret: [u8; 32] = rand::random();
    let digits: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
    let token = format!("{PREFIX}{digits}");
    say!("{token}");
    say!("{}", token_line(&name, &scope, &token));
    Ok(())
}
