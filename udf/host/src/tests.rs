//! What `#[udf]` writes, called as a host calls it.

#![allow(unsafe_code, clippy::unwrap_used)]

use std::mem::MaybeUninit;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, BooleanArray, Float64Array, Int32Array, Int64Array,
    StringArray,
};
use arrow::datatypes::{DataType, Int32Type, Int64Type};
use nowcast_engine::{ErrorKind, ScalarFunction};
use nowcast_udf::abi::{ArrowArray, Function, VERSION};
use nowcast_udf::udf;

use crate::arroyo::{ArrowSchema, Column, Columns, Declared, Ran};
use crate::declaration::Declaration;
use crate::library::Loaded;

#[udf]
fn longer(text: &str, than: Option<i32>) -> bool {
    text.len() > than.unwrap_or(3) as usize
}

#[udf]
fn negated(flag: bool) -> Option<bool> {
    Some(!flag)
}

#[udf]
fn halved(number: i64) -> Result<Option<i64>, String> {
    match number {
        odd if odd % 2 != 0 => Err(format!("{odd} is odd")),
        0 => Ok(None),
        even => Ok(Some(even / 2)),
    }
}

#[udf]
fn at(bytes: &[u8], index: i32) -> Vec<u8> {
    vec![bytes[index as usize]]
}

#[udf]
fn first(text: &str, _of: f64) -> &str {
    text.split(' ').next().unwrap_or_default()
}

#[udf]
fn three() -> i32 {
    3
}

fn load(function: &Function) -> Loaded {
    unsafe { Loaded::new("f", function) }.unwrap()
}

fn array(values: impl Array + 'static) -> ArrayRef {
    Arc::new(values)
}

#[test]
fn nulls_come_back_unless_they_are_asked_for() {
    let longer = load(&nowcast_udf_longer);
    assert_eq!(longer.arguments(), [DataType::Utf8, DataType::Int32]);
    let texts = array(StringArray::from(vec![Some("four"), None, Some("é"), Some("")]));
    let than = array(Int32Array::from(vec![None, None, Some(1), Some(0)]));
    let made = longer.call(&[texts, than], 4).unwrap();
    let wanted = BooleanArray::from(vec![Some(true), None, Some(true), Some(false)]);
    assert_eq!(*made.as_boolean(), wanted);
}

#[test]
fn slices_are_read_from_where_they_begin() {
    let flags: BooleanArray =
        (0..40).map(|row| (row % 5 != 0).then_some(row % 3 == 0)).collect::<Vec<_>>().into();
    let texts: StringArray =
        (0..40).map(|row| (row % 7 != 0).then(|| format!("{row} b"))).collect();
    let numbers = Float64Array::from(vec![0.0; 40]);
    for (from, len) in [(0, 40), (3, 11), (8, 16), (13, 0), (39, 1)] {
        let part = array(flags.slice(from, len));
        let made = load(&nowcast_udf_negated).call(&[part], len).unwrap();
        let wanted: BooleanArray = flags.slice(from, len).iter().map(|flag| Some(!flag?)).collect();
        assert_eq!(*made.as_boolean(), wanted);
        let part = texts.slice(from, len);
        let wanted: StringArray = part.iter().map(|text| text?.split(' ').next()).collect();
        let columns = [array(part), array(numbers.slice(from, len))];
        let made = load(&nowcast_udf_first).call(&columns, len).unwrap();
        assert_eq!(*made.as_string::<i32>(), wanted);
    }
}

