"""Fits a GRU next-title recommender on sessions and writes its ONNX file.

    python onnx_models/next_title/train.py --sessions FILE [--test FILE] [--out FILE]

FILE holds one session a line, oldest first: item ids (whole numbers above 0) separated by spaces or
commas; `.zst` is read as it is. The test file holds `prefix TAB next id` lines; without one the last
tenth of the sessions is kept out and every step in it is judged. Printed beside the model:
popularity, and sequential rules (Ludewig & Jannach 2018, section 3.1.3).
"""

import argparse
import io
import os
import sys
from collections import Counter
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
import keras
import numpy as np
import onnxruntime
import tensorflow as tf
from keras import layers

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "export"))
import graph as onnx_graph

LENGTH = 20  # items in
TOP = 20  # items out
ID_MAX = 1_000_000  # the graph holds a table by id
FULL_SOFTMAX_MAX = 5_000  # items; above, the loss is over a sample of them
SAMPLED = 2_000
RULE_STEPS = 10  # sequential rules reach this far, with weight 1 / steps
EXCLUDED = np.float32(-1e30)
SEED = 5


def lines(path):
    raw = path.read_bytes()
    if path.suffix == ".zst":
        import zstandard

        raw = zstandard.ZstdDecompressor().stream_reader(raw).read()
    return io.StringIO(raw.decode())


def ids(text):
    return [int(item) for item in text.replace(",", " ").split()]


def read_sessions(path):
    sessions = [ids(line) for line in lines(path)]
    return [session for session in sessions if len(session) > 1]


def read_test(path):
    pairs = (line.rstrip("\n").split("\t") for line in lines(path))
    return [(ids(prefix)[-LENGTH:], int(label)) for prefix, label in pairs]


def steps(sessions):
    """Every (prefix, next) of the sessions."""
    return [(s[max(0, i - LENGTH) : i], s[i]) for s in sessions for i in range(1, len(s))]


def left_padded(rows):
    out = np.zeros((len(rows), LENGTH), np.int64)
    for i, row in enumerate(rows):
        out[i, LENGTH - len(row) :] = row
    return out


class Vocabulary:
    """Items by falling frequency from 1 on (the loss samples by rank); 0 is padding and unknown."""

    def __init__(self, sessions):
        counts = Counter(item for session in sessions for item in session)
        ranked = sorted(counts, key=lambda item: (-counts[item], item))
        if ranked and (min(counts) < 1 or max(counts) > ID_MAX):
            raise SystemExit(f"item ids must lie in 1..{ID_MAX}, got {min(counts)}..{max(counts)}")
        self.id_of = np.array([0, *ranked], np.int64)
        self.index_of = np.zeros(max(counts) + 1, np.int64)
        self.index_of[self.id_of[1:]] = np.arange(1, len(self.id_of))
        self.counts = np.array([0, *(counts[item] for item in ranked)], np.float32)

    def indices(self, row):
        return [int(self.index_of[item]) if 0 < item < len(self.index_of) else 0 for item in row]


def windows(sessions):
    """Windows of up to 21 items in which every item but a session's first is a target once."""
    found = []
    for session in sessions:
        for start in range(0, len(session) - 1, LENGTH):
            found.append(session[start : start + LENGTH + 1])
    inputs = left_padded([window[:-1] for window in found])
    targets = left_padded([window[1:] for window in found])
    return inputs, targets


class Recommender(keras.Model):
    """Embedding, GRU, and a query in the space of the embeddings, whose products are the scores."""

    def __init__(self, items, width, units, dropout):
        super().__init__()
        self.items = self.add_weight(name="items", shape=(items, width), initializer=keras.initializers.RandomNormal(stddev=0.05))
        self.bias = self.add_weight(name="bias", shape=(items,), initializer="zeros")
        self.dropout = layers.Dropout(dropout)
        self.gru = layers.GRU(units, return_sequences=True)
        self.query = layers.Dense(width)

    def call(self, items, training=False):
        x = self.dropout(tf.gather(self.items, items), training=training)
        return self.query(self.dropout(self.gru(x), training=training))


