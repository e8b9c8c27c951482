package op

var shapeOps = map[string]Builder{}
