//! The servers that look-ups are measured on, each a process of its own, and the bare loops over the model.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use arrow::array::{ArrayRef, Int64Builder, ListBuilder};
use nowcast_bench::cpu;
use nowcast_engine::ModelProvider;
use nowcast_onnx::OnnxProvider;
use serde::Deserialize;
use tokio::process::{Child, Command};

/// The Python peer, as it lies in the repository.
const PEER: &str = include_str!("../../../../bench/lookups/peer.py");

/// How long a server may take to answer at first, and the pipeline to fill the store.
const PATIENCE: Duration = Duration::from_secs(120);

const ASK_EVERY: Duration = Duration::from_millis(50);

#[derive(Clone)]
pub struct Server {
    pub address: String,
    pub pid: u32,
}

/// All that was started; it ends when this goes.
#[derive(Default)]
pub struct Peers {
    children: Vec<Child>,
    redis: Option<Server>,
    pub nowcast: Option<Server>,
}

impl Peers {
    fn spawn(&mut self, mut command: Command, log: &Path) -> Result<u32> {
        let file = std::fs::File::create(log).with_context(|| log.display().to_string())?;
        command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file).kill_on_drop(true);
        let child =
            command.spawn().with_context(|| format!("{:?} cannot be started", command.as_std()))?;
        let pid = child.id().context("it has ended at once")?;
        self.children.push(child);
        Ok(pid)
    }

    /// Starts a Redis that keeps nothing; its URL.
    pub async fn redis(&mut self, folder: &Path) -> Result<String> {
        let address = free_address()?;
        let port = address.rsplit(':').next().unwrap_or_default();
        let mut command = Command::new("redis-server");
        command.args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--port", port]);
        command.arg("--dir").arg(folder);
        let pid = self.spawn(command, &folder.join("redis.log"))?;
        let began = Instant::now();
        while std::net::TcpStream::connect(&address).is_err() {
            if began.elapsed() > PATIENCE {
                bail!("redis-server on {address} does not answer");
            }
            tokio::time::sleep(ASK_EVERY).await;
        }
        let url = format!("redis://{address}");
        self.redis = Some(Server { address, pid });
        Ok(url)
    }

    pub fn redis_pid(&self) -> Option<u32> {
        Some(self.redis.as_ref()?.pid)
    }

    /// Starts the shipped recommendations on a topic; they serve what they write.
    pub async fn nowcast(
        &mut self,
        folder: &Path,
        bootstrap: &str,
        topic: &str,
        models: &Path,
        redis: &str,
    ) -> Result<()> {
        let (name, sql) = crate::shipped::PIPELINES[3];
        let (file, address) = (folder.join(name), free_address()?);
        std::fs::write(&file, sql)?;
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("run").arg(&file).args(["--fresh", "--http", &address]);
        // The bench is one client with many requests.
        command.args(["--http-requests-per-second-max", "10000000"]);
        command.arg("--data-dir").arg(folder.join("data"));
        for (variable, value) in [
            ("CLICKS_TOPIC", topic),
            ("KAFKA_BOOTSTRAP_SERVERS", bootstrap),
            ("REDIS_URL", redis),
            ("MODELS", &models.display().to_string()),
        ] {
            command.args(["--set", &format!("{variable}={value}")]);
        }
        let log = folder.join("nowcast.log");
        let pid = self.spawn(command, &log)?;
        answers(&format!("http://{address}/readyz"), &log).await?;
        self.nowcast = Some(Server { address, pid });
        Ok(())
    }

    /// Waits until the pipeline has read so many clicks and its look-ups are written.
    pub async fn until_read(&self, clicks: u64) -> Result<()> {
        let nowcast = self.nowcast.as_ref().context("nowcast was not started")?;
        let url = format!("http://{}/metrics", nowcast.address);
        let (client, began) = (reqwest::Client::new(), Instant::now());
        let mut before = (0.0, Instant::now());
        while began.elapsed() < PATIENCE * 5 {
            let text = client.get(&url).send().await?.text().await?;
            let read: f64 = text
                .lines()
                .filter(|line| line.starts_with("nowcast_rows_in_total{"))
                .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
                .sum();
            if read > before.0 {
                before = (read, Instant::now());
            }
            // The counters are published once a second: rows are still while they stand for several.
            if read >= clicks as f64 && before.1.elapsed() > Duration::from_secs(5) {
                return Ok(());
            }
            tokio::time::sleep(ASK_EVERY).await;
        }
        bail!("the pipeline has not read {clicks} clicks in {:?}", PATIENCE * 5)
    }

    /// Starts the Python peer on the same store.
    pub async fn python(
        &mut self,
        python: &Path,
        folder: &Path,
        redis: &str,
        model: &Path,
    ) -> Result<Server> {
        let (file, address) = (folder.join("peer.py"), free_address()?);
        std::fs::write(&file, PEER)?;
        let port = address.rsplit(':').next().unwrap_or_default();
        let mut command = Command::new(python);
        command.arg(file).args(["serve", redis, port]).arg(model);
        let log = folder.join("python.log");
        let pid = self.spawn(command, &log)?;
        answers(&format!("http://{address}/openapi.json"), &log).await?;
        Ok(Server { address, pid })
    }

    pub async fn stop(mut self) -> Result<()> {
        for child in &mut self.children {
            child.kill().await?;
        }
        Ok(())
    }
}