def fit(inputs, targets, items, options):
    keras.utils.set_random_seed(SEED)
    model = Recommender(items, options.width, options.units, options.dropout)
    per_epoch = len(inputs) // options.batch
    schedule = keras.optimizers.schedules.CosineDecay(options.rate, options.epochs * per_epoch)
    optimizer = keras.optimizers.Adam(schedule)
    model(inputs[:1])
    optimizer.build(model.trainable_variables)

    @tf.function(reduce_retracing=True)
    def step(inputs, targets):
        with tf.GradientTape() as tape:
            known = targets > 0
            queries = tf.boolean_mask(model(inputs, training=True), known)
            labels = tf.boolean_mask(targets, known)
            weights, bias = tf.convert_to_tensor(model.items), tf.convert_to_tensor(model.bias)
            if items <= FULL_SOFTMAX_MAX:
                logits = tf.matmul(queries, weights, transpose_b=True) + bias
                losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
            else:
                losses = tf.nn.sampled_softmax_loss(
                    weights, bias, labels[:, None], queries, SAMPLED, items
                )
            loss = tf.reduce_mean(losses)
        gradients, _ = tf.clip_by_global_norm(tape.gradient(loss, model.trainable_variables), 1.0)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables))
        return loss

    random = np.random.default_rng(SEED)
    for epoch in range(options.epochs):
        order = random.permutation(len(inputs))[: per_epoch * options.batch]
        losses = [float(step(inputs[chosen], targets[chosen])) for chosen in order.reshape(per_epoch, -1)]
        print(f"epoch {epoch + 1}: loss {np.mean(losses):.4f}", flush=True)
    return model


def sequential_rules(sessions, vocabulary):
    """For each item, weights of the items that followed it."""
    rules = [Counter() for _ in vocabulary.id_of]
    for session in sessions:
        row = vocabulary.indices(session)
        for i, later in enumerate(row):
            for distance in range(1, min(i, RULE_STEPS) + 1):
                rules[row[i - distance]][later] += 1.0 / distance
    return rules


def judge(name, test, vocabulary, scores_of, exclude, batch=512):
    """Prints HR@20 and MRR@20 over the whole catalogue; a label never seen in training is a miss."""
    hits = reciprocal = 0.0
    for start in range(0, len(test), batch):
        part = test[start : start + batch]
        rows = left_padded([vocabulary.indices(prefix) for prefix, _ in part])
        labels = np.array([vocabulary.indices([label])[0] for _, label in part])
        scores = scores_of(rows)
        scores[:, 0] = -np.inf
        if exclude:
            np.put_along_axis(scores, rows, -np.inf, axis=1)
        own = scores[np.arange(len(part)), labels]
        # Equal scores rank behind those with a more frequent item first, as the graph's TopK does.
        ahead = np.arange(scores.shape[1])[None] < labels[:, None]
        rank = 1 + (scores > own[:, None]).sum(1) + ((scores == own[:, None]) & ahead).sum(1)
        found = np.isfinite(own) & (labels > 0) & (rank <= TOP)
        hits += found.sum()
        reciprocal += (found / rank).sum()
    print(f"{name:<20} HR@{TOP} {hits / len(test):.3f}  MRR@{TOP} {reciprocal / len(test):.3f}", flush=True)


def judge_all(model, sessions, test, vocabulary, exclude):
    print(f"{len(test)} steps judged, items already in the session {'excluded' if exclude else 'allowed'}")
    popularity = vocabulary.counts
    judge("popularity", test, vocabulary, lambda rows: np.tile(popularity, (len(rows), 1)), exclude)
    rules = sequential_rules(sessions, vocabulary)

    def by_rules(rows):
        scores = np.zeros((len(rows), len(popularity)), np.float32)
        for row, last in zip(scores, rows[:, -1]):
            follow = rules[last]
            row[list(follow)] = list(follow.values())
        return scores

    judge("sequential rules", test, vocabulary, by_rules, exclude)
    weights, bias = np.asarray(model.items), np.asarray(model.bias)
    forward = tf.function(lambda rows: model(rows)[:, -1], reduce_retracing=True)
    judge("next_title (GRU)", test, vocabulary, lambda rows: np.asarray(forward(rows)) @ weights.T + bias, exclude)


def export(model, vocabulary, exclude, path, metadata):
    g = onnx_graph.Graph()
    last_id = g.constant("last_id", np.int64(len(vocabulary.index_of) - 1))
    zero = g.constant("unknown", np.int64(0))
    positive = g.node("Greater", ["items", zero], "is_positive")
    in_table = g.node("LessOrEqual", ["items", last_id], "is_in_table")
    known = g.node("And", [positive, in_table], "is_known")
    safe = g.node("Where", [known, "items", zero], "known_items")
    index = g.node("Gather", [g.constant("index_of_id", vocabulary.index_of), safe], "index", axis=0)

    embeddings = g.constant("item_embeddings", np.asarray(model.items))
    x = g.node("Gather", [embeddings, index], "embedded", axis=0)
    kernel, recurrent, bias = (np.asarray(w) for w in model.gru.weights)
    state = g.gru(x, "gru", kernel, recurrent, bias)
    query = g.dense(state, "query", *(np.asarray(w) for w in model.query.weights))
    scores = g.node("Gemm", [query, embeddings, g.constant("item_bias", np.asarray(model.bias))], "scores", transB=1)

    # Index 0 is padding; the items of the session join it unless they may be shown again.
    column = g.slice(index, "first_column", 1, 0, 1)
    padding = g.node("Mul", [column, zero], "padding_column")
    hidden = g.node("Concat", [padding, index], "excluded", axis=1) if exclude else padding
    as_float = g.node("Cast", [g.node("Mul", [hidden, zero], "excluded_zeros")], "excluded_floats", to=onnx_graph.FLOAT)
    updates = g.node("Add", [as_float, g.constant("excluded_score", EXCLUDED)], "excluded_scores")
    masked = g.node("ScatterElements", [scores, hidden, updates], "masked", axis=1)
    probabilities = g.node("Softmax", [masked], "probabilities", axis=1)
    g.node("TopK", [probabilities, g.ints("top", TOP)], ["top_scores", "top_index"], axis=1)
    g.node("Gather", [g.constant("id_of_index", vocabulary.id_of), "top_index"], "top_items", axis=0)
    inputs = [("items", onnx_graph.INT64, [LENGTH])]
    outputs = [("top_items", onnx_graph.INT64, [TOP]), ("top_scores", onnx_graph.FLOAT, [TOP])]
    g.save(path, "next_title", inputs, outputs, metadata)


