"""Writes ONNX graphs by hand from Keras weights: fused LSTM/GRU nodes, stable names, metadata.

Keras' own exporter unrolls a GRU into a Loop (4x slower at batch 1) and names tensors after the
traced function, so a retrained model would have other inputs. Here the graph is spelled out: the
names a SQL file relies on are the names in the train script.
"""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSET = 17  # runs on ONNX Runtime >= 1.12 and on rten
IR_VERSION = 8
FLOAT = TensorProto.FLOAT
INT64 = TensorProto.INT64


def reorder(weights, units, order):
    """Reorders the gate blocks along the last axis."""
    blocks = [weights[..., i * units : (i + 1) * units] for i in order]
    return np.concatenate(blocks, axis=-1)


class Graph:
    """Nodes and initializers in writing order; every method returns the name of its output."""

    def __init__(self):
        self.nodes = []
        self.initializers = []

    def constant(self, name, value, dtype=None):
        value = np.ascontiguousarray(np.asarray(value, dtype=dtype))
        if value.dtype == np.float64:
            value = value.astype(np.float32)
        self.initializers.append(numpy_helper.from_array(value, name))
        return name

    def node(self, op, inputs, output, **attributes):
        outputs = [output] if isinstance(output, str) else output
        self.nodes.append(helper.make_node(op, inputs, outputs, name=outputs[0], **attributes))
        return output

    def ints(self, name, *values):
        return self.constant(name, np.array(values, np.int64))

    def reshape(self, x, name, *shape):
        return self.node("Reshape", [x, self.ints(name + "_shape", *shape)], name)

    def slice(self, x, name, axis, start, end):
        bounds = [
            self.ints(f"{name}_{what}", value)
            for what, value in (("start", start), ("end", end), ("axis", axis))
        ]
        return self.node("Slice", [x, *bounds], name)

    def matmul(self, x, name, weights, bias):
        """`x @ weights + bias` over the last axis of a tensor of any rank."""
        product = self.node("MatMul", [x, self.constant(name + "_w", weights)], name + "_product")
        return self.node("Add", [product, self.constant(name + "_b", bias)], name)

    def dense(self, x, name, weights, bias):
        """The same for rank 2, as one Gemm."""
        inputs = [x, self.constant(name + "_w", weights), self.constant(name + "_b", bias)]
        return self.node("Gemm", inputs, name)

    def lstm(self, x, name, kernel, recurrent, bias):
        """Last hidden state [batch, units] of a Keras LSTM over x [batch, steps, features]."""
        units = recurrent.shape[0]
        order = [0, 3, 1, 2]  # Keras i f c o -> ONNX i o f c
        kernel, recurrent, bias = (reorder(w, units, order) for w in (kernel, recurrent, bias))
        bias = np.concatenate([bias, np.zeros(4 * units, np.float32)])
        return self._recurrent("LSTM", x, name, kernel, recurrent, bias, hidden_size=units)

    def gru(self, x, name, kernel, recurrent, bias):
        """Last hidden state [batch, units] of a Keras GRU with reset_after=True."""
        units = recurrent.shape[0]  # Keras z r h is ONNX's order
        return self._recurrent(
            "GRU", x, name, kernel, recurrent, bias.reshape(-1), hidden_size=units, linear_before_reset=1
        )

    def _recurrent(self, op, x, name, kernel, recurrent, bias, **attributes):
        time_major = self.node("Transpose", [x], name + "_time_major", perm=[1, 0, 2])
        weights = [
            self.constant(name + "_W", kernel.T[None]),
            self.constant(name + "_R", recurrent.T[None]),
            self.constant(name + "_B", bias[None]),
        ]
        outputs = ["", name + "_last"]
        self.nodes.append(
            helper.make_node(op, [time_major, *weights], outputs, name=name + "_last", **attributes)
        )
        return self.node("Squeeze", [name + "_last", self.ints(name + "_direction", 0)], name)

    def save(self, path, name, inputs, outputs, metadata):
        """Checks and writes the model; `inputs`, `outputs` are (name, type, shape of one row)."""

        def info(value):
            tensor, dtype, shape = value
            return helper.make_tensor_value_info(tensor, dtype, ["batch", *shape])

        graph = helper.make_graph(
            self.nodes, name, [info(v) for v in inputs], [info(v) for v in outputs], self.initializers
        )
        model = helper.make_model(
            graph, producer_name="nowcast", opset_imports=[helper.make_opsetid("", OPSET)]
        )
        model.ir_version = IR_VERSION
        helper.set_model_props(model, {key: str(value) for key, value in metadata.items()})
        onnx.checker.check_model(model, full_check=True)
        onnx.save(model, path)
