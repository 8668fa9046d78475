//! The layout of JSON objects, learned from them.
//!
//! The text between two values of an object (`,"country":`) repeats from message to message: it is learned as
//! a literal, together with the literals that followed it. A message is then read as a literal to
//! compare, a value, a literal, a value. A message that has another text somewhere is no error: it is
//! read in the general way, and its literals are learned.

use std::borrow::Cow;

use arrow::datatypes::FieldRef;
use serde::Deserialize as _;
use serde_json::value::RawValue;

/// Literals known at a time, several hundred bytes each with what belongs to them: enough for the orders and spacings of
/// a few producers. More kinds of objects than that repeat too little for learning to pay.
const LITERALS_MAX: usize = 128;
/// A message that is not read by the layout costs as much as this many that are: the comparison in
/// vain and the learning against what reading by the layout saves.
const MISS: i32 = 8;
/// How many misses in a row are put up with.
const CREDIT_MAX: i32 = 64 * MISS;
/// After that so many messages are read without the layout, and it is learned from the beginning.
const REST: u32 = 16_384;

/// What stands behind a literal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Then {
    /// The value of a field, by its position.
    Field(usize),
    /// A value that nobody reads.
    Skip,
    /// Nothing: the object is complete.
    End,
}

/// A literal by its position among those known; [`START`] stands in front of the first.
pub type LiteralId = usize;

pub const START: LiteralId = 0;
const NONE: LiteralId = usize::MAX;

struct Literal {
    text: Box<[u8]>,
    then: Then,
    /// Whether it begins an object.
    opens: bool,
    /// The two that came last behind it, the latest first.
    followers: [LiteralId; 2],
}

impl Literal {
    fn new(text: &[u8], then: Then, opens: bool) -> Self {
        Self { text: text.into(), then, opens, followers: [NONE; 2] }
    }

    #[inline]
    fn is_at(&self, message: &[u8], at: usize) -> bool {
        message.get(at..at + self.text.len()).is_some_and(|found| equal(found, &self.text))
    }

    fn follow(&mut self, id: LiteralId) {
        if self.followers[0] != id {
            self.followers = [id, self.followers[0]];
        }
    }
}

/// Compares texts of equal length, which most often have 4 to 32 bytes: two overlapping words each,
/// without a call.
#[inline]
fn equal(a: &[u8], b: &[u8]) -> bool {
    if let (Some(head_a), Some(head_b)) = (a.first_chunk::<16>(), b.first_chunk::<16>()) {
        let tails = a.last_chunk::<16>() == b.last_chunk::<16>();
        return head_a == head_b && tails && (a.len() <= 32 || a == b);
    }
    if let (Some(head_a), Some(head_b)) = (a.first_chunk::<8>(), b.first_chunk::<8>()) {
        return head_a == head_b && a.last_chunk::<8>() == b.last_chunk::<8>();
    }
    match (a.first_chunk::<4>(), b.first_chunk::<4>()) {
        (Some(head_a), Some(head_b)) => {
            head_a == head_b && a.last_chunk::<4>() == b.last_chunk::<4>()
        }
        _ => a == b,
    }
}

pub struct Layout {
    literals: Vec<Literal>,
    credit: i32,
    /// Messages that are yet to be read without the layout.
    rest: u32,
}

impl Layout {
    pub fn new() -> Self {
        let start = Literal::new(&[], Then::Skip, false);
        Self { literals: vec![start], credit: CREDIT_MAX, rest: 0 }
    }

    /// One that learns nothing for as long as a test lasts.
    #[cfg(test)]
    pub fn never() -> Self {
        Self { rest: u32::MAX, ..Self::new() }
    }

    /// Whether the next message should be tried.
    #[inline]
    pub fn is_worth_it(&mut self) -> bool {
        if self.rest > 0 {
            self.rest -= 1;
            return false;
        }
        true
    }

