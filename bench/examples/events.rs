//! Prints synthetic events as JSON lines in order of arrival.
//!
//! `cargo run -p nowcast-bench --example events -- clicks --seed 7 --events 1000`

use std::io::{self, BufWriter, Write};
use std::process::ExitCode;

use nowcast_bench::Event;
use nowcast_bench::generate::clicks::{ClicksConfig, clicks};
use nowcast_bench::generate::demand::{DemandConfig, Demands};
use nowcast_bench::generate::subscriptions::{Subscriptions, SubscriptionsConfig};

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let kind = arguments.next().unwrap_or_default();
    let (mut seed, mut count, mut events_per_s) = (1, 1000, 2.5);
    while let Some(name) = arguments.next() {
        let value = arguments.next().and_then(|value| value.parse::<u64>().ok());
        match (name.as_str(), value) {
            ("--seed", Some(value)) => seed = value,
            ("--events", Some(value)) => count = value as usize,
            ("--events-per-s", Some(value)) => events_per_s = value as f64,
            _ => {
                return fail(&format!(
                    "{name}: expected --seed, --events or --events-per-s and a number"
                ));
            }
        }
    }
    let written = match kind.as_str() {
        "clicks" => {
            write(clicks(&ClicksConfig::seeded(seed).events_per_s(events_per_s)).take(count))
        }
        "subscriptions" => write(
            Subscriptions::new(SubscriptionsConfig { seed, ..SubscriptionsConfig::default() })
                .take(count),
        ),
        "demand" => {
            write(Demands::new(DemandConfig { seed, ..DemandConfig::default() }).take(count))
        }
        _ => return fail(&format!("kind \"{kind}\": expected clicks, subscriptions or demand")),
    };
    match written {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&format!("standard output: {error}")),
    }
}

fn write(events: impl Iterator<Item = impl Event>) -> io::Result<()> {
    let mut out = BufWriter::with_capacity(1 << 16, io::stdout().lock());
    let mut line = Vec::with_capacity(256);
    for event in events {
        line.clear();
        event.write_json(&mut line);
        line.push(b'\n');
        out.write_all(&line)?;
    }
    out.flush()
}

#[expect(clippy::print_stderr, reason = "an example talks to its user")]
fn fail(message: &str) -> ExitCode {
    eprintln!("{message}");
    ExitCode::FAILURE
}
