//! The system under test: started, waited for, watched and stopped, as far as the workload says so.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nowcast_bench::cpu;
use nowcast_bench::workload::System as Settings;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::{Offset, TopicPartitionList};
use tokio::process::{Child, Command};

/// How long a system may take to be ready.
const READY: Duration = Duration::from_secs(120);

/// How long it may take to stop before it is killed.
const STOP: Duration = Duration::from_secs(15);

/// Between two questions whether it is ready.
const ASK_EVERY: Duration = Duration::from_millis(100);

/// How long an answer about the system may take; longer than a sample lasts it helps nobody.
const PATIENCE: Duration = Duration::from_secs(1);

/// What the system prints.
const LOG: &str = "system.log";

/// What a workload's places are filled with.
pub struct Places<'a> {
    pub bootstrap: &'a str,
    pub topic: &'a str,
    /// The folder of the workload file.
    pub here: &'a Path,
    /// That of the report: what the system prints is kept in it.
    pub out: &'a Path,
}

pub struct System {
    child: Option<Child>,
    log: PathBuf,
    pid: Option<u32>,
    metrics: Option<String>,
    client: reqwest::Client,
    group: Option<Group>,
}

/// What is known of the system at one moment.
#[derive(Clone, Copy, Debug, Default)]
pub struct Look {
    pub cpu_s: Option<f64>,
    pub rss_bytes: Option<u64>,
    pub checkpoint: Option<u64>,
    pub group_lag: Option<u64>,
}

struct Group {
    consumer: std::sync::Arc<BaseConsumer>,
    topic: String,
}

impl System {
    /// Starts what is to be started and waits until it is ready.
    pub async fn start(settings: &Settings, places: Places<'_>) -> Result<Self> {
        let child = match settings.command.is_empty() {
            true => None,
            false => Some(spawn(&settings.command, &places)?),
        };
        let group = match &settings.group {
            None => None,
            Some(group) => {
                let consumer: BaseConsumer = ClientConfig::new()
                    .set("bootstrap.servers", places.bootstrap)
                    .set("group.id", group)
                    .set("enable.auto.commit", "false")
                    .create()?;
                Some(Group { consumer: consumer.into(), topic: places.topic.to_owned() })
            }
        };
        let mut system = Self {
            pid: settings.pid.or_else(|| child.as_ref()?.id()),
            child,
            log: places.out.join(LOG),
            metrics: settings.metrics.clone(),
            client: reqwest::Client::new(),
            group,
        };
        if let Some(pid) = settings.pid {
            cpu::of(pid)?;
        }
        if let Some(url) = &settings.ready {
            system.wait_until_ready(url).await?;
        }
        Ok(system)
    }

    async fn wait_until_ready(&mut self, url: &str) -> Result<()> {
        let began = Instant::now();
        loop {
            let answer = self.client.get(url).timeout(PATIENCE).send().await;
            let words = match answer {
                Ok(response) if response.status().is_success() => return Ok(()),
                Ok(response) => response.status().to_string(),
                Err(error) => error.to_string(),
            };
            self.check()?;
            if began.elapsed() > READY {
                bail!("the system is not ready after {READY:?}: {url}: {words}");
            }
            tokio::time::sleep(ASK_EVERY).await;
        }
    }

    /// # Errors
    /// If the system that was started has ended.
    pub fn check(&mut self) -> Result<()> {
        let ended = match &mut self.child {
            Some(child) => child.try_wait()?,
            None => None,
        };
        match ended {
            Some(status) => bail!("the system has ended ({status}): {}", last_lines(&self.log)),
            None => Ok(()),
        }
    }

