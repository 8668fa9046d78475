#!/usr/bin/env python3
"""The load and the judge of deploy/soak.sh: sends events on schedule, comes and goes as clients of the feed,
samples memory and latency, and says whether either of them grows. Standard library alone.

The slope of each series is fitted by least squares over blocks of a minute, for samples that follow one another are
not independent; its standard error is that of the fit. A slope is zero where it lies within two of them.
"""

import argparse
import functools
import http.client
import json
import math
import os
import random
import subprocess
import sys
import threading
import time

TICK_S = 0.01
KEYS = 10_000
TITLES = 1_000
LATE = 0.01
LATE_S = 60
POISON = 0.001
SAMPLE_S = 5
MODEL_S = 20
# How late the sender may be: then latency is its own, and not the job's.
BEHIND_S = 1.0
BLOCK_S = 60
# What a process fills in the beginning, its caches and its state, is no leak.
WARM_UP = 0.2


class Load(threading.Thread):
    """Events on schedule, whatever becomes of them, by kcat."""

    def __init__(self, bootstrap, topic, rate, seconds):
        super().__init__(daemon=True)
        self.rate, self.seconds = rate, seconds
        self.sent, self.behind_s = 0, 0.0
        command = ["kcat", "-P", "-q", "-b", bootstrap, "-t", topic, "-X", "linger.ms=2",
                   "-X", "queue.buffering.max.messages=1000000"]
        self.kcat = subprocess.Popen(command, stdin=subprocess.PIPE)

    def run(self):
        dice = random.Random(1)
        begun = time.time()
        while (now := time.time() - begun) < self.seconds:
            due = int(now * self.rate)
            lines = []
            while self.sent < due:
                intended = begun + self.sent / self.rate
                lines.append(event(self.sent, intended, dice))
                self.sent += 1
            if lines:
                self.behind_s = max(self.behind_s, time.time() - intended - TICK_S)
                self.kcat.stdin.write("".join(lines).encode())
                self.kcat.stdin.flush()
            time.sleep(TICK_S)
        self.kcat.stdin.close()
        self.kcat.wait()


@functools.lru_cache(maxsize=1000)
def second(at):
    return time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(at))


def event(number, intended, dice):
    if dice.random() < POISON:
        return '{"id":"no number"}\n'
    at = intended - (LATE_S if dice.random() < LATE else 0)
    text = f"{second(int(at))}.{int(at % 1 * 1000):03d}"
    title = int(TITLES * dice.random() ** 3)
    return (f'{{"id":{number},"k":{int(KEYS * dice.random())},"title_id":{title},'
            f'"intended_us":{int(intended * 1e6)},"at":"{text}"}}\n')


class Client(threading.Thread):
    """Follows a feed and leaves without a word after `stays` seconds, to come back where it was."""

    def __init__(self, address, table, stays, seen):
        super().__init__(daemon=True)
        self.address, self.table, self.stays, self.seen = address, table, stays, seen
        self.visits, self.rows, self.gaps, self.last = 0, 0, 0, None

    def run(self):
        dice = random.Random(self.name)
        while True:
            try:
                self.visit(time.time() + dice.uniform(*self.stays))
            except OSError as error:
                print(f"a client of the feed: {error}", file=sys.stderr)
                time.sleep(1)

    def visit(self, until):
        connection = http.client.HTTPConnection(self.address, timeout=30)
        headers = {"Last-Event-ID": self.last} if self.last else {}
        connection.request("GET", f"/v1/feeds/{self.table}", headers=headers)
        answer = connection.getresponse()
        self.visits += 1
        while time.time() < until:
            line = answer.readline()
            if not line:
                break
            if line.startswith(b"id:"):
                self.last = line[3:].strip().decode()
            elif line.startswith(b"event: gap") or line.startswith(b"event: skipped"):
                self.gaps += 1
            elif line.startswith(b"data:") and b"intended_us" in line:
                self.rows += 1
                self.seen(json.loads(line[5:]))
        # Closed from under the server, as a client that goes out of reach.
        connection.close()


class Models(threading.Thread):
    """Writes the model's file again, each time as another version."""

    def __init__(self, path):
        super().__init__(daemon=True)
        self.path, self.versions = path, 0
        with open(path, "rb") as file:
            self.model = file.read()

    def run(self):
        while True:
            time.sleep(MODEL_S)
            self.versions += 1
            # Protocol buffers take fields in any order: one more metadata_props = 14 {key = 1, value = 2}.
            entry = field(1, b"nowcast.version") + field(2, f"soak {self.versions}".encode())
            with open(self.path + ".new", "wb") as file:
                file.write(self.model + field(14, entry))
            os.replace(self.path + ".new", self.path)


def field(number, value):
    """Of a protocol buffer, shorter than 128 bytes."""
    return bytes([number << 3 | 2, len(value)]) + value


class Latencies:
    """Milliseconds from when an event was due until its row was in the feed."""

    def __init__(self):
        self.lock, self.values, self.all = threading.Lock(), [], 0

    def see(self, row):
        late = time.time() * 1e3 - row["intended_us"] / 1e3
        with self.lock:
            self.values.append(late)
            self.all += 1

    def take(self):
        with self.lock:
            values, self.values = sorted(self.values), []
        return values


def quantile(values, share):
    return values[min(len(values) - 1, int(share * len(values)))] if values else math.nan


