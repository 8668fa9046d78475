//! A function of Arroyo's that waits.

use arroyo_udf_plugin::udf;

#[udf]
async fn waits(number: i64) -> i64 {
    number
}
