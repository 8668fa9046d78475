"""Runs the same queries over the same Kafka topic on nowcast and its peers; see README.md."""

import argparse
import collections
import datetime
import json
import math
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).parent
QUERIES = {"A": "filter and projection", "B": "10 s windows by title and country, distinct viewers",
           "C": "sessions of a profile", "D": "top 10 titles a country and window"}
START_EVENTS = 1_000


def java(classes, jars, main, *arguments, heap="3g"):
    opened = "lang lang.reflect math net io nio text time util util.concurrent".split()
    opens = [f"--add-opens=java.base/java.{package}=ALL-UNNAMED" for package in opened]
    return ["java", *opens, f"-Xmx{heap}", "-cp", f"{classes}:{jars}/*", main, *map(str, arguments)]


class Bench:
    def __init__(self, options):
        self.options = options
        self.scratch = pathlib.Path(tempfile.mkdtemp(prefix="nowcast-peers."))
        self.environment = dict(os.environ, BOOTSTRAP=options.bootstrap)

    def sql(self, query, topic, sink):
        """A query as a file, its variables filled in: the same text for Flink and nowcast."""
        filled = "'connector' = 'blackhole'"
        if sink:
            filled = (f"'connector' = 'kafka', 'topic' = '{sink}', 'format' = 'json',"
                      f" 'properties.bootstrap.servers' = '{self.options.bootstrap}'")
        text = (HERE / "queries/clicks.sql").read_text() + (HERE / f"queries/{query}.sql").read_text()
        for name, value in {"TOPIC": topic, "BOOTSTRAP": self.options.bootstrap, "SINK": filled}.items():
            text = text.replace("${" + name + "}", value)
        path = self.scratch / f"{query}-{topic}-{'sink' if sink else 'none'}.sql"
        path.write_text(text)
        return path

    def command(self, peer, query, topic, sink, rounds):
        """How a peer is started, or None where it does not offer the query."""
        options, workers = self.options, self.options.workers
        work = tempfile.mkdtemp(dir=self.scratch)
        match peer:
            case "nowcast":
                return [options.nowcast, "run", self.sql(query, topic, sink), "--usage", "--no-http", "--fresh",
                        "--data-dir", work, "--workers", str(workers)]
            case "flink" | "flink-rocksdb":
                backend = "rocksdb" if peer == "flink-rocksdb" else "hashmap"
                return java(options.flink_classes, options.flink_jars, "FlinkPeer", self.sql(query, topic, sink),
                            backend, workers, rounds, work)
            case "kafka-streams" if query in "ABC":
                return java(options.streams_classes, options.streams_jars, "StreamsPeer", query, options.bootstrap,
                            topic, workers, rounds, work, *([sink] if sink else []))
            case "java-consumer" if not sink and query == "A":
                return java(options.streams_classes, options.streams_jars, "Drain", options.bootstrap, topic, rounds)
        offered = {"bytewax": "ABC", "pathway": "AB", "quix": "A"}
        if query in offered.get(peer, ""):
            return [options.python, HERE / f"python/{peer}_peer.py", query, options.bootstrap, topic,
                    *([sink] if sink else [])]
        return None

    def run(self, peer, query, topic, sink=None, rounds=1):
        """The figures of the last round, with the peak of memory and the seconds from start to end."""
        command = self.command(peer, query, topic, sink, rounds)
        if command is None:
            return None
        started = time.monotonic()
        log = self.scratch / f"{peer}-{query}.log"
        with open(log, "w") as errors:
            child = subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE, stderr=errors, text=True,
                                     env=self.environment, cwd=self.scratch)
            try:
                output = child.stdout.read()
            except BaseException:
                # It would take CPU from all that is measured later.
                child.kill()
                raise
            _, status, usage = os.wait4(child.pid, 0)
            child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode != 0:
            tail = "\n".join((output + log.read_text()).splitlines()[-5:])
            raise RuntimeError(f"{peer} {query}: exit code {child.returncode}\n{tail}")
        figures = json.loads([line for line in output.splitlines() if line.startswith("{")][-1])
        figures["rss_mb"] = usage.ru_maxrss / 1024
        figures["whole_s"] = time.monotonic() - started
        return figures

    def topic(self, name, partitions):
        subprocess.run(java(self.options.streams_classes, self.options.kafka_jars, "org.apache.kafka.tools.TopicCommand",
                            "--bootstrap-server", self.options.bootstrap, "--create", "--topic", name,
                            "--partitions", partitions, "--config", "retention.ms=-1"),
                       check=True, stdout=subprocess.DEVNULL)
        return name

    def fill(self, name, events):
        topic = self.topic(f"clicks-{name}-{os.getpid()}", 4)
        subprocess.run(java(self.options.streams_classes, self.options.streams_jars, "Clicks", self.options.bootstrap,
                            topic, events, self.options.seed), check=True)
        return topic

    def rows(self, sink):
        """The rows of a topic, as a multiset; of those with a key the last."""
        lines = subprocess.run(java(self.options.streams_classes, self.options.streams_jars, "Drain",
                                    self.options.bootstrap, sink, "print"),
                               check=True, capture_output=True, text=True).stdout.splitlines()
        by_key, rows = {}, []
        for line in lines:
            key, _, value = line.partition("\t")
            if key:
                by_key[key] = value
            else:
                rows.append(value)
        return collections.Counter(map(canonical, filter(None, [*by_key.values(), *rows])))


