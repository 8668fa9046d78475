//! `FLOOR(time TO unit)`.

use arrow::array::ArrayRef;
use chrono_tz::Tz;
use datafusion_common::Result;

use super::scalar::{Body, Function, Kind, Takes, same, texts, time_column, times};
use super::unit;

pub fn function() -> Function {
    let takes = Takes::These { kinds: &[Kind::Time, Kind::Text], required: 2 };
    Function {
        name: "floor_to",
        form: "FLOOR(time TO unit)",
        about: "",
        takes,
        gives: same,
        body: Body::Zoned(floor_to),
    }
}

fn floor_to(columns: &[ArrayRef], _rows: usize, zone: Tz) -> Result<ArrayRef> {
    let times = times(&columns[0], zone)?;
    let pairs = times.iter().zip(texts(&columns[1]));
    let made = pairs.map(|(time, unit)| match (time, unit) {
        (Some(time), Some(unit)) => unit::floor(unit, time).map(Some),
        _ => Ok(None),
    });
    let made = made.collect::<Result<Vec<_>>>()?;
    time_column(made.into_iter(), columns[0].data_type(), zone)
}
