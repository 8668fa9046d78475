//! `digest FILE.sql…`: prints `FILE TABLE COUNT DIGEST` of each sink, as `deploy/oracle.sh --digest` does for Flink.

#![allow(clippy::print_stdout)]

#[path = "../tests/nexmark/digest.rs"]
mod digest;
#[allow(dead_code)] // comparing rows is for the golden cases
#[path = "../tests/golden/rows.rs"]
mod rows;

use std::path::Path;
use std::process::ExitCode;

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    let mut code = ExitCode::SUCCESS;
    for file in std::env::args().skip(1) {
        let name = Path::new(&file).file_stem().unwrap_or_default().to_string_lossy().into_owned();
        match digest::digests(&std::fs::read_to_string(&file)?, workers).await {
            Ok(tables) => {
                for (table, digest) in tables {
                    println!("{name} {table} {digest}");
                }
            }
            Err(error) => {
                println!("{name} refused: {error}");
                code = ExitCode::FAILURE;
            }
        }
    }
    Ok(code)
}
