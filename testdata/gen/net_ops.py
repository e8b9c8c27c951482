"""Makes the golden cases of convolutions, poolings, resizing, sampling and products in forms that ONNX's own cases leave out, and of
the quantized operators of com.microsoft: one model for each, whose inputs are initializers and whose results, by ONNX Runtime, are
the initializers "want 0", "want 1".

    python testdata/gen/net_ops.py        (onnx 1.23, onnxruntime 1.32, numpy 2.4)
"""
import os, shutil
import numpy as np, onnx, onnxruntime as ort
from onnx import helper as h, numpy_helper as nh

out = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "internal", "op", "testdata")
rng = np.random.default_rng(7)
ort.set_default_logger_severity(3)
folder = ""


def begin(name):
    global folder
    folder = os.path.join(out, name)
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)


def case(name, op, inputs, opset=17, outputs=1, domain="", attributes={}, **attrs):
    names = ["" if x is None else f"i{k}" for k, x in enumerate(inputs)]
    inits = [nh.from_array(np.asarray(x), n) for x, n in zip(inputs, names) if x is not None]
    outs = [f"o{k}" for k in range(outputs)]
    node = h.make_node(op, names, outs, domain=domain, **attrs, **attributes)
    opsets = [h.make_opsetid("", opset)] + ([h.make_opsetid(domain, 1)] if domain else [])

    def model(outputs, inits):
        g = h.make_graph([node], name, [], outputs, inits)
        return h.make_model(g, opset_imports=opsets, ir_version=8, producer_name="testdata/gen/net_ops.py")

    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    probe = model([onnx.ValueInfoProto(name=o) for o in outs], inits)
    want = ort.InferenceSession(probe.SerializeToString(), options).run(None, {})
    typed = [h.make_tensor_value_info(o, h.np_dtype_to_tensor_dtype(w.dtype), w.shape) for o, w in zip(outs, want)]
    inits += [nh.from_array(w, f"want {k}") for k, w in enumerate(want)]
    onnx.save(model(typed, inits), os.path.join(folder, f"{op}_{name}.onnx"))


def f32(*shape):
    return rng.standard_normal(shape).astype(np.float32)


def u8(*shape):
    return rng.integers(0, 256, shape).astype(np.uint8)


def i8(*shape):
    return rng.integers(-128, 128, shape).astype(np.int8)


def i7(*shape):
    """Weights for uint8 inputs, whose sums of two products ONNX Runtime saturates to int16 on x86 without VNNI."""
    return rng.integers(-64, 64, shape).astype(np.int8)


F, U, I = np.float32, np.uint8, np.int8

begin("net")
x1, x2, x3 = f32(2, 4, 9), f32(1, 4, 7, 6), f32(1, 2, 5, 4, 6)
case("1d", "Conv", [x1, f32(6, 2, 3), f32(6)], group=2, dilations=[2], pads=[1, 2], strides=[2])
case("3d", "Conv", [x3, f32(3, 2, 2, 3, 2)], dilations=[2, 1, 1], pads=[1, 0, 1, 0, 2, 1], strides=[1, 2, 2])
case("depthwise", "Conv", [x2, f32(8, 1, 3, 3), f32(8)], group=4, pads=[1, 1, 1, 1])
case("same_lower", "Conv", [x2, f32(3, 4, 4, 3)], auto_pad="SAME_LOWER", strides=[2, 3])
case("same_upper", "Conv", [x2, f32(3, 4, 2, 4)], auto_pad="SAME_UPPER", strides=[3, 1])
case("valid", "Conv", [x2, f32(3, 4, 2, 4)], auto_pad="VALID", strides=[3, 1])
case("1d", "ConvTranspose", [x1, f32(4, 3, 3), f32(6)], group=2, dilations=[2], pads=[1, 2], strides=[3], output_padding=[2])
case("3d", "ConvTranspose", [x3, f32(2, 3, 2, 3, 2)], strides=[2, 1, 3], pads=[0, 1, 1, 1, 0, 0])
case("same_upper", "ConvTranspose", [x2, f32(4, 2, 3, 4)], auto_pad="SAME_UPPER", strides=[2, 2])
case("same_lower", "ConvTranspose", [x2, f32(4, 2, 3, 4)], auto_pad="SAME_LOWER", strides=[2, 2])
case("valid", "ConvTranspose", [x2, f32(4, 2, 3, 4)], auto_pad="VALID", strides=[2, 3])
case("output_shape", "ConvTranspose", [x2, f32(4, 2, 3, 4)], output_shape=[15, 14], strides=[2, 2], output_padding=[1, 1])
case("output_shape_upper", "ConvTranspose", [x2, f32(4, 2, 3, 4)], output_shape=[12, 13], strides=[2, 2], auto_pad="SAME_UPPER")

