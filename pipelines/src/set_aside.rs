//! The dead-letter table and the late table of a job: files of JSON lines, written through at once, or
//! for dead letters a topic of Kafka.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use nowcast_engine::aside::rows_as_json;
use nowcast_engine::world::{Clock, SystemClock};
use nowcast_engine::{Aside, DeadLetter, Error, LateRows, Result};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::letter::Letter;
use crate::letter_topic::LetterTopic;
use crate::letters_to::LettersTo;
use crate::secrets::hidden;

/// Folder of both tables beneath the data folder.
pub const FOLDER: &str = "aside";

/// What the name of a dead-letter file ends with, behind the job's.
pub const LETTERS: &str = ".dead_letters.jsonl";

#[derive(Serialize)]
struct Late<'a> {
    stage: &'a str,
    event_time: i64,
    watermark: i64,
    row: &'a RawValue,
}

/// Keeps what a job sets aside.
pub struct SetAside {
    letters: Arc<Lines>,
    late: Lines,
    topic: Option<LetterTopic>,
}

/// A file that lines are appended to.
struct Lines {
    path: PathBuf,
    file: Mutex<Appended>,
}

struct Appended {
    file: Arc<File>,
    /// Written since the last flush.
    fresh: bool,
    /// Why something could not be written.
    failed: Option<String>,
}

impl Lines {
    fn open(path: PathBuf) -> Result<Self> {
        let opened = path.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| {
            let mut file = OpenOptions::new().create(true).read(true).append(true).open(&path)?;
            end_line(&mut file)?;
            // The folder too: the file may be new in it.
            path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())?;
            Ok(file)
        });
        let file =
            opened.map_err(|error| Error::outside(format!("{}: {error}", path.display())))?;
        let file = Appended { file: Arc::new(file), fresh: false, failed: None };
        Ok(Self { path, file: Mutex::new(file) })
    }

    fn append(&self, lines: &[u8]) {
        let mut appended = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        appended.fresh = true;
        if let Err(error) = appended.file.as_ref().write_all(lines) {
            tracing::error!(%error, "{}: rows set aside could not be written", self.path.display());
            appended.failed = Some(error.to_string());
        }
    }

    /// # Errors
    /// Where a line since the last flush did not get to the disk.
    async fn flush(&self) -> Result<()> {
        let file = {
            let mut appended = self.file.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(error) = appended.failed.take() {
                return Err(Error::outside(format!("{}: {error}", self.path.display())));
            }
            if !std::mem::take(&mut appended.fresh) {
                return Ok(());
            }
            Arc::clone(&appended.file)
        };
        let synced = tokio::task::spawn_blocking(move || file.sync_data()).await;
        let synced = synced.map_err(Error::bug)?;
        synced.map_err(|error| Error::outside(format!("{}: {error}", self.path.display())))
    }
}

/// Ends the last line of a file, which may be torn where the process was killed: the next one stands
/// alone.
fn end_line(file: &mut File) -> io::Result<()> {
    if file.metadata()?.len() == 0 {
        return Ok(());
    }
    let mut last = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    if last == *b"\n" { Ok(()) } else { file.write_all(b"\n") }
}

/// The dead-letter file of a job.
pub fn letters_path(data: &Path, job: &str) -> PathBuf {
    data.join(FOLDER).join(format!("{job}{LETTERS}"))
}

/// The late-rows file of a job.
pub fn late_path(data: &Path, job: &str) -> PathBuf {
    data.join(FOLDER).join(format!("{job}.late.jsonl"))
}

impl SetAside {
    /// Opens the files of a job, and the topic of its dead letters where it has one.
    pub async fn open(data: &Path, job: &str, topic: Option<&LettersTo>) -> anyhow::Result<Self> {
        let letters = Arc::new(Lines::open(letters_path(data, job))?);
        let late = Lines::open(late_path(data, job))?;
        let topic = match topic {
            None => None,
            Some(to) => {
                let file = Arc::clone(&letters);
                let fallback = Box::new(move |letter| file.append(&line(letter)));
                let opened = LetterTopic::open(to.place.clone(), job, fallback).await?;
                to.known.write(data, job)?;
                Some(opened)
            }
        };
        Ok(Self { letters, late, topic })
    }
}

/// A letter as a line of the file.
fn line(letter: DeadLetter) -> Vec<u8> {
    let letter = Letter::new(letter, Some(SystemClock.now()));
    // Text and numbers always serialise.
    let mut line = serde_json::to_vec(&letter).unwrap_or_default();
    line.push(b'\n');
    line
}

#[async_trait]
impl Aside for SetAside {
    fn dead_letter(&self, mut letter: DeadLetter) {
        letter.error = hidden(&letter.error);
        match &self.topic {
            Some(topic) => topic.send(letter),
            None => self.letters.append(&line(letter)),
        }
    }

    fn late(&self, stage: &str, rows: LateRows) {
        let mut lines = vec![];
        let facts = rows.times.iter().zip(&rows.watermarks);
        for (row, (event_time, watermark)) in rows_as_json(&rows.rows).iter().zip(facts) {
            let Ok(row) = serde_json::from_slice::<&RawValue>(row) else { continue };
            let late = Late { stage, event_time: *event_time, watermark: *watermark, row };
            // A raw value and plain fields always serialise.
            let _ = serde_json::to_writer(&mut lines, &late);
            lines.push(b'\n');
        }
        self.late.append(&lines);
    }

    async fn flush(&self) -> Result<()> {
        // What the topic does not take goes to the file.
        if let Some(topic) = &self.topic {
            topic.flush().await?;
        }
        self.letters.flush().await?;
        self.late.flush().await
    }
}
