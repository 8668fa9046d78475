//! Fenced writes: on Redis where `NOWCAST_REDIS` names one, on a cluster where `NOWCAST_REDIS_CLUSTER`
//! does.

use nowcast_engine::{Epoch, JobRun, Sink, SinkFactory};

use super::*;
use crate::redis::{Reconciled, reconcile};
use crate::store::{Fence, Fields, Patience, RedisAddress, RedisStore, Stamp, Store, Write};

const PREFIX: &str = "fenced";
const REMEMBERED: Duration = Duration::from_mins(1);

/// Runs a test on each Redis there is.
macro_rules! everywhere {
    ($($test:ident),* $(,)?) => {
        $(mod $test {
            #[tokio::test]
            async fn one() {
                if let Some(url) = super::given("NOWCAST_REDIS") {
                    super::$test(&super::Place::new(&url, false, stringify!($test))).await;
                }
            }

            #[tokio::test]
            async fn cluster() {
                if let Some(url) = super::given("NOWCAST_REDIS_CLUSTER") {
                    super::$test(&super::Place::new(&url, true, stringify!($test))).await;
                }
            }
        })*
    };
}

everywhere!(
    a_run_that_was_taken_over_ends,
    what_is_older_is_passed_over,
    deletes_are_remembered,
    a_lost_fence_is_put_up_again,
    a_zombie_that_puts_up_a_lost_fence_tells_nothing,
    a_fence_of_earlier_versions_tells_nothing,
    writes_of_several_writers_come_in_any_order,
    writes_that_are_not_alike_go_together,
    another_jobs_rows_are_overwritten,
    several_writers_of_a_run_share_a_fence,
    a_checkpoint_is_written_anew,
);

fn given(variable: &str) -> Option<String> {
    let given = std::env::var(variable).ok();
    if given.is_none() {
        println!("skipped: {variable} names no server");
    }
    given
}

struct Place {
    url: String,
    cluster: bool,
    /// Of keys that no other test has.
    prefix: String,
}

impl Place {
    fn new(url: &str, cluster: bool, test: &str) -> Self {
        let prefix = format!("{PREFIX}-{}-{test}", std::process::id());
        Self { url: url.to_owned(), cluster, prefix }
    }

    fn table(&self) -> TableDefinition {
        let mut table = table(&self.url, &self.prefix);
        table.options.insert("cluster".into(), self.cluster.to_string());
        table
    }

    fn address(&self) -> RedisAddress {
        let address = RedisAddress::parse(&self.url).unwrap();
        if self.cluster { address.in_cluster(&[]).unwrap() } else { address }
    }

    async fn store(&self) -> RedisStore {
        RedisStore::open(&self.address(), Patience::default()).await.unwrap()
    }

    async fn fence(&self, store: &RedisStore, job: &str) -> Fence {
        Fence::raise(store, job, &self.prefix, REMEMBERED).await.unwrap()
    }

    fn key(&self, name: &str) -> String {
        format!("{}:{name}", self.prefix)
    }

    async fn get(&self, store: &RedisStore, name: &str) -> Option<String> {
        let fields = store.get(&self.key(name)).await.unwrap()?;
        fields.into_iter().find(|(name, _)| name == "x").map(|(_, value)| value)
    }

    /// Puts `value` into many keys, of all slots of a cluster.
    async fn put(
        &self,
        store: &RedisStore,
        value: Option<&str>,
        stamp: &Stamp<'_>,
    ) -> Result<(), String> {
        let write = |key| match value {
            Some(value) => Write::Put {
                key,
                set: vec![("x", value)],
                remove: vec!["y"],
                ttl: Some(REMEMBERED),
                field_ttls: vec![],
            },
            None => Write::Delete { key },
        };
        let keys = self.keys();
        let writes: Vec<_> = keys.iter().map(|key| write(key)).collect();
        let put = store.put_as(&writes, stamp).await;
        put.map_err(|error| error.to_string())
    }

    fn keys(&self) -> Vec<String> {
        (0..500).map(|nth| self.key(&format!("{nth}"))).collect()
    }

