package idmap

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestOwn(t *testing.T) {
	me := uint32(os.Geteuid())
	for _, tc := range []struct {
		ranges []Range
		want   bool
	}{
		{[]Range{{0, me, 1}}, true},
		{[]Range{{1000, me, 1}}, true},
		{[]Range{{0, me, 2}}, false},
		{[]Range{{0, me + 1, 1}}, false},
		{[]Range{{0, me, 1}, {1, 100000, 1}}, false},
		{nil, false},
	} {
		if got := Own(tc.ranges, int(me)); got != tc.want {
			t.Errorf("Own(%v) = %v", tc.ranges, got)
		}
	}
}

func TestExplain(t *testing.T) {
	const table = "# comment\nother:100000:65536\nme:200000:65536\n1000:300000:10\nbroken:1\n"
	k := Users
	k.own = func() int { return 1000 }
	for _, tc := range []struct {
		name, table string
		ranges      []Range
		want        string
	}{
		{"all there", table, []Range{{0, 1000, 1}, {1, 200000, 65536}}, ""},
		{"by number", table, []Range{{0, 300000, 10}}, ""},
		{"no file", "", []Range{{0, 100000, 65536}}, "/etc/subuid has no line for me, who can map no user but their own: it needs the line me:100000:65536: operation not permitted"},
		{"no line", "other:100000:65536\n", []Range{{0, 1000, 1}, {1, 100000, 65536}}, "/etc/subuid has no line for me, who can map no user but their own: it needs the line me:100000:65536: operation not permitted"},
		{"too small", table, []Range{{0, 1000, 1}, {1, 200001, 65536}},
			"/etc/subuid gives me only 65535 ids from 200001 on (200000-265535), and the mapping takes 65536: it needs the line me:200001:65536, or the mapping a smaller size: operation not permitted"},
		{"outside", table, []Range{{0, 100000, 10}},
			"users 100000-100009 are outside of what /etc/subuid gives me (200000-265535, 300000-300009): it needs the line me:100000:10, or the mapping other ids: operation not permitted"},
		{"more fields, other bases", "me:0x493e0:0200000:x\n", []Range{{0, 300000, 65536}}, ""},
		{"no count", "\nme:300000\n", []Range{{0, 300000, 10}},
			`/etc/subuid has no sound line for me, who can map no user but their own: it needs the line me:300000:10; line 2, "me:300000", is not of the form NAME:FIRST:COUNT without spaces, and counts for nothing: operation not permitted`},
		{"not a number", "me:x:1\nme:200000:1\n", []Range{{0, 300000, 10}},
			`users 300000-300009 are outside of what /etc/subuid gives me (200000-200000): it needs the line me:300000:10, or the mapping other ids; line 1, "me:x:1", is not of the form NAME:FIRST:COUNT without spaces, and counts for nothing: operation not permitted`},
		{"lines of Windows", "me:300000:10\r\n", []Range{{0, 300000, 10}},
			`/etc/subuid has no sound line for me, who can map no user but their own: it needs the line me:300000:10; line 1, "me:300000:10\r", is not of the form NAME:FIRST:COUNT without spaces, and counts for nothing: operation not permitted`},
		{"a space in front", " me:300000:10\n", []Range{{0, 300000, 10}},
			`/etc/subuid has no sound line for me, who can map no user but their own: it needs the line me:300000:10; line 1, " me:300000:10", is not of the form NAME:FIRST:COUNT without spaces, and counts for nothing: operation not permitted`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			err := k.explainFor(tc.table, "me", 1000, tc.ranges)
			got := ""
			if err != nil {
				got = err.Error()
			}
			if got != tc.want {
				t.Errorf("got  %s\nwant %s", got, tc.want)
			}
		})
	}
}

func TestFind(t *testing.T) {
	dir := t.TempDir()
	if _, err := Users.find([]string{dir, "relative"}); !errors.Is(err, unix.ENOENT) || !strings.Contains(err.Error(), "newuidmap is not installed") {
		t.Errorf("nothing there: %v", err)
	}
	file := filepath.Join(dir, "newuidmap")
	if err := os.WriteFile(file, nil, 0o755); err != nil {
		t.Fatal(err)
	}
	if got, err := Users.find([]string{"relative", dir}); err != nil || got != file {
		t.Errorf("find = %s, %v", got, err)
	}
	if why := powerless(file); !strings.Contains(why, "neither the setuid bit") {
		t.Errorf("a file without any bit: %q", why)
	}
	if err := os.Chmod(file, 0o4755|os.ModeSetuid); err != nil {
		t.Fatal(err)
	}
	if why := powerless(file); strings.Contains(why, "neither the setuid bit") {
		t.Errorf("a setuid file: %q", why)
	}
}

func TestRun(t *testing.T) {
	said, err := run("/bin/sh", []string{"sh", "-c", "echo one; echo two >&2; exit 3"})
	if err == nil || said != "one; two" {
		t.Errorf("run = %q, %v", said, err)
	}
	if said, err := run("/bin/sh", []string{"sh", "-c", "exit 3"}); err == nil || said != "exit status 3" {
		t.Errorf("a silent one: %q, %v", said, err)
	}
	if _, err := run("/bin/sh", []string{"sh", "-c", ":"}); err != nil {
		t.Error(err)
	}
}

func TestNest(t *testing.T) {
	own := []Range{{0, 2001, 1}, {1, 300000, 65536}, {4294967294, 7, 1}}
	for _, tc := range []struct {
		ranges, want []Range
		missing      uint32
	}{
		{[]Range{{0, 0, 1}}, []Range{{0, 0, 1}}, 0},
		{[]Range{{0, 0, 65537}}, []Range{{0, 0, 1}, {1, 1, 65536}}, 0},
		{[]Range{{0, 1, 10}, {10, 0, 2}}, []Range{{0, 1, 10}, {10, 0, 1}, {11, 1, 1}}, 0},
		{[]Range{{5, 4294967294, 1}}, []Range{{5, 4294967294, 1}}, 0},
		{[]Range{{0, 0, 1}, {1, 60000, 10000}}, nil, 65537},
		{[]Range{{0, 4294967294, 2}}, nil, 4294967295},
		{[]Range{{0, 100000, 1}}, nil, 100000},
	} {
		got, missing, ok := Nest(tc.ranges, own)
		if !slices.Equal(got, tc.want) || missing != tc.missing || ok != (tc.want != nil) {
			t.Errorf("Nest(%v) = %v, %d, %v", tc.ranges, got, missing, ok)
		}
	}
}

func TestOf(t *testing.T) {
	for _, k := range []Kind{Users, Groups} {
		list, err := k.Of("self")
		if err != nil || len(list) == 0 {
			t.Errorf("%s: %v, %v", k.File, list, err)
		}
	}
	if _, err := Users.Of("0"); err == nil {
		t.Error("process 0 has a map")
	}
}
