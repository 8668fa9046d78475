//! A function of Arroyo's.

use arroyo_udf_plugin::udf;

#[udf]
fn described(number: i64, text: Option<&str>, part: f32) -> Option<String> {
    assert!(number != 13, "no luck");
    text.map(|text| format!("{number} {text} {part}"))
}
