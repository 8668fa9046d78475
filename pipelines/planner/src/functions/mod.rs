//! Flink's functions: the list of all, one file each.

mod abs;
pub mod aggregate;
mod array;
mod array_join;
mod cardinality;
pub mod cast_to_string;
mod ceil;
mod ceil_to;
mod char_length;
mod concat;
mod concat_ws;
mod cos;
mod date_format;
mod element_at;
mod exp;
mod extract;
mod floor;
mod floor_to;
mod from_unixtime;
mod greatest;
mod json_object;
mod json_value;
mod least;
mod ln;
mod log10;
mod lower;
mod number;
mod pattern;
mod position;
mod power;
mod regexp_extract;
mod replace;
mod round;
mod row;
mod scalar;
mod sign;
mod sin;
mod split_index;
mod sqrt;
mod substring;
mod timestampadd;
mod timestampdiff;
mod to_timestamp;
mod to_timestamp_ltz;
mod trim;
mod unit;
mod unix_timestamp;
mod upper;
pub mod window;

use datafusion_expr::ScalarUDF;

/// All scalar functions, by the names that SQL knows them by.
pub fn scalar_functions() -> Vec<ScalarUDF> {
    let functions = [
        abs::function(),
        array::function(),
        array_join::function(),
        cardinality::function(),
        cast_to_string::function(),
        ceil::function(),
        ceil_to::function(),
        concat::function(),
        concat_ws::function(),
        cos::function(),
        date_format::function(),
        element_at::function(),
        exp::function(),
        extract::function(),
        floor::function(),
        floor_to::function(),
        from_unixtime::function(),
        greatest::function(),
        json_object::function(),
        json_value::function(),
        least::function(),
        ln::function(),
        log10::function(),
        lower::function(),
        position::function(),
        power::function(),
        regexp_extract::function(),
        replace::function(),
        round::function(),
        row::function(),
        sign::function(),
        sin::function(),
        split_index::function(),
        sqrt::function(),
        substring::function(),
        timestampadd::function(),
        timestampdiff::function(),
        to_timestamp::function(),
        to_timestamp_ltz::function(),
        trim::function(),
        unix_timestamp::function(),
        upper::function(),
        char_length::function("char_length"),
        char_length::function("character_length"),
    ];
    functions.into_iter().map(scalar::Function::udf).collect()
}
