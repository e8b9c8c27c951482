package op

var elementwiseOps = map[string]Builder{}
