"""Query A on Quix Streams: quix_peer.py QUERY BOOTSTRAP TOPIC [SINK]."""

import sys
import tempfile
import uuid

from quixstreams import Application

from results import decoded, encoded, events, measured, play

_, bootstrap, topic, *sink = sys.argv[1:]
total = events(bootstrap, topic)
processed = 0


def count(*message):
    """Stops behind the last message: `count` of `run` counts the rows that come out."""
    global processed
    processed += 1
    if processed == total:
        app.stop()


with tempfile.TemporaryDirectory() as scratch:
    app = Application(bootstrap, consumer_group=f"peer-{uuid.uuid4()}", auto_offset_reset="earliest",
                      state_dir=scratch, loglevel="ERROR", on_message_processed=count,
                      consumer_extra_config={"fetch.max.bytes": 16 << 20})
    clicks = app.dataframe(app.topic(topic, value_deserializer="bytes")).apply(decoded)
    rows = clicks.apply(play).filter(lambda row: row is not None)
    if sink:
        rows.apply(encoded).to_topic(app.topic(sink[0], value_serializer="bytes"))
    measured(app.run)
