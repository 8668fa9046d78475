//! The contract of stores, checked on the embedded one always and on Redis where `NOWCAST_REDIS` names
//! one (`redis://127.0.0.1:6379`), and on a cluster where `NOWCAST_REDIS_CLUSTER` does.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use nowcast_engine::ErrorKind;
use xxhash_rust::xxh3::xxh3_64;

use super::*;

fn put<'a>(
    key: &'a str,
    set: &[(&'a str, &'a str)],
    remove: &[&'a str],
    ttl_ms: Option<u64>,
) -> Write<'a> {
    Write::Put {
        key,
        set: set.to_vec(),
        remove: remove.to_vec(),
        ttl: ttl_ms.map(Duration::from_millis),
        field_ttls: vec![],
    }
}

fn fields(pairs: &[(&str, &str)]) -> Option<Fields> {
    Some(pairs.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect())
}

async fn contract(store: &dyn Store, prefix: &str) {
    let key = |name: &str| format!("{prefix}{name}");
    let (a, b, c, never) = (key("a"), key("b"), key("c"), key("never"));
    store
        .put(&[
            put(&b, &[("y", "2"), ("x", "1")], &[], None),
            put(&a, &[("x", "ä\n\0")], &["gone"], Some(3_600_000)),
            put(&c, &[("x", "1")], &[], None),
            Write::Delete { key: &c },
            put(&b, &[("x", "3")], &["y"], None),
            put(&never, &[], &["x"], None),
        ])
        .await
        .unwrap();
    assert_eq!(store.get(&b).await.unwrap(), fields(&[("x", "3")]));
    let all = store.multi_get(&[a.clone(), c.clone(), b.clone()]).await.unwrap();
    assert_eq!(all, [fields(&[("x", "ä\n\0")]), None, fields(&[("x", "3")])]);
    assert_eq!(store.scan(prefix, 10).await.unwrap(), [a.clone(), b.clone()]);
    assert_eq!(store.scan(prefix, 1).await.unwrap().len(), 1);
    assert_eq!(store.scan(&key("b*"), 10).await.unwrap(), [] as [String; 0]);
    // A key whose last field goes is gone.
    store.put(&[put(&b, &[], &["x"], None)]).await.unwrap();
    assert_eq!(store.get(&b).await.unwrap(), None);
    // More than one pipeline holds.
    let keys = (0..2_500).map(|n| key(&format!("many:{n:04}"))).collect::<Vec<_>>();
    let many: Vec<_> = keys.iter().map(|key| put(key, &[("n", "1")], &[], None)).collect();
    store.put(&many).await.unwrap();
    assert_eq!(store.scan(&key("many:"), 9_999).await.unwrap().len(), 2_500);
    assert!(store.multi_get(&keys).await.unwrap().iter().all(Option::is_some));
    let gone: Vec<_> = keys.iter().chain([&a]).map(|key| Write::Delete { key }).collect();
    store.put(&gone).await.unwrap();
    assert_eq!(store.scan(prefix, 10).await.unwrap(), [] as [String; 0]);
}

#[tokio::test]
async fn the_embedded_store_keeps_the_contract() {
    contract(&EmbeddedStore::in_memory(), "t:").await;
    let dir = tempfile::tempdir().unwrap();
    contract(&EmbeddedStore::open(dir.path()).unwrap(), "t:").await;
}

#[tokio::test]
async fn redis_keeps_the_contract() {
    let Ok(url) = std::env::var("NOWCAST_REDIS") else {
        println!("skipped: NOWCAST_REDIS names no server");
        return;
    };
    let prefix = format!("nowcast-test[{}]:", std::process::id());
    contract(&RedisStore::connect(&url).await.unwrap(), &prefix).await;
}

#[tokio::test]
async fn a_redis_cluster_keeps_the_contract() {
    let Ok(url) = std::env::var("NOWCAST_REDIS_CLUSTER") else {
        println!("skipped: NOWCAST_REDIS_CLUSTER names no server");
        return;
    };
    let prefix = format!("nowcast-test[{}]:", std::process::id());
    let address = RedisAddress::parse(&url).unwrap().in_cluster(&[]).unwrap();
    contract(&RedisStore::open(&address, Patience::default()).await.unwrap(), &prefix).await;
}

#[tokio::test]
async fn an_unreachable_redis_is_named() {
    let error = RedisStore::connect("redis://user:secret@127.0.0.1:1/0").await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Outside);
    let message = error.to_string();
    assert!(message.starts_with("redis 127.0.0.1:1 unreachable: "), "{message}");
    assert!(!message.contains("secret"), "{message}");
    let error = RedisStore::connect("rodis://x").await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::User);
}

#[test]
fn what_was_written_is_there_after_a_restart_and_a_torn_end_is_cut() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Arc::new(AtomicI64::new(1_000));
    let open = || {
        let clock = Arc::clone(&clock);
        EmbeddedStore::open_with_clock(dir.path(), move || clock.load(Ordering::Relaxed)).unwrap()
    };
    let store = open();
    store.write(&[put("a", &[("x", "1")], &[], Some(100))]).unwrap();
    store.write(&[put("b", &[("x", "1")], &[], None), put("c", &[("x", "1")], &[], None)]).unwrap();
    store.write(&[Write::Delete { key: "c" }]).unwrap();
    assert!(EmbeddedStore::open(dir.path()).err().unwrap().to_string().contains("in use"));
    drop(store);
    let path = dir.path().join("store.log");
    let whole = std::fs::read(&path).unwrap();
    // Whatever the length of the torn end, the whole entries before it are there.
    for torn in [&whole[..5], &whole[..whole.len() - 1], &[0xff; 20]] {
        std::fs::write(&path, [whole.as_slice(), torn].concat()).unwrap();
        clock.store(1_050, Ordering::Relaxed);
        let store = open();
        assert_eq!(store.keys("", 10)[..2], ["a", "b"]);
        store.write(&[put("b", &[("x", "2")], &[], None)]).unwrap();
        clock.store(1_100, Ordering::Relaxed);
        assert_eq!(store.read("a"), None, "its time is up");
        drop(store);
        assert_eq!(open().read("b"), fields(&[("x", "2")]));
    }
}

