"""Fits the demand LSTM on UCI bike sharing (registered members, hourly) and writes its ONNX file.

    python onnx_models/demand_lstm/train.py --data DIR [--out FILE]

DIR holds uci_bike_sharing/hour.csv (or hour.csv.zst), from
https://archive.ics.uci.edu/dataset/275/bike+sharing+dataset (CC BY 4.0, Fanaee-T & Gama).
The last eight weeks are never fitted on: with an origin every midnight they give the printed WAPE.
Sizes and epochs were chosen with --back 8 and --back 24.
"""

import argparse
import csv
import io
import os
import sys
from datetime import datetime, timedelta
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
import keras
import numpy as np
import onnxruntime
import tensorflow as tf
from keras import layers, ops

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "export"))
import graph as onnx_graph

HISTORY = 168  # hours in: a week, so that column h of 7 x 24 is the clock hour of target h
HORIZON = 24
DAYS = HISTORY // HORIZON
RECURRENT = 48  # the LSTM reads the last two days; the week reaches the head by its lags
QUANTILES = (0.1, 0.5, 0.9)
EVALUATION_WEEKS = 8
UNITS = 48
HEAD = 64
DROPOUT = 0.3
SEED = 11


def read_hours(path):
    """Every hour from first to last: absent hours had no rental; weather is carried forward."""
    raw = path.read_bytes()
    if path.suffix == ".zst":
        import zstandard

        raw = zstandard.ZstdDecompressor().stream_reader(raw).read()
    by_hour = {}
    for row in csv.DictReader(io.StringIO(raw.decode())):
        hour = datetime.strptime(row["dteday"], "%Y-%m-%d") + timedelta(hours=int(row["hr"]))
        by_hour[hour] = (float(row["registered"]), float(row["temp"]), float(row["workingday"]))
    workingday = {hour.date(): values[2] for hour, values in by_hour.items()}
    hour, last = min(by_hour), max(by_hour)
    temp, hours, rows = 0.0, [], []
    while hour <= last:
        demand, temp, _ = by_hour.get(hour, (0.0, temp, 0.0))
        # A day without any row does not occur; its working day would be unknown.
        rows.append((demand, temp, workingday[hour.date()], hour.hour))
        hours.append(hour)
        hour += timedelta(hours=1)
    return hours, np.array(rows, np.float32)


def examples(rows, origins):
    """Histories [n, 168, 4] that end before each origin and demand [n, 24] from it on."""
    history = np.stack([rows[o - HISTORY : o] for o in origins])
    target = np.stack([rows[o : o + HORIZON, 0] for o in origins])
    return history, target


def build(units, head):
    """The network of `export`, in Keras. Everything inside is relative to the mean of the week."""
    inputs = [keras.Input((HISTORY,), name=name) for name in ("demand", "temp", "workingday", "hour")]
    demand, temp, workingday, hour = inputs
    scale = ops.maximum(ops.mean(demand, axis=1, keepdims=True), 1e-6)
    x = demand / scale
    angle = hour * (2 * np.pi / 24)
    sin, cos = ops.sin(angle), ops.cos(angle)

    sequence = ops.stack([x, temp, workingday, sin, cos], axis=-1)[:, -RECURRENT:]
    state = layers.Dropout(DROPOUT)(layers.LSTM(units, name="lstm")(sequence))
    days = ops.mean(ops.reshape(ops.stack([x, temp, workingday], 1), (-1, 3 * DAYS, HORIZON)), -1)
    context = layers.Dense(head, name="context")(ops.concatenate([state, days], -1))

    def lags(values):  # [batch, 24, 7]: the same clock hour on each of the seven days
        return ops.transpose(ops.reshape(values, (-1, DAYS, HORIZON)), (0, 2, 1))

    x_lags, workingday_lags = lags(x), lags(workingday)
    clock = ops.stack([sin[:, :HORIZON], cos[:, :HORIZON]], -1)
    features = ops.concatenate([x_lags, workingday_lags, x_lags * workingday_lags, clock], -1)
    hidden = ops.relu(layers.Dense(head, name="features")(features) + ops.expand_dims(context, 1))
    hidden = layers.Dropout(DROPOUT)(hidden)
    hidden = layers.Dense(head // 2, activation="relu", name="hidden")(hidden)

    weights = ops.softmax(layers.Dense(DAYS, name="weights")(hidden), -1)
    level = ops.sum(weights * x_lags, -1, keepdims=True)
    change, shift, below, above = ops.split(layers.Dense(4, name="shape")(hidden), 4, -1)
    median = ops.relu(level * ops.exp(ops.tanh(change)) + shift)
    low = median * ops.sigmoid(below)
    high = median + ops.softplus(above)
    quantiles = ops.concatenate([low, median, high], -1)
    return keras.Model(inputs, [quantiles, scale])


def pinball(quantiles, target):
    error = tf.expand_dims(target, -1) - quantiles
    q = tf.constant(QUANTILES, tf.float32)
    return tf.reduce_mean(tf.maximum(q * error, (q - 1) * error))


def fit(rows, origins, epochs, batch=128, rate=2e-3, seed=SEED):
    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()
    history, target = examples(rows, origins)
    steps = epochs * (len(origins) // batch)
    optimizer = keras.optimizers.AdamW(keras.optimizers.schedules.CosineDecay(rate, steps), weight_decay=1e-3)
    model = build(UNITS, HEAD)
    optimizer.build(model.trainable_variables)

    @tf.function(jit_compile=False)
    def step(history, target):
        with tf.GradientTape() as tape:
            quantiles, scale = model([history[..., i] for i in range(4)], training=True)
            loss = pinball(quantiles, target / scale)
        gradients = tape.gradient(loss, model.trainable_variables)
        gradients, _ = tf.clip_by_global_norm(gradients, 1.0)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables))
        return loss

    random = np.random.default_rng(seed)
    for epoch in range(epochs):
        order = random.permutation(len(origins))
        losses = []
        for start in range(0, len(order) - batch + 1, batch):
            chosen = order[start : start + batch]
            losses.append(float(step(history[chosen], target[chosen])))
        if epoch % 5 == 4 or epoch + 1 == epochs:
            print(f"epoch {epoch + 1}: pinball loss {np.mean(losses):.4f} (in means of the week)", flush=True)
    return model


