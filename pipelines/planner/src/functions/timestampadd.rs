//! `TIMESTAMPADD(unit, count, time)`.

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
use chrono_tz::Tz;
use datafusion_common::Result;

use super::scalar::{Body, Function, Kind, Takes, longs, texts, time_column, times};
use super::unit;

pub fn function() -> Function {
    let takes = Takes::These { kinds: &[Kind::Text, Kind::Long, Kind::Time], required: 3 };
    Function {
        name: "timestampadd",
        form: "TIMESTAMPADD(unit, count, time)",
        about: "",
        takes,
        gives: of_time,
        body: Body::Plain(timestampadd),
    }
}

fn of_time(given: &[DataType]) -> DataType {
    given[2].clone()
}

fn timestampadd(columns: &[ArrayRef], _rows: usize) -> Result<ArrayRef> {
    // No clock changes between instants.
    let times = times(&columns[2], Tz::UTC)?;
    let values = texts(&columns[0]).iter().zip(longs(&columns[1])).zip(&times);
    let made = values.map(|((unit, count), time)| match (unit, count, time) {
        (Some(unit), Some(count), Some(time)) => unit::add(unit, count, time).map(Some),
        _ => Ok(None),
    });
    let made = made.collect::<Result<Vec<_>>>()?;
    time_column(made.into_iter(), columns[2].data_type(), Tz::UTC)
}
