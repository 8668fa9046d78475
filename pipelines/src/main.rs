//! The `nowcast` binary: Flink SQL on Kafka, in one process, that also forecasts.

/// Prints a line on standard output. A reader that has gone away, as in `nowcast … | head`, is no
/// error.
macro_rules! say {
    ($($text:tt)*) => {{
        use std::io::Write as _;
        let _ = writeln!(std::io::stdout(), $($text)*);
    }};
}

mod allocator;
mod behind;
mod bench;
mod broker;
mod check;
mod checkpoint_store;
mod checkpoints;
mod dead_letters;
mod demo;
mod doors;
mod events;
mod feed;
mod generate;
mod home;
mod letter;
mod letter_topic;
mod letters;
mod letters_to;
mod memory;
mod models;
mod options;
mod parquet_rows;
mod pipeline;
mod plan;
mod producer;
mod reconcile;
mod reloads;
mod replay;
mod replayed;
mod run;
mod secrets;
mod set_aside;
mod shipped;
mod signal;
mod simulation;
mod sql;
mod status;
mod store;
mod token;
mod why;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};
use tracing_subscriber::EnvFilter;

/// Flink SQL in one binary, that also forecasts.
#[derive(Parser)]
#[command(version, propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// The whole loop on this machine, with nothing to install: events, pipelines, HTTP.
    Demo(demo::Demo),
    /// Runs SQL files as jobs.
    Run(run::Run),
    /// Plans SQL files and says what is wrong with them.
    Check(check::Check),
    /// Plans SQL files and prints the plans.
    Explain(check::Explain),
    /// A shell for Flink SQL; with -f, -e or a pipe, a script.
    Sql(sql::Sql),
    /// Says what holds back the output of a running job.
    Why(why::Why),
    /// Lists the functions of SQL.
    Functions,
    /// Sends the rows of a file to a topic, at a multiple of real time.
    Replay(replay::Replay),
    /// Prints events, generated or real, as JSON lines.
    Generate(generate::Generate),
    /// Measures a pipeline under open-loop load.
    Bench(bench::Bench),
    /// Serves the Kafka protocol from this process.
    Broker(broker::Broker),
    /// Lists and verifies models.
    #[command(subcommand)]
    Models(models::Models),
    /// Simulates a job in a world where everything goes wrong, and checks what it has done.
    Sim(simulation::Simulate),
    /// Lists, verifies, exports and restores checkpoints.
    #[command(subcommand)]
    Checkpoints(checkpoints::Command),
    /// Writes what a store has lost anew.
    #[command(subcommand)]
    Reconcile(reconcile::Reconcile),
    /// Compares versions of a file: what becomes of the state of each operator.
    #[command(subcommand)]
    Plan(plan::Plan),
    /// Lists, shows and replays dead letters.
    #[command(subcommand)]
    Dlq(dead_letters::DeadLetters),
    /// Makes tokens for those who may ask over HTTP.
    #[command(subcommand)]
    Token(token::Token),
}

fn main() -> ExitCode {
    allocator::keep_few_heaps();
    let filter = EnvFilter::try_from_env("NOWCAST_LOG")
        .unwrap_or_else(|_| EnvFilter::new("warn,nowcast=info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(|| secrets::Stderr)
        .with_target(false)
        .init();
    match start(Cli::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            use std::io::Write as _;
            let _ = writeln!(secrets::Stderr, "{}", secrets::hidden(&format!("error: {error:#}")));
            match error.is::<bench::Missed>() {
                true => ExitCode::from(bench::Missed::EXIT_CODE),
                false => ExitCode::FAILURE,
            }
        }
    }
}

fn start(command: Command) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let result = runtime.block_on(async {
        match command {
            Command::Demo(command) => demo::demo(command).await,
            Command::Run(command) => run::run(command).await,
            Command::Check(command) => check::check(&command),
            Command::Explain(command) => check::explain(&command),
            Command::Sql(command) => sql::sql(command).await,
            Command::Why(command) => why::why(&command),
            Command::Functions => {
                say!("{}", nowcast_planner::function_table().0);
                Ok(())
            }
            Command::Replay(command) => replay::replay(command).await,
            Command::Generate(command) => generate::generate(&command),
            Command::Bench(command) => bench::bench(command).await,
            Command::Broker(command) => broker::broker(command).await,
            Command::Models(command) => models::models(command),
            Command::Sim(command) => simulation::simulate(&command),
            Command::Checkpoints(command) => checkpoints::checkpoints(command).await,
            Command::Reconcile(command) => reconcile::reconcile(command).await,
            Command::Plan(command) => plan::plan(command).await,
            Command::Dlq(command) => dead_letters::dead_letters(command).await,
            Command::Token(command) => token::token(command),
        }
    });
    // A thread that still waits for a broker does not hold the process.
    runtime.shutdown_background();
    result
}
