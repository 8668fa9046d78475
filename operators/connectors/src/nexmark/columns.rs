//! Nexmark's events as columns.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{
    ArrayBuilder, ArrayRef, Int32Array, Int64Array, RecordBatch, StringBuilder, StructArray,
    TimestampMillisecondArray, new_null_array,
};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef, TimeUnit};
use nowcast_engine::{Result, TableDefinition};

use super::Settings;
use super::event::{Event, Kind, channels};

const TIME: DataType = DataType::Timestamp(TimeUnit::Millisecond, None);

/// How the values of a field are made up.
#[derive(Clone, Copy)]
enum Values {
    Number(fn(Event<'_>) -> i64),
    Time(fn(Event<'_>) -> i64),
    Text(fn(Event<'_>, &mut String)),
    Channel,
    Url,
}

impl Values {
    fn data_type(self) -> DataType {
        match self {
            Self::Number(_) => DataType::Int64,
            Self::Time(_) => TIME,
            Self::Text(_) | Self::Channel | Self::Url => DataType::Utf8,
        }
    }
}

/// Names and values, in the order of the table's rows.
type Of = &'static [(&'static str, Values)];

const PERSON: Of = &[
    ("id", Values::Number(|event| event.person_id())),
    ("name", Values::Text(|event, to| event.name(to))),
    ("emailAddress", Values::Text(|event, to| event.email(to))),
    ("creditCard", Values::Text(|event, to| event.credit_card(to))),
    ("city", Values::Text(|event, to| event.city(to))),
    ("state", Values::Text(|event, to| event.state(to))),
    ("dateTime", Values::Time(|event| event.time_ms())),
    ("extra", Values::Text(|event, to| event.person_extra(to))),
];

const AUCTION: Of = &[
    ("id", Values::Number(|event| event.auction_id())),
    ("itemName", Values::Text(|event, to| event.item_name(to))),
    ("description", Values::Text(|event, to| event.description(to))),
    ("initialBid", Values::Number(|event| event.initial_bid())),
    ("reserve", Values::Number(|event| event.reserve())),
    ("dateTime", Values::Time(|event| event.time_ms())),
    ("expires", Values::Time(|event| event.expires_ms())),
    ("seller", Values::Number(|event| event.seller())),
    ("category", Values::Number(|event| event.category())),
    ("extra", Values::Text(|event, to| event.auction_extra(to))),
];

const BID: Of = &[
    ("auction", Values::Number(|event| event.auction())),
    ("bidder", Values::Number(|event| event.bidder())),
    ("price", Values::Number(|event| event.price())),
    ("channel", Values::Channel),
    ("url", Values::Url),
    ("dateTime", Values::Time(|event| event.time_ms())),
    ("extra", Values::Text(|event, to| event.bid_extra(to))),
];

/// The columns after `event_type`, in the order of their kinds' numbers.
const KINDS: [(&str, Of, Kind); 3] = [
    ("person", PERSON, Kind::Person),
    ("auction", AUCTION, Kind::Auction),
    ("bid", BID, Kind::Bid),
];

/// `event_type INT` (0 person, 1 auction, 2 bid), `person ROW<…>`, `auction ROW<…>`, `bid ROW<…>`, as
/// Nexmark's own table has them.
pub fn schema() -> SchemaRef {
    let row = |(name, of, _): &(_, Of, _)| Field::new(*name, DataType::Struct(fields(of)), true);
    let kind = Field::new("event_type", DataType::Int32, true);
    Arc::new(Schema::new([vec![kind], KINDS.iter().map(row).collect()].concat()))
}

fn fields(of: Of) -> Fields {
    of.iter().map(|(name, values)| Field::new(*name, values.data_type(), true)).collect()
}

/// Makes up events in the columns of [`schema`].
pub struct Columns {
    settings: Settings,
    schema: SchemaRef,
    /// Of each kind and field: whether anybody reads it. The others are null.
    read: [Vec<bool>; 3],
    /// Name and URL by number.
    channels: Vec<(String, String)>,
}

impl Columns {
    pub fn new(settings: Settings) -> Self {
        Self::reading(settings, |_, _| true)
    }

    /// Only what is read of a table.
    pub(super) fn of(settings: Settings, table: &TableDefinition) -> Self {
        let columns = table.schema.fields().iter().enumerate();
        let read: Vec<&str> = columns
            .filter(|(at, _)| !table.unread.contains(at))
            .map(|(_, field)| field.name().as_str())
            .collect();
        let unread =
            |row: &str, field: &str| table.unread_fields.iter().any(|path| *path == [row, field]);
        Self::reading(settings, |row, field| read.contains(&row) && !unread(row, field))
    }

    fn reading(settings: Settings, read: impl Fn(&str, &str) -> bool) -> Self {
        let named = ["channel", "url"].iter().any(|field| read("bid", field));
        let channels = if named { channels(&settings) } else { vec![] };
        let read = KINDS.map(|(row, of, _)| of.iter().map(|(field, _)| read(row, field)).collect());
        Self { settings, schema: schema(), read, channels }
    }

    /// The events of these numbers.
    ///
    /// # Errors
    /// None but for columns that do not fit.
    pub fn rows(&self, numbers: Range<u64>) -> Result<RecordBatch> {
        let event = |n| Event { settings: &self.settings, n };
        let kinds: Vec<Kind> = numbers.clone().map(|n| event(n).kind()).collect();
        let mut columns: Vec<ArrayRef> =
            vec![Arc::new(kinds.iter().map(|kind| *kind as i32).collect::<Int32Array>())];
        for ((_, of, kind), read) in KINDS.iter().zip(&self.read) {
            let places: Vec<usize> = (0..kinds.len()).filter(|at| kinds[*at] == *kind).collect();
            let events: Vec<Event<'_>> =
                places.iter().map(|at| event(numbers.start + *at as u64)).collect();
            let valid: NullBuffer = kinds.iter().map(|of| of == kind).collect();
            let some = OfKind { events: &events, places: &places, valid: &valid };
            let field = |((_, values), read): (&(&str, Values), &bool)| match read {
                true => self.field(*values, &some),
                false => new_null_array(&values.data_type(), kinds.len()),
            };
            let values = of.iter().zip(read).map(field).collect();
            columns.push(Arc::new(StructArray::try_new(fields(of), values, Some(valid.clone()))?));
        }
        Ok(RecordBatch::try_new(Arc::clone(&self.schema), columns)?)
    }

    fn field(&self, values: Values, of: &OfKind<'_>) -> ArrayRef {
        match values {
            Values::Number(make) => Arc::new(Int64Array::new(of.numbers(make).into(), of.valid())),
            Values::Time(make) => {
                Arc::new(TimestampMillisecondArray::new(of.numbers(make).into(), of.valid()))
            }
            Values::Text(make) => {
                let mut text = String::new();
                of.texts(|event, to| {
                    text.clear();
                    make(event, &mut text);
                    to.append_value(&text);
                })
            }
            Values::Channel => {
                of.texts(|event, to| to.append_value(&self.channels[event.channel()].0))
            }
            Values::Url => of.texts(|event, to| to.append_value(&self.channels[event.channel()].1)),
        }
    }
}

/// The events of one kind among those of a batch.
struct OfKind<'a> {
    events: &'a [Event<'a>],
    /// Where they are in the batch.
    places: &'a [usize],
    valid: &'a NullBuffer,
}

impl<'a> OfKind<'a> {
    fn valid(&self) -> Option<NullBuffer> {
        Some(self.valid.clone())
    }

    fn numbers(&self, make: fn(Event<'_>) -> i64) -> Vec<i64> {
        let mut numbers = vec![0; self.valid.len()];
        for (event, at) in self.events.iter().zip(self.places) {
            numbers[*at] = make(*event);
        }
        numbers
    }

    fn texts(&self, mut append: impl FnMut(Event<'a>, &mut StringBuilder)) -> ArrayRef {
        let mut texts = StringBuilder::new();
        for (event, at) in self.events.iter().zip(self.places) {
            texts.append_nulls(at - texts.len());
            append(*event, &mut texts);
        }
        texts.append_nulls(self.valid.len() - texts.len());
        Arc::new(texts.finish())
    }
}