def canonical(text):
    """A row by the names of its columns; what a peer adds of its own is left out."""
    row = json.loads(text)
    for name in ("diff", "time"):
        row.pop(name, None)
    for name, value in row.items():
        if name.startswith("window_"):
            row[name] = str(datetime.datetime.fromisoformat(value))
    return json.dumps(row, sort_keys=True)


def equal(bench, query, peers, topic):
    """Which peers give the rows that Flink gives."""
    answers, verdicts = {}, {}
    for peer in ["flink", *(peer for peer in peers if peer != "flink")]:
        if peer == "java-consumer" or bench.command(peer, query, topic, "none", 1) is None:
            continue
        sink = bench.topic(f"{query}-{peer}-{os.getpid()}", 1)
        try:
            bench.run(peer, query, topic, sink)
        except RuntimeError as failure:
            if peer == "flink":
                raise
            say(failure)
            verdicts[peer] = "failed"
            continue
        answers[peer] = bench.rows(sink)
        missing = sum((answers["flink"] - answers[peer]).values())
        more = sum((answers[peer] - answers["flink"]).values())
        verdicts[peer] = "equal" if missing == more == 0 else f"-{missing} +{more}"
        say(f"{query} {peer}: {sum(answers[peer].values())} rows, {verdicts[peer]}")
    return verdicts


def say(text):
    print(text, file=sys.stderr, flush=True)


def table(bench, query, peers, verdicts, measured, start):
    events = bench.options.events
    per_million = lambda runs: min(run["cpu_s"] for run in runs) / events * 1e6
    # Of a run that is shorter than a tick of the clock there is no ratio.
    ours = (per_million(measured["nowcast"]) if measured.get("nowcast") else 0) or math.nan
    lines = [f"\n{query}: {QUERIES[query]}; {events} events, {bench.options.workers} workers, best of "
             f"{bench.options.rounds}\n",
             "| engine | events/s | CPU-s per M | of nowcast's | peak MB | 1,000 events, start to end | rows |",
             "|---|---|---|---|---|---|---|"]
    for peer in peers:
        if not measured.get(peer):
            continue
        runs, cpu = measured[peer], per_million(measured[peer])
        lines.append(
            f"| {peer} | {events / min(run['wall_s'] for run in runs):,.0f} | {cpu:.2f} | {cpu / ours:.1f} "
            f"| {max(run['rss_mb'] for run in runs):,.0f} | {start[peer]['whole_s']:.1f} s "
            f"| {verdicts.get(peer, '')} |")
    return "\n".join(lines)


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("queries", nargs="*", choices=[*QUERIES, []], metavar="QUERY", help="A, B, C, D: all")
    parser.add_argument("--events", type=int, default=2_000_000)
    parser.add_argument("--check-events", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--peers", default="nowcast,flink,flink-rocksdb,kafka-streams,bytewax,pathway,quix,java-consumer")
    for name in ("bootstrap", "nowcast", "python", "flink-classes", "flink-jars", "streams-classes", "streams-jars",
                 "kafka-jars"):
        parser.add_argument(f"--{name}", required=True, help=argparse.SUPPRESS)
    options = parser.parse_args()
    bench, peers = Bench(options), options.peers.split(",")
    few = bench.fill("start", START_EVENTS)
    some = bench.fill("check", options.check_events)
    many = bench.fill("measure", options.events)
    for query in options.queries or QUERIES:
        verdicts = equal(bench, query, peers, some)
        measured, start = collections.defaultdict(list), {}
        offered = [peer for peer in peers if verdicts.get(peer) != "failed" and bench.command(peer, query, few, None, 1)]
        for peer in offered:
            start[peer] = bench.run(peer, query, few)
        # Interleaved, so that a slow minute of the machine is everybody's; code of the JVM is warm.
        for number in range(options.rounds):
            for peer in offered:
                warm = peer.startswith(("flink", "kafka-streams", "java-consumer"))
                figures = bench.run(peer, query, many, rounds=2 if warm else 1)
                measured[peer].append(figures)
                say(f"{query} {peer}, run {number + 1}: {figures['cpu_s'] / options.events * 1e6:.3f} CPU-s/M, "
                    f"{options.events / figures['wall_s']:,.0f} events/s, {figures['rss_mb']:,.0f} MB")
        print(table(bench, query, offered, verdicts, measured, start), flush=True)


if __name__ == "__main__":
    main()
