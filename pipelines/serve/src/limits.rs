//! What one client, and all of them together, may take of the server.

use std::num::NonZeroU32;
use std::time::Duration;

/// Each reached limit is an answer in words and a count in `nowcast_http_refused_total`.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Open connections; one more is answered 503.
    pub connections_max: usize,
    /// Requests a second of one address, and as many at once: above 429. Networks of IPv6 of 64 bits
    /// are one address.
    pub requests_per_second_max: NonZeroU32,
    /// Bytes of a request's body: above 413.
    pub body_bytes_max: usize,
    /// Bytes of a request's headers: above 431.
    pub header_bytes_max: usize,
    /// How long a client may take to send its headers, and the server to answer them: then 503.
    pub timeout: Duration,
}

impl Limits {
    /// Twice the clients of feeds: look-ups always find a place.
    pub const CONNECTIONS_MAX: usize = 2_048;
    /// More than one machine asks of look-ups that take half a millisecond.
    pub const REQUESTS_PER_SECOND_MAX: NonZeroU32 = NonZeroU32::new(10_000).unwrap();
    /// No request has a body yet.
    pub const BODY_BYTES_MAX: usize = 65_536;
    /// What proxies and other servers take.
    pub const HEADER_BYTES_MAX: usize = 16_384;
    /// A store that takes longer is as good as none.
    pub const TIMEOUT: Duration = Duration::from_secs(10);
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections_max: Self::CONNECTIONS_MAX,
            requests_per_second_max: Self::REQUESTS_PER_SECOND_MAX,
            body_bytes_max: Self::BODY_BYTES_MAX,
            header_bytes_max: Self::HEADER_BYTES_MAX,
            timeout: Self::TIMEOUT,
        }
    }
}
