//! Look-ups, probes and their errors through a real socket.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::collections::BTreeSet;
use std::sync::Arc;

use nowcast_serve::bind;
use serde_json::{Value, json};
use support::Server;

#[test]
fn features_are_the_fields_of_a_key() {
    let server = Server::start();
    server
        .store
        .put("title_features:7:US", &[("plays", "12"), ("name", "O'Brien"), ("avg", "1.50")]);
    let answer = server.get("/v1/features/title_features/7:US");
    assert_eq!(
        (answer.status, &*answer.body),
        (200, r#"{"plays":12,"name":"O'Brien","avg":1.50}"#)
    );
    assert_eq!(answer.content_type, "application/json");
}

#[test]
fn names_in_the_path_are_percent_decoded() {
    let server = Server::start();
    server.store.put("pages:a/b c?é", &[("n", "1")]);
    assert_eq!(server.get("/v1/features/pages/a%2Fb%20c%3F%C3%A9").json(), json!({ "n": 1 }));
}

#[test]
fn what_is_missing_is_named() {
    let server = Server::start();
    let answer = server.get("/v1/features/titles/42");
    assert_eq!(answer.status, 404);
    assert_eq!(answer.error(), r#"no features in "titles" for key "42""#);
    let answer = server.get("/v1/nowcasts/plays");
    assert_eq!(answer.status, 404);
    assert_eq!(answer.error(), r#"no nowcast or forecast of series "plays""#);
    let answer = server.get("/v2/else");
    assert_eq!((answer.status, answer.error().contains("/v2/else")), (404, true));
}

#[test]
fn only_the_named_tables_can_be_read() {
    let server = Server::start_with(|state| {
        state.tables = Some(Arc::new(BTreeSet::from(["titles".to_owned(), "users".to_owned()])));
    });
    server.store.put("secrets:1", &[("n", "1")]);
    server.store.put("titles:1", &[("n", "1")]);
    assert_eq!(server.get("/v1/features/titles/1").status, 200);
    let answer = server.get("/v1/features/secrets/1");
    assert_eq!(answer.status, 404);
    assert_eq!(answer.error(), r#"no table "secrets"; tables: titles, users"#);
}

#[test]
fn bad_requests_are_refused_in_json() {
    let server = Server::start();
    let long = "k".repeat(513);
    for (path, says) in [
        (format!("/v1/features/t/{long}"), "513 bytes, at most 512"),
        ("/v1/features/t/%FF".to_owned(), "utf-8"),
        ("/v1/features/t/a%0Ab".to_owned(), "control character"),
        ("/v1/recommendations/p?k=0".to_owned(), "k is 0, must be 1 to 100"),
        ("/v1/recommendations/p?k=101".to_owned(), "k is 101"),
        ("/v1/recommendations/p?k=ten".to_owned(), "invalid digit"),
        ("/v1/recommendations/p?n=1".to_owned(), "unknown field `n`"),
        (format!("/v1/recommendations/p?country={long}"), "country has 513 bytes"),
    ] {
        let answer = server.get(&path);
        assert_eq!(answer.status, 400, "{path}: {}", answer.body);
        assert!(answer.error().contains(says), "{path}: {}", answer.body);
    }
    let answer = server.post("/status");
    assert_eq!((answer.status, &*answer.error()), (405, "POST is not allowed on /status"));
}

#[test]
fn a_store_out_of_reach_is_503() {
    let server = Server::start();
    let answer = server.get("/v1/features/broken/1");
    assert_eq!((answer.status, &*answer.error()), (503, "redis 127.0.0.1:1: unreachable"));
}

fn tiers(answer: &Value) -> Vec<(String, Value, String)> {
    let items = answer["items"].as_array().unwrap();
    let item = |item: &Value| {
        let tier = item["tier"].as_str().unwrap().to_owned();
        (item["title_id"].to_string(), item["score"].clone(), tier)
    };
    items.iter().map(item).collect()
}

fn expect(items: &[(&str, Value, &str)]) -> Vec<(String, Value, String)> {
    items
        .iter()
        .map(|(id, score, tier)| (id.to_string(), score.clone(), tier.to_string()))
        .collect()
}

fn with_titles() -> Server {
    let server = Server::start();
    let titles = [("titles", "[11, 12]"), ("scores", "[0.9, 0.25]"), ("country", "SE")];
    server.store.put("next_titles:ann", &titles);
    server.store.put("popular_now:SE:1", &[("rank", "1"), ("title_id", "12"), ("plays", "50")]);
    server.store.put("popular_now:SE:2", &[("rank", "2"), ("title_id", "13"), ("plays", "40")]);
    server.store.put("popular_now:US:1", &[("rank", "1"), ("title_id", "21"), ("plays", "70")]);
    server.store.put("popular_now:all:1", &[("rank", "1"), ("title_id", "21"), ("plays", "90")]);
    server.store.put("popular_now:all:3", &[("rank", "3"), ("title_id", "13"), ("plays", "60")]);
    server
}

#[test]
fn recommendations_fill_up_from_lower_tiers_without_repeating() {
    let server = with_titles();
    let answer = server.get("/v1/recommendations/ann?k=5").json();
    assert_eq!(answer["profile"], "ann");
    assert_eq!((&answer["k"], &answer["country"]), (&json!(5), &json!("SE")));
    let wanted = expect(&[
        ("11", json!(0.9), "personal"),
        ("12", json!(0.25), "personal"),
        ("13", json!(40), "segment"),
        ("21", json!(90), "popular"),
    ]);
    assert_eq!(tiers(&answer), wanted);
    let answer = server.get("/v1/recommendations/ann?k=1").json();
    assert_eq!(tiers(&answer), wanted[..1]);
}

#[test]
fn an_unknown_profile_gets_its_segment_then_what_is_popular() {
    let server = with_titles();
    let answer = server.get("/v1/recommendations/new?country=US").json();
    let wanted = expect(&[("21", json!(70), "segment"), ("13", json!(60), "popular")]);
    assert_eq!(tiers(&answer), wanted);
    let answer = server.get("/v1/recommendations/new").json();
    assert_eq!(answer["country"], Value::Null);
    let wanted = expect(&[("21", json!(90), "popular"), ("13", json!(60), "popular")]);
    assert_eq!(tiers(&answer), wanted);
}

#[test]
fn malformed_personal_titles_fall_back() {
    let server = with_titles();
    server.store.put("next_titles:bob", &[("titles", "[1, 2]"), ("scores", "[0.5]")]);
    let answer = server.get("/v1/recommendations/bob?country=US&k=1").json();
    assert_eq!(tiers(&answer), expect(&[("21", json!(70), "segment")]));
}

#[test]
fn without_any_titles_the_answer_is_404() {
    let answer = Server::start().get("/v1/recommendations/ann");
    assert_eq!(answer.status, 404);
    assert!(answer.error().starts_with(r#"nothing to recommend to "ann""#), "{}", answer.body);
}

#[test]
fn a_nowcast_carries_the_forecast_where_there_is_one() {
    let server = Server::start();
    server.store.put("nowcasts:plays", &[("nowcast", "41.5"), ("is_final", "false")]);
    let alone = server.get("/v1/nowcasts/plays").json();
    let nowcast = json!({ "nowcast": 41.5, "is_final": false });
    let wanted =
        json!({ "series": "plays", "nowcast": nowcast, "forecast": null, "lstm_forecast": null });
    assert_eq!(alone, wanted);
    server.store.put("forecasts:plays", &[("hours", "[{\"forecast_value\": 40}]")]);
    server.store.put("lstm_forecasts:plays", &[("quantiles", "[1, 2, 3]")]);
    let all = server.get("/v1/nowcasts/plays").json();
    assert_eq!(all["forecast"], json!({ "hours": [{ "forecast_value": 40 }] }));
    assert_eq!(all["lstm_forecast"], json!({ "quantiles": [1, 2, 3] }));
}

#[test]
fn probes_speak_for_process_and_job() {
    let server = Server::start();
    assert_eq!(server.get("/livez").json(), json!({ "status": "live" }));
    assert_eq!(server.get("/readyz").json(), json!({ "status": "ready" }));
    *server.job.0.lock().unwrap() = Err("restoring epoch 3".to_owned());
    let answer = server.get("/readyz");
    assert_eq!((answer.status, &*answer.error()), (503, "restoring epoch 3"));
    assert_eq!(server.get("/livez").status, 200);
    assert_eq!(server.get("/status").json()["job"], "clicks");
    assert_eq!(server.get("/metrics").status, 404);
}

#[test]
fn metrics_are_prometheus_text() {
    let recorder =
        metrics_exporter_prometheus::PrometheusBuilder::new().install_recorder().unwrap();
    let server = Server::start_with(|state| state.metrics = Some(recorder));
    assert_eq!(server.get("/v1/features/a/b").status, 404);
    let answer = server.get("/metrics");
    assert!(answer.content_type.starts_with("text/plain; version=0.0.4"));
    let line = r#"nowcast_http_requests_total{route="/v1/features/{table}/{key}",status="404"}"#;
    assert!(answer.body.contains(line), "{}", answer.body);
}

#[test]
fn the_page_and_its_document_are_in_the_binary() {
    let server = Server::start();
    let page = server.get("/");
    assert_eq!((page.status, &*page.content_type), (200, "text/html; charset=utf-8"));
    for outside in ["src=\"http", "href=\"http", "@import", "url("] {
        assert!(!page.body.contains(outside), "the page loads {outside}");
    }
    assert_eq!(server.get("/openapi.json").json()["openapi"], "3.1.0");
}

#[test]
fn every_answer_is_one_that_the_document_names() {
    let server = Server::start();
    server.feeds.declare("rows", &[]);
    let document = server.get("/openapi.json").json();
    for (path, item) in document["paths"].as_object().unwrap() {
        let mut tries = vec![path.replace("{table}", "none").replace("{key}", "1")];
        tries[0] = tries[0].replace("{profile}", "p").replace("{series}", "s");
        if path.contains('{') {
            tries.push(tries[0].clone() + "%FF");
        }
        for path in tries {
            let answer = server.get(&path);
            let named = &item["get"]["responses"][answer.status.to_string()];
            let content = named["content"].as_object();
            let content = content.unwrap_or_else(|| panic!("{path} gave {}", answer.status));
            let kind = content.keys().next().unwrap();
            assert!(
                answer.content_type.starts_with(kind.as_str()),
                "{path}: {}",
                answer.content_type
            );
        }
    }
}

#[tokio::test]
async fn a_port_in_use_is_named() {
    let first = bind("127.0.0.1:0").await.unwrap();
    let address = first.local_addr().unwrap().to_string();
    let error = bind(&address).await.unwrap_err().to_string();
    assert!(error.starts_with(&format!("http {address}: address in use")), "{error}");
    let error = bind("127.0.0.1:notaport").await.unwrap_err().to_string();
    assert!(error.starts_with("http 127.0.0.1:notaport: "), "{error}");
}
