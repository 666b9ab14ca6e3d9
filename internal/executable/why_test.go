package executable

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// program is the beginning of an ELF file for a machine, which asks for a dynamic linker.
func program(machine uint16, is64 bool, interpreter string) string {
	b := make([]byte, 256)
	copy(b, "\x7fELF\x01\x01")
	le := binary.LittleEndian
	le.PutUint16(b[18:], machine)
	if is64 {
		b[4] = 2
		le.PutUint64(b[32:], 64)
		le.PutUint16(b[54:], 56)
		le.PutUint16(b[56:], 1)
		le.PutUint32(b[64:], 3)
		le.PutUint64(b[72:], 128)
		le.PutUint64(b[96:], uint64(len(interpreter)+1))
	} else {
		le.PutUint32(b[28:], 52)
		le.PutUint16(b[42:], 32)
		le.PutUint16(b[44:], 1)
		le.PutUint32(b[52:], 3)
		le.PutUint32(b[56:], 128)
		le.PutUint32(b[68:], uint32(len(interpreter)+1))
	}
	copy(b[128:], interpreter)
	return string(b)
}

func TestWhy(t *testing.T) {
	here := uint16(0)
	for _, m := range machines {
		if m.name == runtime.GOARCH {
			here = m.number
		}
	}
	if here == 0 {
		t.Skipf("no ELF number for %s", runtime.GOARCH)
	}
	dir := t.TempDir()
	for name, content := range map[string]string{
		"python":    "#!/usr/bin/python9 -u\nprint()\n",
		"escape":    "#!/\x1b[2J\n",
		"windows":   "#!/bin/sh\r\necho\r\n",
		"twice":     "#!/python\n",
		"dynamic":   program(here, true, "/lib/ld.so.9"),
		"dynamic32": program(here, false, "/lib/ld32.so"),
		"foreign":   program(22, true, "/lib/ld64.so"),
		"unknown":   program(9999, true, ""),
		"damaged":   program(here, true, "")[:64],
		"cut":       "\x7fELF",
		"text":      "echo hi\n",
		"empty":     "",
		"plain":     "#!/bin/sh\n",
		"usr/prog":  "#!/usr/lib/none\n",
		"loop":      "#!/loop\n",
	} {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(content), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(filepath.Join(dir, "plain"), 0o640); err != nil {
		t.Fatal(err)
	}
	for link, to := range map[string]string{"out": "/../../python", "bin": "usr", "pipe-link": "/pipe"} {
		if err := os.Symlink(to, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	if err := unix.Mkfifo(filepath.Join(dir, "pipe"), 0o755); err != nil {
		t.Fatal(err)
	}
	root, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(root)

	for _, test := range []struct {
		name, covered string
		errno         unix.Errno
		want          string // a part, or "" for nothing at all
	}{
		{"/python", "", unix.ENOENT, `the interpreter of /python, "/usr/bin/python9", is not in the container`},
		{"/out", "", unix.ENOENT, `the interpreter of /out, "/usr/bin/python9"`},
		{"/twice", "", unix.ENOENT, `the interpreter of /python, "/usr/bin/python9"`},
		{"/windows", "", unix.ENOENT, `its interpreter is "/bin/sh\r"`},
		{"/escape", "", unix.ENOENT, `"/\x1b[2J"`}, // not to the terminal of who reads it
		{"/dynamic", "", unix.ENOENT, `the dynamic linker of /dynamic, "/lib/ld.so.9", is not in the container`},
		{"/dynamic32", "", unix.ENOENT, "/lib/ld32.so"},
		{"/dynamic", "/lib", unix.ENOENT, ""},
		{"/dynamic", "/dynamic", unix.ENOENT, ""},
		{"/bin/prog", "/usr", unix.ENOENT, ""},
		{"/bin/prog", "/opt", unix.ENOENT, "/usr/lib/none"},
		{"/foreign", "", unix.ENOEXEC, "/foreign is a program for s390x, and this machine is " + runtime.GOARCH},
		{"/unknown", "", unix.ENOEXEC, "a machine of number 9999"},
		{"/damaged", "", unix.ENOEXEC, "/damaged is a damaged program"},
		{"/cut", "", unix.ENOEXEC, "neither a program nor a script"},
		{"/text", "", unix.ENOEXEC, "/text is neither a program nor a script"},
		{"/empty", "", unix.ENOEXEC, "/empty is an empty file"},
		{"/plain", "", unix.EACCES, "/plain is not executable: its mode is 0640"},
		{"/usr", "", unix.EACCES, "/usr is a directory"},
		{"/pipe-link", "", unix.EACCES, "/pipe-link is no regular file"},
		{"/loop", "", unix.ELOOP, ""},
		{"/none", "", unix.ENOENT, ""},
	} {
		got := Why(root, test.name, test.errno, func(path string) bool {
			return test.covered != "" && (path == test.covered || strings.HasPrefix(path, test.covered+"/"))
		})
		if (test.want == "") != (got == "") || !strings.Contains(got, test.want) {
			t.Errorf("%s (%v, covered %q): %q, want %q", test.name, test.errno, test.covered, got, test.want)
		}
	}
	if got := Resolve(root, "/bin/new/file"); got != "/usr/new/file" {
		t.Errorf("where /bin/new/file would be: %q", got)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(program(62, true, "/lib/ld.so")))
	f.Add([]byte(program(3, false, "/lib/ld.so")))
	f.Fuzz(func(t *testing.T, head []byte) {
		if h, ok := parse(head); ok && len(h.interpreter) > len(head) {
			t.Errorf("%q", h.interpreter)
		}
	})
}
