//! What the code that `#[udf]` writes is made of: reads arguments row by row, writes the result.

#![allow(unsafe_code)] // the host's arrays come as pointers

use std::any::Any;
use std::cell::RefCell;
use std::ffi::c_void;
use std::fmt::Display;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::Once;

use crate::abi::{ArrowArray, Value};

/// An argument's column, lent by the host.
pub struct Column<'a>(&'a ArrowArray);

impl Column<'_> {
    pub fn is_null(&self, row: usize) -> bool {
        let valid = self.buffer::<u8>(0);
        // SAFETY: the bitmap, where there is one, has a bit for each row.
        !valid.is_null() && !unsafe { bit(valid, self.at(row)) }
    }

    fn at(&self, row: usize) -> usize {
        row + self.0.offset as usize
    }

    fn buffer<T>(&self, position: usize) -> *const T {
        // SAFETY: the host hands over as many buffers as the type has.
        unsafe { (*self.0.buffers.add(position)).cast() }
    }

    /// # Safety
    /// The column holds values of `T`, and this row.
    unsafe fn fixed<T: Copy>(&self, row: usize) -> T {
        unsafe { *self.buffer::<T>(1).add(self.at(row)) }
    }

    /// # Safety
    /// The column holds texts or bytes, and this row.
    unsafe fn bytes(&self, row: usize) -> &[u8] {
        let offsets = self.buffer::<i32>(1);
        let (from, to) = unsafe { (*offsets.add(self.at(row)), *offsets.add(self.at(row) + 1)) };
        if from == to {
            return &[];
        }
        let all = self.buffer::<u8>(2);
        unsafe { std::slice::from_raw_parts(all.add(from as usize), (to - from) as usize) }
    }
}

unsafe fn bit(bits: *const u8, at: usize) -> bool {
    unsafe { *bits.add(at / 8) >> (at % 8) & 1 == 1 }
}

/// The columns of a call.
///
/// # Safety
/// `arguments` are `count` arrays of the types that the function has told.
pub unsafe fn columns<'a>(arguments: *const ArrowArray, count: usize) -> Vec<Column<'a>> {
    (0..count).map(|at| Column(unsafe { &*arguments.add(at) })).collect()
}

/// A type that a function can take.
pub trait Argument<'a>: Sized {
    const VALUE: Value;

    /// # Safety
    /// The column is of this type and holds this row; its value is not null where the type is none.
    unsafe fn read(column: &'a Column<'a>, row: usize) -> Self;
}

/// The type of an argument, to be told to the host.
pub const fn argument<'a, T: Argument<'a>>() -> Value {
    T::VALUE
}

/// # Safety
/// As of [`Argument::read`].
pub unsafe fn read<'a, T: Argument<'a>>(column: &'a Column<'a>, row: usize) -> T {
    unsafe { T::read(column, row) }
}

/// Whether a null argument leaves nothing to call the function with.
pub fn lacks<'a, T: Argument<'a>>(column: &'a Column<'a>, row: usize) -> bool {
    !T::VALUE.nullable && column.is_null(row)
}

impl<'a, T: Argument<'a>> Argument<'a> for Option<T> {
    const VALUE: Value = Value { format: T::VALUE.format, nullable: true };

    unsafe fn read(column: &'a Column<'a>, row: usize) -> Self {
        (!column.is_null(row)).then(|| unsafe { T::read(column, row) })
    }
}

/// A type that a function can give.
pub trait Given: Sized {
    const FORMAT: u8;
    type Values: Values;

    fn add(self, to: &mut Self::Values) -> Result<(), String>;
}

/// The values of a result as they grow.
pub trait Values: Default {
    fn add_null(&mut self);

    /// The buffers behind the bitmap.
    fn buffers(self) -> Vec<Buffer>;
}

/// Memory that the host reads, and what frees it.
pub struct Buffer(*const c_void, #[allow(dead_code)] Box<dyn Any>);

fn buffer<T: 'static>(values: Vec<T>) -> Buffer {
    Buffer(values.as_ptr().cast(), Box::new(values))
}

/// What a function may return: a value, one that may be null, one that may fail.
pub trait Answer {
    type Given: Given;

    fn answer(self) -> Result<Option<Self::Given>, String>;
}

/// The type of a result, to be told to the host.
pub const fn answer<A: Answer>() -> Value {
    Value { format: A::Given::FORMAT, nullable: true }
}

impl<T: Given> Answer for Option<T> {
    type Given = T;

    fn answer(self) -> Result<Option<T>, String> {
        Ok(self)
    }
}

