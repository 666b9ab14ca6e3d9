package criu

import (
	"encoding/hex"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// TestRequest: by hand, as protobuf.dev describes the encoding.
func TestRequest(t *testing.T) {
	got := request(Dump, &Options{ImagesDir: 7, WorkDir: -1, Pid: 300, LogLevel: 4, LogFile: "dump.log", LeaveRunning: true,
		ManageCgroups: &CgroupModes[0], External: []string{"mnt[/a]:/a"}, EmptyNs: 0x40000000}, Features{})
	want := "0801" + "122a" + "0807" + "10ac02" + "1801" + "4804" + "520864756d702e6c6f67" + "900200" +
		"aa020a6d6e745b2f615d3a2f61" + "b00280808080" + "04"
	if hex.EncodeToString(got) != want {
		t.Errorf("got  %s\nwant %s", hex.EncodeToString(got), want)
	}
}

// TestOptionNumbers: every option reaches the wire, under a number of its own.
func TestOptionNumbers(t *testing.T) {
	full := Options{}
	v := reflect.ValueOf(&full).Elem()
	for i := range v.NumField() {
		switch f := v.Field(i); f.Kind() {
		case reflect.Bool:
			f.SetBool(true)
		case reflect.Int:
			f.SetInt(1)
		case reflect.Uint64:
			f.SetUint(1)
		case reflect.String:
			f.SetString("x")
		case reflect.Slice:
			f.Set(reflect.MakeSlice(f.Type(), 1, 1))
		case reflect.Pointer:
			f.Set(reflect.New(f.Type().Elem()))
		default:
			t.Fatalf("%s has a kind that this test does not know", v.Type().Field(i).Name)
		}
	}
	fields, err := fieldsOf(full.encode())
	if err != nil {
		t.Fatal(err)
	}
	var numbers []int
	for _, f := range fields {
		numbers = append(numbers, f.field)
	}
	if !slices.IsSorted(numbers) || len(slices.Compact(slices.Clone(numbers))) != v.NumField() {
		t.Errorf("%d options are the fields %v", v.NumField(), numbers)
	}
}

func TestAnswer(t *testing.T) {
	var notice, resp message
	notice.text(1, "post-restore")
	notice.number(2, 4711)
	resp.number(1, int64(notify))
	resp.flag(2, true)
	resp.sub(5, notice)
	a, err := decode(resp)
	if err != nil {
		t.Fatal(err)
	}
	if a.Kind != notify || !a.Success || a.Notice != "post-restore" || a.NoticePid != 4711 {
		t.Errorf("got %+v", a)
	}
	var version, failed message
	version.number(1, 3)
	version.number(2, 17)
	version.number(4, 1)
	failed.number(1, int64(Dump))
	failed.number(2, 0)
	failed.number(7, 22)
	failed.text(9, "no")
	failed.sub(10, version)
	if a, err = decode(failed); err != nil {
		t.Fatal(err)
	}
	if a.Success || a.Errno != 22 || a.Message != "no" || a.Version != 31701 || VersionText(a.Version) != "3.17.1" {
		t.Errorf("got %+v", a)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte{8, 6, 16, 1, 42, 2, 8, 1})
	f.Add([]byte{0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1})
	f.Fuzz(func(_ *testing.T, b []byte) { _, _ = decode(b) })
}

func TestLastErrors(t *testing.T) {
	file := filepath.Join(t.TempDir(), "dump.log")
	if got := LastErrors(file); got != nil {
		t.Errorf("of no file: %q", got)
	}
	text := "(00.000001) Version: 3.17.1\n" + strings.Repeat("(00.01) 12: Error (criu/a.c:1): old\n", 9) +
		"(00.041230) 1234: Error (criu/files-reg.c:1706): Can't lookup mount=22\x1b[2J\n(00.05) fine\n(00.06) Error (criu/cr-dump.c:2098): Dumping FAILED.\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	got := LastErrors(file)
	if len(got) != lastLines || got[2] != "Error (criu/files-reg.c:1706): Can't lookup mount=22?[2J" || got[3] != "Error (criu/cr-dump.c:2098): Dumping FAILED." {
		t.Errorf("got %q", got)
	}
}

// TestEnvironment: what leads CRIU to settings, libraries or plugins of whoever has called
// sudo -E is not for it.
func TestEnvironment(t *testing.T) {
	for _, name := range []string{"HOME", "CRIU_CONFIG_FILE", "CRIU_LIBS_DIR", "LD_LIBRARY_PATH", "XTABLES_LIBDIR", "TAR_OPTIONS"} {
		t.Setenv(name, "/home/somebody")
	}
	for _, path := range []string{"/opt/bin:/bin", ""} {
		t.Setenv("PATH", path)
		want := []string{"PATH=" + path}
		if path == "" {
			want[0] += standardPath
		}
		if got := environment(); !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestRoots(t *testing.T) {
	file := filepath.Join(t.TempDir(), "restore.log")
	tests := []struct{ text, want string }{
		{"", ""},
		{"(00.1) mnt: Move the root to /tmp/.criu.mntns.lCHp0e/12-0000000000\n(00.2) /tmp/.criu.mntns.other1\n", "/tmp/.criu.mntns.lCHp0e"},
		{"(00.1) mnt: /tmp/.criu.mntns.../etc", ""},
		{"(00.1) mnt: /tmp/.criu.mntns.abc", ""},
	}
	for _, test := range tests {
		if err := os.WriteFile(file, []byte(test.text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := Roots(file); got != test.want {
			t.Errorf("of %q: got %q, want %q", test.text, got, test.want)
		}
	}
	if got := Roots(file + ".none"); got != "" {
		t.Errorf("of no file: %q", got)
	}
}

// TestDenied: what CRIU is told when the runtime's part has failed.
func TestDenied(t *testing.T) {
	fields, err := fieldsOf(heard(false))
	if err != nil || len(fields) != 1 || fields[0].value != uint64(notify) {
		t.Errorf("got %+v, %v", fields, err)
	}
	for notice, want := range map[string]bool{"network-lock": true, "post-restore": true, "pre-resume": false} {
		if got := (&Answer{Notice: notice}).Heeds(); got != want {
			t.Errorf("%s: %v", notice, got)
		}
	}
}
