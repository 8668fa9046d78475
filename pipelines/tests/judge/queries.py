"""Answers queries in one batch with DuckDB, the judge of streaming answers.

Reads one JSON object a line: {"tables": {name: [[column, type], …]}, "rows": {name: [[…], …]},
"sql": SELECT}. Writes one line each: {"rows": [[…], …]}, or {"error": text}.
"""

import json
import sys

import duckdb


def answer(question):
    database = duckdb.connect()
    for name, columns in question["tables"].items():
        declared = ", ".join(f"{column} {kind}" for column, kind in columns)
        database.execute(f"CREATE TABLE {name} ({declared})")
        rows = question["rows"][name]
        if rows:
            places = ", ".join("?" for _ in columns)
            database.executemany(f"INSERT INTO {name} VALUES ({places})", rows)
    return database.execute(question["sql"]).fetchall()


def main():
    for line in sys.stdin:
        try:
            told = {"rows": answer(json.loads(line))}
        except duckdb.Error as error:
            told = {"error": str(error)}
        print(json.dumps(told), flush=True)


main()
