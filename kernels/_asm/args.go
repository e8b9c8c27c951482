package main

import (
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"

	"github.com/mmcloughlin/avo/attr"
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// argsFiles declare the argument structs. Field offsets are computed from them,
// so that the assembly cannot disagree with the Go code it was made from.
var argsFiles = []string{"../ref/args.go", "../ref/winogradargs.go", "../ref/q8.go"}

// args is a pointer to an argument struct, in a register.
type args struct {
	base   reg.GPVirtual
	offset map[string]int
}

// text starts a function name(a *stub), where stub is the alias in package
// amd64 of the struct called typ, and loads the pointer.
func text(name, stub, typ string, doc ...string) args {
	return textAttr(NOSPLIT, name, stub, typ, doc...)
}

// textAttr is text for a function with other attributes.
func textAttr(attr attr.Attribute, name, stub, typ string, doc ...string) args {
	declare(stub, typ)
	TEXT(name, attr, "func(a *"+stub+")")
	Pragma("noescape")
	Doc(doc...)

	a := fields(GP64(), typ)
	Load(Param("a"), a.base)
	return a
}

// declare makes the alias stub of a struct known to avo, which resolves signatures
// outside any package: it is declared where predeclared types are.
func declare(stub, typ string) {
	types.Universe.Insert(types.NewAlias(types.NewTypeName(token.NoPos, nil, stub, nil), argsType(typ)).Obj())
}

// fields returns the struct that a register points to.
func fields(base reg.GPVirtual, typ string) args {
	a := args{base, map[string]int{}}
	s := argsType(typ).Underlying().(*types.Struct)
	var fields []*types.Var
	for i := range s.NumFields() {
		fields = append(fields, s.Field(i))
	}
	for i, off := range types.SizesFor("gc", "amd64").Offsetsof(fields) {
		a.offset[fields[i].Name()] = int(off)
	}
	return a
}

// argsType type-checks argsFiles and returns one of their structs.
func argsType(name string) types.Type {
	fset := token.NewFileSet()
	var files []*ast.File
	for _, name := range argsFiles {
		f, err := parser.ParseFile(fset, name, nil, 0)
		if err != nil {
			panic(err)
		}
		files = append(files, f)
	}
	conf := types.Config{Importer: importer.Default(), IgnoreFuncBodies: true}
	pkg, err := conf.Check("ref", fset, files, nil)
	if err != nil {
		panic(err)
	}
	return pkg.Scope().Lookup(name).Type()
}

// field returns the memory of one field.
func (a args) field(name string) Mem {
	off, ok := a.offset[name]
	if !ok {
		panic("no field " + name)
	}
	return Mem{Base: a.base, Disp: off}
}

// load returns a new register with the value of a pointer or int field.
func (a args) load(name string) reg.GPVirtual {
	r := GP64()
	MOVQ(a.field(name), r)
	return r
}
