package main

import (
	"bytes"
	"os"
	"testing"
)

// The tables in the tree are those of the version of golang.org/x/sys in go.mod.
func TestGenerated(t *testing.T) {
	want, err := generate()
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile("../ztables.go")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("ztables.go is out of date: go generate ./internal/seccomp")
	}
}
