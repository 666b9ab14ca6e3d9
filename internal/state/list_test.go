package state

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestList(t *testing.T) {
	s := Open(filepath.Join(t.TempDir(), "root"))
	if records, bad, err := s.List(); records != nil || bad != nil || err != nil {
		t.Errorf("no root: %v %v %v", records, bad, err)
	}
	for _, id := range []string{"b", "c", "a", ".dot"} {
		mustCreate(t, s, id).Close()
	}
	for _, dir := range []string{"half", "bad name", ".cache", ".~0123456789", ".sick", "torn"} {
		if err := os.Mkdir(filepath.Join(s.root, dir), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for _, file := range []string{"file", "bad file", ".lock", "torn/state.json", ".sick/state.json", ".~0123456789/state.json"} {
		if err := os.WriteFile(filepath.Join(s.root, file), []byte(`{"id":`), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("a", filepath.Join(s.root, "link")); err != nil {
		t.Fatal(err)
	}
	records, bad, err := s.List()
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, rec := range records {
		ids = append(ids, rec.ID)
	}
	if want := []string{".dot", "a", "b", "c"}; !reflect.DeepEqual(ids, want) {
		t.Errorf("records %q, want %q", ids, want)
	}
	var texts []string
	for _, err := range bad {
		texts = append(texts, err.Error())
	}
	want := []string{
		fmt.Sprintf(`container ".sick": %s/.sick/state.json: unexpected end of JSON input`, s.root),
		`invalid container ID format: "bad name": only letters, digits and _+.- are allowed`,
		fmt.Sprintf(`container "half": %s/half/state.json: no such file or directory`, s.root),
		fmt.Sprintf(`container "torn": %s/torn/state.json: unexpected end of JSON input`, s.root),
	}
	if !reflect.DeepEqual(texts, want) {
		t.Errorf("bad\n%s\nwant\n%s", strings.Join(texts, "\n"), strings.Join(want, "\n"))
	}
	if _, err := s.Load("link"); err == nil || errors.Is(err, ErrNotExist) {
		t.Errorf("Load of a link: %v", err)
	}
}

func TestSweep(t *testing.T) {
	s := Open(filepath.Join(t.TempDir(), "root"))
	if err := s.Sweep(); err != nil {
		t.Errorf("no root: %v", err)
	}
	mustCreate(t, s, "web")
	root, err := s.openRoot()
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(root)
	used, fd, err := newHidden(root)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(s.root, ".~orphan", "sub"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(s.root, ".~file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(s.root, ".other"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := s.Sweep(); err != nil {
		t.Fatal(err)
	}
	got := strings.Join(names(t, s.root), " ")
	for _, name := range []string{used, ".~file", ".other", "web"} {
		if !strings.Contains(got, name) {
			t.Errorf("%s is gone: %s", name, got)
		}
	}
	if strings.Contains(got, "orphan") {
		t.Errorf("the orphan stays: %s", got)
	}
	unix.Close(fd)
	if err := s.Sweep(); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(names(t, s.root), " "); strings.Contains(got, used) {
		t.Errorf("unlocked, but not swept: %s", got)
	}
}
