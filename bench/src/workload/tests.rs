//! Workloads that read, and what is said of those that do not.

use super::*;

const GOOD: &str = r#"name = "plays"
duration = "30 s"
warm_up = "5 s"
threads = 2
poison = 0.001
slo = "p99<20ms,lag<5s"

[rate.live_event]
per_s = 1000
peak_per_s = 5000
at = "10 s"
rise = "2 s"
hold = "5 s"
fall = "3 s"

[keys]
count = 1000
zipf = 1.1

[late]
share = 0.01
from = "10 s"
to = "60 s"

[fields]
seq = "sequence"
profile_id = "key"
event_time = "event_time"
price = { number = { min = 1, max = 9.5 } }
country = { choice = ["US", "DE"] }
note = { text = 40 }

[input]
topic = "plays"

[output.kafka]
topic = "answers"
sequence = "seq"
"#;

fn parse(text: &str) -> Result<Workload, Error> {
    Workload::parse(Path::new("w.toml"), text)
}

#[test]
fn a_workload_reads() {
    let workload = parse(GOOD).unwrap();
    assert_eq!(workload.input.bootstrap, "embedded");
    assert_eq!(workload.slo.len(), 2);
    let curve = workload.curve().unwrap();
    assert_eq!(curve.per_s(Duration::from_secs(4)), 1000.0);
    assert_eq!(curve.peak_per_s(Duration::from_secs(35)), 5000.0);
    let matching = Matching::Sequence { field: "seq".into(), expect: Expect::Every };
    assert_eq!(workload.output.matching(), Some(matching));
    let redis = GOOD.replace(
        "[output.kafka]\ntopic = \"answers\"",
        "[output.redis]\nurl = \"redis://h\"\nkey = \"t:{key}\"\nsample = 10",
    );
    let redis = parse(&redis).unwrap();
    assert_eq!((0..1000).filter(|key| redis.is_sampled(*key)).count(), 10);
}

/// Each: what is replaced, by what, the line that the error names, and its words.
#[test]
fn what_is_wrong_is_named_by_line_and_field() {
    for (from, to, line, words) in [
        ("threads = 2", "threads = 0", 4, "`threads = 0`: must be at least 1"),
        ("threads = 2", "treads = 2", 4, "`treads = 2`: unknown field `treads`"),
        ("duration = \"30 s\"", "duration = \"30 x\"", 2, "\"30 x\""),
        ("duration = \"30 s\"", "duration = \"0 s\"", 2, "`duration`: must be above zero"),
        ("poison = 0.001", "poison = 1.5", 5, "1.5 is no share: expected 0 to 1"),
        ("p99<20ms", "p99<20", 6, "objective \"p99<20\""),
        ("peak_per_s = 5000", "peak_per_s = -5", 10, "-5: must not be below zero"),
        ("peak_per_s = 5000\n", "", 8, "missing field `peak_per_s`"),
        ("hold = ", "hld = ", 13, "unexpected keys in table: hld"),
        ("count = 1000", "count = \"many\"", 17, "invalid type: string \"many\""),
        ("[rate.live_event]", "[rate.live]", 8, "unknown variant `live`"),
        ("from = \"10 s\"", "from = \"2 min\"", 22, "`late.from` is above `late.to`"),
        ("seq = \"sequence\"", "seq = \"sequenz\"", 26, "unknown variant `sequenz`"),
        ("seq = \"sequence\"", "", 25, "needs a field \"sequence\""),
        ("min = 1,", "min = 10,", 25, "`fields.price`: min above max"),
        ("sequence = \"seq\"", "", 36, "needs `sequence` or `intended_us`"),
        ("[fields]", "[fields", 25, "`[fields`"),
    ] {
        assert!(GOOD.contains(from), "{from}");
        let error = parse(&GOOD.replacen(from, to, 1)).unwrap_err().to_string();
        assert!(
            error.starts_with(&format!("file \"w.toml\" line {line}: ")) && error.contains(words),
            "{from} -> {to}: {error}"
        );
    }
}
