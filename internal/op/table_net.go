package op

var netOps = map[string]Builder{}