#[test]
fn the_log_does_not_grow_with_the_writes() {
    let dir = tempfile::tempdir().unwrap();
    let store = EmbeddedStore::open(dir.path()).unwrap();
    let value = "v".repeat(1_000);
    for round in 0..200 {
        let (round, keys) = (round.to_string(), (0..100).map(|n| format!("k{n}")));
        for key in keys {
            let set = [("value", value.as_str()), ("round", round.as_str())];
            store.write(&[put(&key, &set, &[], None)]).unwrap();
        }
    }
    let length = std::fs::metadata(dir.path().join("store.log")).unwrap().len();
    assert!(length < 4_300_000, "{length} bytes");
    drop(store);
    let store = EmbeddedStore::open(dir.path()).unwrap();
    assert_eq!(store.len(), 100);
    assert_eq!(store.read("k7").unwrap()[0], ("round".into(), "199".into()));
}

#[test]
fn a_log_of_json_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let entry = |body: &str| {
        let head =
            [(body.len() as u32).to_le_bytes(), (xxh3_64(body.as_bytes()) as u32).to_le_bytes()];
        [head.concat(), body.as_bytes().to_vec()].concat()
    };
    let entries = [
        r#"{"key":"a","put":{"set":[["x","1\n"],["y","2"]],"expires":99999999999999}}"#,
        r#"{"key":"a","put":{"set":[],"remove":["y"]}}"#,
        r#"{"key":"b","put":{"set":[["x","1"]]}}"#,
        r#"{"key":"b","put":null}"#,
    ];
    std::fs::write(dir.path().join("store.log"), entries.map(entry).concat()).unwrap();
    let store = EmbeddedStore::open(dir.path()).unwrap();
    assert_eq!((store.read("a"), store.len()), (fields(&[("x", "1\n")]), 1));
}

#[test]
fn what_had_not_expired_when_it_was_written_to_is_whole_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Arc::new(AtomicI64::new(0));
    let open = || {
        let clock = Arc::clone(&clock);
        EmbeddedStore::open_with_clock(dir.path(), move || clock.load(Ordering::Relaxed)).unwrap()
    };
    let store = open();
    store.write(&[put("a", &[("x", "1")], &[], Some(60))]).unwrap();
    store.write(&[put("b", &[("x", "1")], &[], Some(60))]).unwrap();
    clock.store(50, Ordering::Relaxed);
    store.write(&[put("a", &[("y", "2")], &[], Some(60))]).unwrap();
    store.write(&[put("b", &[("y", "2")], &[], None)]).unwrap();
    drop(store);
    clock.store(90, Ordering::Relaxed);
    let store = open();
    assert_eq!(store.read("a"), fields(&[("x", "1"), ("y", "2")]));
    assert_eq!(store.read("b"), None);
    assert_eq!(store.len(), 1);
}

#[test]
fn a_time_that_is_put_off_or_brought_forward_counts() {
    let clock = Arc::new(AtomicI64::new(0));
    let now = Arc::clone(&clock);
    let store = EmbeddedStore::with_clock(move || now.load(Ordering::Relaxed));
    for ttl in [10, 100, 50] {
        store.write(&[put("a", &[("x", "1")], &[], Some(ttl))]).unwrap();
    }
    store.write(&[put("b", &[("x", "1")], &[], Some(30)), Write::Delete { key: "b" }]).unwrap();
    store.write(&[put("b", &[("x", "1")], &[], Some(40))]).unwrap();
    let held = |at: i64| {
        clock.store(at, Ordering::Relaxed);
        store.keys("", 9)
    };
    assert_eq!(held(39), ["a", "b"]);
    assert_eq!(held(40), ["a"]);
    assert_eq!(held(49), ["a"]);
    assert_eq!(held(50), [] as [String; 0]);
    assert_eq!(store.bytes(), 0);
}

#[test]
fn a_time_to_live_counts_from_the_last_write_and_stays_without_one() {
    let clock = Arc::new(AtomicI64::new(0));
    let now = Arc::clone(&clock);
    let store = EmbeddedStore::with_clock(move || now.load(Ordering::Relaxed));
    store.write(&[put("a", &[("x", "1")], &[], Some(10))]).unwrap();
    clock.store(5, Ordering::Relaxed);
    store.write(&[put("a", &[("x", "2")], &[], Some(10))]).unwrap();
    clock.store(12, Ordering::Relaxed);
    store.write(&[put("a", &[("y", "3")], &[], None)]).unwrap();
    assert_eq!(store.read("a"), fields(&[("x", "2"), ("y", "3")]));
    clock.store(15, Ordering::Relaxed);
    assert!(store.is_empty());
    store.write(&[put("a", &[("y", "4")], &[], None)]).unwrap();
    assert_eq!(store.read("a"), fields(&[("y", "4")]), "the old fields do not come back");
    assert_eq!(store.bytes(), 3);
}
