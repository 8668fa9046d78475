//! One run at one curve: generators and watchers side by side, a sample each second, and what came of it.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use indicatif::ProgressBar;
use nowcast_bench::answers::Answers;
use nowcast_bench::curve::Curve;
use nowcast_bench::generate::workload::Events;
use nowcast_bench::histogram::{Interval, Latencies};
use nowcast_bench::run::{Counts, Sample, SystemUse, measured};
use nowcast_bench::workload::{Expect, Matching, Workload};

use super::live::Live;
use super::load::{self, Plan, Sent};
use super::system::{Look, System};
use super::watch::{self, Seen};

const SAMPLE: Duration = Duration::from_secs(1);

/// Results of aggregates have come to an end when none has come for so long.
const QUIET: Duration = Duration::from_secs(3);

/// Between two looks at whether all results are there.
const LOOK: Duration = Duration::from_millis(5);

/// From the wish to run until the first event: generators and watchers connect meanwhile.
const LEAD: Duration = Duration::from_secs(1);

/// A clock that differs by more from the steady one has been set.
const CLOCK_STEP: Duration = Duration::from_millis(10);

/// A generator whose sends are so late, one in a hundred, is not the schedule that was promised.
const SLIP_MAX: Duration = Duration::from_millis(20);

/// A watcher that looks less often than this tells nothing of short latencies.
const GAP_MAX: Duration = Duration::from_millis(20);

/// What a trial needs.
pub struct Setting<'a> {
    pub workload: Arc<Workload>,
    pub bootstrap: String,
    pub topic: String,
    pub system: &'a mut System,
    pub patience: Duration,
    pub live: &'a Live,
    pub bar: ProgressBar,
}

/// What came of it.
pub struct Outcome {
    pub started: SystemTime,
    pub counts: Counts,
    pub bytes: u64,
    pub latencies: Latencies,
    pub publish: Latencies,
    pub slip: Latencies,
    pub lag_max: Duration,
    pub drain: Duration,
    pub system: Option<SystemUse>,
    pub samples: Vec<Sample>,
    pub intervals: Vec<Interval>,
    pub warnings: Vec<String>,
    /// The generators did not keep their schedule.
    pub saturated: bool,
}

/// Runs `curve` for `warm_up` and `duration`.
pub async fn run(
    setting: &mut Setting<'_>,
    curve: Curve,
    warm_up: Duration,
    duration: Duration,
) -> Result<Outcome> {
    let events = curve.due_by(warm_up + duration);
    let (started, wall) = (Instant::now() + LEAD, SystemTime::now() + LEAD);
    let started_us = i64::try_from(wall.duration_since(UNIX_EPOCH)?.as_micros())?;
    let plan = Arc::new(Plan {
        workload: Arc::clone(&setting.workload),
        curve: curve.clone(),
        events,
        warm_up,
        bootstrap: setting.bootstrap.clone(),
        topic: setting.topic.clone(),
        started,
        started_us,
    });
    let sent = Arc::new(Sent::new(warm_up, watch::pending(&setting.workload)));
    let seen = Arc::new(Seen::new(Answers::new(curve, events, started_us, warm_up)));
    let watcher = watch::start(&plan, &sent, &seen).await?;
    let started_late = started.elapsed();
    let generators = load::start(&plan, &sent)?;

    let mut course = Course {
        plan,
        sent,
        seen,
        watcher,
        samples: vec![],
        intervals: vec![],
        warnings: vec![],
        before: Look::default(),
    };
    let result = course.follow(setting, duration, &generators).await;
    course.sent.stop.store(true, Ordering::Relaxed);
    let ended = tokio::task::spawn_blocking(move || {
        generators.into_iter().try_for_each(|generator| {
            generator.join().map_err(|_| anyhow::anyhow!("a generator has panicked"))?
        })
    })
    .await?;
    let drained = match (&result, ended) {
        (Ok(()), Ok(())) => course.drain(setting).await,
        (Ok(()), Err(error)) => Err(error),
        _ => Ok(Duration::ZERO),
    };
    course.seen.stop.store(true, Ordering::Relaxed);
    if !course.watcher.is_finished() {
        (&mut course.watcher).await??;
    }
    result?;
    let mut outcome = course.outcome(setting, wall, duration, drained?);
    if started_late > Duration::ZERO {
        outcome.warnings.push(format!(
            "the watchers took {started_late:?} longer to begin than the first event waits"
        ));
    }
    Ok(outcome)
}

