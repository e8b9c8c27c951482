package main

func windows()    {}
func unaries()    {}
func binaries()   {}
func reductions() {}
