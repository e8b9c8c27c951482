// Package quant turns a float model into an int8 one: a plain ONNX graph with
// QuantizeLinear and DequantizeLinear nodes, per-channel symmetric weights and
// per-tensor asymmetric activations, that any runtime can check. It calibrates
// on a stream of samples, corrects the means that rounding shifts, keeps float
// what would suffer, and reports what it did to every layer.
//
// It decodes no images and knows no preprocessing, does not train weights, and
// runs nothing itself: package engine does.
package quant
