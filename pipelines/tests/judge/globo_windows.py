"""Judges windows over real clicks: DuckDB computes them in one batch from the raw messages.

usage: globo_windows.py MESSAGES WINDOWS BOUND_S [LATE]

MESSAGES  the topic as lines `partition TAB offset TAB json`, in order of offset within a partition
WINDOWS   what the job wrote, one JSON object a line: title_id, window_start, clicks, users
BOUND_S   the watermark's bound; rows late by it (only with LATE, and then on one partition) are left
          out of the windows and must be just the rows of LATE
LATE      the job's late table, one JSON object a line: event_time (ms), row
"""

import json
import sys
from collections import Counter
from datetime import datetime, timezone

import duckdb

WINDOW_MS = 300_000


def millis(text):
    moment = datetime.strptime(text, "%Y-%m-%d %H:%M:%S.%f").replace(tzinfo=timezone.utc)
    return round(moment.timestamp() * 1000)


def main():
    messages, windows, bound_s = sys.argv[1], sys.argv[2], int(sys.argv[3])
    late_file = sys.argv[4] if len(sys.argv) > 4 else None
    kept, late, newest = [], Counter(), None
    for line in open(messages, encoding="utf-8"):
        partition, _, text = line.rstrip("\n").split("\t", 2)
        row = json.loads(text)
        time = millis(row["event_time"])
        if late_file is not None:
            assert partition == "0", "the rule of lateness is for one partition"
            end = time - time % WINDOW_MS + WINDOW_MS
            if newest is not None and end - 1 <= newest - bound_s * 1000:
                late[(time, row["profile_id"], row["title_id"])] += 1
                continue
            newest = time if newest is None else max(newest, time)
        kept.append((row["title_id"], row["profile_id"], time))

    database = duckdb.connect()
    import pandas

    frame = pandas.DataFrame(kept, columns=["title_id", "profile_id", "time"])
    expected = database.execute(
        f"""SELECT title_id, time - time % {WINDOW_MS} AS start, count(*), count(DISTINCT profile_id)
            FROM frame GROUP BY ALL"""
    ).fetchall()
    expected = {(title, start): (clicks, users) for title, start, clicks, users in expected}

    got, twice = {}, 0
    for line in open(windows, encoding="utf-8"):
        row = json.loads(line)
        start = millis((row["window_start"] + ".000")[:23])
        key = (row["title_id"], start)
        twice += key in got
        got[key] = (row["clicks"], row["users"])
    wrong = [key for key in expected.keys() | got.keys() if expected.get(key) != got.get(key)]
    print(f"clicks {len(kept)}, windows {len(expected)}, different {len(wrong)}, twice {twice}")
    for key in wrong[:5]:
        print(f"  {key}: expected {expected.get(key)}, got {got.get(key)}")
    failed = bool(wrong) or twice > 0 or not expected
    if late_file is not None:
        told = Counter()
        for line in open(late_file, encoding="utf-8"):
            entry = json.loads(line)
            row = entry["row"]
            told[(entry["event_time"], row["profile_id"], row["title_id"])] += 1
        missing, surplus = late - told, told - late
        print(f"late {late.total()}, missing {missing.total()}, surplus {surplus.total()}")
        failed = failed or bool(missing) or bool(surplus) or not late
    sys.exit(1 if failed else 0)


main()
