//! `TO_DATE(text[, pattern])`: null where the text is no date.

use std::sync::Arc;

use arrow::array::{ArrayRef, Date32Array};
use arrow::datatypes::{DataType, Date32Type};
use chrono::NaiveDate;
use datafusion_common::Result;

use super::cast::of_text;
use super::pattern::Pattern;
use super::scalar::{Body, Function, Kind, some, texts};
use super::to_timestamp::parsed;

pub fn function() -> Function {
    Function {
        name: "to_date",
        form: "TO_DATE(text[, pattern])",
        about: "a DATE; null where the text is none",
        takes: some(&[Kind::Text, Kind::Text], 1),
        gives: |_| DataType::Date32,
        body: Body::Plain(to_date),
    }
}

fn to_date(columns: &[ArrayRef], _rows: usize) -> Result<ArrayRef> {
    let days: Vec<Option<NaiveDate>> = match columns {
        [text] => texts(text).iter().map(|text| of_text::date(text?)).collect(),
        _ => parsed(columns, Pattern::parse_leniently)?
            .into_iter()
            .map(|time| Some(time?.date()))
            .collect(),
    };
    let made = days.into_iter().map(|day| day.map(Date32Type::from_naive_date));
    Ok(Arc::new(made.collect::<Date32Array>()))
}
