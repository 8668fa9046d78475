//! Real data from a folder that the user names: UCI bike sharing as member demand, Globo clicks as a clickstream.
//!
//! The folder holds `uci_bike_sharing/hour.csv[.zst]` and `globo/globo_clicks_hour_000-239.tar.zst` or Globo's hourly CSV
//! files unpacked (`globo/clicks_hour_*.csv` or `globo/clicks/clicks_hour_*.csv`).

use std::ffi::OsStr;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use csv::ByteRecord;

use crate::generate::demand::Demand;
use crate::timestamp::TimeFormat;
use crate::{Error, Event, file, json};

const GLOBO_ARCHIVE: &str = "globo_clicks_hour_000-239.tar.zst";

/// Hourly demand of registered members from UCI bike sharing, region `dc`, in time order. Local time is taken as UTC; hours
/// that the original lacks stay absent; it knows no promotions.
///
/// Source: Fanaee-T and Gama (2013), "Event labeling combining ensemble detectors and background knowledge", CC BY 4.0.
///
/// # Errors
/// If the file is absent, unreadable, or lacks a column; with file and line.
pub fn bike_sharing(data: &Path) -> Result<Vec<Demand>, Error> {
    let names = ["uci_bike_sharing/hour.csv.zst", "uci_bike_sharing/hour.csv", "hour.csv"];
    let path = names.iter().map(|name| data.join(name)).find(|path| path.is_file()).ok_or_else(|| Error::Missing {
        folder: data.to_owned(),
        expected: "uci_bike_sharing/hour.csv.zst or uci_bike_sharing/hour.csv (UCI bike sharing, hourly)".to_owned(),
    })?;
    let columns =
        ["dteday", "hr", "holiday", "workingday", "temp", "hum", "windspeed", "registered"];
    let mut table = Table::open(file::open(&path)?, &path, columns)?;
    let mut hours = Vec::new();
    while table.advance()? {
        let day_ms =
            TimeFormat::Sql.parse(table.text(0)?).ok_or_else(|| table.error(0, "a date"))?;
        let hour: u8 = table.parse(1)?;
        hours.push(Demand {
            event_time_ms: day_ms + i64::from(hour) * 3_600_000,
            region: "dc".to_owned(),
            demand: table.finite(7)?,
            temp: table.finite(4)?,
            humidity: table.finite(5)?,
            windspeed: table.finite(6)?,
            workingday: table.parse::<u8>(3)? != 0,
            holiday: table.parse::<u8>(2)? != 0,
            hour,
            promotion: false,
        });
    }
    hours.sort_by_key(|hour| hour.event_time_ms);
    Ok(hours)
}

/// One click of Globo's news portal. Its JSON has the fields of the synthetic clickstream: every click is a `play` of an
/// article, and country and device are the codes of the original.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GloboClick {
    pub event_time_ms: i64,
    pub session_id: u64,
    pub user_id: u32,
    pub article_id: u32,
    pub device_group: u8,
    pub country: u8,
}

impl Event for GloboClick {
    fn event_time_ms(&self) -> i64 {
        self.event_time_ms
    }

    fn key(&self) -> String {
        self.user_id.to_string()
    }

    fn write_json(&self, out: &mut Vec<u8>) {
        out.push(b'{');
        json::timestamp(out, "event_time", self.event_time_ms);
        json::integer(out, "profile_id", i64::from(self.user_id));
        json::plain(out, "session_id", &self.session_id.to_string());
        json::integer(out, "title_id", i64::from(self.article_id));
        json::plain(out, "event_type", "play");
        json::integer(out, "watch_seconds", 0);
        json::plain(out, "country", &self.country.to_string());
        json::plain(out, "device", &self.device_group.to_string());
        out.push(b'}');
    }
}

/// All of Globo's clicks in order of click time (ties in file order), 32 bytes each in memory.
///
/// # Errors
/// If there are no files, one cannot be read, or lacks a column; with file and line.
pub fn globo_clicks(data: &Path) -> Result<Vec<GloboClick>, Error> {
    let mut clicks = Vec::new();
    let folders = [data.join("globo"), data.to_owned()];
    if let Some(archive) =
        folders.iter().map(|folder| folder.join(GLOBO_ARCHIVE)).find(|path| path.is_file())
    {
        read_globo_archive(&archive, &mut clicks)?;
    } else {
        let mut paths = Vec::new();
        for folder in folders.iter().flat_map(|folder| [folder.clone(), folder.join("clicks")]) {
            paths = hourly_files(&folder)?;
            if !paths.is_empty() {
                break;
            }
        }
        if paths.is_empty() {
            let expected = format!(
                "globo/{GLOBO_ARCHIVE} or globo/clicks/clicks_hour_*.csv (Globo's hourly click files)"
            );
            return Err(Error::Missing { folder: data.to_owned(), expected });
        }
        for path in paths {
            read_globo_hour(file::open(&path)?, &path, &mut clicks)?;
        }
    }
    clicks.sort_by_key(|click| click.event_time_ms);
    Ok(clicks)
}

