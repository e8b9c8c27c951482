// Package lint checks the repository against its own documents: who imports
// whom, file sizes, names, documentation, links and operator tables. Its
// checks are tests; it holds no code that a program could call.
package lint