impl<A: Answer, E: Display> Answer for Result<A, E> {
    type Given = A::Given;

    fn answer(self) -> Result<Option<A::Given>, String> {
        self.map_err(|error| error.to_string())?.answer()
    }
}

/// Values of one size.
pub struct Fixed<T>(Vec<T>);

impl<T> Default for Fixed<T> {
    fn default() -> Self {
        Self(vec![])
    }
}

impl<T: Default + 'static> Values for Fixed<T> {
    fn add_null(&mut self) {
        self.0.push(T::default());
    }

    fn buffers(self) -> Vec<Buffer> {
        vec![buffer(self.0)]
    }
}

macro_rules! plain_answer {
    ($ty:ty) => {
        impl Answer for $ty {
            type Given = Self;

            fn answer(self) -> Result<Option<Self>, String> {
                Ok(Some(self))
            }
        }
    };
}

macro_rules! number {
    ($ty:ty, $format:literal) => {
        impl Argument<'_> for $ty {
            const VALUE: Value = Value { format: $format, nullable: false };

            unsafe fn read(column: &Column, row: usize) -> Self {
                unsafe { column.fixed(row) }
            }
        }

        impl Given for $ty {
            const FORMAT: u8 = $format;
            type Values = Fixed<Self>;

            fn add(self, to: &mut Fixed<Self>) -> Result<(), String> {
                to.0.push(self);
                Ok(())
            }
        }

        plain_answer!($ty);
    };
}

number!(i8, b'c');
number!(i16, b's');
number!(i32, b'i');
number!(i64, b'l');
number!(f32, b'f');
number!(f64, b'g');

/// One bit a value.
#[derive(Default)]
pub struct Bits {
    bytes: Vec<u8>,
    len: usize,
}

impl Bits {
    fn push(&mut self, set: bool) {
        if self.len.is_multiple_of(8) {
            self.bytes.push(0);
        }
        if let Some(last) = self.bytes.last_mut() {
            *last |= u8::from(set) << (self.len % 8);
        }
        self.len += 1;
    }
}

impl Values for Bits {
    fn add_null(&mut self) {
        self.push(false);
    }

    fn buffers(self) -> Vec<Buffer> {
        vec![buffer(self.bytes)]
    }
}

impl Argument<'_> for bool {
    const VALUE: Value = Value { format: b'b', nullable: false };

    unsafe fn read(column: &Column, row: usize) -> Self {
        unsafe { bit(column.buffer(1), column.at(row)) }
    }
}

impl Given for bool {
    const FORMAT: u8 = b'b';
    type Values = Bits;

    fn add(self, to: &mut Bits) -> Result<(), String> {
        to.push(self);
        Ok(())
    }
}

plain_answer!(bool);

/// Texts or bytes.
pub struct Pieces {
    offsets: Vec<i32>,
    bytes: Vec<u8>,
}

impl Default for Pieces {
    fn default() -> Self {
        Self { offsets: vec![0], bytes: vec![] }
    }
}

impl Pieces {
    fn push(&mut self, piece: &[u8]) -> Result<(), String> {
        let end = i32::try_from(self.bytes.len() + piece.len());
        let end = end.map_err(|_| "the results of one batch are longer than 2 GiB".to_owned())?;
        self.bytes.extend_from_slice(piece);
        self.offsets.push(end);
        Ok(())
    }
}

impl Values for Pieces {
    fn add_null(&mut self) {
        self.offsets.push(self.bytes.len() as i32);
    }

    fn buffers(self) -> Vec<Buffer> {
        vec![buffer(self.offsets), buffer(self.bytes)]
    }
}

macro_rules! pieces {
    ($ty:ty, $format:literal, $bytes:ident) => {
        impl Given for $ty {
            const FORMAT: u8 = $format;
            type Values = Pieces;

            fn add(self, to: &mut Pieces) -> Result<(), String> {
                to.push(self.$bytes())
            }
        }

        plain_answer!($ty);
    };
}

pieces!(&str, b'u', as_bytes);
pieces!(String, b'u', as_bytes);
pieces!(&[u8], b'z', as_ref);
pieces!(Vec<u8>, b'z', as_slice);

impl<'a> Argument<'a> for &'a str {
    const VALUE: Value = Value { format: b'u', nullable: false };

    unsafe fn read(column: &'a Column<'a>, row: usize) -> Self {
        // SAFETY: the host's texts are UTF-8.
        unsafe { std::str::from_utf8_unchecked(column.bytes(row)) }
    }
}

