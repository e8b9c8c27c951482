package main

func unaries()    {}
func binaries()   {}
func reductions() {}
