//! The ring and its subscriptions: order, resume, gaps, slow clients.

use super::*;

fn rows(keys: std::ops::Range<u64>, of: u64) -> Vec<(String, Option<String>)> {
    keys.map(|n| (format!("{n}"), Some(format!("{}", n % of)))).collect()
}

fn shown(deliveries: &[Delivery]) -> Vec<String> {
    let show = |delivery: &Delivery| match delivery {
        Delivery::Row(row) => format!("{}={}", row.id, row.json),
        Delivery::Skipped(rows) => format!("skipped {rows}"),
        Delivery::Gap => "gap".to_owned(),
    };
    deliveries.iter().map(show).collect()
}

fn id(text: &str) -> Start {
    Start::After(text.parse().unwrap())
}

#[test]
fn rows_come_in_order_with_ids_that_only_grow() {
    let feed = Arc::new(Feed::new());
    let mut client = feed.subscribe(Start::Tail(0));
    feed.publish(3, 2, rows(0..2, 9));
    feed.publish(4, 1, rows(2..3, 9));
    feed.publish(3, 1, rows(3..4, 9));
    assert_eq!(shown(&client.take()), ["3:0=0", "3:1=1", "4:0=2", "4:1=3"]);
    assert!(client.take().is_empty());
}

#[test]
fn a_client_resumes_after_the_row_it_saw() {
    let feed = Arc::new(Feed::new());
    feed.publish(1, 3, rows(0..3, 9));
    assert_eq!(shown(&feed.subscribe(id("1:0")).take()), ["1:1=1", "1:2=2"]);
    assert!(feed.subscribe(id("1:2")).take().is_empty());
    assert_eq!(shown(&feed.subscribe(Start::Tail(1)).take()), ["1:2=2"]);
}

#[test]
fn a_row_that_left_the_ring_or_was_never_there_is_a_gap() {
    let feed = Arc::new(Feed::new());
    assert_eq!(shown(&feed.subscribe(id("7:3")).take()), ["gap"]);
    let more = RING_ROWS_MAX as u64 + 2;
    feed.publish(1, more, rows(0..more, more));
    let resumed = feed.subscribe(id("1:0")).take();
    assert_eq!(shown(&resumed[..2]), ["gap", "1:2=2"]);
    let seamless = feed.subscribe(id("1:1")).take();
    assert_eq!(shown(&seamless[..1]), ["1:2=2"], "all after the last evicted row is there");
}

#[test]
fn rows_passed_over_in_a_large_batch_still_count() {
    let feed = Arc::new(Feed::new());
    feed.publish(1, 1, rows(0..1, 9));
    let mut client = feed.subscribe(Start::Tail(9));
    feed.publish(1, 10, rows(9..11, 9));
    assert_eq!(shown(&client.take()), ["skipped 9", "1:9=9", "1:10=10"]);
    assert_eq!(feed.reading().rows, 11);
    assert_eq!(shown(&feed.subscribe(id("1:8")).take()), ["1:9=9", "1:10=10"]);
}

#[test]
fn a_client_far_behind_gets_the_newest_row_of_each_key() {
    let feed = Arc::new(Feed::new());
    let mut slow = feed.subscribe(Start::Tail(0));
    feed.publish(1, 1_000, rows(0..1_000, 3));
    let got = shown(&slow.take());
    assert_eq!(got, ["skipped 997", "1:997=997", "1:998=998", "1:999=999"]);
}

#[test]
fn a_client_that_resumes_gets_every_row_in_pieces() {
    let feed = Arc::new(Feed::new());
    feed.publish(1, 1_000, rows(0..1_000, 3));
    let mut client = feed.subscribe(Start::Tail(1_000));
    let mut seen = Vec::new();
    loop {
        let piece = client.take();
        if piece.is_empty() {
            break;
        }
        assert!(piece.len() as u64 <= BEHIND_ROWS_MAX);
        seen.extend(shown(&piece));
    }
    let all: Vec<String> = (0..1_000).map(|n| format!("1:{n}={n}")).collect();
    assert_eq!(seen, all);
}

#[test]
fn rows_without_a_key_are_skipped_only_when_they_leave_the_ring() {
    let feed = Arc::new(Feed::new());
    let mut slow = feed.subscribe(Start::Tail(0));
    let more = RING_ROWS_MAX as u64 + 5;
    feed.publish(1, more, (0..more).map(|n| (n.to_string(), None)).collect());
    let got = slow.take();
    assert_eq!(got.len(), RING_ROWS_MAX + 1);
    assert_eq!(shown(&got[..2]), ["skipped 5", "1:5=5"]);
}

#[test]
fn wide_rows_are_bound_by_their_bytes() {
    let feed = Arc::new(Feed::new());
    let wide = "x".repeat(RING_BYTES_MAX / 4);
    feed.publish(1, 6, vec![(wide, None); 6]);
    assert_eq!(feed.reading().oldest.unwrap(), "1:2");
    feed.publish(1, 1, vec![("x".repeat(RING_BYTES_MAX * 2), None)]);
    assert_eq!(feed.reading().oldest.unwrap(), "1:6", "the newest row stays, however wide");
}

#[tokio::test]
async fn a_closed_feed_ends_after_its_last_row() {
    let feed = Arc::new(Feed::new());
    let mut client = feed.subscribe(Start::Tail(0));
    feed.publish(1, 1, rows(0..1, 9));
    feed.close();
    assert_eq!(shown(&client.next().await.unwrap()), ["1:0=0"]);
    assert!(client.next().await.is_none());
    feed.publish(1, 1, rows(1..2, 9));
    assert!(feed.subscribe(Start::Tail(0)).next().await.is_none(), "closed stays closed");
}
