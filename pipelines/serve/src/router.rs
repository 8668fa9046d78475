//! Which path leads to which handler. `assets/openapi.json` describes the same paths (tested).

use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::extract::{DefaultBodyLimit, MatchedPath, Request};
use axum::http::{Method, StatusCode, Uri};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::{MethodRouter, get};

use crate::failure::Failure;
use crate::guard::{Guard, Protection, guard};
use crate::state::AppState;
use crate::{features, nowcasts, page, probes, recommendations, sse};

/// Every path of the server.
pub fn routes() -> Vec<(&'static str, MethodRouter<AppState>)> {
    vec![
        ("/", get(page::page)),
        ("/openapi.json", get(page::openapi)),
        ("/livez", get(probes::livez)),
        ("/readyz", get(probes::readyz)),
        ("/status", get(probes::status)),
        ("/metrics", get(probes::metrics)),
        ("/v1/features/{table}/{key}", get(features::get)),
        ("/v1/recommendations/{profile}", get(recommendations::get)),
        ("/v1/nowcasts/{series}", get(nowcasts::get)),
        ("/v1/feeds", get(sse::list)),
        ("/v1/feeds/{table}", get(sse::get)),
    ]
}

pub fn router(state: AppState, protection: Protection) -> Router {
    let limit = DefaultBodyLimit::max(protection.limits.body_bytes_max);
    let keeper = Arc::new(Guard::new(protection));
    let mut router = Router::new();
    for (path, handler) in routes() {
        router = router.route(path, handler);
    }
    router
        .method_not_allowed_fallback(method_not_allowed)
        .fallback(not_found)
        .layer(limit)
        .layer(middleware::from_fn_with_state(keeper, guard))
        .layer(middleware::from_fn(measure))
        .with_state(state)
}

async fn not_found(uri: Uri) -> Failure {
    Failure::not_found(format!("no such path: {}; see /openapi.json", uri.path()))
}

async fn method_not_allowed(method: Method, uri: Uri) -> Failure {
    let message = format!("{method} is not allowed on {}", uri.path());
    Failure::new(StatusCode::METHOD_NOT_ALLOWED, message)
}

/// Counts and times requests by route; for a feed the time to its first byte.
async fn measure(request: Request, next: Next) -> Response {
    let path = request.extensions().get::<MatchedPath>();
    let route = path.map_or("other", MatchedPath::as_str).to_owned();
    let started = Instant::now();
    let response = next.run(request).await;
    let status = response.status().as_u16().to_string();
    metrics::counter!("nowcast_http_requests_total", "route" => route.clone(), "status" => status)
        .increment(1);
    metrics::histogram!("nowcast_http_request_seconds", "route" => route)
        .record(started.elapsed().as_secs_f64());
    response
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::*;

    #[test]
    fn openapi_describes_every_route_and_no_other() {
        let document: Value = serde_json::from_str(include_str!("../assets/openapi.json")).unwrap();
        assert_eq!(document["info"]["version"], env!("CARGO_PKG_VERSION"));
        let paths = document["paths"].as_object().unwrap();
        let described: BTreeSet<&str> = paths.keys().map(String::as_str).collect();
        let routed: BTreeSet<&str> = routes().into_iter().map(|(path, _)| path).collect();
        assert_eq!(described, routed);
        for (path, item) in paths {
            let methods: Vec<&String> = item.as_object().unwrap().keys().collect();
            assert_eq!(methods, ["get"], "{path}");
            let documented = item["get"]["parameters"].as_array();
            let documented: BTreeSet<&str> = documented
                .into_iter()
                .flatten()
                .filter(|parameter| parameter["in"] == "path")
                .map(|parameter| parameter["name"].as_str().unwrap())
                .collect();
            let named = path.split('/').filter_map(|part| part.strip_prefix('{'));
            let named: BTreeSet<&str> = named.filter_map(|part| part.strip_suffix('}')).collect();
            assert_eq!(documented, named, "{path}");
        }
    }
}
