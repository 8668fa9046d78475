//! Where checkpoints are kept: a folder, or a bucket of S3.

use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use nowcast_engine::parse_duration;
use nowcast_planner::Settings;
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey, S3ConditionalPut};
use object_store::local::LocalFileSystem;
use object_store::prefix::PrefixStore;
use object_store::{ClientConfigKey, ObjectStore, RetryConfig};

/// Flink's name for the place, and that of Flink before 2.0.
const DIR_KEYS: [&str; 2] = ["execution.checkpointing.dir", "state.checkpoints.dir"];

/// How often a request to S3 is made until it counts as failed; 11 times within 3 minutes unless it
/// is set.
const ATTEMPTS: &str = "s3.attempts.maximum";

/// How long S3 may take to be reached, 5 s, and to answer, 30 s unless they are set. Names are those
/// of Hadoop's client, which Flink passes on.
const TIMEOUTS: [(&str, ClientConfigKey); 2] = [
    ("s3.connection.establish.timeout", ClientConfigKey::ConnectTimeout),
    ("s3.connection.request.timeout", ClientConfigKey::Timeout),
];

/// Opens the place that the command line says, else the SQL, else the one beneath the data folder.
///
/// # Errors
/// For a place of an unknown kind, and one that cannot be made or configured.
pub fn open(given: Option<&str>, settings: &Settings, data: &Path) -> Result<Arc<dyn ObjectStore>> {
    let set = DIR_KEYS.iter().find_map(|key| settings.get(*key)).map(String::as_str);
    let beneath = || data.join("checkpoints").display().to_string();
    let place = given.or(set).map_or_else(beneath, str::to_owned);
    match place.split_once("://") {
        None => folder(&place),
        Some(("file", path)) => folder(path),
        Some(("s3" | "s3a" | "s3p", rest)) => {
            bucket(rest, settings).with_context(|| format!("checkpoints {place}"))
        }
        Some((kind, _)) => {
            bail!(
                "checkpoints {place}: unknown kind \"{kind}\", expected a folder or s3://bucket/path"
            )
        }
    }
}

/// Whether they are kept in a place that is named, and that other machines may reach.
pub fn is_elsewhere(given: Option<&str>, settings: &Settings) -> bool {
    given.is_some() || DIR_KEYS.iter().any(|key| settings.contains_key(*key))
}

/// Checkpoints in a folder.
pub fn folder(path: &str) -> Result<Arc<dyn ObjectStore>> {
    let made = std::fs::create_dir_all(path);
    made.with_context(|| format!("checkpoints {path}: the folder cannot be made"))?;
    let folder = LocalFileSystem::new_with_prefix(path)?;
    // Folders of checkpoints go with their last file.
    Ok(Arc::new(folder.with_automatic_cleanup(true)))
}

/// Keys, region and endpoint are those of the environment (`AWS_ACCESS_KEY_ID`, `AWS_REGION`,
/// `AWS_ENDPOINT_URL`, …); endpoint and path style also those of Flink's settings. Manifests are put
/// on condition that there is none. What the store refuses for the moment, and what it does not answer
/// in time, is asked again, more and more slowly.
fn bucket(rest: &str, settings: &Settings) -> Result<Arc<dyn ObjectStore>> {
    let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    let mut builder = AmazonS3Builder::from_env()
        .with_bucket_name(bucket)
        .with_conditional_put(S3ConditionalPut::ETagMatch);
    let environment = std::env::var("AWS_ENDPOINT_URL").ok();
    let endpoint = settings.get("s3.endpoint").cloned().or(environment);
    if let Some(endpoint) = endpoint {
        // Whoever names an endpoint without TLS wants it.
        builder = builder.with_allow_http(endpoint.starts_with("http://")).with_endpoint(endpoint);
    }
    if let Some(style) = settings.get("s3.path.style.access") {
        builder = builder.with_virtual_hosted_style_request(style != "true");
    }
    if let Some(text) = settings.get(ATTEMPTS) {
        let attempts = text.parse::<NonZeroUsize>().with_context(|| format!("'{ATTEMPTS}'"))?;
        let max_retries = attempts.get() - 1;
        builder = builder.with_retry(RetryConfig { max_retries, ..RetryConfig::default() });
    }
    for (key, of_client) in TIMEOUTS {
        if let Some(text) = settings.get(key) {
            let time = parse_duration(text).with_context(|| format!("'{key}'"))?;
            let time = format!("{}ms", time.as_millis());
            builder = builder.with_config(AmazonS3ConfigKey::Client(of_client), time);
        }
    }
    let store = builder.build()?;
    Ok(match prefix.trim_matches('/') {
        "" => Arc::new(store),
        prefix => Arc::new(PrefixStore::new(store, prefix)),
    })
}