fn free_address() -> Result<String> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string())
}

async fn answers(url: &str, log: &Path) -> Result<()> {
    let (client, began) = (reqwest::Client::new(), Instant::now());
    while began.elapsed() < PATIENCE {
        if client.get(url).send().await.is_ok_and(|answer| answer.status().is_success()) {
            return Ok(());
        }
        tokio::time::sleep(ASK_EVERY).await;
    }
    let said = std::fs::read_to_string(log).unwrap_or_default();
    bail!("{url} does not answer: {said}")
}

/// Rows that a core scores a second in a bare loop over the model, one row a call.
pub async fn scores(
    python: Option<&Path>,
    folder: &Path,
    model: &Path,
    duration: Duration,
) -> Result<Vec<(&'static str, f64)>> {
    let own = model.to_owned();
    let own = tokio::task::spawn_blocking(move || score(&own, duration)).await??;
    let mut found = vec![("nowcast: bare model, rows", own)];
    if let Some(python) = python {
        #[derive(Deserialize)]
        struct Scored {
            rows: u64,
            cpu_s: f64,
        }
        let seconds = duration.as_secs_f64().to_string();
        let mut command = Command::new(python);
        command.arg(folder.join("peer.py")).arg("onnx").arg(model).arg(seconds);
        let output = command.output().await?;
        if !output.status.success() {
            bail!("{}: {}", python.display(), String::from_utf8_lossy(&output.stderr));
        }
        let scored: Scored = serde_json::from_slice(&output.stdout)?;
        found.push(("python: bare onnxruntime, rows", scored.rows as f64 / scored.cpu_s));
    }
    Ok(found)
}

fn score(path: &Path, duration: Duration) -> Result<f64> {
    let options = [("path".to_owned(), path.display().to_string())].into();
    let model = OnnxProvider::default().load("next_title", &options)?;
    let rows: Vec<ArrayRef> = (0..256_i64)
        .map(|row| {
            let mut list = ListBuilder::new(Int64Builder::new());
            (0..20).for_each(|at| list.values().append_value((row * 37 + at * 101) % 1000 + 1));
            list.append(true);
            std::sync::Arc::new(list.finish()) as ArrayRef
        })
        .collect();
    let (began, before, mut scored) = (Instant::now(), cpu::own()?.cpu_s, 0_usize);
    while began.elapsed() < duration {
        model.score(std::slice::from_ref(&rows[scored % rows.len()]))?;
        scored += 1;
    }
    let cpu_s = cpu::own()?.cpu_s - before;
    Ok(scored as f64 / cpu_s.max(f64::MIN_POSITIVE))
}
