//! Flink's functions: the list of all, one file each, or one a family.

mod abs;
pub mod aggregate;
mod array;
mod array_elements;
mod array_join;
mod base64;
mod cardinality;
pub mod cast;
mod ceil;
mod ceil_to;
mod char_length;
mod charset;
pub mod clock;
mod code;
mod collection;
mod concat;
mod concat_ws;
mod convert_tz;
mod date_format;
pub mod decimal;
pub mod decimal_arithmetic;
mod element_at;
mod elt;
mod extract;
mod floating;
mod floor;
mod floor_to;
mod from_unixtime;
mod greatest;
mod hash;
mod hex;
mod initcap;
mod int_division;
mod interval_times;
mod is_kind;
mod java_regex;
mod json;
mod least;
mod left_right;
mod locate;
mod lower;
mod map;
mod number;
mod overlay;
mod pad;
mod parse_url;
mod pattern;
mod position;
mod printf;
mod random;
mod regexp;
mod repeat;
mod replace;
mod reverse;
mod round;
mod row;
mod scalar;
mod side_trim;
mod sign;
mod similar_to;
mod split;
mod split_index;
mod starts_ends;
mod str_to_map;
mod substring;
pub mod table;
mod timestampadd;
mod timestampdiff;
mod to_date;
mod to_timestamp;
mod to_timestamp_ltz;
mod translate_characters;
mod trim;
mod truncate;
mod type_of;
mod unit;
mod unix_timestamp;
mod upper;
mod url_code;
pub mod user;
pub mod window;

pub use scalar::{Body, Function};

/// Functions that belong together, under the heading of the table of functions.
pub struct Family {
    pub heading: &'static str,
    pub functions: Vec<Function>,
}

/// All scalar functions, by the names that SQL knows them by.
pub fn families() -> Vec<Family> {
    let family = |heading, functions| Family { heading, functions };
    vec![
        family("String", strings()),
        family("Number", numbers()),
        family("Date and time", times()),
        family("Condition", conditions()),
        family("JSON", json::functions()),
        family("Array, map and row", collections()),
        family("Hash", hash::functions()),
        family("Type", vec![type_of::function()]),
        family("Operator", operators()),
    ]
}

fn strings() -> Vec<Function> {
    let mut functions = vec![
        base64::from(),
        base64::to(),
        char_length::function(),
        Function { name: "character_length", ..char_length::function() },
        charset::decode_function(),
        charset::encode_function(),
        code::ascii_function(),
        code::chr_function(),
        concat::function(),
        concat_ws::function(),
        elt::function(),
        initcap::function(),
        left_right::left(),
        left_right::right(),
        locate::function(),
        locate::instr(),
        lower::function(),
        overlay::function(),
        pad::left(),
        pad::right(),
        parse_url::function(),
        position::function(),
        printf::function(),
        repeat::function(),
        replace::function(),
        reverse::function(),
        side_trim::both(),
        side_trim::left(),
        side_trim::right(),
        split::function(),
        split_index::function(),
        starts_ends::ends(),
        starts_ends::starts(),
        str_to_map::function(),
        substring::function(),
        Function { name: "substr", ..substring::function() },
        translate_characters::function(),
        trim::function(),
        upper::function(),
        url_code::decode(),
        url_code::encode(),
    ];
    functions.extend(regexp::functions());
    functions
}

fn numbers() -> Vec<Function> {
    let mut functions = vec![
        abs::function(),
        ceil::function(),
        Function { name: "ceiling", ..ceil::function() },
        floor::function(),
        hex::bin_function(),
        hex::hex_function(),
        hex::unhex_function(),
        random::rand_function(),
        random::rand_integer_function(),
        random::uuid_function(),
        round::function(),
        sign::function(),
        truncate::function(),
    ];
    functions.extend(floating::functions());
    functions
}

fn times() -> Vec<Function> {
    vec![
        ceil_to::function(),
        clock::current_row_timestamp_function(),
        clock::proctime_function(),
        convert_tz::function(),
        date_format::function(),
        extract::function(),
        floor_to::function(),
        from_unixtime::function(),
        timestampadd::function(),
        timestampdiff::function(),
        to_date::function(),
        to_timestamp::function(),
        to_timestamp_ltz::function(),
        unix_timestamp::function(),
    ]
}

fn conditions() -> Vec<Function> {
    let mut functions = vec![greatest::function(), least::function()];
    functions.extend(is_kind::functions());
    functions
}

fn collections() -> Vec<Function> {
    let mut functions =
        vec![array::function(), array_join::function(), cardinality::function(), row::function()];
    functions.extend(array_elements::functions());
    functions.extend(map::functions());
    functions
}

/// What operators and special forms are planned as.
fn operators() -> Vec<Function> {
    let mut functions = vec![
        element_at::function(),
        int_division::divide(),
        int_division::modulo(),
        interval_times::function(),
        similar_to::function(),
        similar_to::like(),
    ];
    functions.extend(decimal_arithmetic::functions());
    functions
}

pub fn scalar_functions() -> Vec<Function> {
    families().into_iter().flat_map(|family| family.functions).collect()
}
