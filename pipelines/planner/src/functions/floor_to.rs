//! `FLOOR(time TO unit)`.

use arrow::array::ArrayRef;
use chrono_tz::Tz;
use datafusion_common::Result;

use super::scalar::{Body, Function, Kind, Takes, same};
use super::unit::{self, rounded};

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
    rounded(columns, zone, unit::floor)
}