def check_export(model, vocabulary, test, exclude, path):
    """The graph's answers against Keras' on test prefixes, and on ids it does not know."""
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    prefixes = [prefix for prefix, _ in test[:200]]
    top_items, top_scores = session.run(None, {"items": left_padded(prefixes)})
    rows = left_padded([vocabulary.indices(prefix) for prefix in prefixes])
    scores = np.asarray(model(rows))[:, -1] @ np.asarray(model.items).T + np.asarray(model.bias)
    scores[:, 0] = EXCLUDED
    if exclude:
        np.put_along_axis(scores, rows, EXCLUDED, axis=1)
    probabilities = np.asarray(tf.nn.softmax(scores))
    of_items = np.take_along_axis(probabilities, vocabulary.index_of[top_items], axis=1)
    difference = np.abs(of_items - top_scores).max()
    best = -np.sort(-probabilities, axis=1)[:, :TOP]
    difference = max(difference, np.abs(best - top_scores).max())
    print(f"{path}: {path.stat().st_size} bytes, Keras and ONNX Runtime differ by at most {difference:.1e} in probability")
    assert difference < 1e-5
    unknown = session.run(None, {"items": left_padded([[-7, 10**12]])})
    nothing = session.run(None, {"items": left_padded([[]])})
    assert all(np.array_equal(a, b) for a, b in zip(unknown, nothing))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sessions", type=Path, required=True, help="one session a line")
    parser.add_argument("--test", type=Path, help="prefix TAB next id, one step a line")
    parser.add_argument("--out", type=Path, help="write the ONNX file here")
    parser.add_argument("--about", default="", help="training data, for the metadata")
    parser.add_argument("--version", default="1")
    parser.add_argument("--repeats", action="store_true", help="items of the session may come again")
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--rate", type=float, default=5e-3)
    parser.add_argument("--width", type=int, default=64, help="of an item's embedding")
    parser.add_argument("--units", type=int, default=96, help="of the GRU")
    parser.add_argument("--dropout", type=float, default=0.1)
    options = parser.parse_args()

    sessions = read_sessions(options.sessions)
    if options.test:
        test = read_test(options.test)
    else:
        cut = len(sessions) * 9 // 10
        sessions, test = sessions[:cut], steps(sessions[cut:])
    vocabulary = Vocabulary(sessions)
    inputs, targets = windows([vocabulary.indices(session) for session in sessions])
    print(f"{options.sessions.name}: {len(sessions)} sessions, {int((targets > 0).sum())} steps, {len(vocabulary.id_of) - 1} items")
    exclude = not options.repeats
    model = fit(inputs, targets, len(vocabulary.id_of), options)
    print(f"{model.count_params()} parameters")
    judge_all(model, sessions, test, vocabulary, exclude)
    if options.out is None:
        return
    metadata = {
        "nowcast.name": "next_title",
        "nowcast.version": options.version,
        "nowcast.title": "Next title from the last 20 of a session",
        "nowcast.training_data": options.about or options.sessions.name,
        "nowcast.training_window": f"{len(sessions)} sessions",
        "nowcast.pad.items": "left:0",
        "nowcast.range.items": f"0:{int(vocabulary.id_of.max())}",
        "nowcast.input.items": "item ids of the session, oldest first; 0 and unknown ids are padding",
        "nowcast.output.top_items": f"the {TOP} most probable next items, best first"
        + (", none of the input" if exclude else ""),
        "nowcast.output.top_scores": "their probabilities",
    }
    export(model, vocabulary, exclude, options.out, metadata)
    check_export(model, vocabulary, test, exclude, options.out)


if __name__ == "__main__":
    main()