#[test]
fn errors_and_panics_are_of_the_data() {
    let halved = load(&nowcast_udf_halved);
    let error = halved.call(&[array(Int64Array::from(vec![2, 3]))], 2).unwrap_err();
    assert_eq!(
        (error.kind(), error.to_string()),
        (ErrorKind::Data, "function `f`: 3 is odd".into())
    );
    let made = halved.call(&[array(Int64Array::from(vec![2, 0]))], 2).unwrap();
    assert_eq!(*made.as_primitive::<Int64Type>(), Int64Array::from(vec![Some(1), None]));

    let at = load(&nowcast_udf_at);
    let bytes = array(BinaryArray::from_vec(vec![b"ab"]));
    let error = at.call(&[bytes.clone(), array(Int32Array::from(vec![2]))], 1).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Data);
    let said = error.to_string();
    assert!(said.contains("panicked at udf/host/src/tests.rs"), "{said}");
    assert!(said.contains(": index out of bounds"), "{said}");
    let made = at.call(&[bytes, array(Int32Array::from(vec![1]))], 1).unwrap();
    assert_eq!(made.as_binary::<i32>().value(0), b"b");
}

#[test]
fn a_function_without_arguments_gives_a_value_a_row() {
    let made = load(&nowcast_udf_three).call(&[], 2).unwrap();
    assert_eq!(*made.as_primitive::<Int32Type>(), Int32Array::from(vec![3, 3]));
}

#[test]
fn other_versions_are_refused() {
    let Function { arguments_len, arguments, result, call, .. } = nowcast_udf_three;
    let newer = Function { version: VERSION + 1, arguments_len, arguments, result, call };
    let error = unsafe { Loaded::new("f", &newer) }.err().unwrap();
    assert!(error.to_string().contains("of version 2: here it is 1"), "{error}");
}

/// `halved` as a library made for Arroyo has it: it takes the vector over, and gives no reasons.
unsafe extern "C-unwind" fn run(arguments: Columns) -> Ran {
    let Columns { columns, len, capacity, .. } = arguments;
    let columns = unsafe { Vec::from_raw_parts(columns, len, capacity) };
    let rows = columns[0].array.length as u64;
    let arrays: Vec<ArrowArray> = columns.into_iter().map(|column| column.array).collect();
    let mut array = ArrowArray::empty();
    let status = unsafe { (nowcast_udf_halved.call)(arrays.as_ptr(), rows, &mut array) };
    if status == 0 {
        let made = MaybeUninit::new(Column { array, schema: ArrowSchema::new(c"l") });
        return Ran { status: 0, made };
    }
    unsafe { array.release.unwrap()(&mut array) };
    Ran { status: 1, made: MaybeUninit::uninit() }
}

fn declared(declaration: &str) -> nowcast_engine::Result<Declared> {
    Declared::new(Declaration::parse(declaration)?, run)
}

#[test]
fn functions_of_arroyo_have_the_types_of_their_declaration() {
    let halved = declared("fn halved(number: i64) -> Option<i64>").unwrap();
    assert_eq!((halved.arguments(), halved.result()), (&[DataType::Int64][..], &DataType::Int64));
    let numbers = Int64Array::from(vec![Some(9), Some(2), None, Some(0), Some(8)]);
    let made = halved.call(&[array(numbers.slice(1, 4))], 4).unwrap();
    let wanted = Int64Array::from(vec![Some(1), None, None, Some(4)]);
    assert_eq!(*made.as_primitive::<Int64Type>(), wanted);
    assert_eq!(halved.call(&[array(numbers.slice(1, 0))], 0).unwrap().len(), 0);
    let error = halved.call(&[array(numbers)], 5).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Data);
    assert!(error.to_string().contains("function `halved`: panicked"), "{error}");
}

#[test]
fn functions_of_arroyo_that_are_declared_otherwise_are_refused() {
    let other = declared("fn halved(number: i64) -> Option<i32>").unwrap();
    let error = other.call(&[array(Int64Array::from(vec![2]))], 1).unwrap_err();
    let said = "function `halved`: is declared with another result";
    assert_eq!((error.kind(), error.to_string()), (ErrorKind::User, said.into()));
    let error = declared("fn none() -> i64").err().unwrap();
    assert_eq!(error.to_string(), "`none` has no arguments");
}
