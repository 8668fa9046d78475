"""Python ONNX Runtime's answers for the shipped models: what both Rust runtimes are held to.

    python onnx_models/tests/reference/generate.py

Writes one JSON file a model beside this script. Inputs are seeded and rounded so that their text is
exact; next_title gets sessions of every length, unknown ids among them.
"""

import json
from pathlib import Path

import numpy as np
import onnxruntime

HERE = Path(__file__).resolve().parent
MODELS = HERE.parent.parent
ROWS = 50  # more than one call of 32


def demand_rows(random):
    """A week of hours with a daily and weekly rhythm, at scales from 1 to 10,000."""
    hours = np.arange(168)
    rows = []
    for _ in range(ROWS):
        start, scale = random.integers(0, 168), 10 ** random.uniform(0, 4)
        clock = (start + hours) % 24
        workingday = ((start + hours) // 24 % 7 < 5).astype(float)
        rhythm = 1 + np.sin((clock - 6) * np.pi / 12) * (0.5 + 0.3 * workingday)
        demand = random.poisson(scale * np.maximum(rhythm, 0.05))
        temp = 0.5 + 0.3 * np.sin((clock - 9) * np.pi / 12) + random.normal(0, 0.03, 168)
        rows.append({
            "demand": demand.tolist(),
            "temp": np.round(temp, 3).tolist(),
            "workingday": workingday.tolist(),
            "hour": clock.tolist(),
        })
    rows[0]["demand"] = [0] * 168
    return rows


def session_rows(random):
    """Sessions of 0 to 25 items: left padded, or cut to their last 20."""
    rows = [{"items": random.integers(1, 1001, i % 26).tolist()} for i in range(ROWS)]
    for i in range(30, 40):  # unknown ids before a known one
        rows[i]["items"] = [-4, 2_000_000_000, i]
    return rows


def dense(rows, tensor):
    dtype = np.int64 if "int64" in tensor.type else np.float32
    width = tensor.shape[1]
    out = np.zeros((len(rows), width), dtype)
    for line, row in zip(out, rows):
        values = row[tensor.name][-width:]
        line[width - len(values) :] = values
    return out


def clear(session, outputs):
    """Rows without two probabilities so close that either order of their items is right."""
    for tensor, output in zip(session.get_outputs(), outputs):
        if tensor.name == "top_scores":
            return ((output[:, :-1] - output[:, 1:]) / output[:, :-1]).min(axis=1) > 1e-3
    return np.ones(len(outputs[0]), bool)


def main():
    for name, make in (("demand_lstm", demand_rows), ("next_title", session_rows)):
        path = MODELS / name / f"{name}.onnx"
        if not path.exists():
            print(f"{path}: not there")
            continue
        rows = make(np.random.default_rng(1))
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        outputs = session.run(None, {t.name: dense(rows, t) for t in session.get_inputs()})
        keep = clear(session, outputs)
        rows = [row for row, kept in zip(rows, keep) if kept]
        outputs = [output[keep] for output in outputs]
        answer = {
            "runtime": f"onnxruntime {onnxruntime.__version__}",
            "rows": rows,
            "outputs": {
                tensor.name: [[float(f"{v:.8g}") if "float" in tensor.type else int(v) for v in row.ravel()] for row in output]
                for tensor, output in zip(session.get_outputs(), outputs)
            },
        }
        file = HERE / f"{name}.json"
        file.write_text(json.dumps(answer, separators=(",", ":")).replace('{"demand', '\n{"demand').replace('{"items', '\n{"items') + "\n")
        print(f"{file}: {len(rows)} rows, {file.stat().st_size} bytes")


if __name__ == "__main__":
    main()
