//! The dead letters of a job, wherever they are: the file, then the topic.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use nowcast_engine::Millis;

use crate::letter::Letter;
use crate::letter_topic::TopicPlace;
use crate::letters_to::NOTE;
use crate::set_aside::{FOLDER, LETTERS, letters_path};

/// A letter and where it stands.
pub struct Found {
    /// The file, or a partition of the topic.
    pub place: String,
    /// Its number there.
    pub number: u64,
    pub letter: Letter,
}

/// Where letters of a job may be.
pub struct Letters {
    pub job: String,
    pub file: PathBuf,
    pub topic: Option<TopicPlace>,
}

/// Which letters are meant.
#[derive(Debug, Default)]
pub struct Wanted {
    pub stage: Option<String>,
    /// A part of the reason, whatever its case.
    pub reason: Option<String>,
    pub since: Option<Millis>,
}

impl Wanted {
    pub fn has(&self, letter: &Letter) -> bool {
        let reason = self.reason.as_ref().map(|reason| reason.to_lowercase());
        self.stage.as_ref().is_none_or(|stage| *stage == letter.stage)
            && reason.is_none_or(|reason| letter.error.to_lowercase().contains(&reason))
            && self.since.is_none_or(|since| letter.at.is_some_and(|at| at >= since))
    }
}

impl Letters {
    pub fn of(data: &Path, job: &str, topic: Option<TopicPlace>) -> Self {
        Self { job: job.to_owned(), file: letters_path(data, job), topic }
    }

    /// Reads all letters, in the order of each place.
    pub fn read(&self, each: &mut dyn FnMut(Found) -> Result<()>) -> Result<()> {
        self.read_file(each)?;
        let Some(topic) = &self.topic else { return Ok(()) };
        topic.read(&mut |partition, offset, job, letter| {
            if job != self.job {
                return Ok(());
            }
            let place = format!("{}/{partition}", topic.topic);
            each(Found { place, number: offset.unsigned_abs(), letter })
        })
    }

    fn read_file(&self, each: &mut dyn FnMut(Found) -> Result<()>) -> Result<()> {
        let name = || self.file.display().to_string();
        let file = match File::open(&self.file) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            file => file.with_context(name)?,
        };
        let mut place = None;
        for (number, line) in BufReader::new(file).split(b'\n').enumerate() {
            // A line may be torn where the process was killed.
            let Ok(letter) = serde_json::from_slice::<Letter>(&line.with_context(name)?) else {
                continue;
            };
            // A file that was begun anew is another place: its numbers begin anew.
            let place = place
                .get_or_insert_with(|| format!("file {}", letter.at.unwrap_or_default()))
                .clone();
            each(Found { place, number: number as u64, letter })?;
        }
        Ok(())
    }
}

/// The jobs that have dead letters beneath a data folder, or had.
pub fn jobs(data: &Path) -> Result<BTreeSet<String>> {
    let folder = data.join(FOLDER);
    let entries = match std::fs::read_dir(&folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(BTreeSet::new()),
        entries => entries.with_context(|| folder.display().to_string())?,
    };
    let mut jobs = BTreeSet::new();
    for entry in entries {
        let name = entry.with_context(|| folder.display().to_string())?.file_name();
        let name = name.to_string_lossy();
        let job = [LETTERS, NOTE].iter().find_map(|end| name.strip_suffix(end));
        jobs.extend(job.map(str::to_owned));
    }
    Ok(jobs)
}

/// # Errors
/// Where the folder knows nothing of the job.
pub fn known(data: &Path, job: &str) -> Result<()> {
    let jobs = jobs(data)?;
    if jobs.contains(job) {
        return Ok(());
    }
    let folder = data.join(FOLDER);
    match jobs.is_empty() {
        true => bail!("job {job}: no dead letters in {}", folder.display()),
        false => {
            let jobs = jobs.into_iter().collect::<Vec<_>>().join(", ");
            bail!("job {job}: no dead letters in {}; there are of {jobs}", folder.display())
        }
    }
}

/// The reason without the values in it, so that failures of one kind have one.
pub fn kind_of(reason: &str) -> String {
    let mut kind = String::new();
    let mut rest = reason;
    while let Some(letter) = rest.chars().next() {
        let after = &rest[letter.len_utf8()..];
        let word = kind.chars().last().is_some_and(|last| last.is_alphanumeric() || last == '(');
        // The name of a field stands in quotes as well, behind a word and not behind a colon.
        let value = kind.is_empty() || kind.ends_with(": ");
        match letter {
            '"' | '\'' if value && after.contains(letter) => {
                let end = after.find(letter).unwrap_or(0);
                kind.push_str(&format!("{letter}…{letter}"));
                rest = &after[end + 1..];
            }
            '0'..='9' if !word => {
                kind.push('…');
                rest = after.trim_start_matches(|digit: char| digit.is_ascii_digit());
            }
            letter => {
                kind.push(letter);
                rest = after;
            }
        }
    }
    kind
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_of_one_kind_are_one() {
        for (reason, kind) in [
            ("field \"id\": \"x1\" is no BIGINT", "field \"id\": \"…\" is no BIGINT"),
            ("'{}' is no INT", "'…' is no INT"),
            (
                "malformed json: EOF while parsing a value at line 1 column 5",
                "malformed json: EOF while parsing a value at line … column …",
            ),
            ("no TIMESTAMP(3) of 12.5", "no TIMESTAMP(3) of ….…"),
            ("it's", "it's"),
            ("ends in \"", "ends in \""),
        ] {
            assert_eq!(kind_of(reason), kind);
        }
    }
}
