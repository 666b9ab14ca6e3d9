package main

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// knownAnnotations are those that runc 1.5 and crun 1.29 give a meaning, by their manuals
// and sources.
var knownAnnotations = []string{
	"org.systemd.property.", "org.criu.config", "bundle",
	"run.oci.keep_original_groups", "run.oci.pidfd_receiver", "run.oci.mount_context_type",
	"run.oci.seccomp.receiver", "run.oci.seccomp.plugins", "run.oci.seccomp_bpf_data", "run.oci.seccomp_fail_unknown_syscall",
	"run.oci.systemd.subgroup", "run.oci.systemd.force_cgroup_v1", "run.oci.delegate-cgroup", "run.oci.timens_offset",
	"run.oci.hooks.stdout", "run.oci.hooks.stderr", "run.oci.handler", "krun.*", "module.wasm.image/variant",
}

// TestAnnotations holds code, features and docs/annotations.md together: the page has what
// is honoured as honoured, and all that others know besides as without an effect; the code
// looks at nothing else.
func TestAnnotations(t *testing.T) {
	page, err := os.ReadFile("docs/annotations.md")
	if err != nil {
		t.Fatal(err)
	}
	honoured, rest, found := strings.Cut(string(page), "without an effect here")
	if !found {
		t.Fatal("the page has no part on what is without an effect")
	}
	listed, without := firstCells(honoured), firstCells(rest)
	if want := slices.Sorted(slices.Values(honouredAnnotations)); !slices.Equal(listed, want) {
		t.Errorf("the page lists %q, the code honours %q", listed, want)
	}
	for _, name := range without {
		if slices.Contains(listed, name) {
			t.Errorf("the page has %s both as honoured and as without an effect", name)
		}
	}
	for _, name := range knownAnnotations {
		if !slices.Contains(listed, name) && !slices.Contains(without, name) {
			t.Errorf("the page does not tell about %s", name)
		}
	}
	sources, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	var used []string
	literal := regexp.MustCompile(`"((?:run\.oci|org\.criu|org\.systemd|krun|module)\.[a-z_.-]+)"`)
	for _, name := range sources {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range literal.FindAllSubmatch(text, -1) {
			used = append(used, string(m[1]))
		}
	}
	slices.Sort(used)
	if want := slices.Sorted(slices.Values(honouredAnnotations)); !slices.Equal(slices.Compact(used), want) {
		t.Errorf("the code has the names %q, and honours %q", slices.Compact(used), want)
	}
	if got := supported().PotentiallyUnsafeConfigAnnotations; !slices.Equal(got, honouredAnnotations) {
		t.Errorf("features lists %q, the code honours %q", got, honouredAnnotations)
	}
}

// firstCells are the names in the first cells of a page's tables, sorted.
func firstCells(text string) []string {
	var names []string
	for _, m := range regexp.MustCompile("(?m)^\\| (`.*?`) \\|").FindAllStringSubmatch(text, -1) {
		for _, name := range strings.Split(m[1], ", ") {
			names = append(names, strings.Trim(name, "`"))
		}
	}
	slices.Sort(names)
	return names
}
