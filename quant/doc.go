// Package quant will turn a float model into an int8 one: observers,
// calibration, insertion of QuantizeLinear and DequantizeLinear nodes, and a
// report of the error of every layer.
//
// It holds nothing yet. Models that are quantized already run today; see
// package sdk.
package quant