def own_mb(pid):
    """Resident memory without pages of files: those of the program come and go as the system likes."""
    with open(f"/proc/{pid}/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("RssAnon:")) * 1024 / 1e6


def limit(group, cores):
    """Gives a control group so much of the cores, by the kernel's period of 100 ms, as containers have it."""
    quota = int(cores * 100_000)
    old = os.path.join(group, "cpu.cfs_quota_us")
    name, text = (old, f"{quota}") if os.path.exists(old) else (os.path.join(group, "cpu.max"), f"{quota} 100000")
    with open(name, "w") as file:
        file.write(text)


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def blocks(samples):
    """The means of each minute: (hours, value)."""
    by_block = {}
    for at, value in samples:
        if not math.isnan(value):
            by_block.setdefault(int(at // BLOCK_S), []).append(value)
    return [((block + 0.5) * BLOCK_S / 3600, sum(values) / len(values)) for block, values in sorted(by_block.items())]


def slope(points):
    """Of a line through the points, with its standard error."""
    n = len(points)
    if n < 3:
        sys.exit(f"soak: {n} minutes are too few to fit a line; run it longer")
    mean_x, mean_y = sum(x for x, _ in points) / n, sum(y for _, y in points) / n
    spread = sum((x - mean_x) ** 2 for x, _ in points)
    fitted = sum((x - mean_x) * (y - mean_y) for x, y in points) / spread
    left = sum((y - mean_y - fitted * (x - mean_x)) ** 2 for x, y in points)
    return fitted, math.sqrt(left / (n - 2) / spread), mean_y


def get(address, path):
    connection = http.client.HTTPConnection(address, timeout=10)
    connection.request("GET", path)
    answer = connection.getresponse()
    return answer.status, answer.read()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ["pid", "address", "bootstrap", "topic", "model", "log"]:
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--rate", type=float, required=True)
    parser.add_argument("--minutes", type=float, required=True)
    parser.add_argument("--group", help="the control group of the job, for --load")
    parser.add_argument("--load", type=float, help="percent of its CPU that the job is to use behind the warm-up")
    given = parser.parse_args()

    latencies = Latencies()
    # One that measures and stays, and some that come and go all the time.
    stays = given.minutes * 60
    clients = [Client(given.address, "sampled", (stays, stays), latencies.see)]
    clients += [Client(given.address, table, (0.5, 5), lambda row: None) for table in ["sampled", "counts", "scored"]]
    load = Load(given.bootstrap, given.topic, given.rate, given.minutes * 60)
    load.start()
    models = Models(given.model)
    models.start()
    for client in clients:
        client.start()

    begun, cpu = time.time(), cpu_seconds(given.pid)
    memory, p99 = [], []
    warm, limited = WARM_UP * given.minutes * 60, not given.load
    print(f"{'minute':>7} {'own MB':>12} {'p50 ms':>8} {'p99 ms':>8} {'CPU s/s':>8}")
    shown = 0
    while load.is_alive():
        time.sleep(SAMPLE_S)
        at = time.time() - begun
        values = latencies.take()
        memory.append((at, own_mb(given.pid)))
        p99.append((at, quantile(values, 0.99)))
        used = (cpu_seconds(given.pid) - cpu) / at
        if at >= warm and not limited:
            limited, cores = True, used / given.load * 100
            limit(given.group, cores)
            print(f"the job has used {used:.3f} of a core: from now on it may use {cores:.3f}", flush=True)
        if at // BLOCK_S > shown:
            shown = at // BLOCK_S
            print(f"{at / 60:7.1f} {memory[-1][1]:12.1f} {quantile(values, 0.5):8.1f} {p99[-1][1]:8.1f} {used:8.2f}",
                  flush=True)

    code, status = get(given.address, "/status")
    job = json.loads(status)["jobs"][0]
    late = sum(stage["late"] for stage in job["stages"])
    dead = sum(stage["dead_letters"] for stage in job["stages"])
    with open(given.log) as log:
        versions = sum("a model has a new version" in line for line in log)
    print(f"\n{load.sent} events at {given.rate:.0f}/s, the sender at most {load.behind_s * 1e3:.0f} ms behind; "
          f"{job['rows_read']} rows read, {late} late, {dead} dead letters; "
          f"checkpoint {job['checkpoint']['epoch']}, {job['checkpoint']['failed']} failed; "
          f"{versions} of {models.versions} versions of the model taken; "
          f"{sum(client.visits for client in clients)} visits of feed clients, {latencies.all} rows timed")

    flat = True
    for name, unit, samples in [("memory", "MB", memory), ("p99", "ms", p99)]:
        points = blocks([sample for sample in samples if sample[0] >= warm])
        fitted, error, mean = slope(points)
        zero = abs(fitted) <= 2 * error
        flat &= zero or fitted < 0
        verdict = "zero within two standard errors" if zero else "falling" if fitted < 0 else "GROWING"
        print(f"{name}: mean {mean:.1f} {unit}, slope {fitted:+.2f} ± {error:.2f} {unit}/h over {len(points)} minutes: {verdict}")
    if load.behind_s > BEHIND_S:
        print("the sender has not kept up: lower --rate")
        flat = False
    read_all = job["rows_read"] + dead >= load.sent
    if code != 200 or not read_all or latencies.all == 0:
        print("the job has not kept up: lower --rate")
        flat = False
    # The last one may not have been looked at yet.
    if versions < models.versions - 1:
        print("the job has not taken each version of the model")
        flat = False
    sys.exit(0 if flat else 1)


if __name__ == "__main__":
    main()
