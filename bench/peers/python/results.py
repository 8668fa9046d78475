"""What the Python peers share: how a row of a result is written, and how a run is measured."""

import json
import resource
import sys
import time
from datetime import datetime, timezone

import orjson
from confluent_kafka import Consumer, TopicPartition


def text(ms):
    """A time in milliseconds as SQL's JSON has it."""
    moment = datetime.fromtimestamp(ms / 1000, timezone.utc)
    return moment.strftime("%Y-%m-%d %H:%M:%S.") + f"{ms % 1000:03d}"


def play(click):
    """The row of query A, or None."""
    if click["event_type"] != "play" or click["watch_ms"] <= 10_000:
        return None
    row = {name: click[name] for name in ("event_id", "profile_id", "title_id", "ts", "watch_ms")}
    return row | {"country": click["country"].lower()}


def events(bootstrap, topic):
    """How many messages a topic has."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "peer-events"})
    partitions = consumer.list_topics(topic, 10).topics[topic].partitions
    total = sum(consumer.get_watermark_offsets(TopicPartition(topic, number), 10)[1] for number in partitions)
    consumer.close()
    return total


def measured(run):
    """Runs and prints one JSON line: seconds of wall and CPU, without what starting took."""
    wall, before = time.monotonic(), resource.getrusage(resource.RUSAGE_SELF)
    run()
    sys.stdout.flush()
    after = resource.getrusage(resource.RUSAGE_SELF)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(json.dumps({"wall_s": time.monotonic() - wall, "cpu_s": cpu}))


encoded = orjson.dumps
decoded = orjson.loads
