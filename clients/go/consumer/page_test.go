package main

import (
	"os"
	"strings"
	"testing"
)

// TestThePageShowsTheProgram keeps the page and the program from drifting apart.
func TestThePageShowsTheProgram(t *testing.T) {
	page, err := os.ReadFile("../../../docs/consuming.md")
	if err != nil {
		t.Fatal(err)
	}
	program, err := os.ReadFile("main.go")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(page), "```go\n")
	shown, _, found := strings.Cut(rest, "```\n")
	if !found || shown != string(program) {
		t.Error("docs/consuming.md shows another program than main.go is: put main.go between ```go and ``` there")
	}
}
