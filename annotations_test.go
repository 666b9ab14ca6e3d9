package main

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestAnnotations: docs/annotations.md has the annotations that are honoured, all of them
// and no others, as honoured.
func TestAnnotations(t *testing.T) {
	page, err := os.ReadFile("docs/annotations.md")
	if err != nil {
		t.Fatal(err)
	}
	honoured, _, found := strings.Cut(string(page), "without an effect here")
	if !found {
		t.Fatal("the page has no part on what is without an effect")
	}
	var listed []string
	for _, m := range regexp.MustCompile("(?m)^\\| `([^`]+)` \\|").FindAllStringSubmatch(honoured, -1) {
		listed = append(listed, m[1])
	}
	if want := slices.Sorted(slices.Values(honouredAnnotations)); !slices.Equal(slices.Sorted(slices.Values(listed)), want) {
		t.Errorf("the page lists %q, the code honours %q", listed, want)
	}
	sources, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	literal := regexp.MustCompile(`"(run\.oci\.[a-z_.-]+)"`)
	for _, name := range sources {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range literal.FindAllSubmatch(text, -1) {
			if !slices.Contains(honouredAnnotations, string(m[1])) {
				t.Errorf("%s has %s, which is not among those that are honoured", name, m[1])
			}
		}
	}
	if got := supported().PotentiallyUnsafeConfigAnnotations; !slices.Equal(got, honouredAnnotations) {
		t.Errorf("features lists %q, the code honours %q", got, honouredAnnotations)
	}
}