/// A trial under way.
struct Course {
    plan: Arc<Plan>,
    sent: Arc<Sent>,
    seen: Arc<Seen>,
    watcher: tokio::task::JoinHandle<Result<()>>,
    samples: Vec<Sample>,
    intervals: Vec<Interval>,
    warnings: Vec<String>,
    before: Look,
}

impl Course {
    /// Takes samples until all events are sent, or something breaks.
    async fn follow(
        &mut self,
        setting: &mut Setting<'_>,
        duration: Duration,
        generators: &[std::thread::JoinHandle<Result<()>>],
    ) -> Result<()> {
        let end = self.plan.warm_up + duration;
        let mut next = SAMPLE;
        while !generators.iter().all(std::thread::JoinHandle::is_finished) {
            let at = self.plan.started + next;
            tokio::time::sleep_until(at.min(Instant::now() + LOOK * 10).into()).await;
            if Instant::now() >= at {
                self.sample(setting).await?;
                next += SAMPLE;
            }
            if self.plan.elapsed() > end + setting.patience {
                self.warnings
                    .push("the generators were stopped: they could not send all events".into());
                break;
            }
        }
        self.sample(setting).await
    }

    /// Waits for the results that are still to come; how long that took.
    async fn drain(&mut self, setting: &mut Setting<'_>) -> Result<Duration> {
        let began = Instant::now();
        let mut newest = (self.results(), Instant::now());
        let mut next = Instant::now() + SAMPLE;
        while began.elapsed() < setting.patience && !self.is_complete() {
            if self.results() > newest.0 {
                newest = (self.results(), Instant::now());
            }
            if self.expects_some() && newest.1.elapsed() > QUIET {
                break;
            }
            if Instant::now() >= next {
                self.sample(setting).await?;
                next += SAMPLE;
            }
            tokio::time::sleep(LOOK).await;
        }
        self.sample(setting).await?;
        // Quiet is how one knows of the end, it is no part of it.
        Ok(if self.expects_some() { newest.1 - began } else { began.elapsed() })
    }

    fn results(&self) -> u64 {
        self.seen.answers().results
    }

    fn expects_some(&self) -> bool {
        !matches!(
            self.plan.workload.output.matching(),
            Some(Matching::Sequence { expect: Expect::Every, .. })
        )
    }

    /// Whether nothing more has to come. Late events may come out or not.
    fn is_complete(&self) -> bool {
        match self.sent.pending.is_empty() {
            false => {
                self.sent.pending.values().all(|numbers| {
                    numbers.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
                })
            }
            true => {
                !self.expects_some()
                    && self.results() >= self.sent.sound.load(Ordering::Relaxed)
                    && self.lost() == 0
            }
        }
    }

    /// Sound events that were sent and have not been answered.
    fn lost(&self) -> u64 {
        let mut events = Events::new(&self.plan.workload);
        let answers = self.seen.answers();
        let missing = (0..self.plan.events).filter(|number| !answers.is_answered(*number));
        missing
            .filter(|number| {
                let fate = events.fate(*number);
                fate.is_sound() && self.plan.workload.is_sampled(fate.key)
            })
            .count() as u64
    }

