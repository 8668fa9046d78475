//! `nowcast sql`: a shell for Flink SQL, on a terminal, from a file, or from a pipe.

mod complete;
mod pieces;
mod query;
mod session;

use std::io::{IsTerminal, Read};
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::Args;
use nowcast_engine::secret;
use rustyline::error::ReadlineError;
use rustyline::history::FileHistory;
use rustyline::{Config, Editor};

use crate::home::Home;
use crate::options::Common;
use crate::pipeline::{read_text, wants_broker};
use crate::secrets::hidden;
use complete::Completion;
use pieces::next_statement;
use session::Session;

/// The shell's history in the data folder.
const HISTORY: &str = "sql_history";

const HELP: &str = "\
Statements end with a semicolon. Beside Flink SQL there are
  SELECT …                  shows rows; where the input does not end, until Ctrl-C
  INSERT INTO …             runs as a job beside the shell; SET 'table.dml-sync' = 'true' waits for it
  SHOW JOBS; STOP JOB 'n';  the jobs of this shell
  \\d                        tables and views         \\d NAME   the columns of one
  \\?                        this text                \\q        leaves";

#[derive(Args)]
pub struct Sql {
    /// Runs the statements of a file and ends.
    #[arg(short, long)]
    file: Option<PathBuf>,
    /// Runs these statements and ends.
    #[arg(short, long, conflicts_with = "file")]
    execute: Option<String>,
    #[command(flatten)]
    common: Common,
}

pub async fn sql(command: Sql) -> Result<()> {
    let script = match (&command.file, &command.execute) {
        (Some(file), _) => Some(read_text(file)?),
        (_, Some(text)) => Some(text.clone()),
        _ if !std::io::stdin().is_terminal() => {
            let mut text = String::new();
            std::io::stdin().read_to_string(&mut text).context("standard input")?;
            Some(text)
        }
        _ => None,
    };
    let options = command.common.run_options(false)?;
    let Some(script) = script else {
        let home = Home::open(&command.common.data_dir, true).await?;
        return talk(Session::new(home, options)).await;
    };
    let env = |name: &str| std::env::var(name).ok();
    let script = nowcast_planner::substitute(&script, &options.sets, env);
    let script = script.map_err(|error| anyhow::anyhow!("{error}"))?;
    let broker = wants_broker(std::slice::from_ref(&script));
    let home = Home::open(&command.common.data_dir, broker).await?;
    let mut session = Session::new(home, options);
    let result = follow(&mut session, &script).await;
    // The jobs that a script has started are what it is for.
    let ended = match result {
        Ok(()) => session.wait_for_jobs().await,
        failed => failed,
    };
    session.close().await;
    ended
}

/// Runs a script up to its first error.
async fn follow(session: &mut Session, script: &str) -> Result<()> {
    let mut from = 0;
    loop {
        let rest = &script[from..];
        if is_command(rest) {
            let line = rest.trim_start().lines().next().unwrap_or_default();
            if !meta(session, line)? {
                return Ok(());
            }
            from += rest.len() - rest.trim_start().len() + line.len();
            continue;
        }
        let length = next_statement(rest).unwrap_or(rest.len());
        if length == 0 {
            return Ok(());
        }
        // What came before becomes blank, so that errors name the script's own lines.
        let before: String =
            script[..from].chars().map(|c| if c == '\n' { '\n' } else { ' ' }).collect();
        let text = format!("{before}{}", &rest[..length]);
        if session.statement(&text).await.map_err(|error| error.pointed(script))?.is_left() {
            return Ok(());
        }
        from += length;
    }
}

fn is_command(text: &str) -> bool {
    text.trim_start().starts_with('\\')
}

/// A line that begins with a backslash; false where it ends the shell.
fn meta(session: &mut Session, line: &str) -> Result<bool> {
    let mut words = line.split_whitespace();
    match (words.next(), words.next()) {
        (Some("\\q"), _) => return Ok(false),
        (Some("\\?"), _) => say!("{HELP}"),
        (Some("\\d"), None) => say!("{}", session.ask("SHOW TABLES")?),
        (Some("\\d"), Some(name)) => {
            say!("{}", session.ask(&format!("DESCRIBE `{}`", name.trim_matches(['`', ';'])))?);
        }
        (other, _) => bail!("unknown command {}: \\? lists them", other.unwrap_or_default()),
    }
    Ok(true)
}

/// Reads statements from the terminal until the end.
async fn talk(mut session: Session) -> Result<()> {
    let config = Config::builder().auto_add_history(false).build();
    let mut editor: Editor<Completion, FileHistory> = Editor::with_config(config)?;
    editor.set_helper(Some(Completion::default()));
    let history = session.data().join(HISTORY);
    // The first shell of a data folder has none.
    let _ = editor.load_history(&history);
    say!("nowcast {}: \\? for help", env!("CARGO_PKG_VERSION"));
    let mut text = String::new();
    loop {
        if let Some(helper) = editor.helper_mut() {
            helper.learn(session.planner());
        }
        let prompt = if text.is_empty() { "nowcast> " } else { "       > " };
        let line = tokio::task::block_in_place(|| editor.readline(prompt));
        match line {
            Ok(line) if text.is_empty() && is_command(&line) => {
                let _ = editor.add_history_entry(line.trim());
                match meta(&mut session, &line) {
                    Ok(true) => {}
                    Ok(false) => break,
                    Err(error) => say!("{}", hidden(&format!("error: {error:#}"))),
                }
            }
            Ok(line) => {
                text.push_str(&line);
                text.push('\n');
                if text.trim().is_empty() {
                    text.clear();
                }
                let Some(end) = last_end(&text) else { continue };
                let _ = editor.add_history_entry(secret::of_sql(text.trim()));
                // An interruption in the editor leaves the file as it was.
                let _ = editor.append_history(&history);
                let rest = text.split_off(end);
                if run_all(&mut session, &text).await {
                    break;
                }
                text = rest.trim_start().to_owned();
            }
            Err(ReadlineError::Interrupted) => text.clear(),
            Err(ReadlineError::Eof) => break,
            Err(error) => return Err(error.into()),
        }
    }
    session.close().await;
    Ok(())
}

/// Behind the last whole statement; `None` while there is none.
fn last_end(text: &str) -> Option<usize> {
    let mut end = 0;
    while let Some(length) = next_statement(&text[end..]) {
        end += length;
    }
    (end > 0).then_some(end)
}

/// Runs the statements of a terminal's lines; true where one of them ends the shell.
async fn run_all(session: &mut Session, text: &str) -> bool {
    let mut from = 0;
    while let Some(length) = next_statement(&text[from..]) {
        let statement = &text[from..from + length];
        match session.statement(statement).await {
            Ok(after) if after.is_left() => return true,
            Ok(_) => {}
            Err(error) => {
                say!("{}", hidden(&format!("error: {:#}", error.pointed(statement))));
                return false;
            }
        }
        from += length;
    }
    false
}
