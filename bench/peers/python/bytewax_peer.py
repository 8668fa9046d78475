"""Queries A, B and C on Bytewax: bytewax_peer.py QUERY BOOTSTRAP TOPIC [SINK]."""

import sys
from datetime import datetime, timedelta, timezone

import bytewax.operators as op
import bytewax.operators.windowing as windowing
from bytewax.connectors.kafka import KafkaSink, KafkaSinkMessage, KafkaSource
from bytewax.dataflow import Dataflow
from bytewax.outputs import DynamicSink, StatelessSinkPartition
from bytewax.testing import run_main
from confluent_kafka import OFFSET_BEGINNING

from results import decoded, encoded, measured, play, text

query, bootstrap, topic, *sink = sys.argv[1:]
EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
# Time runs as the fastest partition does: a shorter wait drops rows of the others.
CLOCK = windowing.EventClock(
    lambda click: EPOCH + timedelta(milliseconds=click["ts"]), wait_for_system_duration=timedelta(days=1))


class Nothing(StatelessSinkPartition):
    def write_batch(self, items):
        pass


class Blackhole(DynamicSink):
    def build(self, step_id, worker_index, worker_count):
        return Nothing()


class Seen:
    __slots__ = ("events", "watched", "profiles", "first", "last")

    def __init__(self):
        self.events, self.watched, self.profiles = 0, 0, set()
        self.first, self.last = 1 << 62, 0

    def add(self, click):
        self.events += 1
        self.watched += click["watch_ms"]
        self.profiles.add(click["profile_id"])
        self.first, self.last = min(self.first, click["ts"]), max(self.last, click["ts"])
        return self

    def merge(self, other):
        self.events += other.events
        self.watched += other.watched
        self.profiles |= other.profiles
        self.first, self.last = min(self.first, other.first), max(self.last, other.last)
        return self


def window(item):
    key, (number, seen) = item
    title, country = key.split(" ")
    return {"window_end": text((number + 1) * 10_000), "title_id": int(title), "country": country,
            "events": seen.events, "watch_ms": seen.watched, "viewers": len(seen.profiles)}


def session(item):
    profile, (_, seen) = item
    return {"window_start": text(seen.first), "window_end": text(seen.last + 30_000), "profile_id": int(profile),
            "events": seen.events, "watch_ms": seen.watched}


def grouped(clicks, key, windower, row):
    keyed = op.key_on("key", clicks, key)
    windows = windowing.fold_window("fold", keyed, CLOCK, windower, Seen, Seen.add, Seen.merge, ordered=False)
    return op.map("row", windows.down, row)


flow = Dataflow(query)
# The larger batches are what one tunes first.
source = KafkaSource([bootstrap], [topic], tail=False, starting_offset=OFFSET_BEGINNING, batch_size=10_000)
clicks = op.map("parse", op.input("in", flow, source), lambda message: decoded(message.value))
match query:
    case "A":
        rows = op.filter_map("plays", clicks, play)
    case "B":
        tumble = windowing.TumblingWindower(align_to=EPOCH, length=timedelta(seconds=10))
        rows = grouped(clicks, lambda click: f"{click['title_id']} {click['country']}", tumble, window)
    case "C":
        # A session here reaches to a row a gap away, one of SQL does not.
        gap = windowing.SessionWindower(gap=timedelta(milliseconds=29_999))
        rows = grouped(clicks, lambda click: str(click["profile_id"]), gap, session)
if sink:
    messages = op.map("encode", rows, lambda row: KafkaSinkMessage(None, encoded(row)))
    op.output("out", messages, KafkaSink([bootstrap], sink[0]))
else:
    op.output("out", rows, Blackhole())
measured(lambda: run_main(flow))
