"""Writes the ONNX files that internal/onnx is tested with, and .pb files of single tensors.

    python testdata/gen/onnx_files.py        (onnx 1.23.2, numpy 2.4.6, ml_dtypes)

The tests know the values: every tensor holds 1, 0, 3 (bool: 1, 0, 1), signed and floating types 1, -2, 3.
"""
import os

import numpy as np
import onnx
from onnx import TensorProto as T, helper as h, numpy_helper

out = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "internal", "onnx", "testdata")
os.makedirs(out, exist_ok=True)

TYPES = ["FLOAT", "DOUBLE", "FLOAT16", "BFLOAT16", "INT8", "INT16", "INT32", "INT64", "UINT8", "UINT16", "UINT32", "UINT64", "BOOL",
         "INT4", "UINT4"]


def values(name):
    if name == "BOOL":
        return [True, False, True]
    return [1, 0, 3] if name.startswith("U") else [1, -2, 3]


def model(name, nodes, inputs, outputs, inits=(), opset=17, ir=8, check=True, value_info=(), **kw):
    g = h.make_graph(nodes, name, inputs, outputs, list(inits), value_info=list(value_info))
    m = h.make_model(g, opset_imports=[h.make_opsetid("", opset)] + kw.pop("domains", []), ir_version=ir,
                     producer_name="onnx_files", **kw)
    if check:
        onnx.checker.check_model(m, full_check=True)
    return m


def save(m, name):
    with open(os.path.join(out, name), "wb") as f:
        f.write(m.SerializeToString(deterministic=True))


def info(name, typ=T.FLOAT, shape=(3,), **kw):
    return h.make_tensor_value_info(name, typ, shape, **kw)


def types():
    """Every element type, in raw_data and in the typed field."""
    inits, nodes, outs = [], [], []
    for name in TYPES:
        typ = getattr(T, name)
        field = h.make_tensor("field_" + name.lower(), typ, [3], values(name))
        raw = numpy_helper.from_array(numpy_helper.to_array(field), "raw_" + name.lower())
        assert raw.raw_data and raw.data_type == typ
        for t in (field, raw):
            inits.append(t)
            nodes.append(h.make_node("Identity", [t.name], ["y_" + t.name]))
            outs.append(info("y_" + t.name, typ))
    inits += [h.make_tensor("scalar", T.FLOAT, [], [2.5]), h.make_tensor("empty", T.FLOAT, [0, 4], [])]
    nodes += [h.make_node("Identity", ["scalar"], ["y_scalar"]), h.make_node("Identity", ["empty"], ["y_empty"])]
    outs += [info("y_scalar", shape=()), info("y_empty", shape=(0, 4))]
    save(model("types", nodes, [], outs, inits, opset=21, ir=10), "types.onnx")
    for name in TYPES:
        field = h.make_tensor("t", getattr(T, name), [3], values(name))
        with open(os.path.join(out, f"field_{name.lower()}.pb"), "wb") as f:
            f.write(field.SerializeToString())
    with open(os.path.join(out, "string.pb"), "wb") as f:
        f.write(h.make_tensor("t", T.STRING, [2], [b"a", b"b"]).SerializeToString())
    with open(os.path.join(out, "float8.pb"), "wb") as f:
        f.write(h.make_tensor("t", T.FLOAT8E4M3FN, [2], [1, 2]).SerializeToString())


def ir3():
    """Initializers among the inputs, as files before IR version 4 have them."""
    w = h.make_tensor("w", T.FLOAT, [3], [1, -2, 3])
    save(model("ir3", [h.make_node("Add", ["x", "w"], ["y"])], [info("x"), info("w")], [info("y")], [w], opset=7, ir=3), "ir3.onnx")


def unsorted():
    """Nodes in reverse order; the checker refuses it, runtimes sort it."""
    nodes = [h.make_node("Neg", ["b"], ["y"], name="last"), h.make_node("Abs", ["x"], ["a"], name="first"),
             h.make_node("Relu", ["a"], ["b"], name="middle")]
    save(model("unsorted", nodes, [info("x")], [info("y")], check=False), "unsorted.onnx")


