//! Reads certificates and tokens again: when their files change, and on SIGHUP.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use nowcast_serve::Protection;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// How often files are looked at: certificates are renewed weeks before they end.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Looks until `stopped`; where there is nothing to look at, SIGHUP is left alone.
pub fn watch(protection: &Protection, mut stopped: watch::Receiver<bool>) {
    let protection = protection.clone();
    let files = files(&protection);
    if files.is_empty() {
        return;
    }
    tokio::spawn(async move {
        let mut hangups = signal(SignalKind::hangup()).ok();
        let mut seen = stamps(&files);
        loop {
            let asked = async {
                match &mut hangups {
                    Some(hangups) => hangups.recv().await,
                    None => std::future::pending().await,
                }
            };
            let asked = tokio::select! {
                _ = asked => true,
                () = tokio::time::sleep(LOOK_EVERY) => false,
                _ = stopped.changed() => return,
            };
            let now = stamps(&files);
            if asked || now != seen {
                seen = now;
                reload(&protection);
            }
        }
    });
}

fn files(protection: &Protection) -> Vec<PathBuf> {
    let tls = protection.tls.iter().flat_map(|tls| tls.files());
    let tokens = protection.tokens.iter().map(|tokens| tokens.file());
    tls.chain(tokens).map(Path::to_owned).collect()
}

/// When each was written last; none where it is gone for the moment.
fn stamps(files: &[PathBuf]) -> Vec<Option<(SystemTime, u64)>> {
    let stamp = |path: &PathBuf| {
        let metadata = std::fs::metadata(path).ok()?;
        Some((metadata.modified().ok()?, metadata.len()))
    };
    files.iter().map(stamp).collect()
}

fn reload(protection: &Protection) {
    let tls = protection.tls.as_ref().map(|tls| tls.reload());
    let tokens = protection.tokens.as_ref().map(|tokens| tokens.reload());
    for reloaded in [tls, tokens].into_iter().flatten() {
        match reloaded {
            Ok(()) => tracing::info!("http: certificates and tokens are read again"),
            Err(error) => tracing::warn!(%error, "http: the old one stays"),
        }
    }
}
