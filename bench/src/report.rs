//! One page about a run that needs nothing else: no network, no scripts, charts as SVG.

use std::fmt::Write as _;

use crate::Error;
use crate::chart::{Chart, Line, Scale};
use crate::run::{Run, Sample, per_s};

const STYLE: &str = include_str!("report.css");

/// What is said under every report, so that nobody has to ask.
const METHOD: &str = "Open loop: every event has an intended start fixed by the rate beforehand, and the generator does not \
    wait for answers. Latency counts from the intended start, so that a stall is charged to all events that had to wait for \
    it, also inside the generator (no coordinated omission). Percentiles are over the measured time; the warm-up is shown in \
    the charts and counted nowhere else.";

/// The page.
///
/// # Errors
/// If a chart cannot be drawn.
pub fn html(run: &Run) -> Result<String, Error> {
    let mut page = String::with_capacity(1 << 18);
    let name = escaped(&run.name);
    let (word, class) = if run.passed() { ("pass", "good") } else { ("fail", "bad") };
    page += "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n";
    page += "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n";
    put(
        &mut page,
        format_args!("<title>{name}</title>\n<style>\n{STYLE}</style></head>\n<body><main>\n"),
    );
    put(&mut page, format_args!("<h1>{name} <span class=\"badge {class}\">{word}</span></h1>\n"));
    let (input, output) = (escaped(&run.input), escaped(&run.output));
    put(
        &mut page,
        format_args!("<div class=\"soft\">{} · {input} → {output}</div>\n", run.started),
    );
    put(
        &mut page,
        format_args!(
            "<div class=\"soft\">{} · {} cores · {} · nowcast {}</div>\n",
            escaped(&run.machine.cpu),
            run.machine.cores,
            escaped(&run.machine.kernel),
            run.version
        ),
    );
    figures(&mut page, run);
    verdicts(&mut page, run);
    charts(&mut page, run)?;
    trials(&mut page, run);
    counts(&mut page, run);
    section(&mut page, "How it was measured", &format!("<p class=\"soft\">{METHOD}</p>"));
    if !run.workload.is_empty() {
        section(&mut page, "Workload", &format!("<pre>{}</pre>", escaped(&run.workload)));
    }
    page += "</main></body></html>\n";
    Ok(page)
}

fn put(page: &mut String, text: std::fmt::Arguments<'_>) {
    page.write_fmt(text).expect("a String takes every write");
}

fn section(page: &mut String, title: &str, body: &str) {
    put(page, format_args!("<section><h2>{title}</h2>\n{body}</section>\n"));
}

fn figures(page: &mut String, run: &Run) {
    let latency = &run.latency;
    let mut cards = vec![
        ("p50", ms(latency.p50_us)),
        ("p99", ms(latency.p99_us)),
        ("p99.9", ms(latency.p99_9_us)),
        ("max", ms(latency.max_us)),
        ("asked for", format!("{}/s", thousands(run.mean_per_s))),
        ("worst lag", format!("{:.3} s", run.lag_max_s)),
    ];
    if let Some(rate) = run.sustainable_per_s {
        cards.insert(0, ("sustainable", format!("{}/s", thousands(rate))));
    }
    if let Some(system) = &run.system {
        cards.push(("CPU-s per million", format!("{:.3}", system.cpu_s_per_million_events)));
        cards.push(("peak memory", mib(system.rss_peak_bytes)));
    }
    page.push_str("<div class=\"figures\">");
    for (name, value) in cards {
        put(page, format_args!("<div><span class=\"soft\">{name}</span><b>{value}</b></div>"));
    }
    page.push_str("</div>\n");
}

fn verdicts(page: &mut String, run: &Run) {
    if !run.verdicts.is_empty() {
        let rows: String = run
            .verdicts
            .iter()
            .map(|verdict| {
                let class = if verdict.passed { "good" } else { "bad" };
                format!("<tr><td class=\"{class}\">{}</td></tr>\n", escaped(&verdict.to_string()))
            })
            .collect();
        section(page, "Objectives", &format!("<table>{rows}</table>"));
    }
    for warning in &run.warnings {
        put(page, format_args!("<section class=\"warning\">{}</section>\n", escaped(warning)));
    }
}

fn charts(page: &mut String, run: &Run) -> Result<(), Error> {
    let over_time = |name: &'static str, value: &dyn Fn(&Sample) -> Option<f64>| Line {
        name,
        points: run.samples.iter().filter_map(|s| Some((s.at_s, value(s)?))).collect(),
    };
    let latency =
        |us: u64, sample: &Sample| (sample.latency.count > 0).then_some(us.max(1) as f64 / 1e3);
    // The greatest stands where the percentile of one event in all of them is: 100 % has no place among nines.
    let last = 100.0 * (1.0 - 0.5 / run.latency.count.max(1) as f64);
    let percentiles = run.percentiles.iter();
    let percentiles = percentiles.map(|(p, us)| (p.min(last), (*us).max(1) as f64 / 1e3)).collect();
    let (time, s) = (("seconds since the start", Scale::Linear), Scale::Linear);
    let charts = [
        (
            "Latency by percentile",
            ("percentile", Scale::Nines),
            ("ms", Scale::Log),
            vec![Line { name: "latency", points: percentiles }],
        ),
        (
            "Latency over time",
            time,
            ("ms", Scale::Log),
            vec![
                over_time("p50", &|s| latency(s.latency.p50_us, s)),
                over_time("p99", &|s| latency(s.latency.p99_us, s)),
                over_time("max", &|s| latency(s.latency.max_us, s)),
            ],
        ),
        (
            "Throughput",
            time,
            ("per second", s),
            vec![
                over_time("intended", &|s| Some(per_s(s.due, s))),
                over_time("sent", &|s| Some(per_s(s.sent, s))),
                over_time("results", &|s| Some(per_s(s.results, s))),
            ],
        ),
        ("Lag", time, ("s", s), vec![over_time("lag", &|s| Some(s.lag_s))]),
        (
            "Messages behind, by the consumer group",
            time,
            ("messages", s),
            vec![over_time("group", &|s| Some(s.group_lag? as f64))],
        ),
        ("CPU of the system", time, ("cores", s), vec![over_time("CPU", &|s| s.cpu_cores)]),
        (
            "Memory of the system",
            time,
            ("MiB", s),
            vec![over_time("resident", &|s| Some(s.rss_bytes? as f64 / f64::from(1 << 20)))],
        ),
    ];
    let marks = checkpoints(run);
    for (title, x, y, lines) in charts {
        let marks = if x == time { marks.clone() } else { vec![] };
        let note = match marks.is_empty() {
            true => "",
            false => "<div class=\"soft\">Vertical lines: checkpoints of the system.</div>",
        };
        if let Some(svg) = (Chart { x, y, lines, marks }).to_svg()? {
            section(page, title, &format!("{svg}\n{note}"));
        }
    }
    Ok(())
}