    async fn sample(&mut self, setting: &mut Setting<'_>) -> Result<()> {
        setting.system.check()?;
        if self.watcher.is_finished() {
            (&mut self.watcher).await??;
            bail!("the results cannot be read on");
        }
        let look = setting.system.look().await;
        let now = self.plan.elapsed();
        let last = self.samples.last();
        let at = last.map_or(Duration::ZERO, |last| Duration::from_secs_f64(last.at_s));
        let length = now.saturating_sub(at);
        if length < SAMPLE / 20 {
            return Ok(());
        }
        let (mut latency, lag, results) = {
            let mut answers = self.seen.answers();
            let lag = match self.sent.pending.is_empty() {
                true => answers.lag(now),
                false => Duration::ZERO,
            };
            (answers.interval(), lag, answers.results)
        };
        let lag = lag.max(watch::lag(&self.plan, &self.sent));
        let interval = |recorder: &std::sync::Mutex<nowcast_bench::histogram::Recorder>| {
            recorder.lock().unwrap_or_else(PoisonError::into_inner).interval().summary()
        };
        let of_all = |value: fn(&Sample) -> u64| self.samples.iter().map(value).sum::<u64>();
        let cpu_s = look.cpu_s.zip(self.before.cpu_s).map(|(now, before)| now - before);
        let sample = Sample {
            at_s: now.as_secs_f64(),
            length_s: length.as_secs_f64(),
            due: self.plan.curve.due_by(now).min(self.plan.events) - of_all(|s| s.due),
            sent: self.sent.events.load(Ordering::Relaxed) - of_all(|s| s.sent),
            acknowledged: self.sent.acknowledged.load(Ordering::Relaxed)
                - of_all(|s| s.acknowledged),
            results: results - of_all(|s| s.results),
            lag_s: lag.as_secs_f64(),
            latency: latency.summary(),
            publish: interval(&self.sent.publish),
            slip: interval(&self.sent.slip),
            cpu_cores: cpu_s.map(|cpu_s| (cpu_s / length.as_secs_f64()).max(0.0)),
            rss_bytes: look.rss_bytes,
            group_lag: look.group_lag,
            checkpoint: look.checkpoint,
        };
        self.check_clock();
        setting.live.show(&sample);
        setting.bar.set_position(now.as_millis() as u64);
        setting.bar.set_message(format!(
            "{:.0}/s sent, {:.0}/s results, p99 {:.1} ms, lag {:.1} s",
            nowcast_bench::run::per_s(sample.sent, &sample),
            nowcast_bench::run::per_s(sample.results, &sample),
            sample.latency.p99_us as f64 / 1e3,
            sample.lag_s
        ));
        self.before = look;
        self.samples.push(sample);
        let latencies = std::mem::take(&mut latency);
        self.intervals.push(Interval { start: at, length, latencies });
        Ok(())
    }

