"""Queries A and B on Pathway: pathway_peer.py QUERY BOOTSTRAP TOPIC [SINK]."""

import sys
import uuid

import pathway as pw

from results import measured, text

query, bootstrap, topic, *sink = sys.argv[1:]
KAFKA = {"bootstrap.servers": bootstrap, "group.id": f"peer-{uuid.uuid4()}", "auto.offset.reset": "earliest"}


class Click(pw.Schema):
    event_id: str
    profile_id: int
    title_id: int
    country: str
    event_type: str
    ts: int
    watch_ms: int


# Read to the end that the topic has at the start, as the others do.
clicks = pw.io.kafka.read(KAFKA, topic=topic, schema=Click, format="json", mode="static")
match query:
    case "A":
        plays = clicks.filter((pw.this.event_type == "play") & (pw.this.watch_ms > 10_000))
        rows = plays.select(pw.this.event_id, pw.this.profile_id, pw.this.title_id, pw.this.ts, pw.this.watch_ms,
                            country=pw.this.country.str.lower())
    case "B":
        windows = clicks.with_columns(window=pw.this.ts // 10_000)
        groups = windows.groupby(pw.this.window, pw.this.title_id, pw.this.country)
        counted = groups.reduce(
            pw.this.window, pw.this.title_id, pw.this.country, events=pw.reducers.count(),
            watch_ms=pw.reducers.sum(pw.this.watch_ms), viewers=pw.reducers.count_distinct(pw.this.profile_id))
        end = counted.select(pw.this.title_id, pw.this.country, pw.this.events, pw.this.watch_ms, pw.this.viewers,
                             window_end=(pw.this.window + 1) * 10_000)
        rows = end if not sink else end.with_columns(window_end=pw.apply_with_type(text, str, pw.this.window_end))
if sink:
    pw.io.kafka.write(rows, {"bootstrap.servers": bootstrap}, topic_name=sink[0], format="json")
else:
    pw.io.null.write(rows)
measured(lambda: pw.run(monitoring_level=pw.MonitoringLevel.NONE))