def predict(model, history):
    quantiles, scale = model([history[..., i] for i in range(4)], training=False)
    return np.asarray(quantiles) * np.asarray(scale)[..., None]


def export(model, path, metadata):
    """The graph of `build`, node by node, in units of the input."""
    g = onnx_graph.Graph()
    weights = {layer.name: [np.asarray(w) for w in layer.weights] for layer in model.layers if layer.weights}
    mean = g.node("ReduceMean", ["demand"], "week_mean", axes=[1], keepdims=1)
    scale = g.node("Max", [mean, g.constant("scale_min", np.float32(1e-6))], "scale")
    x = g.node("Div", ["demand", scale], "x")
    angle = g.node("Mul", ["hour", g.constant("radians_per_hour", np.float32(2 * np.pi / 24))], "angle")
    sin, cos = g.node("Sin", [angle], "sin"), g.node("Cos", [angle], "cos")

    columns = []
    last = g.ints("last_axis", -1)
    for name in (x, "temp", "workingday", sin, cos):
        recent = g.slice(name, f"recent_{name}", 1, HISTORY - RECURRENT, HISTORY)
        columns.append(g.node("Unsqueeze", [recent, last], f"column_{name}"))
    sequence = g.node("Concat", columns, "sequence", axis=2)
    state = g.lstm(sequence, "lstm", *weights["lstm"])

    def by_day(name):
        return g.reshape(name, f"by_day_{name}", -1, DAYS, HORIZON)

    names = (x, "temp", "workingday")
    by_days = {name: by_day(name) for name in names}
    means = [g.node("ReduceMean", [by_days[n]], f"day_mean_{n}", axes=[2], keepdims=0) for n in names]
    context = g.node("Concat", [state, *means], "context_input", axis=1)
    context = g.dense(context, "context", *weights["context"])

    x_lags = g.node("Transpose", [by_days[x]], "x_lags", perm=[0, 2, 1])
    workingday_lags = g.node("Transpose", [by_days["workingday"]], "workingday_lags", perm=[0, 2, 1])
    both = g.node("Mul", [x_lags, workingday_lags], "x_on_working_days")
    clock = []
    for name in (sin, cos):
        head = g.slice(name, f"clock_{name}", 1, 0, HORIZON)
        clock.append(g.node("Unsqueeze", [head, last], f"clock_column_{name}"))
    features = g.node("Concat", [x_lags, workingday_lags, both, *clock], "features_input", axis=2)
    features = g.matmul(features, "features", *weights["features"])
    middle = g.ints("middle_axis", 1)
    hidden = g.node("Add", [features, g.node("Unsqueeze", [context, middle], "context_row")], "joined")
    hidden = g.node("Relu", [hidden], "joined_relu")
    hidden = g.node("Relu", [g.matmul(hidden, "hidden", *weights["hidden"])], "hidden_relu")

    mix = g.node("Softmax", [g.matmul(hidden, "weights", *weights["weights"])], "mix", axis=2)
    level = g.node("Mul", [mix, x_lags], "mixed_lags")
    level = g.node("ReduceSum", [level, last], "level", keepdims=1)
    shape = g.matmul(hidden, "shape", *weights["shape"])
    parts = ["change", "shift", "below", "above"]
    g.node("Split", [shape, g.ints("part_sizes", 1, 1, 1, 1)], parts, axis=2)
    factor = g.node("Exp", [g.node("Tanh", ["change"], "change_tanh")], "factor")
    median = g.node("Add", [g.node("Mul", [level, factor], "scaled_level"), "shift"], "median_raw")
    median = g.node("Relu", [median], "median")
    low = g.node("Mul", [median, g.node("Sigmoid", ["below"], "below_share")], "low")
    high = g.node("Add", [median, g.node("Softplus", ["above"], "above_width")], "high")
    relative = g.node("Concat", [low, median, high], "relative", axis=2)
    g.node("Mul", [relative, g.node("Unsqueeze", [scale, last], "scale_row")], "quantiles")

    inputs = [(name, onnx_graph.FLOAT, [HISTORY]) for name in ("demand", "temp", "workingday", "hour")]
    outputs = [("quantiles", onnx_graph.FLOAT, [HORIZON, len(QUANTILES)])]
    g.save(path, "demand_lstm", inputs, outputs, metadata)