    /// Events carry the wall clock, and results that are matched by it are only as good as it is.
    fn check_clock(&mut self) {
        let wall_us =
            SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros());
        let expected_us = self.plan.started_us as u128 + self.plan.elapsed().as_micros();
        let off = Duration::from_micros(wall_us.abs_diff(expected_us) as u64);
        let words = "the clock was set during the run: event times are off by";
        if off > CLOCK_STEP && !self.warnings.iter().any(|warning| warning.starts_with(words)) {
            self.warnings.push(format!("{words} {off:?} and more"));
        }
    }

    fn outcome(
        mut self,
        setting: &Setting<'_>,
        started: SystemTime,
        duration: Duration,
        drain: Duration,
    ) -> Outcome {
        let every = !self.expects_some();
        let lost = every.then(|| self.lost());
        let sent = &self.sent;
        let whole = |recorder: &std::sync::Mutex<nowcast_bench::histogram::Recorder>| {
            recorder.lock().unwrap_or_else(PoisonError::into_inner).whole.clone()
        };
        let (publish, slip) = (whole(&sent.publish), whole(&sent.slip));
        let load = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
        let answers = self.seen.answers();
        let counts = Counts {
            due: self.plan.events,
            sent: load(&sent.events),
            acknowledged: load(&sent.acknowledged),
            refused: load(&sent.refused),
            late: load(&sent.late),
            poison: load(&sent.poison),
            results: answers.results,
            expected: every.then(|| load(&sent.sound)),
            lost,
            duplicates: answers.duplicates,
            strangers: answers.strangers,
        };
        let latencies = answers.latencies().clone();
        drop(answers);
        let (from, length) = (self.plan.warm_up.as_secs_f64(), duration.as_secs_f64());
        let measured: Vec<&Sample> = measured(&self.samples, from, length).collect();
        let lag_max = measured.iter().map(|sample| sample.lag_s).fold(0.0, f64::max);
        let system = system_use(&measured);
        let saturated =
            slip.percentile_us(99.0) > SLIP_MAX.as_micros() as u64 || counts.sent < counts.due;
        self.warn(setting, &slip, &counts, saturated);
        Outcome {
            started,
            counts,
            bytes: load(&self.sent.bytes),
            latencies,
            publish,
            slip,
            lag_max: Duration::from_secs_f64(lag_max),
            drain,
            system,
            samples: self.samples,
            intervals: self.intervals,
            warnings: self.warnings,
            saturated,
        }
    }

    fn warn(&mut self, setting: &Setting<'_>, slip: &Latencies, counts: &Counts, saturated: bool) {
        if saturated {
            self.warnings.push(format!(
                "generator saturated: it could not keep its schedule (1 in 100 sends was {:.1} ms late or more, {} of {} \
                 events sent); the figures are those of the generator too: more `threads`, a machine of its own, or less load",
                slip.percentile_us(99.0) as f64 / 1e3, counts.sent, counts.due
            ));
        }
        if counts.refused > 0 {
            self.warnings.push(format!("the broker refused {} events", counts.refused));
        }
        let gaps = self.seen.gaps.lock().unwrap_or_else(PoisonError::into_inner);
        if gaps.count() > 0 {
            let (p50, p99) = (gaps.percentile_us(50.0), gaps.percentile_us(99.0));
            if p99 > GAP_MAX.as_micros() as u64 {
                self.warnings.push(format!(
                    "results were looked for every {:.1} ms, 1 in 100 times after {:.1} ms: latencies are told no finer",
                    p50 as f64 / 1e3, p99 as f64 / 1e3
                ));
            }
        }
        let unreadable = self.seen.unreadable.load(Ordering::Relaxed);
        if unreadable > 0 {
            self.warnings.push(format!(
                "{unreadable} results could not be matched: no JSON object, or without the field"
            ));
        }
        let failures = self.seen.failures.lock().unwrap_or_else(PoisonError::into_inner);
        if failures.0 > 0 {
            self.warnings.push(format!(
                "{} times results could not be read, at last: {}",
                failures.0, failures.1
            ));
        }
        let group = setting.workload.system.group.as_deref();
        if let Some(group) = group
            && self.samples.iter().all(|sample| sample.group_lag.is_none())
        {
            self.warnings.push(format!("the offsets of group \"{group}\" could not be read"));
        }
    }
}

/// CPU and memory over the measured time.
fn system_use(measured: &[&Sample]) -> Option<SystemUse> {
    let known: Vec<(f64, u64)> = measured
        .iter()
        .filter_map(|sample| Some((sample.cpu_cores? * sample.length_s, sample.sent)))
        .collect();
    let rss = measured.iter().filter_map(|sample| sample.rss_bytes).max()?;
    let cpu_s: f64 = known.iter().map(|(cpu_s, _)| cpu_s).sum();
    let events: u64 = known.iter().map(|(_, sent)| sent).sum();
    Some(SystemUse {
        cpu_s,
        cpu_s_per_million_events: cpu_s * 1e6 / events.max(1) as f64,
        rss_peak_bytes: rss,
    })
}

/// The wall clock as RFC 3339, to the second.
pub fn rfc3339(time: SystemTime) -> Result<String> {
    let since = time.duration_since(UNIX_EPOCH).context("the clock stands before 1970")?;
    let time = chrono::DateTime::from_timestamp(since.as_secs() as i64, 0);
    let time = time.context("the clock stands beyond all calendars")?;
    Ok(time.format("%Y-%m-%dT%H:%M:%SZ").to_string())
}