    /// What can be known now. What cannot is left out: the system may be busy.
    pub async fn look(&self) -> Look {
        let mut look = Look::default();
        if let Some(usage) = self.pid.and_then(|pid| cpu::of(pid).ok()) {
            look.cpu_s = Some(usage.cpu_s);
            look.rss_bytes = Some(usage.rss_bytes);
        }
        if let Some(text) = self.scrape().await {
            look.checkpoint = sample(&text, "nowcast_checkpoint_epoch").map(|epoch| epoch as u64);
            look.cpu_s = look.cpu_s.or_else(|| sample(&text, "process_cpu_seconds_total"));
            let resident = || sample(&text, "process_resident_memory_bytes");
            look.rss_bytes = look.rss_bytes.or_else(|| Some(resident()? as u64));
        }
        if let Some(group) = &self.group {
            let (consumer, topic) = (group.consumer.clone(), group.topic.clone());
            let lag = tokio::task::spawn_blocking(move || group_lag(&consumer, &topic)).await;
            look.group_lag = lag.ok().and_then(Result::ok);
        }
        look
    }

    async fn scrape(&self) -> Option<String> {
        let response = self.client.get(self.metrics.as_ref()?).timeout(PATIENCE).send().await;
        response.ok()?.error_for_status().ok()?.text().await.ok()
    }

    /// Asks the system that was started to stop, and kills it if it does not.
    pub async fn stop(mut self) -> Result<()> {
        let Some(mut child) = self.child.take() else { return Ok(()) };
        let Some(pid) = child.id() else { return Ok(()) };
        // The standard library has no gentle way to end a process.
        let asked = Command::new("kill").args(["-TERM", &pid.to_string()]).status().await;
        let asked = asked.is_ok_and(|status| status.success());
        if !asked || tokio::time::timeout(STOP, child.wait()).await.is_err() {
            child.kill().await?;
        }
        Ok(())
    }
}

fn spawn(command: &[String], places: &Places<'_>) -> Result<Child> {
    let nowcast = std::env::current_exe()?.display().to_string();
    let filled: Vec<String> = command
        .iter()
        .map(|word| {
            word.replace("{bootstrap}", places.bootstrap)
                .replace("{topic}", places.topic)
                .replace("{nowcast}", &nowcast)
                .replace("{here}", &places.here.display().to_string())
                .replace("{out}", &places.out.display().to_string())
        })
        .collect();
    let path = places.out.join(LOG);
    let log = File::create(&path).with_context(|| path.display().to_string())?;
    Command::new(&filled[0])
        .args(&filled[1..])
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .kill_on_drop(true)
        .spawn()
        .with_context(|| format!("{}: cannot be started", filled[0]))
}

fn last_lines(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    format!("{}\n{}", log.display(), lines[lines.len().saturating_sub(5)..].join("\n"))
}

/// The sum of a metric over its labels, in Prometheus's text format.
fn sample(text: &str, name: &str) -> Option<f64> {
    text.lines()
        .filter_map(|line| line.strip_prefix(name))
        .filter(|rest| rest.starts_with(['{', ' ']))
        .filter_map(|rest| rest.rsplit(' ').next()?.parse::<f64>().ok())
        .reduce(|sum, value| sum + value)
}

/// Messages of the topic that the group has not committed.
fn group_lag(consumer: &BaseConsumer, topic: &str) -> Result<u64> {
    let metadata = consumer.fetch_metadata(Some(topic), PATIENCE)?;
    let mut list = TopicPartitionList::new();
    for partition in metadata.topics().iter().flat_map(|topic| topic.partitions()) {
        list.add_partition(topic, partition.id());
    }
    let committed = consumer.committed_offsets(list, PATIENCE)?;
    let mut lag = 0;
    for element in committed.elements() {
        let (low, high) = consumer.fetch_watermarks(topic, element.partition(), PATIENCE)?;
        let from = match element.offset() {
            Offset::Offset(offset) => offset.max(low),
            _ => low,
        };
        lag += u64::try_from(high - from).unwrap_or(0);
    }
    Ok(lag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_metric_is_summed_over_its_labels() {
        let text = "# TYPE a gauge\na{job=\"x y\"} 3\na{job=\"z\"} 4\na_b 9\nb 1.5\n";
        assert_eq!(sample(text, "a"), Some(7.0));
        assert_eq!(sample(text, "b"), Some(1.5));
        assert_eq!(sample(text, "c"), None);
    }
}
