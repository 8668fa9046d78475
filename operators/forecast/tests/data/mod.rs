//! Real series, read from the data folder where there is one; none of them is in the repository.
#![allow(dead_code, reason = "each test file uses its own part")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

pub struct Series {
    pub values: Vec<f64>,
    /// One row an observation; empty rows without regressors.
    pub regressors: Vec<Vec<f64>>,
}

/// The data folder, or `None` after saying so.
pub fn folder() -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let folder = std::env::var_os("NOWCAST_DATA")
        .map_or(root.join("../shared/data"), |given| root.join(given));
    if folder.is_dir() {
        return Some(folder);
    }
    println!("skipped: no data folder ({}; set NOWCAST_DATA)", folder.display());
    None
}

/// Rows of a compressed file as maps from column name to text.
pub fn rows(folder: &Path, name: &str, delimiter: u8) -> Vec<BTreeMap<String, String>> {
    let file =
        std::fs::File::open(folder.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    let text = zstd::decode_all(file).unwrap();
    // Quotes in tab-separated titles are part of the title.
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(delimiter)
        .quoting(delimiter == b',')
        .from_reader(text.as_slice());
    reader.deserialize().map(Result::unwrap).collect()
}

pub fn number(row: &BTreeMap<String, String>, column: &str) -> f64 {
    match row[column].as_str() {
        "TRUE" | "True" => 1.0,
        "FALSE" | "False" => 0.0,
        text => text.replace(',', "").parse().unwrap(),
    }
}

/// The series that `reference/generate.py` knows under the same name.
pub fn series(folder: &Path, name: &str) -> Series {
    let plain = |file: &str, column: &str, regressors: &[&str], limit: usize| {
        let rows = rows(folder, file, b',');
        let head = &rows[..limit.min(rows.len())];
        let row = |row| regressors.iter().map(|column| number(row, column)).collect();
        Series {
            values: head.iter().map(|row| number(row, column)).collect(),
            regressors: head.iter().map(row).collect(),
        }
    };
    match name {
        "uci_registered" => plain(BIKES, "registered", &["temp", "workingday"], 1500),
        "vic_demand" => {
            plain("vic_electricity/vic_electricity.csv.zst", "Demand", &["Temperature"], 1000)
        }
        "website_visits" => {
            let file = "daily_website_visitors/daily-website-visitors.csv.zst";
            plain(file, "Unique.Visits", &[], usize::MAX)
        }
        "nyc_taxi" => plain("nab_realtime/nyc_taxi.csv.zst", "value", &[], 1000),
        "dc_bikes" => {
            plain("dc_bikesharing_2010_2019/hourly_bikesharing.csv.zst", "count", &[], 1000)
        }
        "walmart_store_1" => walmart(folder),
        "netflix_films" => {
            let mut weeks: BTreeMap<String, f64> = BTreeMap::new();
            for row in rows(folder, "netflix_top10/all-weeks-global.tsv.zst", b'\t') {
                if row["category"] == "Films (English)" {
                    *weeks.entry(row["week"].clone()).or_default() +=
                        number(&row, "weekly_hours_viewed");
                }
            }
            let values: Vec<f64> = weeks.into_values().collect();
            Series { regressors: vec![vec![]; values.len()], values }
        }
        other => panic!("no real series {other:?}"),
    }
}

pub const BIKES: &str = "uci_bike_sharing/hour.csv.zst";

fn walmart(folder: &Path) -> Series {
    let mut weeks: BTreeMap<String, (f64, f64)> = BTreeMap::new();
    for row in rows(folder, "walmart_recruiting/train.csv.zst", b',') {
        if row["Store"] == "1" {
            let week = weeks.entry(row["Date"].clone()).or_default();
            week.0 += number(&row, "Weekly_Sales");
            week.1 = number(&row, "IsHoliday");
        }
    }
    // To the cent, since the sum depends on its order.
    let values = weeks.values().map(|(sales, _)| (sales * 100.0).round() / 100.0).collect();
    Series { values, regressors: weeks.values().map(|(_, holiday)| vec![*holiday]).collect() }
}

/// Members' rides by day and hour of the day: (day, 24 counts); an hour without a row had no ride.
pub fn bike_days(folder: &Path) -> Vec<(String, [f64; 24])> {
    let mut days: BTreeMap<String, [f64; 24]> = BTreeMap::new();
    for row in rows(folder, BIKES, b',') {
        days.entry(row["dteday"].clone()).or_default()[number(&row, "hr") as usize] =
            number(&row, "registered");
    }
    // The set ends in the middle of its last day.
    days.pop_last();
    days.into_iter().collect()
}
