//! The dead-letter table and the late table of a job: files of JSON lines, written through at once.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use nowcast_engine::aside::rows_as_json;
use nowcast_engine::{Aside, DeadLetter, Error, LateRows, Result};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// Folder of both tables beneath the data folder.
const FOLDER: &str = "aside";

/// A dead letter as it stands in the file: `raw` as text where it is text.
#[derive(Debug, Serialize, Deserialize)]
pub struct Letter {
    pub stage: String,
    pub topic: Option<String>,
    pub partition: Option<i32>,
    pub offset: Option<i64>,
    pub timestamp: Option<i64>,
    pub error: String,
    pub raw: String,
    /// Whether `raw` is hexadecimal because the bytes are not UTF-8.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub hex: bool,
}

#[derive(Serialize)]
struct Late<'a> {
    stage: &'a str,
    event_time: i64,
    watermark: i64,
    row: &'a RawValue,
}

/// Keeps what a job sets aside.
pub struct SetAside {
    letters: Lines,
    late: Lines,
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
    data.join(FOLDER).join(format!("{job}.dead_letters.jsonl"))
}

/// The late-rows file of a job.
pub fn late_path(data: &Path, job: &str) -> PathBuf {
    data.join(FOLDER).join(format!("{job}.late.jsonl"))
}

impl SetAside {
    pub fn open(data: &Path, job: &str) -> Result<Self> {
        Ok(Self {
            letters: Lines::open(letters_path(data, job))?,
            late: Lines::open(late_path(data, job))?,
        })
    }
}

impl Letter {
    fn new(letter: DeadLetter) -> Self {
        let (raw, hex) = match String::from_utf8(letter.raw) {
            Ok(text) => (text, false),
            Err(error) => {
                (error.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect(), true)
            }
        };
        let DeadLetter { stage, topic, partition, offset, timestamp, error, .. } = letter;
        Self { stage, topic, partition, offset, timestamp, error, raw, hex }
    }

    /// The message as it was received.
    pub fn bytes(&self) -> Vec<u8> {
        if !self.hex {
            return self.raw.clone().into_bytes();
        }
        let digits: Vec<u8> =
            self.raw.bytes().filter_map(|b| (b as char).to_digit(16).map(|d| d as u8)).collect();
        digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect()
    }
}

#[async_trait]
impl Aside for SetAside {
    fn dead_letter(&self, letter: DeadLetter) {
        let mut line = serde_json::to_vec(&Letter::new(letter)).unwrap_or_default();
        line.push(b'\n');
        self.letters.append(&line);
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
        self.letters.flush().await?;
        self.late.flush().await
    }
}

/// The dead letters of a job, oldest first.
pub fn read_letters(data: &Path, job: &str) -> Result<Vec<Letter>> {
    let path = letters_path(data, job);
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(vec![]),
        Err(error) => return Err(Error::outside(format!("{}: {error}", path.display()))),
    };
    // The last line may be torn where the process was killed.
    Ok(text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect())
}