def extras():
    """What is carried along: functions, annotations, subgraphs, documentation, denotations, metadata."""
    then = h.make_graph([h.make_node("Relu", ["a"], ["t"])], "then", [], [info("t")])
    other = h.make_graph([h.make_node("Neg", ["a"], ["e"])], "else", [], [info("e")])
    nodes = [
        h.make_node("Abs", ["x"], ["a"], name="abs", doc_string="doc of abs"),
        h.make_node("Constant", [], ["c"], value=h.make_tensor("name of c", T.BOOL, [], [True])),
        h.make_node("If", ["c"], ["b"], then_branch=then, else_branch=other),
        h.make_node("Twice", ["b"], ["d"], domain="local"),
        h.make_node("Clip", ["d", "", "high"], ["y"]),
        h.make_node("SequenceConstruct", ["d", "b"], ["s"]),
        h.make_node("SequenceAt", ["s", "zero"], ["z"]),
    ]
    x = info("x", shape=("batch", 3), doc_string="doc of x")
    x.type.denotation = "IMAGE"
    x.type.tensor_type.shape.dim[0].denotation = "DATA_BATCH"
    high, zero = h.make_tensor("high", T.FLOAT, [], [2.5]), h.make_tensor("zero", T.INT64, [], [0])
    high.doc_string = "doc of high"
    hint = [info("a", shape=("batch", 3)), info("of_nothing"), h.make_value_info("s", h.make_sequence_type_proto(h.make_tensor_type_proto(1, None)))]
    twice = h.make_function("local", "Twice", ["p"], ["q"], [h.make_node("Add", ["p", "p"], ["q"])], [h.make_opsetid("", 17)])
    m = model("extras", nodes, [x], [info("y", shape=("batch", 3)), info("z", shape=("batch", None))], [high, zero], value_info=hint, ir=10, check=False,
              functions=[twice], domains=[h.make_opsetid("local", 1)], doc_string="doc of model", model_version=7, domain="org.example")
    m.graph.doc_string = "doc of graph"
    m.producer_version = "1.2"
    h.set_model_props(m, {"k": "v", "other": ""})
    for holder in (m.graph, m.graph.node[0], m.graph.initializer[0], m.graph.value_info[0]):
        e = holder.metadata_props.add()
        e.key, e.value = "mk", "mv"
    q = m.graph.quantization_annotation.add()
    q.tensor_name = "a"
    e = q.quant_parameter_tensor_names.add()
    e.key, e.value = "SCALE_TENSOR", "high"
    sv = h.make_tensor("sparse", T.FLOAT, [1], [3.0])
    m.graph.sparse_initializer.append(h.make_sparse_tensor(sv, h.make_tensor("i", T.INT64, [1], [2]), [5]))
    onnx.checker.check_model(m)
    save(m, "extras.onnx")


def attributes():
    """Every attribute kind that is interpreted, on an operator that nobody knows."""
    n = h.make_node("Any", ["x"], ["y", ""], name="any", domain="unknown.domain", f=1.5, i=-7, s="text", t=h.make_tensor("", T.INT8, [3], [1, -2, 3]),
                    floats=[0.5, -1.0], ints=[3, -1, 1 << 40], strings=["a", "", "c"], zero=0, none="")
    n.attribute.append(h.make_attribute("no_ints", [], attr_type=onnx.AttributeProto.INTS))
    save(model("attributes", [n], [info("x")], [info("y")], domains=[h.make_opsetid("unknown.domain", 3)]), "attributes.onnx")


def external():
    """Weights in another file, one at an offset and one from the start."""
    with open(os.path.join(out, "external.bin"), "wb") as f:
        f.write(np.array([1, -2, 3], "<f4").tobytes() + b"pad." + np.array([1, -2, 3], "<i8").tobytes())
    a, b = T(name="a", data_type=T.FLOAT, dims=[3]), T(name="b", data_type=T.INT64, dims=[3])
    for t, entries in ((a, {"location": "external.bin", "length": "12"}), (b, {"location": "external.bin", "offset": "16", "length": "24"})):
        t.data_location = T.EXTERNAL
        for k, v in entries.items():
            e = t.external_data.add()
            e.key, e.value = k, v
    nodes = [h.make_node("Identity", ["a"], ["y"]), h.make_node("Identity", ["b"], ["z"])]
    m = model("external", nodes, [], [info("y"), info("z", T.INT64)], [a, b], check=False)
    save(m, "external.onnx")
    onnx.checker.check_model(os.path.join(out, "external.onnx"))


def shapes():
    """Fixed, named, unknown and undeclared extents."""
    nodes = [h.make_node("Identity", [i], ["y_" + i]) for i in ("named", "unknown", "rank", "scalar")]
    shape = {"named": ("n", 3, "height", "width"), "unknown": (None, 3), "rank": None, "scalar": ()}
    save(model("shapes", nodes, [info(k, shape=v) for k, v in shape.items()], [info("y_" + k, shape=v) for k, v in shape.items()], check=False),
         "shapes.onnx")


for f in (types, ir3, unsorted, extras, attributes, external, shapes):
    f()
