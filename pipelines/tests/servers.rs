//! The shipped pipelines on real Kafka and real Redis give the features of the embedded run.

#![allow(clippy::unwrap_used, clippy::print_stdout)] // a test that cannot go on should say where

mod common;

use common::{
    PIPELINES, difference, embedded_broker, embedded_features, features, given, nowcast, pipeline,
    send_shipped_events, succeed,
};

const CLICKS: usize = 30_000;

#[test]
fn real_servers_and_embedded_ones_give_the_same_features() {
    let (Some(kafka), Some(redis)) = (given("NOWCAST_KAFKA"), given("NOWCAST_REDIS")) else {
        return;
    };
    let folder = common::folder();
    let broker = embedded_broker(&folder.path().join("broker"));

    let embedded = folder.path().join("embedded");
    let variables = send_shipped_events(&broker.address, folder.path(), CLICKS);
    let mut run = nowcast();
    run.arg("run")
        .args(PIPELINES.map(pipeline))
        .args(["--no-http", "--workers", "1", "--data-dir"])
        .arg(&embedded);
    succeed(run.envs(variables));
    let embedded = embedded_features(&embedded);

    let variables = send_shipped_events(&kafka, folder.path(), CLICKS);
    let url = format!("{}/9", redis.trim_end_matches('/'));
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let store = runtime.block_on(nowcast_connectors::RedisStore::connect(&url)).unwrap();
    assert!(features(&store).is_empty(), "database 9 of the test's Redis is not empty");
    let mut run = nowcast();
    run.arg("run").args(PIPELINES.map(pipeline)).args([
        "--no-http",
        "--workers",
        "2",
        "--data-dir",
    ]);
    succeed(run.arg(folder.path().join("real")).envs(variables).env("REDIS_URL", &url));
    let real = features(&store);

    for table in [
        "title_country_features",
        "profile_features",
        "nowcasts",
        "forecasts",
        "lstm_forecasts",
        "next_titles",
        "popular_now",
        "subscription_features",
    ] {
        let keys = embedded.keys().filter(|key| key.starts_with(&format!("{table}:"))).count();
        println!("{table}: {keys} keys");
        assert!(keys > 0, "{table} is empty");
    }
    assert_eq!(difference(&embedded, &real), None);
}
