package onnx

import (
	"errors"
	"fmt"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/edgecam/edgecam/internal/graph"
	"github.com/edgecam/edgecam/internal/tensor"
)

// IR versions that Encode may have to choose.
const (
	unlistedInits = 4  // the first in which initializers need not be inputs
	commonIR      = 8  // what every runtime in use reads
	fourBitIR     = 10 // the first with int4, for operator set 21 and later
)

// Encode writes a portable graph as a ModelProto, all weights inside, with
// raw_data. An IR version of 0 stands for one that suits the operator set.
//
// A graph that no reader would accept is an error that names node and value:
// names that are missing or used twice, inputs that nothing defines, nodes
// out of order, initializers without contents. So is a model of 2 GiB.
func Encode(g *graph.Graph) ([]byte, error) {
	if err := check(g); err != nil {
		return nil, err
	}
	body, err := encodeGraph(g)
	if err != nil {
		return nil, err
	}
	b := appendInt(nil, modelIRVersion, irVersion(g))
	b = appendString(b, modelProducer, g.Producer)
	b = appendString(b, modelProducerVersion, g.ProducerVersion)
	b = appendString(b, modelDomain, g.Domain)
	b = appendInt(b, modelVersion, g.ModelVersion)
	b = appendString(b, modelDoc, g.ModelDoc)
	for _, o := range g.Opsets {
		b = appendBytes(b, modelOpset, appendInt(appendString(nil, opsetDomain, o.Domain), opsetVersion, o.Version))
	}
	for _, p := range g.Metadata {
		b = appendBytes(b, modelMetadata, appendBytes(appendBytes(nil, entryKey, []byte(p.Key)), entryValue, []byte(p.Value)))
	}
	b = append(b, g.Extra[keyModel]...)

	size := 0
	for _, part := range body {
		size += len(part)
	}
	if size > maxFile-len(b)-16 {
		return nil, fmt.Errorf("the model takes %w", errTooLarge)
	}
	b = protowire.AppendVarint(protowire.AppendTag(b, modelGraph, protowire.BytesType), uint64(size))
	return slices.Concat(append([][]byte{b}, body...)...), nil
}

// irVersion returns the version that a graph is written with.
func irVersion(g *graph.Graph) int64 {
	switch {
	case g.IRVersion == 0 && g.Opset("") >= 21:
		return fourBitIR
	case g.IRVersion == 0:
		return commonIR
	case g.IRVersion < unlistedInits && !allListed(g):
		return unlistedInits
	}
	return g.IRVersion
}

// allListed reports whether every initializer is among the inputs.
func allListed(g *graph.Graph) bool {
	listed := map[*graph.Value]bool{}
	for _, v := range g.Inputs {
		listed[v] = true
	}
	return !slices.ContainsFunc(g.Inits, func(v *graph.Value) bool { return !listed[v] })
}

// encodeGraph returns the GraphProto in parts, which share the memory of the
// weights.
func encodeGraph(g *graph.Graph) ([][]byte, error) {
	var parts [][]byte
	var b []byte
	for i, n := range g.Nodes {
		e, err := encodeNode(n)
		if err != nil {
			return nil, fmt.Errorf("node %d %s: %w", i, n.Label(), err)
		}
		b = appendBytes(b, graphNode, e)
	}
	parts = append(parts, appendString(b, graphName, g.Name))
	for _, v := range g.Inits {
		head, raw, err := tensorParts(v.Name, v.Const)
		if err != nil {
			return nil, fmt.Errorf("initializer %q: %w", v.Name, err)
		}
		left := v.Extra[keyTensor]
		b = protowire.AppendTag(nil, graphInitializer, protowire.BytesType)
		b = protowire.AppendVarint(b, uint64(len(head)+len(raw)+len(left)))
		parts = append(parts, append(b, head...), raw, left)
	}
	b = appendString(nil, graphDoc, g.Doc)
	described := map[*graph.Value]bool{}
	for _, v := range g.Inputs {
		b = appendBytes(b, graphInput, encodeValueInfo(v))
		described[v] = true
	}
	for _, v := range g.Outputs {
		b = appendBytes(b, graphOutput, encodeValueInfo(v))
		described[v] = true
	}
	describe := func(v *graph.Value) {
		plain := v.Const != nil && v.Node == nil || v.Untyped && v.Type.DType == tensor.Invalid
		if described[v] || plain && v.Doc == "" && v.Extra[keyValue] == nil {
			return
		}
		b = appendBytes(b, graphValueInfo, encodeValueInfo(v))
	}
	for _, v := range g.Inits {
		describe(v)
	}
	for _, n := range g.Nodes {
		for _, v := range n.Out {
			if v != nil {
				describe(v)
			}
		}
	}
	return append(parts, b, g.Extra[keyGraph]), nil
}

// check reports what makes a graph unreadable.
func check(g *graph.Graph) error {
	switch {
	case len(g.Outputs) == 0:
		return errors.New("the graph has no outputs")
	case len(g.Opsets) == 0:
		return errors.New("the graph imports no operator set")
	case g.IRVersion != 0 && g.IRVersion < minIRVersion:
		return fmt.Errorf("IR version %d is older than %d", g.IRVersion, minIRVersion)
	}
	defined := map[*graph.Value]bool{}
	names := map[string]bool{}
	define := func(v *graph.Value) error {
		switch {
		case v == nil || v.Name == "":
			return errors.New("a value has no name")
		case names[v.Name]:
			return fmt.Errorf("the name %q is used twice", v.Name)
		}
		defined[v], names[v.Name] = true, true
		return nil
	}
	for i, v := range g.Inputs {
		if err := define(v); err != nil {
			return fmt.Errorf("input %d: %w", i, err)
		}
	}
	listed := map[*graph.Value]bool{}
	for i, v := range g.Inits {
		if v == nil || v.Const == nil || listed[v] {
			return fmt.Errorf("initializer %d, %q, has no contents or is listed twice", i, nameOf(v))
		}
		listed[v] = true
		if defined[v] {
			continue // also an input
		}
		if err := define(v); err != nil {
			return fmt.Errorf("initializer %d: %w", i, err)
		}
	}
	for i, n := range g.Nodes {
		for k, v := range n.In {
			if v != nil && !defined[v] {
				return fmt.Errorf("node %d %s: input %d, %q, is not among the inputs and initializers of the graph nor the output of an earlier node", i, n.Label(), k, v.Name)
			}
		}
		for k, v := range n.Out {
			if v == nil {
				continue
			}
			if err := define(v); err != nil {
				return fmt.Errorf("node %d %s: output %d: %w", i, n.Label(), k, err)
			}
		}
	}
	for i, v := range g.Outputs {
		if v == nil || !defined[v] {
			return fmt.Errorf("output %d, %q, is produced by no node", i, nameOf(v))
		}
	}
	return nil
}
