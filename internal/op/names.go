package op

import "slices"

// Names returns the names of all operators in order, with the domain in front
// where it is not ai.onnx.
func Names() []string {
	var names []string
	for _, t := range tables {
		for name := range t {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}
