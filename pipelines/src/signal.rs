//! SIGINT and SIGTERM: the first asks to stop, a second leaves at once.

use std::process::exit;
use std::sync::OnceLock;
use std::time::Duration;

use tokio::runtime::Builder;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

/// What a process has to stop in, unless it is told otherwise: what Kubernetes gives it.
pub const STOP_TIMEOUT: Duration = Duration::from_secs(30);

/// Exit code of a process whose time to stop was over.
const TIMED_OUT: i32 = 3;

/// Added to the number of a signal that ends a process at once, as shells do.
const BY_SIGNAL: i32 = 128;

struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn listen() -> std::io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    /// The number of the next one.
    async fn next(&mut self) -> i32 {
        tokio::select! {
            _ = self.interrupt.recv() => SignalKind::interrupt().as_raw_value(),
            _ = self.terminate.recv() => SignalKind::terminate().as_raw_value(),
        }
    }
}

/// Returns when the process is asked to stop, or was; never where signals cannot be listened for.
/// From then on it has `timeout` to end by itself: whatever holds it, it ends then, with exit code 3.
/// A second signal ends it at once.
pub async fn asked_to_stop(timeout: Duration) {
    static ASKED: OnceLock<watch::Receiver<bool>> = OnceLock::new();
    let mut asked = ASKED.get_or_init(|| listen(timeout)).clone();
    if asked.wait_for(|asked| *asked).await.is_err() {
        std::future::pending().await
    }
}

/// Listens in a thread of its own, which no call of a job's can hold.
fn listen(timeout: Duration) -> watch::Receiver<bool> {
    let (ask, asked) = watch::channel(false);
    let listening = move || {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let mut signals = Signals::listen()?;
            signals.next().await;
            tracing::info!("stopping, within {timeout:?}; a second signal leaves at once");
            ask.send_replace(true);
            let code = tokio::select! {
                second = signals.next() => BY_SIGNAL + second,
                () = tokio::time::sleep(timeout) => {
                    tracing::error!(
                        "not stopped within {timeout:?}: left without a last checkpoint"
                    );
                    TIMED_OUT
                }
            };
            exit(code)
        })
    };
    let thread = std::thread::Builder::new().name("signals".into());
    let spawned = thread.spawn(move || {
        let listened: std::io::Result<()> = listening();
        if let Err(error) = listened {
            tracing::warn!(%error, "no signals can be listened for");
        }
    });
    if let Err(error) = spawned {
        tracing::warn!(%error, "no signals can be listened for");
    }
    asked
}