fn read_globo_archive(archive: &Path, clicks: &mut Vec<GloboClick>) -> Result<(), Error> {
    let io = |error| Error::io(archive, error);
    let mut files = tar::Archive::new(file::open(archive)?);
    for entry in files.entries().map_err(io)? {
        let entry = entry.map_err(io)?;
        let inside = entry.path().map_err(io)?.into_owned();
        if inside.extension() == Some(OsStr::new("csv")) {
            read_globo_hour(entry, &archive.join(inside), clicks)?;
        }
    }
    Ok(())
}

/// The hourly click files of a folder by name, which is by hour; none if there is no such folder.
fn hourly_files(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).map_err(|error| Error::io(folder, error))? {
        let path = entry.map_err(|error| Error::io(folder, error))?.path();
        let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
        if name.starts_with("clicks_hour_") && name.ends_with(".csv") {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

fn read_globo_hour(
    content: impl Read,
    path: &Path,
    clicks: &mut Vec<GloboClick>,
) -> Result<(), Error> {
    let columns = [
        "user_id",
        "session_id",
        "click_article_id",
        "click_timestamp",
        "click_deviceGroup",
        "click_country",
    ];
    let mut table = Table::open(content, path, columns)?;
    while table.advance()? {
        clicks.push(GloboClick {
            user_id: table.parse(0)?,
            session_id: table.parse(1)?,
            article_id: table.parse(2)?,
            event_time_ms: table.parse(3)?,
            device_group: table.parse(4)?,
            country: table.parse(5)?,
        });
    }
    Ok(())
}

/// A CSV file of which the named columns are wanted, by their place in `columns`.
struct Table<'a, R, const N: usize> {
    reader: csv::Reader<R>,
    path: &'a Path,
    columns: [&'static str; N],
    places: [usize; N],
    record: ByteRecord,
}

impl<'a, R: Read, const N: usize> Table<'a, R, N> {
    fn open(content: R, path: &'a Path, columns: [&'static str; N]) -> Result<Self, Error> {
        let mut reader = csv::Reader::from_reader(content);
        let header =
            reader.byte_headers().map_err(|error| Error::content(path, 1, error.to_string()))?;
        let mut places = [0; N];
        for (place, column) in places.iter_mut().zip(columns) {
            *place = header
                .iter()
                .position(|name| name == column.as_bytes())
                .ok_or_else(|| Error::content(path, 1, format!("no column \"{column}\"")))?;
        }
        Ok(Self { reader, path, columns, places, record: ByteRecord::new() })
    }

    fn advance(&mut self) -> Result<bool, Error> {
        let line = self.reader.position().line();
        self.reader
            .read_byte_record(&mut self.record)
            .map_err(|error| Error::content(self.path, line, error.to_string()))
    }

    fn text(&self, column: usize) -> Result<&str, Error> {
        let bytes = self.record.get(self.places[column]).unwrap_or_default();
        std::str::from_utf8(bytes).map_err(|_| self.error(column, "UTF-8"))
    }

    fn parse<T: FromStr>(&self, column: usize) -> Result<T, Error> {
        self.text(column)?
            .parse()
            .map_err(|_| self.error(column, "a whole number within its range"))
    }

    fn finite(&self, column: usize) -> Result<f64, Error> {
        let number: Option<f64> = self.text(column)?.parse().ok();
        number.filter(|number| number.is_finite()).ok_or_else(|| self.error(column, "a number"))
    }

    fn error(&self, column: usize, expected: &str) -> Error {
        let value =
            String::from_utf8_lossy(self.record.get(self.places[column]).unwrap_or_default());
        let line = self.record.position().map_or(0, csv::Position::line);
        Error::content(
            self.path,
            line,
            format!("column \"{}\": expected {expected}, found \"{value}\"", self.columns[column]),
        )
    }
}
