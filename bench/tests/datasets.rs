//! The real data sets, where their folder is present, and what is said where they are not.

use std::fs;
use std::path::{Path, PathBuf};

use nowcast_bench::Event;
use nowcast_bench::datasets::{bike_sharing, globo_clicks};

/// `NOWCAST_DATA`, or `shared/data` beside the repository.
#[expect(clippy::print_stdout, reason = "a skipped test says so")]
fn data() -> Option<PathBuf> {
    let default = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    let folder = std::env::var_os("NOWCAST_DATA").map_or(default, PathBuf::from);
    if !folder.is_dir() {
        println!("skipped: no data folder {folder:?}");
        return None;
    }
    Some(folder)
}

#[test]
fn all_16039_hours_of_bike_sharing_are_read_in_order() {
    let Some(folder) = data() else { return };
    let hours = bike_sharing(&folder).unwrap();
    assert_eq!(hours.len(), 16_039);
    assert!(hours.is_sorted_by(|a, b| a.event_time_ms < b.event_time_ms));
    assert_eq!(
        hours[0].to_json(),
        r#"{"event_time":"2011-01-01 00:00:00.000","region":"dc","demand":13.0,"temp":0.24,"humidity":0.81,"windspeed":0.0,"workingday":0,"holiday":0,"hour":0,"promotion":0}"#
    );
    assert_eq!(
        hours[hours.len() - 1].to_json().get(..30),
        Some(r#"{"event_time":"2012-11-05 23:0"#)
    );
}

#[test]
fn all_2073175_clicks_of_globo_are_read_in_click_order() {
    let Some(folder) = data() else { return };
    let clicks = globo_clicks(&folder).unwrap();
    assert_eq!(clicks.len(), 2_073_175);
    assert!(clicks.is_sorted_by_key(|click| click.event_time_ms));
    assert_eq!(size_of_val(&clicks[0]), 32);
    let first = clicks.iter().find(|click| click.session_id == 1_506_825_423_271_737).unwrap();
    assert_eq!(
        first.to_json(),
        r#"{"event_time":"2017-10-01 03:00:28.020","profile_id":0,"session_id":"1506825423271737","title_id":157541,"event_type":"play","watch_seconds":0,"country":"1","device":"3"}"#
    );
}

#[test]
fn plain_files_are_read_too() {
    let folder = tempfile::tempdir().unwrap();
    let hour = "dteday,hr,holiday,workingday,temp,hum,windspeed,registered\n2011-01-01,5,1,0,0.1,0.2,0.3,7\n";
    fs::write(folder.path().join("hour.csv"), hour).unwrap();
    let hours = bike_sharing(folder.path()).unwrap();
    assert_eq!(
        (hours[0].hour, hours[0].holiday, hours[0].workingday, hours[0].demand),
        (5, true, false, 7.0)
    );

    let header =
        "user_id,session_id,click_article_id,click_timestamp,click_deviceGroup,click_country\n";
    let clicks = folder.path().join("globo/clicks");
    fs::create_dir_all(&clicks).unwrap();
    fs::write(clicks.join("clicks_hour_000.csv"), format!("{header}1,2,3,2000,1,1\n")).unwrap();
    fs::write(clicks.join("clicks_hour_001.csv"), format!("{header}4,5,6,1000,1,1\n")).unwrap();
    let users: Vec<u32> =
        globo_clicks(folder.path()).unwrap().iter().map(|click| click.user_id).collect();
    assert_eq!(users, [4, 1]);
}

#[test]
fn what_is_missing_or_broken_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let text = |error: nowcast_bench::Error| error.to_string();
    let error = text(bike_sharing(folder.path()).unwrap_err());
    assert!(
        error.starts_with("data folder ") && error.contains("no uci_bike_sharing/hour.csv.zst or "),
        "{error}"
    );
    let error = text(globo_clicks(folder.path()).unwrap_err());
    assert!(error.contains("no globo/globo_clicks_hour_000-239.tar.zst or "), "{error}");

    fs::write(folder.path().join("hour.csv"), "dteday,hr\n2011-01-01,5\n").unwrap();
    let error = text(bike_sharing(folder.path()).unwrap_err());
    assert!(error.ends_with("hour.csv\" line 1: no column \"holiday\""), "{error}");

    let header = "dteday,hr,holiday,workingday,temp,hum,windspeed,registered\n";
    fs::write(
        folder.path().join("hour.csv"),
        format!("{header}2011-01-01,5,1,0,0.1,0.2,0.3,many\n"),
    )
    .unwrap();
    let error = text(bike_sharing(folder.path()).unwrap_err());
    assert!(
        error.ends_with("line 2: column \"registered\": expected a number, found \"many\""),
        "{error}"
    );

    fs::create_dir(folder.path().join("globo")).unwrap();
    fs::write(folder.path().join("globo/globo_clicks_hour_000-239.tar.zst"), b"not an archive")
        .unwrap();
    let error = text(globo_clicks(folder.path()).unwrap_err());
    assert!(error.contains("globo_clicks_hour_000-239.tar.zst"), "{error}");
}