impl Argument<'_> for String {
    const VALUE: Value = <&str as Argument>::VALUE;

    unsafe fn read(column: &Column, row: usize) -> Self {
        unsafe { read::<&str>(column, row) }.to_owned()
    }
}

impl<'a> Argument<'a> for &'a [u8] {
    const VALUE: Value = Value { format: b'z', nullable: false };

    unsafe fn read(column: &'a Column<'a>, row: usize) -> Self {
        unsafe { column.bytes(row) }
    }
}

impl Argument<'_> for Vec<u8> {
    const VALUE: Value = <&[u8] as Argument>::VALUE;

    unsafe fn read(column: &Column, row: usize) -> Self {
        unsafe { column.bytes(row) }.to_vec()
    }
}

/// Calls `of` for each row and writes the outcome, as [`crate::abi::Call`] says.
///
/// # Safety
/// `result` can be written to.
pub unsafe fn run<T: Given>(
    rows: u64,
    result: *mut ArrowArray,
    mut of: impl FnMut(usize) -> Result<Option<T>, String>,
) -> i32 {
    let (made, status) = match caught(|| column(rows as usize, &mut of)) {
        Ok(made) => (made, 0),
        Err(why) => (text(&why), 1),
    };
    unsafe { result.write(made) };
    status
}

fn column<T: Given>(
    rows: usize,
    of: &mut impl FnMut(usize) -> Result<Option<T>, String>,
) -> Result<ArrowArray, String> {
    let mut values = T::Values::default();
    let mut valid = Bits::default();
    let mut nulls = 0;
    for row in 0..rows {
        let value = of(row)?;
        valid.push(value.is_some());
        match value {
            Some(value) => value.add(&mut values)?,
            None => {
                values.add_null();
                nulls += 1;
            }
        }
    }
    Ok(exported(rows, nulls, valid, values))
}

/// One text; it is cut where it is too long for an array.
fn text(text: &str) -> ArrowArray {
    let (mut values, mut valid) = (Pieces::default(), Bits::default());
    valid.push(true);
    let fits = values.push(text.as_bytes()).is_ok();
    if !fits {
        values.add_null();
    }
    exported(1, 0, valid, values)
}

/// Where the panic of a call happened.
enum Place {
    NoCall,
    Calling,
    At(String),
}

thread_local! {
    static PLACE: RefCell<Place> = const { RefCell::new(Place::NoCall) };
}

/// A panic becomes an error with its place, and prints nothing: the row is set aside with it.
fn caught<T>(of: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let others = take_hook();
        set_hook(Box::new(move |info| {
            let place = info.location().map(|at| format!(" at {at}")).unwrap_or_default();
            let ours = PLACE.with_borrow_mut(|known| match known {
                Place::NoCall => false,
                Place::Calling | Place::At(_) => {
                    *known = Place::At(place);
                    true
                }
            });
            if !ours {
                others(info);
            }
        }));
    });
    PLACE.set(Place::Calling);
    let outcome = catch_unwind(AssertUnwindSafe(of));
    let place = PLACE.replace(Place::NoCall);
    outcome.unwrap_or_else(|panic| {
        let said = panic.downcast_ref::<&str>().copied();
        let said = said.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
        let at = if let Place::At(at) = place { at } else { String::new() };
        Err(format!("panicked{at}: {}", said.unwrap_or("without words")))
    })
}

/// What an exported array keeps alive.
struct Kept {
    pointers: Vec<*const c_void>,
    #[allow(dead_code)] // freed with it
    buffers: Vec<Buffer>,
}

fn exported(rows: usize, nulls: usize, valid: Bits, values: impl Values) -> ArrowArray {
    let mut buffers = vec![buffer(valid.bytes)];
    buffers.extend(values.buffers());
    let pointers: Vec<*const c_void> = buffers.iter().map(|buffer| buffer.0).collect();
    let mut kept = Box::new(Kept { pointers, buffers });
    ArrowArray {
        length: rows as i64,
        null_count: nulls as i64,
        n_buffers: kept.pointers.len() as i64,
        buffers: kept.pointers.as_mut_ptr(),
        release: Some(release),
        private_data: Box::into_raw(kept).cast(),
        ..ArrowArray::empty()
    }
}

unsafe extern "C" fn release(array: *mut ArrowArray) {
    // SAFETY: `private_data` is the box that `exported` made, and this is called once.
    unsafe {
        drop(Box::from_raw((*array).private_data.cast::<Kept>()));
        (*array).release = None;
    }
}
