//! Prints sessions of the synthetic clickstream, one a line, as title ids separated by spaces: the input of a next-title model's training.
//!
//! `cargo run -p nowcast-bench --example sessions -- --seed 7 --sessions 40000`

use std::io::{BufWriter, Write};
use std::process::ExitCode;

use nowcast_bench::generate::clicks::{ClicksConfig, clicks};
use nowcast_bench::generate::sessions::Sessions;

fn main() -> ExitCode {
    let (mut seed, mut count) = (7, 40_000);
    let mut arguments = std::env::args().skip(1);
    while let Some(name) = arguments.next() {
        let value = arguments.next().and_then(|value| value.parse::<u64>().ok());
        match (name.as_str(), value) {
            ("--seed", Some(value)) => seed = value,
            ("--sessions", Some(value)) => count = value,
            _ => return fail(&format!("{name}: expected --seed NUMBER and --sessions NUMBER")),
        }
    }
    let mut out = BufWriter::new(std::io::stdout().lock());
    for session in Sessions::new(clicks(&ClicksConfig::seeded(seed))).take(count as usize) {
        let ids: Vec<String> = session.iter().map(u16::to_string).collect();
        if let Err(error) = writeln!(out, "{}", ids.join(" ")) {
            return fail(&format!("standard output: {error}"));
        }
    }
    ExitCode::SUCCESS
}

#[expect(clippy::print_stderr, reason = "an example talks to its user")]
fn fail(message: &str) -> ExitCode {
    eprintln!("{message}");
    ExitCode::FAILURE
}
