//! What every event that can be replayed offers: its time, its key and its JSON.

/// An event with an event time, a partition key and one flat JSON object.
pub trait Event {
    /// Event time in milliseconds since 1970-01-01 UTC.
    fn event_time_ms(&self) -> i64;

    /// The key that decides the Kafka partition; empty where there is none.
    fn key(&self) -> String;

    /// Appends the event as one flat JSON object, without a line break.
    fn write_json(&self, out: &mut Vec<u8>);

    /// The event's JSON as a string; allocates, for tests and small volumes.
    fn to_json(&self) -> String {
        let mut out = Vec::with_capacity(256);
        self.write_json(&mut out);
        String::from_utf8(out).expect("write_json writes only strings and ASCII")
    }
}
