"""Look-ups as a usual Python stack has them: FastAPI, redis-py and onnxruntime, on uvicorn with one worker.

The same work on the same Redis as nowcast's /v1/features and /v1/recommendations; /v1/scored also does at each request what
nowcast does in the stream: it scores the next titles. `peer.py serve REDIS PORT MODEL` or `peer.py onnx MODEL SECONDS`.
"""

import json
import sys
import time

import numpy
import onnxruntime

LENGTH = 20


def session(model):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def padded(titles):
    row = numpy.zeros((1, LENGTH), dtype=numpy.int64)
    last = titles[-LENGTH:]
    if last:
        row[0, LENGTH - len(last):] = last
    return row


def typed(text):
    """Numbers, arrays and null as such, all else as text: what nowcast answers."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def application(url, model):
    import redis.asyncio
    from fastapi import FastAPI, HTTPException

    app = FastAPI()
    store = redis.asyncio.from_url(url, decode_responses=True, max_connections=64)
    scorer = session(model)

    async def row(table, key):
        fields = await store.hgetall(f"{table}:{key}")
        if not fields:
            raise HTTPException(404, f'no features in "{table}" for key "{key}"')
        return fields

    @app.get("/v1/features/{table}/{key}")
    async def features(table: str, key: str):
        fields = await row(table, key)
        return {name: typed(value) for name, value in fields.items() if not name.startswith("__")}

    @app.get("/v1/recommendations/{profile}")
    async def recommendations(profile: str, k: int = 10):
        fields = await row("next_titles", profile)
        pairs = zip(json.loads(fields["titles"]), json.loads(fields["scores"]))
        items = [{"title_id": t, "score": s, "tier": "personal"} for t, s in pairs][:k]
        return {"profile": profile, "k": k, "country": fields.get("country"), "items": items}

    @app.get("/v1/scored/{profile}")
    async def scored(profile: str, k: int = 10):
        fields = await row("next_titles", profile)
        titles, scores = scorer.run(None, {"items": padded(json.loads(fields["titles"]))})
        pairs = zip(titles[0].tolist(), scores[0].tolist())
        items = [{"title_id": t, "score": s, "tier": "personal"} for t, s in pairs][:k]
        return {"profile": profile, "k": k, "country": fields.get("country"), "items": items}

    return app


def onnx(model, seconds):
    """Rows a second of a bare loop over the model, one row a call."""
    scorer = session(model)
    random = numpy.random.default_rng(1)
    rows = random.integers(1, 1001, size=(256, 1, LENGTH), dtype=numpy.int64)
    scored, cpu, end = 0, time.process_time(), time.monotonic() + seconds
    while time.monotonic() < end:
        scorer.run(None, {"items": rows[scored % len(rows)]})
        scored += 1
    print(json.dumps({"rows": scored, "cpu_s": time.process_time() - cpu}))


if __name__ == "__main__":
    if sys.argv[1] == "onnx":
        onnx(sys.argv[2], float(sys.argv[3]))
    else:
        import uvicorn

        uvicorn.run(application(sys.argv[2], sys.argv[4]), host="127.0.0.1", port=int(sys.argv[3]), log_level="error")