for name, x, kw in [
    ("1d_ceil", x1, dict(kernel_shape=[2], strides=[4], ceil_mode=1)),
    ("2d_ceil_pads", x2, dict(kernel_shape=[3, 2], strides=[2, 2], pads=[1, 0, 1, 1], ceil_mode=1)),
    ("2d_same_upper", x2, dict(kernel_shape=[3, 2], strides=[2, 3], auto_pad="SAME_UPPER")),
    ("2d_same_lower", x2, dict(kernel_shape=[2, 4], strides=[2, 3], auto_pad="SAME_LOWER")),
    ("2d_valid", x2, dict(kernel_shape=[2, 4], strides=[2, 3], auto_pad="VALID")),
    ("3d_ceil", x3, dict(kernel_shape=[2, 3, 2], strides=[2, 2, 3], pads=[1, 1, 0, 0, 1, 1], ceil_mode=1)),
]:
    case(name, "MaxPool", [x], outputs=2, opset=12, **kw)
    case(name, "AveragePool", [x], opset=19, **kw)
    case(name + "_count", "AveragePool", [x], opset=19, count_include_pad=1, **kw)
    if "ceil" not in name:
        case(name, "LpPool", [x], p=3, **kw)
case("column_major", "MaxPool", [x2], outputs=2, opset=12, kernel_shape=[2, 3], storage_order=1, dilations=[2, 1], pads=[1, 1, 0, 1])
case("column_major_3d", "MaxPool", [x3], outputs=2, opset=12, kernel_shape=[2, 2, 2], storage_order=1)
case("int8", "MaxPool", [i8(1, 2, 5, 5)], opset=12, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
case("double", "MaxPool", [x2.astype(np.float64)], opset=12, kernel_shape=[3, 3])
case("dilated_count", "AveragePool", [x2], opset=19, kernel_shape=[2, 3], dilations=[3, 2], pads=[1, 2, 1, 1], strides=[2, 1], ceil_mode=1, count_include_pad=1)
case("2", "GlobalLpPool", [x2], p=2)
case("3", "GlobalLpPool", [x3], p=3)
case("1d", "GlobalMaxPool", [x1])
case("3d", "GlobalAveragePool", [x3])

image, none = f32(1, 2, 5, 4), np.zeros(0, F)
for coord in ["half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric", "half_pixel_symmetric"]:
    for nearest in ["round_prefer_floor", "round_prefer_ceil", "floor", "ceil"]:
        case(f"nearest_{coord}_{nearest}", "Resize", [image, None, None, np.array([1, 2, 8, 3])], opset=19, mode="nearest",
             coordinate_transformation_mode=coord, nearest_mode=nearest)
    for mode in ["linear", "cubic"]:
        case(f"{mode}_{coord}", "Resize", [image, None, None, np.array([1, 2, 3, 9])], opset=19, mode=mode, coordinate_transformation_mode=coord)
    case(f"pixel_{coord}", "Resize", [image, None, None, np.array([1, 2, 1, 1])], opset=19, mode="linear", coordinate_transformation_mode=coord)
case("tf_half_pixel", "Resize", [image, none, none, np.array([1, 2, 7, 6])], opset=11, mode="nearest", coordinate_transformation_mode="tf_half_pixel_for_nn")
case("nearest_thirds", "Resize", [f32(1, 1, 6, 9), None, np.array([1, 1, 2 / 3, 1 / 3], F)], opset=13, mode="nearest",
     coordinate_transformation_mode="asymmetric", nearest_mode="floor")
case("opset10_up", "Resize", [image, np.array([1, 1, 1.5, 2], F)], opset=10, mode="nearest")
case("opset10_down", "Resize", [f32(1, 1, 9, 8), np.array([1, 1, 0.6, 0.4], F)], opset=10, mode="nearest")
case("opset10_linear", "Resize", [image, np.array([1, 1, 1.5, 0.6], F)], opset=10, mode="linear")
case("crop_linear", "Resize", [image, np.array([0, 0, 0.2, -0.3, 1, 1, 0.7, 1.2], F), None, np.array([1, 2, 4, 6])], opset=13, mode="linear",
     coordinate_transformation_mode="tf_crop_and_resize", extrapolation_value=7.5)
case("crop_nearest", "Resize", [image, np.array([0, 0, 0.2, -0.3, 1, 1, 0.7, 1.2], F), None, np.array([1, 2, 4, 6])], opset=13, mode="nearest",
     coordinate_transformation_mode="tf_crop_and_resize", extrapolation_value=7.5)
case("volume", "Resize", [x3, None, np.array([1, 1, 1.5, 2, 0.7], F)], opset=18, mode="linear")
case("channels", "Resize", [f32(2, 3, 4, 5), None, None, np.array([3, 3, 6, 5])], opset=18, mode="nearest")
for mode in ["linear", "cubic"]:
    case(f"antialias_{mode}", "Resize", [f32(1, 1, 13, 11), None, None, np.array([1, 1, 4, 5])], opset=18, mode=mode, antialias=1)
    case(f"antialias_{mode}_exclude", "Resize", [f32(1, 1, 13, 11), None, None, np.array([1, 1, 4, 15])], opset=18, mode=mode, antialias=1, exclude_outside=1)
case("exclude", "Resize", [image, None, None, np.array([1, 2, 9, 3])], opset=18, mode="cubic", exclude_outside=1, cubic_coeff_a=-0.5)
case("not_larger", "Resize", [image, None, None, np.array([12, 6])], opset=18, mode="linear", axes=[2, 3], keep_aspect_ratio_policy="not_larger")
case("not_smaller", "Resize", [image, None, None, np.array([12, 6])], opset=18, mode="linear", axes=[3, 2], keep_aspect_ratio_policy="not_smaller")
case("uint8_nearest", "Resize", [u8(1, 2, 3, 3), None, None, np.array([1, 2, 5, 7])], opset=13, mode="nearest")
case("int32_nearest", "Resize", [np.arange(9, dtype=np.int32).reshape(1, 1, 3, 3), None, None, np.array([1, 1, 5, 2])], opset=13, mode="nearest")
case("attribute", "Upsample", [image], opset=7, mode="linear", scales=[1.0, 1.0, 2.0, 1.5])
case("nearest", "Upsample", [image, np.array([1, 1, 2.5, 1.5], F)], opset=9, mode="nearest")

grid2, grid3 = (rng.random((2, 4, 5, 2)) * 3 - 1.5).astype(F), (rng.random((1, 3, 4, 2, 3)) * 3 - 1.5).astype(F)
for padding in ["zeros", "border", "reflection"]:
    for corners in [0, 1]:
        for mode in ["bilinear", "nearest", "bicubic"]:
            case(f"{mode}_{padding}_{corners}", "GridSample", [f32(2, 1, 3, 5), grid2], opset=16, mode=mode, padding_mode=padding, align_corners=corners)
        for mode in ["linear", "nearest"]:
            case(f"volume_{mode}_{padding}_{corners}", "GridSample", [f32(1, 1, 3, 4, 2), grid3], opset=20, mode=mode, padding_mode=padding, align_corners=corners)
rois, image_of = np.array([[0, 0, 6, 5], [2.5, 1.5, 9.3, 8.2], [4, 4, 4, 4], [-3, 1, 3, 20]], F), np.array([0, 1, 1, 0])
for mode in ["avg", "max"]:
    for ratio in [0, 2]:
        kw = dict(mode=mode, sampling_ratio=ratio, output_height=2, output_width=3, spatial_scale=0.7)
        maps = f32(2, 2, 6, 7)
        case(f"{mode}_{ratio}_10", "RoiAlign", [maps, rois, image_of], opset=10, **kw)
        for coord in ["half_pixel", "output_half_pixel"]:
            case(f"{mode}_{ratio}_{coord}", "RoiAlign", [maps, rois, image_of], opset=16, coordinate_transformation_mode=coord, **kw)

case("broadcast", "MatMul", [f32(2, 1, 3, 4), f32(5, 4, 2)])
case("row", "MatMul", [f32(4), f32(3, 4, 5)])
case("wide", "MatMul", [f32(2, 3), f32(3, 290)])
case("int32", "MatMul", [rng.integers(-9, 9, (2, 3)).astype(np.int32), rng.integers(-9, 9, (3, 4)).astype(np.int32)])
case("uint64", "MatMul", [rng.integers(0, 9, (2, 3)).astype(np.uint64), rng.integers(0, 9, (3, 4)).astype(np.uint64)])
case("double", "MatMul", [f32(2, 3).astype(np.float64), f32(3, 4).astype(np.float64)])
case("transposed", "Gemm", [f32(4, 3), f32(5, 4), f32(3, 1)], opset=9, transA=1, transB=1, beta=0.3)
for name, equation, shapes in [
    ("implicit", "bij,bjk", [(2, 3, 4), (2, 4, 5)]), ("attention", "bhid,bhjd->bhij", [(2, 2, 3, 4), (2, 2, 5, 4)]),
    ("ellipsis", "i...j,...jk->...ik", [(3, 2, 4), (2, 4, 5)]), ("diagonal", "...ii->...i", [(2, 3, 3)]), ("trace", "ii", [(4, 4)]),
    ("outer", "a,b,c->cab", [(2,), (3,), (4,)]), ("spaces", " i j , j -> i ", [(2, 3), (3,)]), ("broadcast", "...a,...a->...", [(2, 1, 3), (1, 4, 3)]),
]:
    case(name, "Einsum", [f32(*s) for s in shapes], opset=12, equation=equation)

s = F
for name, x, xz, w, wz, y in [("u8u8", u8, U(120), u8, U(130), U), ("u8s8", u8, U(120), i7, I(0), U), ("s8s8", i8, I(-5), i8, I(3), I)]:
    case(name, "QLinearConv", [x(1, 4, 6, 5), s(0.02), xz, w(6, 2, 3, 3), s(0.013), wz, s(0.11), y(7), rng.integers(-900, 900, 6).astype(np.int32)],
         opset=13, group=2, pads=[1, 1, 1, 1], strides=[2, 1])
    case(name, "QLinearMatMul", [x(2, 3, 7), s(0.02), xz, w(7, 9), s(0.013), wz, s(0.1), y(7)], opset=13)
    case(name, "ConvInteger", [x(1, 2, 6, 5), w(3, 2, 3, 3), xz], opset=13, pads=[1, 0, 1, 0])
    case(name, "MatMulInteger", [x(2, 3, 7), w(7, 9), xz, wz], opset=13)
scales, zeros = (rng.random(8) * 0.02 + 0.005).astype(F), np.zeros(8, I)
case("per_channel", "QLinearConv", [u8(2, 4, 5, 5), s(0.02), U(120), i7(8, 1, 3, 3), scales, zeros, s(0.05), U(128)], opset=13, group=4, dilations=[2, 2], pads=[2, 2, 2, 2])
case("pointwise", "QLinearConv", [u8(1, 8, 20, 17), s(0.02), U(120), i7(8, 8, 1, 1), scales, zeros, s(0.09), U(128)], opset=13)
case("1d", "QLinearConv", [u8(1, 2, 9), s(0.02), U(120), i7(8, 2, 3), scales, zeros, s(0.09), U(128)], opset=13, auto_pad="SAME_UPPER", strides=[2])
case("per_column", "QLinearMatMul", [u8(3, 7), s(0.02), U(9), i7(7, 8), scales, zeros, s(0.05), U(128)], opset=13)
case("per_column", "MatMulInteger", [u8(3, 7), i7(7, 8), U(9), i7(8)], opset=13)

own = np.random.default_rng(11)  # so that the other cases keep their numbers
for name, x, channels, pads in [("4x4", (1, 16, 10, 11), 24, [1, 1, 1, 1]), ("4x4_pads", (2, 24, 13, 9), 17, [2, 0, 1, 2]), ("2x2", (1, 48, 6, 6), 20, [1, 1, 1, 1])]:
    w = own.standard_normal((channels, x[1], 3, 3)).astype(F) / 20
    case("winograd_" + name, "Conv", [own.standard_normal(x).astype(F), w, own.standard_normal(channels).astype(F)], pads=pads)

begin("contrib")
ms = dict(domain="com.microsoft")
for name, d, z in [("u8", u8, U), ("s8", i8, I)]:
    a, b = d(2, 3, 4, 5), d(3, 1, 5)
    pa, pb, py = [s(0.021), z(11)], [s(0.03), z(99)], [s(0.07), z(64)]
    for op in ["QLinearAdd", "QLinearMul"]:
        case(name, op, [a, *pa, b, *pb, *py], **ms)
        case(name + "_scalar", op, [a, *pa, d(1), *pb, *py], **ms)
    every = np.arange(256, dtype=np.uint8).view(z)
    case(name, "QLinearSigmoid", [every, s(0.06), z(30), s(1 / 256), z(0)], **ms)
    case(name, "QLinearLeakyRelu", [every, s(0.06), z(30), s(0.05), z(30)], alpha=0.2, **ms)
    case(name, "QLinearConcat", [*py, d(2, 1, 3), *pa, d(2, 4, 3), *pb, d(2, 2, 3), *py], axis=1, **ms)
    case(name + "_last", "QLinearConcat", [*py, d(2, 1), *pa, d(2, 4), *pb], axis=-1, **ms)
    case(name, "QLinearGlobalAveragePool", [d(2, 3, 7, 5), *pa, s(0.004), z(5)], channels_last=0, **ms)
    case(name + "_last", "QLinearGlobalAveragePool", [d(2, 7, 5, 3), *pa, s(0.004), z(5)], channels_last=1, **ms)
    for k, kw in enumerate([
        dict(kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1]),
        dict(kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1], count_include_pad=1),
        dict(kernel_shape=[3, 2], strides=[2, 2], ceil_mode=1),
        dict(kernel_shape=[3, 2], auto_pad="SAME_UPPER"),
    ]):
        case(f"{name}_{k}", "QLinearAveragePool", [d(1, 3, 6, 7), *pa, s(0.015), z(50)], channels_last=0, **kw, **ms)
        case(f"{name}_{k}_last", "QLinearAveragePool", [d(1, 6, 7, 3), *pa, s(0.015), z(50)], channels_last=1, **kw, **ms)
    for old in [0, 1]:
        case(f"{name}_{13 - old}", "QLinearSoftmax", [d(2, 3, 10), s(0.03), z(9), s(1 / 256), z(0)], attributes=dict(opset=13 - old), axis=1 + old, **ms)
    case(name, "QGemm", [d(3, 7), *pa, d(7, 5), *pb, rng.integers(-900, 900, 5).astype(np.int32), s(0.11), z(40)], alpha=0.5, **ms)
    case(name + "_transposed", "QGemm", [d(7, 3), *pa, d(5, 7), *pb, None, s(0.11), z(40)], transA=1, transB=1, **ms)
    case(name + "_float", "QGemm", [d(3, 7), *pa, d(5, 7), *pb, rng.integers(-900, 900, 5).astype(np.int32)], transB=1, **ms)
    case(name, "QLinearWhere", [rng.random((3, 4)) < 0.5, d(3, 4), *pa, d(4), *pb, *py], **ms)
