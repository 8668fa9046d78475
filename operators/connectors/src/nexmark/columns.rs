//! Nexmark's events as rows: one column a kind, in whose rows the other two are null.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, Int32Array, Int64Array, RecordBatch, StringArray, StructArray,
    TimestampMillisecondArray,
};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef, TimeUnit};
use nowcast_engine::Result;

use super::{Event, Settings, event};

const TIME: DataType = DataType::Timestamp(TimeUnit::Millisecond, None);

/// `event_type INT` (0 person, 1 auction, 2 bid), `person ROW<…>`, `auction ROW<…>`, `bid ROW<…>`, as
/// Nexmark's own table has them.
pub fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("event_type", DataType::Int32, true),
        Field::new("person", DataType::Struct(person_fields()), true),
        Field::new("auction", DataType::Struct(auction_fields()), true),
        Field::new("bid", DataType::Struct(bid_fields()), true),
    ]))
}

fn fields(of: &[(&str, DataType)]) -> Fields {
    of.iter().map(|(name, of)| Field::new(*name, of.clone(), true)).collect()
}

fn person_fields() -> Fields {
    fields(&[
        ("id", DataType::Int64),
        ("name", DataType::Utf8),
        ("emailAddress", DataType::Utf8),
        ("creditCard", DataType::Utf8),
        ("city", DataType::Utf8),
        ("state", DataType::Utf8),
        ("dateTime", TIME),
        ("extra", DataType::Utf8),
    ])
}

fn auction_fields() -> Fields {
    fields(&[
        ("id", DataType::Int64),
        ("itemName", DataType::Utf8),
        ("description", DataType::Utf8),
        ("initialBid", DataType::Int64),
        ("reserve", DataType::Int64),
        ("dateTime", TIME),
        ("expires", TIME),
        ("seller", DataType::Int64),
        ("category", DataType::Int64),
        ("extra", DataType::Utf8),
    ])
}

fn bid_fields() -> Fields {
    fields(&[
        ("auction", DataType::Int64),
        ("bidder", DataType::Int64),
        ("price", DataType::Int64),
        ("channel", DataType::Utf8),
        ("url", DataType::Utf8),
        ("dateTime", TIME),
        ("extra", DataType::Utf8),
    ])
}

/// The events of these numbers, in the columns of [`schema`].
pub fn rows(settings: &Settings, numbers: Range<u64>) -> Result<RecordBatch> {
    let events: Vec<Event> = numbers.map(|n| event(settings, n)).collect();
    let kind = |event: &Event| match event {
        Event::Person(_) => 0,
        Event::Auction(_) => 1,
        Event::Bid(_) => 2,
    };
    let kinds: Int32Array = events.iter().map(kind).map(Some).collect();
    let people = only(&events, |event| match event {
        Event::Person(person) => Some(person),
        _ => None,
    });
    let auctions = only(&events, |event| match event {
        Event::Auction(auction) => Some(auction),
        _ => None,
    });
    let bids = only(&events, |event| match event {
        Event::Bid(bid) => Some(bid),
        _ => None,
    });
    let person = row(
        person_fields(),
        &people,
        vec![
            ints(&people, |person| person.id),
            texts(&people, |person| &person.name),
            texts(&people, |person| &person.email_address),
            texts(&people, |person| &person.credit_card),
            texts(&people, |person| person.city),
            texts(&people, |person| person.state),
            times(&people, |person| person.time_ms),
            texts(&people, |person| &person.extra),
        ],
    )?;
    let auction = row(
        auction_fields(),
        &auctions,
        vec![
            ints(&auctions, |auction| auction.id),
            texts(&auctions, |auction| &auction.item_name),
            texts(&auctions, |auction| &auction.description),
            ints(&auctions, |auction| auction.initial_bid),
            ints(&auctions, |auction| auction.reserve),
            times(&auctions, |auction| auction.time_ms),
            times(&auctions, |auction| auction.expires_ms),
            ints(&auctions, |auction| auction.seller),
            ints(&auctions, |auction| auction.category),
            texts(&auctions, |auction| &auction.extra),
        ],
    )?;
    let bid = row(
        bid_fields(),
        &bids,
        vec![
            ints(&bids, |bid| bid.auction),
            ints(&bids, |bid| bid.bidder),
            ints(&bids, |bid| bid.price),
            texts(&bids, |bid| &bid.channel),
            texts(&bids, |bid| &bid.url),
            times(&bids, |bid| bid.time_ms),
            texts(&bids, |bid| &bid.extra),
        ],
    )?;
    Ok(RecordBatch::try_new(schema(), vec![Arc::new(kinds), person, auction, bid])?)
}

/// One kind of events; nothing in place of the others.
fn only<T>(events: &[Event], of: fn(&Event) -> Option<&T>) -> Vec<Option<&T>> {
    events.iter().map(of).collect()
}

/// A ROW column that is null where there is no event of its kind.
fn row<T>(fields: Fields, events: &[Option<&T>], columns: Vec<ArrayRef>) -> Result<ArrayRef> {
    let valid: NullBuffer = events.iter().map(Option::is_some).collect();
    Ok(Arc::new(StructArray::try_new(fields, columns, Some(valid))?))
}

fn ints<T>(events: &[Option<&T>], of: fn(&T) -> i64) -> ArrayRef {
    Arc::new(events.iter().map(|event| event.map(of)).collect::<Int64Array>())
}

fn times<T>(events: &[Option<&T>], of: fn(&T) -> i64) -> ArrayRef {
    Arc::new(events.iter().map(|event| event.map(of)).collect::<TimestampMillisecondArray>())
}

fn texts<T>(events: &[Option<&T>], of: fn(&T) -> &str) -> ArrayRef {
    Arc::new(events.iter().map(|event| event.map(of)).collect::<StringArray>())
}
