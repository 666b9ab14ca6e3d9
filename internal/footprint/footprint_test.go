package footprint

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// resident is the size of the file pages that this process has mapped, in KiB.
func resident(t *testing.T) int {
	t.Helper()
	text, err := os.ReadFile("/proc/self/smaps_rollup")
	if err != nil {
		t.Skip("smaps_rollup, Linux 4.14: ", err)
	}
	size := map[string]int{}
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); len(f) == 3 {
			size[f[0]], _ = strconv.Atoi(f[1])
		}
	}
	return size["Rss:"] - size["Anonymous:"]
}

// TestDropFiles: what is mapped of a file goes and comes back as it is in the file, unless it
// could have been written to.
func TestDropFiles(t *testing.T) {
	const size = 8 << 20
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, bytes.Repeat([]byte{7}, size), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	read, err := unix.Mmap(int(f.Fd()), 0, size, unix.PROT_READ, unix.MAP_PRIVATE|unix.MAP_POPULATE)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Munmap(read)
	written, err := unix.Mmap(int(f.Fd()), 0, 4096, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Munmap(written)
	written[0] = 8
	relocated, err := unix.Mmap(int(f.Fd()), 0, 8192, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Munmap(relocated)
	relocated[5000] = 9
	if err := unix.Mprotect(relocated, unix.PROT_READ); err != nil { // as a dynamic linker does
		t.Fatal(err)
	}
	before := resident(t)
	if err := DropFiles(); err != nil {
		t.Fatal(err)
	}
	if after := resident(t); before-after < size>>10 {
		t.Errorf("%d KiB of files are mapped, %d before", after, before)
	}
	if written[0] != 8 || read[0] != 7 || relocated[5000] != 9 {
		t.Errorf("%d, %d and %d are left of 8, 7 and 9", written[0], read[0], relocated[5000])
	}
}

func TestMapping(t *testing.T) {
	for line, want := range map[string]bool{
		"00400000-00729000 r-xp 00000000 fe:00 10020952                           /usr/bin/oci-mini\n": true,
		"00729000-00a7f000 r--p 00329000 fe:00 10020952                           /usr/bin/a b\n":      true,
		"00a7f000-00ab0000 rw-p 0067f000 fe:00 10020952                           /usr/bin/oci-mini\n": false,
		"7ffc17fe4000-7ffc18005000 rw-p 00000000 00:00 0                          [stack]\n":           false,
		"7ffc181a8000-7ffc181aa000 r-xp 00000000 00:00 0                          [vdso]\n":            false,
		"7f6ecb4e8000-7f6ecb660000 r--p 00000000 00:00 0 \n":                                           false,
		"": false,
	} {
		for anonymous, untouched := range map[string]bool{"0": true, "4": false} {
			var m mapping
			for _, before := range []string{line, "Size:               1000 kB\n"} {
				if m.read([]byte(before)) {
					t.Errorf("%q: known at once", before)
				}
			}
			got := m.read([]byte("Anonymous:             " + anonymous + " kB\n"))
			if got != (want && untouched) || got && m.start >= m.end {
				t.Errorf("%q, %s kB anonymous: %#x-%#x, %v", line, anonymous, m.start, m.end, got)
			}
			if m.read([]byte("VmFlags: rd ex mr mw me sd \n")) {
				t.Errorf("%q: known by its flags", line)
			}
		}
	}
}