    /// The literal at `at` that can stand behind `before`, with its length and what comes then.
    #[inline]
    pub fn next(
        &mut self,
        message: &[u8],
        at: usize,
        before: LiteralId,
    ) -> Option<(LiteralId, usize, Then)> {
        let guesses = self.literals[before].followers;
        let is_at = |id: &LiteralId| {
            self.literals.get(*id).is_some_and(|literal| literal.is_at(message, at))
        };
        let id = match guesses.iter().find(|id| is_at(id)) {
            Some(id) => *id,
            None => self.search(message, at, before)?,
        };
        let literal = &self.literals[id];
        Some((id, literal.text.len(), literal.then))
    }

    #[cold]
    fn search(&mut self, message: &[u8], at: usize, before: LiteralId) -> Option<LiteralId> {
        let fits =
            |literal: &Literal| literal.opens == (before == START) && literal.is_at(message, at);
        let id = self.literals.iter().skip(1).position(fits)? + 1;
        self.literals[before].follow(id);
        Some(id)
    }

    /// A message was read by the layout.
    #[inline]
    pub fn hit(&mut self) {
        self.credit = (self.credit + 1).min(CREDIT_MAX);
    }

    /// An object was tried, and read in the general way.
    pub fn miss(&mut self) {
        self.credit -= MISS;
        if self.credit < 0 {
            *self = Self { rest: REST, ..Self::new() };
        }
    }

    /// Takes in the literals of the object at `at`, which is known to be valid JSON. Each value of a field is
    /// shown, by field and place.
    pub fn learn(
        &mut self,
        message: &[u8],
        at: usize,
        fields: &[FieldRef],
        each: impl FnMut(usize, usize),
    ) {
        if self.rest == 0 {
            // What remains unlearned is met again.
            let _ = self.learn_object(message, at, fields, each);
        }
    }

    fn learn_object(
        &mut self,
        message: &[u8],
        start: usize,
        fields: &[FieldRef],
        mut each: impl FnMut(usize, usize),
    ) -> Option<()> {
        let (mut start, mut before) = (start, START);
        loop {
            let opens = before == START;
            let mark = skip_space(message, start);
            let at = skip_space(message, mark + 1);
            let (then, end) = match (opens, message.get(mark)?) {
                (false, b'}') => (Then::End, mark + 1),
                (true, b'{') if message.get(at) == Some(&b'}') => (Then::End, at + 1),
                (true, b'{') | (false, b',') => {
                    let key = value(message, at)?;
                    let name = serde_json::from_str::<Cow<'_, str>>(key).ok()?;
                    let field = fields.iter().position(|field| *field.name() == *name);
                    let colon = skip_space(message, at + key.len());
                    (field.map_or(Then::Skip, Then::Field), skip_space(message, colon + 1))
                }
                _ => return None,
            };
            before = self.add(before, &message[start..end], then)?;
            match then {
                Then::End => return Some(()),
                Then::Field(field) => each(field, end),
                Then::Skip => {}
            }
            start = end + value(message, end)?.len();
        }
    }

    fn add(&mut self, before: LiteralId, text: &[u8], then: Then) -> Option<LiteralId> {
        let opens = before == START;
        let same = |literal: &Literal| literal.opens == opens && *literal.text == *text;
        let known = self.literals.iter().skip(1).position(same).map(|at| at + 1);
        let id = known.unwrap_or(self.literals.len());
        if id == LITERALS_MAX {
            return None;
        }
        if known.is_none() {
            self.literals.push(Literal::new(text, then, opens));
        }
        self.literals[before].follow(id);
        Some(id)
    }
}

/// The value at `at`, which must be JSON; `None` where it is none, or begins with a space.
pub fn value(message: &[u8], at: usize) -> Option<&str> {
    let rest = message.get(at..)?;
    if matches!(rest.first()?, b' ' | b'\t' | b'\n' | b'\r') {
        return None;
    }
    let mut json = serde_json::Deserializer::from_slice(rest);
    <&RawValue>::deserialize(&mut json).ok().map(RawValue::get)
}

/// Where the spaces of JSON end that begin at `start`.
pub fn skip_space(message: &[u8], start: usize) -> usize {
    let rest = message.get(start..).unwrap_or_default();
    let space = |byte: &&u8| matches!(byte, b' ' | b'\t' | b'\n' | b'\r');
    start + rest.iter().take_while(space).count()
}
