//! What the sink costs beside a bare loop over the same client:
//! `NOWCAST_REDIS=… cargo test --workspace --lib rows_a_second -- --ignored --nocapture`.

use std::time::Instant;

use nowcast_engine::SinkFactory;

use super::*;

const ROWS: i64 = 200_000;
const BATCH: i64 = 4_000;

fn rows(table: &TableDefinition) -> Vec<Batch> {
    let batches = (0..ROWS / BATCH).map(|nth| {
        let line = |n: i64| (Some("DE"), nth * BATCH + n, Some(n as f64), Some(vec![n, nth]), 1);
        let lines: Vec<Line<'_>> = (0..BATCH).map(line).collect();
        batch(table, &lines)
    });
    batches.collect()
}

async fn bare(url: &str) {
    let client = redis::Client::open(url).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    for nth in 0..ROWS / 1_000 {
        let mut pipeline = redis::pipe();
        for n in nth * 1_000..(nth + 1) * 1_000 {
            let key = format!("bare:{n}");
            let fields = [("country", "DE"), ("title", "1"), ("share", "0.5"), ("recent", "[7,8]")];
            pipeline.hset_multiple(&key, &fields).ignore().pexpire(&key, 3_600_000).ignore();
        }
        pipeline.query_async::<()>(&mut connection).await.unwrap();
    }
}

/// CPU seconds that a server has used.
async fn cpu(url: &str) -> f64 {
    let client = redis::Client::open(url).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let told: String = redis::cmd("INFO").arg("cpu").query_async(&mut connection).await.unwrap();
    let used = told.lines().filter_map(|line| {
        let (name, value) = line.split_once(':')?;
        matches!(name, "used_cpu_sys" | "used_cpu_user").then(|| value.parse::<f64>().unwrap())
    });
    used.sum()
}

async fn through(factory: &dyn SinkFactory, rows: &[Batch]) {
    let mut sink = factory.open(context()).await.unwrap();
    for batch in rows {
        sink.write(batch, &mut vec![]).await.unwrap();
        sink.flush().await.unwrap();
    }
}

#[tokio::test]
#[ignore = "measures"]
async fn rows_a_second() {
    let Ok(url) = std::env::var("NOWCAST_REDIS") else {
        println!("skipped: NOWCAST_REDIS names no server");
        return;
    };
    let told = async |at: &str, what: &str, (began, before): (Instant, f64)| {
        let rate = ROWS as f64 / began.elapsed().as_secs_f64();
        let server = (cpu(at).await - before) * 1e6 / ROWS as f64;
        println!("{at} {what}: {rate:.0} rows/s, {server:.1} µs of the server a row");
    };
    for _ in 0..3 {
        let began = (Instant::now(), cpu(&url).await);
        bare(&url).await;
        told(&url, "bare loop", began).await;
        let places = [(url.clone(), "false"), (url.clone(), "true")];
        let cluster = std::env::var("NOWCAST_REDIS_CLUSTER").ok();
        let clusters =
            cluster.iter().flat_map(|url| [(url.clone(), "false"), (url.clone(), "true")]);
        for (at, fencing) in places.into_iter().chain(clusters) {
            let mut table = table(&at, &format!("speed-{fencing}"));
            table.options.insert("sink.fencing".into(), fencing.into());
            table.options.insert("cluster".into(), (at != url).to_string());
            let factory = Registry::new(Environment::default()).sink(&table).unwrap();
            let rows = rows(&table);
            let began = (Instant::now(), cpu(&at).await);
            through(factory.as_ref(), &rows).await;
            told(&at, &format!("fencing {fencing}"), began).await;
        }
    }
}
