//! `CONVERT_TZ(text, from, to)`: the text of a time in another time zone.

use std::sync::Arc;

use arrow::array::{ArrayRef, StringArray};
use chrono_tz::Tz;
use datafusion_common::Result;

use super::cast::of_text;
use super::pattern::{DEFAULT, Pattern};
use super::scalar::{Body, Function, Kind, all, optional_text, text};
use nowcast_transforms::zone::{to_local, to_utc};

pub fn function() -> Function {
    Function {
        name: "convert_tz",
        form: "CONVERT_TZ(text, from, to)",
        about: "the text of a time in another time zone; null where one is unknown",
        takes: all(&[Kind::Text, Kind::Text, Kind::Text]),
        gives: text,
        body: Body::Plain(convert_tz),
    }
}

fn convert_tz(columns: &[ArrayRef], rows: usize) -> Result<ArrayRef> {
    let pattern = Pattern::new(DEFAULT)?;
    let made = (0..rows).map(|row| {
        let [time, from, to] = [0, 1, 2].map(|place| optional_text(columns, place, row));
        let (from, to): (Tz, Tz) = (from?.parse().ok()?, to?.parse().ok()?);
        let instant = to_utc(of_text::timestamp(time?)?, from);
        Some(pattern.format(to_local(instant, to)))
    });
    Ok(Arc::new(made.collect::<StringArray>()))
}