case("per_column", "QGemm", [u8(3, 7), s(0.02), U(9), i7(7, 8), scales, zeros, rng.integers(-900, 900, 8).astype(np.int32), s(0.05), U(128)], **ms)

# Reductions over axes in the middle, long and short, and points of many channels: the paths that vectors take.
begin("wide")
xr, xs = f32(2, 3, 24, 9), f32(40, 3, 2)
for op in ["ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceL1", "ReduceL2", "ReduceSumSquare", "ReduceProd"]:
    since = 13 if op == "ReduceSum" else 18
    for name, x, axes in [("middle", xr, [1]), ("outer", xr, [0, 2]), ("spatial", xr, [1, 2, 3]), ("short", xs, [1]), ("last", xr, [-1])]:
        case(name, op, [x, np.array(axes)], opset=since, keepdims=0)
gridw = rng.uniform(-1.3, 1.3, (2, 13, 11, 2)).astype(F)
for mode in ["linear", "nearest", "cubic"]:
    case(f"channels_{mode}", "GridSample", [f32(2, 5, 6, 7), gridw], opset=20, mode=mode)
case("3d_slabs", "Conv", [f32(2, 3, 4, 6, 5), f32(4, 3, 1, 3, 3), f32(4)], pads=[0, 1, 1, 0, 1, 1], strides=[1, 2, 1])
case("3d_columns", "Conv", [f32(1, 1, 9, 8, 7), f32(5, 1, 5, 5, 1), f32(5)], pads=[2, 2, 0, 2, 2, 0])
case("3d_groups", "Conv", [f32(1, 4, 5, 4, 3), f32(6, 2, 3, 3, 3), f32(6)], group=2, dilations=[2, 1, 1], pads=[2, 1, 1, 2, 1, 1])
case("3d_depthwise", "Conv", [f32(1, 4, 5, 4, 3), f32(4, 1, 3, 3, 3)], group=4, strides=[2, 1, 1], pads=[1, 1, 1, 1, 1, 1])
