//! Java's clients, as Kafka's own command line tools, and kcat.
//!
//! NOWCAST_KAFKA_JARS is the folder that `deploy/kafka-up.sh --fetch` prints; without it, and without
//! kcat, these say so and pass.

use std::io::Write;
use std::process::{Command, Stdio};

use rdkafka::producer::{BaseProducer, BaseRecord, Producer};

use crate::support::{PATIENCE, client, fresh, read_texts, until};

/// A tool that is installed, and how to start it.
struct Tool {
    program: String,
    first: Vec<String>,
}

impl Tool {
    /// A class of the package `org.apache.kafka.tools`.
    fn java(class: &str) -> Option<Tool> {
        let Ok(jars) = std::env::var("NOWCAST_KAFKA_JARS") else {
            println!("skipped: NOWCAST_KAFKA_JARS is not set");
            return None;
        };
        // They run for a second: a better compiler would take longer than it saves.
        let class = format!("org.apache.kafka.tools.{class}");
        let first =
            ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp", &format!("{jars}/*"), &class];
        Some(Tool { program: "java".into(), first: first.map(str::to_owned).to_vec() })
    }

    fn kcat() -> Option<Tool> {
        let there =
            Command::new("kcat").arg("-V").stdout(Stdio::null()).stderr(Stdio::null()).status();
        if there.is_err() {
            println!("skipped: kcat is not installed");
            return None;
        }
        Some(Tool { program: "kcat".into(), first: Vec::new() })
    }

    /// Its output, given this input.
    fn run(&self, arguments: &[&str], input: &str) -> String {
        let mut child = Command::new(&self.program)
            .args(&self.first)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        let (said, complained) =
            (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{arguments:?}: {said}{complained}");
        said.into_owned()
    }
}

/// The words of the line that begins with `first`.
fn line<'a>(text: &'a str, first: &str) -> Vec<&'a str> {
    let mut lines = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    lines.find(|words| words.first() == Some(&first)).unwrap_or_else(|| panic!("{first}: {text}"))
}

fn lines(numbers: std::ops::Range<u32>) -> String {
    numbers.map(|i| format!("key {}:value {i}\n", i % 7)).collect()
}

pub fn java_writes_reads_and_looks_after_groups(bootstrap: &str) {
    let tools = ["TopicCommand", "ConsoleProducer", "consumer.ConsoleConsumer"];
    let tools =
        [tools[0], tools[1], tools[2], "consumer.group.ConsumerGroupCommand"].map(Tool::java);
    let [Some(topics), Some(producer), Some(consumer), Some(groups)] = tools else { return };
    let topic = fresh("java");
    let at = ["--bootstrap-server", bootstrap];
    let with = |more: &[&'static str], topic: &str| -> Vec<String> {
        at.iter().chain(more).chain(&["--topic", topic]).map(|word| word.to_string()).collect()
    };
    let run = |tool: &Tool, more: &[&'static str], input: &str| {
        let words = with(more, &topic);
        tool.run(&words.iter().map(String::as_str).collect::<Vec<_>>(), input)
    };
    run(&topics, &["--create", "--partitions", "3"], "");
    let told = run(&topics, &["--describe"], "");
    assert!(told.contains("PartitionCount: 3"), "{told}");
    run(&topics, &["--alter", "--partitions", "4"], "");

    for (i, codec) in ["none", "gzip", "snappy", "lz4", "zstd"].into_iter().enumerate() {
        let numbers = i as u32 * 20..(i as u32 + 1) * 20;
        let keyed = ["--reader-property", "parse.key=true", "--reader-property", "key.separator=:"];
        run(&producer, &[&keyed[..], &["--compression-codec", codec]].concat(), &lines(numbers));
    }
    let mut expected: Vec<String> = (0..100).map(|i| format!("value {i}")).collect();
    expected.sort();
    for protocol in ["classic", "consumer"] {
        let group = fresh(protocol);
        let protocol = format!("group.protocol={protocol}");
        let words = [
            &at[..],
            &["--topic", &topic, "--group", &group, "--from-beginning"],
            &["--max-messages", "100", "--timeout-ms", "30000"],
            &["--command-property", &protocol],
        ]
        .concat();
        let mut got: Vec<String> = consumer
            .run(&words, "")
            .lines()
            .filter(|l| l.starts_with("value"))
            .map(str::to_owned)
            .collect();
        got.sort();
        assert_eq!(got, expected, "{protocol}");
        let of_group =
            |more: &[&str]| groups.run(&[&at[..], &["--group", &group], more].concat(), "");
        assert!(groups.run(&[&at[..], &["--list"]].concat(), "").contains(&group));
        let told = of_group(&["--describe"]);
        let lag = |told: &str| -> i64 {
            let of_topic = told.lines().filter(|line| line.contains(&topic));
            of_topic
                .map(|line| line.split_whitespace().nth(5).unwrap().parse::<i64>().unwrap())
                .sum()
        };
        assert_eq!(lag(&told), 0, "{told}");
        of_group(&["--reset-offsets", "--to-earliest", "--execute", "--topic", &topic]);
        assert_eq!(lag(&of_group(&["--describe"])), 100);
        of_group(&["--delete"]);
        assert!(!groups.run(&[&at[..], &["--list"]].concat(), "").contains(&group));
    }
    run(&topics, &["--delete"], "");
}

pub fn java_lists_and_describes_transactions(bootstrap: &str) {
    let Some(transactions) = Tool::java("TransactionsCommand") else { return };
    let topic = crate::support::topic(bootstrap, 1, &[]);
    let id = fresh("tx");
    let owner: BaseProducer = client(bootstrap, &[("transactional.id", &id)]).create().unwrap();
    owner.init_transactions(PATIENCE).unwrap();
    owner.begin_transaction().unwrap();
    let record = BaseRecord::<str, str>::to(&topic).partition(0).payload("x");
    owner.send(record).map_err(|(e, _)| e).unwrap();
    owner.flush(PATIENCE).unwrap();
    let run = |words: &[&str]| {
        transactions.run(&[&["--bootstrap-server", bootstrap], words].concat(), "")
    };
    assert_eq!(line(&run(&["list"]), &id)[3], "Ongoing");
    let told = run(&["describe", "--transactional-id", &id]);
    assert!(told.contains("Ongoing") && told.contains(&format!("{topic}-0")), "{told}");
    let told = run(&["describe-producers", "--topic", &topic, "--partition", "0"]);
    let producer = told.lines().nth(1).unwrap_or_else(|| panic!("{told}"));
    assert_eq!(producer.split_whitespace().last(), Some("0"), "the transaction's first offset");
    owner.commit_transaction(PATIENCE).unwrap();
    until("it is complete", || (line(&run(&["list"]), &id)[3] == "CompleteCommit").then_some(()));
}

pub fn kcat_writes_and_reads(bootstrap: &str) {
    let Some(kcat) = Tool::kcat() else { return };
    let topic = crate::support::topic(bootstrap, 1, &[]);
    let of_topic = ["-b", bootstrap, "-t", &topic];
    for codec in ["none", "gzip", "snappy", "lz4"] {
        kcat.run(&[&of_topic[..], &["-P", "-z", codec, "-K:"]].concat(), &lines(0..10));
    }
    let four_times: Vec<String> = (0..40).map(|i| format!("value {}", i % 10)).collect();
    assert_eq!(read_texts(bootstrap, &topic), four_times);
    let read = kcat.run(&[&of_topic[..], &["-C", "-e", "-q", "-f", "%k:%s\n"]].concat(), "");
    assert_eq!(read, lines(0..10).repeat(4));
    let told = kcat.run(&[&of_topic[..], &["-L"]].concat(), "");
    assert!(told.contains(&format!("topic \"{topic}\" with 1 partitions")), "{told}");
    let offsets = kcat.run(&["-b", bootstrap, "-Q", "-t", &format!("{topic}:0:-1")], "");
    assert!(offsets.contains("offset 40"), "{offsets}");
    let group = fresh("kcat");
    let words = [
        "-b",
        bootstrap,
        "-G",
        &group,
        "-X",
        "auto.offset.reset=earliest",
        "-c",
        "40",
        "-q",
        &topic,
    ];
    assert_eq!(kcat.run(&words, "").lines().count(), 40);
}