/// When a new checkpoint was complete.
fn checkpoints(run: &Run) -> Vec<f64> {
    let known: Vec<(f64, u64)> =
        run.samples.iter().filter_map(|sample| Some((sample.at_s, sample.checkpoint?))).collect();
    known.windows(2).filter(|pair| pair[0].1 != pair[1].1).map(|pair| pair[1].0).collect()
}

fn trials(page: &mut String, run: &Run) {
    if run.trials.is_empty() {
        return;
    }
    let mut rows = String::from(
        "<tr><th class=\"number\">events/s</th><th></th><th class=\"number\">p99</th>\
         <th class=\"number\">worst lag</th><th></th></tr>\n",
    );
    for trial in &run.trials {
        let (word, class) = if trial.passed { ("pass", "good") } else { ("fail", "bad") };
        put(
            &mut rows,
            format_args!(
                "<tr><td class=\"number\">{}</td><td class=\"{class}\">{word}</td><td class=\"number\">{}</td>\
                 <td class=\"number\">{:.3} s</td><td>{}</td></tr>\n",
                thousands(trial.per_s),
                ms(trial.p99_us),
                trial.lag_max_s,
                escaped(&trial.reason)
            ),
        );
    }
    section(page, "Search for the highest sustainable rate", &format!("<table>{rows}</table>"));
}

fn counts(page: &mut String, run: &Run) {
    let counts = &run.counts;
    let mut rows = vec![
        ("events due", counts.due),
        ("sent", counts.sent),
        ("acknowledged by the broker", counts.acknowledged),
        ("refused by the broker", counts.refused),
        ("late on purpose", counts.late),
        ("poison on purpose", counts.poison),
        ("results", counts.results),
    ];
    rows.extend(counts.expected.map(|count| ("events that had to come out", count)));
    rows.extend(counts.lost.map(|count| ("lost", count)));
    rows.extend([
        ("results that came twice", counts.duplicates),
        ("results of no event of this run", counts.strangers),
    ]);
    let rows: String = rows
        .iter()
        .map(|(name, count)| {
            format!(
                "<tr><th>{name}</th><td class=\"number\">{}</td></tr>\n",
                thousands(*count as f64)
            )
        })
        .collect();
    section(page, "Counts, warm-up included", &format!("<table>{rows}</table>"));
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

fn ms(us: u64) -> String {
    match us {
        0..1_000_000 => format!("{:.3} ms", us as f64 / 1e3),
        _ => format!("{:.3} s", us as f64 / 1e6),
    }
}

fn mib(bytes: u64) -> String {
    format!("{:.0} MiB", bytes as f64 / f64::from(1 << 20))
}

/// Whole numbers with a thin space each three digits; below ten, two decimals.
fn thousands(number: f64) -> String {
    if number.fract() != 0.0 && number < 10.0 {
        return format!("{number:.2}");
    }
    let digits = format!("{number:.0}");
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::tests::run;
    use crate::run::{SystemUse, Trial};

    #[test]
    fn the_page_holds_the_figures_of_the_run_and_asks_for_nothing() {
        let mut run = run(|second| 10 + second);
        run.system = Some(SystemUse {
            cpu_s: 6.0,
            cpu_s_per_million_events: 0.456,
            rss_peak_bytes: 64 << 20,
        });
        run.warnings.push("the clock <stepped>".into());
        run.counts.sent = 1_234_567;
        run.counts.lost = Some(0);
        run.trials.push(Trial {
            per_s: 4_321.0,
            passed: true,
            p99_us: 7_777,
            lag_max_s: 0.25,
            reason: String::new(),
        });
        run.sustainable_per_s = Some(4_321.0);
        let page = html(&run).unwrap();
        let p99 = ms(run.latency.p99_us);
        for figure in [
            p99.as_str(),
            "plays &lt;of&gt; &quot;all&quot;",
            "the clock &lt;stepped&gt;",
            "0.456",
            "64 MiB",
            "1\u{202f}234\u{202f}567",
            "4\u{202f}321/s",
            "7.777 ms",
            "badge good",
            "Vertical lines: checkpoints",
        ] {
            assert!(page.contains(figure), "{figure}");
        }
        assert_eq!(page.matches("<svg").count(), 6);
        assert!(!page.contains("<script") && !page.contains("<of>"));
        for attribute in ["src=", "href=", "url(", "@import"] {
            assert!(!page.contains(attribute), "{attribute}");
        }
    }

    #[test]
    fn an_empty_run_has_a_page_too() {
        let page = html(&Run::default()).unwrap();
        assert!(page.contains("badge good") && !page.contains("<svg"));
    }
}