    async fn lose_fences(&self, store: &RedisStore) {
        let end = format!(":test:{}", self.prefix);
        let fences = store.scan("nowcast:fence:", usize::MAX).await.unwrap();
        for key in fences.iter().filter(|key| key.ends_with(&end)) {
            store.put(&[Write::Delete { key }]).await.unwrap();
        }
    }

    async fn all(&self, store: &RedisStore) -> Vec<Option<Fields>> {
        store.multi_get(&self.keys()).await.unwrap()
    }
}

fn same(all: Vec<Option<Fields>>) -> Option<String> {
    let first = all[0].clone();
    assert!(all.iter().all(|fields| *fields == first), "{all:?}");
    first.map(|fields| {
        assert_eq!(fields.len(), 1, "{fields:?}");
        fields[0].1.clone()
    })
}

fn line(title: i64, share: f64) -> Line<'static> {
    (Some("DE"), title, Some(share), None, 1)
}

async fn open(factory: &dyn SinkFactory, run: &JobRun, epoch: Epoch) -> Box<dyn Sink> {
    assert_eq!(factory.committed(run).await.unwrap(), None);
    factory.open(SinkContext { restored: epoch, ..context() }).await.unwrap()
}

const TAKEN_OVER: &str = "table \"features\": another run of this job has taken over";