def score(name, target, median, low=None, high=None):
    """One line of the printed table: WAPE, and for quantiles coverage and mean pinball loss."""
    wape = np.abs(target - median).sum() / target.sum()
    line = f"{name:<28} WAPE {wape:.3f}"
    if low is not None:
        inside = ((target >= low) & (target <= high)).mean()
        quantiles = np.stack([low, median, high], -1)
        loss = float(pinball(tf.constant(quantiles, tf.float32), tf.constant(target, tf.float32)))
        line += f"  inside 10-90 % {inside:.3f}  pinball {loss:.2f}"
    print(line)
    return wape


def evaluate(rows, origins, predicted):
    _, target = examples(rows, origins)
    demand = rows[:, 0]

    def lag(days):
        return np.stack([demand[o - 24 * days : o - 24 * days + HORIZON] for o in origins])

    score("same hour yesterday", target, lag(1))
    score("same hour a week ago", target, lag(7))
    score("mean of four weeks", target, np.mean([lag(7 * k) for k in (1, 2, 3, 4)], axis=0))
    return score("demand_lstm", target, predicted[..., 1], predicted[..., 0], predicted[..., 2])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=os.environ.get("NOWCAST_DATA"), help="data folder")
    parser.add_argument("--out", type=Path, default=HERE / "demand_lstm.onnx")
    parser.add_argument("--epochs", type=int, default=16)
    parser.add_argument("--back", type=int, default=0, metavar="WEEKS", help="end this many weeks earlier; write nothing")
    arguments = parser.parse_args()
    if arguments.data is None:
        parser.error("no data folder: pass --data DIR or set NOWCAST_DATA")
    folder = arguments.data / "uci_bike_sharing"
    files = [path for path in (folder / "hour.csv", folder / "hour.csv.zst") if path.exists()]
    if not files:
        parser.error(f"{folder}: neither hour.csv nor hour.csv.zst is there")

    hours, rows = read_hours(files[0])
    evaluation = EVALUATION_WEEKS * HISTORY
    end = len(rows) - arguments.back * HISTORY
    cut = end - evaluation
    fitted = np.arange(HISTORY, cut - HORIZON + 1)
    judged = [o for o in range(cut, end - HORIZON + 1) if hours[o].hour == 0]
    window = f"{hours[0]:%Y-%m-%d %H}:00/{hours[cut - 1]:%Y-%m-%d %H}:00"
    print(f"fit {window}, {len(fitted)} origins; judge {hours[judged[0]]:%Y-%m-%d} to {hours[judged[-1]]:%Y-%m-%d}, {len(judged)} midnights")
    model = fit(rows, fitted, arguments.epochs)
    print(f"{model.count_params()} parameters")
    history, _ = examples(rows, judged)
    in_keras = predict(model, history)
    evaluate(rows, judged, in_keras)
    if arguments.back > 0:
        return

    metadata = {
        "nowcast.name": "demand_lstm",
        "nowcast.version": "1",
        "nowcast.title": "Hourly demand, next 24 hours, from one week",
        "nowcast.training_data": "UCI Bike Sharing, registered members (Fanaee-T & Gama, CC BY 4.0)",
        "nowcast.training_window": window,
        "nowcast.quantiles": ",".join(map(str, QUANTILES)),
        "nowcast.horizon_hours": HORIZON,
        "nowcast.input.demand": "demand of each of the last 168 hours, oldest first; any unit",
        "nowcast.input.temp": "temperature of the same hours, degrees Celsius / 41",
        "nowcast.input.workingday": "1 on working days, 0 on weekends and holidays",
        "nowcast.input.hour": "clock hour 0..23",
        # Where `nowcast models verify` draws its random inputs from.
        "nowcast.range.demand": "0:500",
        "nowcast.range.temp": "0:1",
        "nowcast.range.workingday": "0:1",
        "nowcast.range.hour": "0:23",
        "nowcast.output.quantiles": "quantiles of the next 24 hours, in the unit of demand",
    }
    export(model, arguments.out, metadata)
    session = onnxruntime.InferenceSession(arguments.out, providers=["CPUExecutionProvider"])
    names = ("demand", "temp", "workingday", "hour")
    in_onnx = session.run(None, {name: history[..., i] for i, name in enumerate(names)})[0]
    scale = np.maximum(history[..., 0].mean(1), 1e-6)[:, None, None]
    difference = np.abs(in_onnx - in_keras) / scale
    print(f"{arguments.out}: {arguments.out.stat().st_size} bytes, Keras and ONNX Runtime differ by at most {difference.max():.1e} (in means of the week)")
    assert difference.max() < 1e-4


if __name__ == "__main__":
    main()
