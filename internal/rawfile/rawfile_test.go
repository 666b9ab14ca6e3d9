package rawfile

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

func TestRead(t *testing.T) {
	for _, size := range []int{0, 1, 4095, 4096, 4097, 70000} {
		want := bytes.Repeat([]byte("0123456789"), size/10+1)[:size]
		file := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(file, want, 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := Read(file)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%d bytes: %d read, %v", size, len(got), err)
		}
	}
	if got, err := Read("/proc/self/stat"); err != nil || len(got) == 0 || got[len(got)-1] != '\n' {
		t.Errorf("/proc/self/stat: %q, %v", got, err)
	}
}

func TestReadErrors(t *testing.T) {
	var perr *os.PathError
	missing := filepath.Join(t.TempDir(), "missing")
	if _, err := Read(missing); !errors.As(err, &perr) || perr.Op != "open" || perr.Path != missing || !errors.Is(err, unix.ENOENT) {
		t.Errorf("a missing file: %v", err)
	}
	dir := t.TempDir()
	if _, err := Read(dir); !errors.As(err, &perr) || perr.Op != "read" || !errors.Is(err, unix.EISDIR) {
		t.Errorf("a directory: %v", err)
	}
}

func TestReadSmall(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, make([]byte, 9000), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := ReadSmall(file, 9000); err != nil || len(got) != 9000 {
		t.Errorf("as many as may be: %d read, %v", len(got), err)
	}
	var perr *os.PathError
	if _, err := ReadSmall(file, 8999); !errors.As(err, &perr) || perr.Op != "read" || !errors.Is(err, unix.EFBIG) {
		t.Errorf("one more: %v", err)
	}
	if _, err := ReadSmall("/dev/zero", 100_000); !errors.Is(err, unix.EFBIG) {
		t.Errorf("without an end: %v", err)
	}
}