async fn a_run_that_was_taken_over_ends(place: &Place) {
    let table = place.table();
    // Each process has its own.
    let (here, there) =
        (Registry::new(Environment::default()), Registry::new(Environment::default()));
    let zombie = here.sink(&table).unwrap();
    let mut zombie = open(zombie.as_ref(), &JobRun::new("test"), 7).await;
    let mut rejected = vec![];
    zombie.write(&batch(&table, &[line(1, 0.5)]), &mut rejected).await.unwrap();
    zombie.flush().await.unwrap();

    let next = there.sink(&table).unwrap();
    let mut next = open(next.as_ref(), &JobRun::new("test"), 3).await;
    // A key of its own, that nobody has written yet.
    zombie.write(&batch(&table, &[line(2, 0.5)]), &mut rejected).await.unwrap();
    let error = zombie.flush().await.unwrap_err();
    assert_eq!((error.kind(), error.to_string().as_str()), (ErrorKind::Outside, TAKEN_OVER));
    next.write(&batch(&table, &[line(1, 0.25)]), &mut rejected).await.unwrap();
    next.flush().await.unwrap();
    zombie.write(&batch(&table, &[line(1, 0.5)]), &mut rejected).await.unwrap();
    assert_eq!(zombie.prepare(9).await.unwrap_err().to_string(), TAKEN_OVER);
    assert_eq!(rejected.len(), 0);

    let store = place.store().await;
    let fields = store.get(&place.key("DE:1")).await.unwrap().unwrap();
    let expected = [("country", "DE"), ("share", "0.25"), ("title", "1")];
    assert_eq!(fields, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    assert_eq!(store.get(&place.key("DE:2")).await.unwrap(), None);
    // Other jobs write as they like.
    let other = there.sink(&table).unwrap();
    let mut other = open(other.as_ref(), &JobRun::new("other"), 0).await;
    other.write(&batch(&table, &[line(1, 0.75)]), &mut rejected).await.unwrap();
    other.flush().await.unwrap();
    next.write(&batch(&table, &[line(2, 0.25)]), &mut rejected).await.unwrap();
    next.flush().await.unwrap();
}

async fn what_is_older_is_passed_over(place: &Place) {
    let store = place.store().await;
    let fence = place.fence(&store, "test").await;
    let (first, second) = (fence.stamp(1), fence.stamp(1));
    place.put(&store, Some("second"), &second).await.unwrap();
    place.put(&store, Some("first"), &first).await.unwrap();
    assert_eq!(same(place.all(&store).await), Some("second".into()));
    // The same once more, as after an answer that was lost.
    place.put(&store, Some("second"), &second).await.unwrap();
    let of_next_epoch = fence.stamp(2);
    place.put(&store, Some("third"), &of_next_epoch).await.unwrap();
    place.put(&store, Some("late"), &fence.stamp(1)).await.unwrap();
    assert_eq!(same(place.all(&store).await), Some("third".into()));
    // A run begins again at an earlier epoch, and at the first row.
    let next = place.fence(&store, "test").await;
    place.put(&store, Some("fourth"), &next.stamp(1)).await.unwrap();
    assert_eq!(same(place.all(&store).await), Some("fourth".into()));
    let refused = place.put(&store, Some("fifth"), &fence.stamp(9)).await.unwrap_err();
    assert_eq!(refused, "another run of this job has taken over");
    assert_eq!(same(place.all(&store).await), Some("fourth".into()));
}

async fn deletes_are_remembered(place: &Place) {
    let store = place.store().await;
    let fence = place.fence(&store, "test").await;
    let (first, second) = (fence.stamp(1), fence.stamp(1));
    place.put(&store, Some("old"), &fence.stamp(1)).await.unwrap();
    let third = fence.stamp(1);
    place.put(&store, None, &third).await.unwrap();
    for old in [&first, &second] {
        place.put(&store, Some("back"), old).await.unwrap();
        assert_eq!(same(place.all(&store).await), None);
    }
    assert_eq!(store.scan(&place.key(""), 10).await.unwrap(), [] as [String; 0]);
    place.put(&store, Some("new"), &fence.stamp(1)).await.unwrap();
    // A delete that comes late does no harm either.
    place.put(&store, None, &third).await.unwrap();
    assert_eq!(same(place.all(&store).await), Some("new".into()));
}

async fn a_lost_fence_is_put_up_again(place: &Place) {
    let store = place.store().await;
    let fence = place.fence(&store, "test").await;
    let old = fence.stamp(1);
    place.put(&store, Some("first"), &fence.stamp(1)).await.unwrap();
    // What a flush does to it, and to the scripts.
    place.lose_fences(&store).await;
    // Rows may have been lost or not: those that are there are looked at.
    place.put(&store, Some("older"), &old).await.unwrap();
    assert_eq!(same(place.all(&store).await), Some("first".into()));
    let (second, third) = (fence.stamp(1), fence.stamp(1));
    place.put(&store, Some("third"), &third).await.unwrap();
    place.put(&store, Some("second"), &second).await.unwrap();
    assert_eq!(same(place.all(&store).await), Some("third".into()));
    let next = place.fence(&store, "test").await;
    assert!(place.put(&store, Some("third"), &fence.stamp(1)).await.is_err());
    place.put(&store, Some("fourth"), &next.stamp(1)).await.unwrap();
    assert_eq!(same(place.all(&store).await), Some("fourth".into()));
}

async fn a_zombie_that_puts_up_a_lost_fence_tells_nothing(place: &Place) {
    let store = place.store().await;
    let zombie = place.fence(&store, "test").await;
    let fence = place.fence(&store, "test").await;
    let old = fence.stamp(1);
    place.put(&store, Some("new"), &fence.stamp(1)).await.unwrap();
    place.lose_fences(&store).await;
    // What it writes is older than what is there.
    place.put(&store, Some("zombie"), &zombie.stamp(9)).await.unwrap();
    place.put(&store, Some("old"), &old).await.unwrap();
    assert_eq!(same(place.all(&store).await), Some("new".into()));
    assert!(place.put(&store, Some("zombie"), &zombie.stamp(9)).await.is_err());
}

/// They kept the generation alone, also when rows had been written.
async fn a_fence_of_earlier_versions_tells_nothing(place: &Place) {
    if place.cluster {
        return;
    }
    let store = place.store().await;
    let fence = place.fence(&store, "test").await;
    let old = fence.stamp(1);
    place.put(&store, Some("new"), &fence.stamp(1)).await.unwrap();
    let mut server = redis::Client::open(place.url.as_str()).unwrap().get_connection().unwrap();
    let key = format!("nowcast:fence:test:{}", place.prefix);
    let held: String = redis::cmd("GET").arg(&key).query(&mut server).unwrap();
    let generation = &held[..12];
    let () = redis::cmd("SET").arg(&key).arg(generation).query(&mut server).unwrap();
    for value in [("old", &old, "new"), ("newer", &fence.stamp(1), "newer"), ("old", &old, "newer")]
    {
        let (value, stamp, stands) = value;
        place.put(&store, Some(value), stamp).await.unwrap();
        assert_eq!(same(place.all(&store).await), Some(stands.into()));
    }
    // Or a run of such a version, which goes on, would be fenced off.
    let held: String = redis::cmd("GET").arg(&key).query(&mut server).unwrap();
    assert_eq!(held, generation);
}

/// Writers of a run take their stamps in turn, but their writes come as they like.
async fn writes_of_several_writers_come_in_any_order(place: &Place) {
    let store = place.store().await;
    let fence = place.fence(&store, "test").await;
    let stamps: Vec<Stamp<'_>> = (0..6).map(|_| fence.stamp(1)).collect();
    // What each key was given, and what it has to have in the end: that of its newest stamp.
    let writes = [(2, "1"), (0, "2"), (5, "1"), (1, "2"), (4, "1"), (3, "3"), (0, "3")];
    for (stamp, name) in writes {
        let (key, value) = (place.key(name), stamp.to_string());
        let set = vec![("x", value.as_str())];
        let put = Write::Put { key: &key, set, remove: vec![], ttl: None, field_ttls: vec![] };
        store.put_as(&[put], &stamps[stamp]).await.unwrap();
    }
    for (name, newest) in [("1", "5"), ("2", "1"), ("3", "3")] {
        assert_eq!(place.get(&store, name).await, Some(newest.into()), "{name}");
    }
}

/// More fields than Lua takes arguments, fewer, none, ones that go, times to live, deletes: all in one put.
async fn writes_that_are_not_alike_go_together(place: &Place) {
    let store = place.store().await;
    let fence = place.fence(&store, "test").await;
    place.put(&store, Some("before"), &fence.stamp(1)).await.unwrap();
    let names: Vec<String> = (0..5_000).map(|nth| format!("field {nth}")).collect();
    // Of row `nth`: its first fields are set, some others go.
    let counts = [5_000, 2, 0, 2, 4_999, 1, 2_001];
    let count = |nth: usize| counts[nth % counts.len()];
    let deleted = |nth: usize| nth % 10 == 9;
    let goes = |nth: usize| nth.is_multiple_of(3);
    let keys: Vec<String> = (0..100).map(|nth| place.key(&nth.to_string())).collect();
    let fields = |nth: usize| -> Fields {
        names[..count(nth)].iter().map(|name| (name.clone(), format!("{name} of {nth}"))).collect()
    };
    let all: Vec<Fields> = (0..keys.len()).map(fields).collect();
    let write = |nth: usize| {
        let key = keys[nth].as_str();
        if deleted(nth) {
            return Write::Delete { key };
        }
        let set = all[nth].iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let remove = if goes(nth) { vec!["x", "y"] } else { vec![] };
        Write::Put { key, set, remove, ttl: None, field_ttls: vec![] }
    };
    let writes: Vec<Write<'_>> = (0..keys.len()).map(write).collect();
    store.put_as(&writes, &fence.stamp(1)).await.unwrap();
    let found = store.multi_get(&keys).await.unwrap();
    for (nth, (found, mut wanted)) in found.into_iter().zip(all).enumerate() {
        if !goes(nth) {
            wanted.push(("x".into(), "before".into()));
        }
        wanted.sort_unstable();
        let wanted = (!wanted.is_empty() && !deleted(nth)).then_some(wanted);
        assert_eq!(found, wanted, "row {nth}");
    }
}

async fn another_jobs_rows_are_overwritten(place: &Place) {
    let store = place.store().await;
    let first = place.fence(&store, "first").await;
    let second = place.fence(&store, "second").await;
    place.put(&store, Some("second"), &second.stamp(9)).await.unwrap();
    place.put(&store, Some("first"), &first.stamp(1)).await.unwrap();
    assert_eq!(same(place.all(&store).await), Some("first".into()));
    // Rows without a version are overwritten too.
    store.put(&[Write::Delete { key: &place.key("7") }]).await.unwrap();
    let plain = Write::Put {
        key: &place.key("7"),
        set: vec![("x", "plain"), ("y", "goes")],
        remove: vec![],
        ttl: None,
        field_ttls: vec![],
    };
    store.put(&[plain]).await.unwrap();
    place.put(&store, Some("second"), &second.stamp(9)).await.unwrap();
    assert_eq!(same(place.all(&store).await), Some("second".into()));
    assert_eq!(place.get(&store, "7").await, Some("second".into()));
}

async fn several_writers_of_a_run_share_a_fence(place: &Place) {
    let table = place.table();
    let registry = Registry::new(Environment::default());
    let run = JobRun::new("test");
    let (first, second) = (registry.sink(&table).unwrap(), registry.sink(&table).unwrap());
    let mut writers = vec![];
    for factory in [&first, &second] {
        writers.push(open(factory.as_ref(), &run, 0).await);
        writers.push(factory.open(SinkContext { worker: 1, ..context() }).await.unwrap());
    }
    let store = place.store().await;
    for (nth, writer) in writers.iter_mut().enumerate() {
        let share = nth as f64;
        writer.write(&batch(&table, &[line(1, share)]), &mut vec![]).await.unwrap();
        writer.flush().await.unwrap();
        let fields = store.get(&place.key("DE:1")).await.unwrap().unwrap();
        assert!(fields.contains(&("share".into(), format!("{share:?}"))), "{fields:?}");
    }
}

async fn a_checkpoint_is_written_anew(place: &Place) {
    let mut table = place.table();
    table.options.insert("sink.reconcile".into(), "true".into());
    let registry = Registry::new(Environment::default());
    let factory = registry.sink(&table).unwrap();
    assert!(factory.keeps_rows().is_some());
    let mut sink = open(factory.as_ref(), &JobRun::new("test"), 0).await;
    let mut rejected = vec![];
    let of_first = [line(1, 0.5), line(2, 0.5), line(3, 0.5), line(4, 0.5)];
    sink.write(&batch(&table, &of_first), &mut rejected).await.unwrap();
    sink.prepare(1).await.unwrap();
    let checkpoint = batch(&table, &of_first[..3]);
    let store = place.store().await;
    // A row that was lost, one that is newer since, one that should be gone, and one of nobody.
    store.put(&[Write::Delete { key: &place.key("DE:1") }]).await.unwrap();
    sink.write(&batch(&table, &[line(2, 0.75), line(5, 0.75)]), &mut rejected).await.unwrap();
    sink.flush().await.unwrap();
    let stranger = Write::Put {
        key: &place.key("stranger"),
        set: vec![("x", "1")],
        remove: vec![],
        ttl: None,
        field_ttls: vec![],
    };
    store.put(&[stranger]).await.unwrap();
    let environment = Environment::default();
    let anew = reconcile(&table, &environment, "test", 1, checkpoint.rows()).await.unwrap();
    assert_eq!(anew, Reconciled { written: 2, newer: 1, removed: 1, rejected: 0 });
    let keys = ["DE:1", "DE:2", "DE:3", "DE:5", "stranger"].map(|name| place.key(name));
    assert_eq!(store.scan(&place.key(""), 10).await.unwrap(), keys);
    for (key, share) in [("DE:1", "0.5"), ("DE:2", "0.75"), ("DE:3", "0.5"), ("DE:5", "0.75")] {
        let fields = store.get(&place.key(key)).await.unwrap().unwrap();
        assert!(fields.contains(&("share".into(), share.into())), "{key}: {fields:?}");
    }
    // The job goes on, and a deleted row stays so.
    sink.write(&batch(&table, &[(Some("DE"), 1, None, None, -1)]), &mut rejected).await.unwrap();
    sink.flush().await.unwrap();
    let anew = reconcile(&table, &environment, "test", 1, checkpoint.rows()).await.unwrap();
    assert_eq!(anew, Reconciled { written: 1, newer: 2, removed: 0, rejected: 0 });
    assert_eq!(store.get(&place.key("DE:1")).await.unwrap(), None);
    assert_eq!(rejected.len(), 0);
}
