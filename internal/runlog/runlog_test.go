package runlog

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

const writerEnv = "RUNLOG_TEST_WRITER"

func TestMain(m *testing.M) {
	if path := os.Getenv(writerEnv); path != "" {
		l, err := Open(path, "json", false)
		if err != nil {
			panic(err)
		}
		for range 200 {
			l.Error(strings.Repeat("w", 3000))
		}
		if err := l.Close(); err != nil {
			panic(err)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func open(t *testing.T, format string, debug bool) (*Log, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "log")
	l, err := Open(path, format, debug)
	if err != nil {
		t.Fatal(err)
	}
	return l, path
}

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestJSON(t *testing.T) {
	messages := []string{
		"", "plain", `a "quoted" \path\`, "two\nlines\r\tand a tab", "\x00\x01\x1b\x7f",
		"größe 日本 🐳", "\u2028\u2029", "<&>", "bad \xff utf-8 \xc3", strings.Repeat("long ", 20000),
	}
	for _, msg := range messages {
		l, path := open(t, "json", false)
		l.Error(msg)
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		line := read(t, path)
		if strings.Count(line, "\n") != 1 || !strings.HasSuffix(line, "\n") {
			t.Errorf("%q is not one line", line)
		}
		// As podman does: the whole file is one object.
		var got struct{ Level, Msg, Time string }
		d := json.NewDecoder(strings.NewReader(line))
		d.DisallowUnknownFields()
		if err := d.Decode(&got); err != nil {
			t.Fatalf("%v in %q", err, line)
		}
		if want := strings.ToValidUTF8(msg, "\ufffd"); got.Level != "error" || got.Msg != want {
			t.Errorf("got %+v, want the message %q", got, want)
		}
		if at, err := time.Parse(time.RFC3339, got.Time); err != nil || time.Since(at).Abs() > time.Minute {
			t.Errorf("time %q: %v", got.Time, err)
		}
		if !strings.HasPrefix(line, `{"level":"error","msg":"`) {
			t.Errorf("the order of members is another in %q", line)
		}
	}
}

func TestText(t *testing.T) {
	for _, format := range []string{"text", ""} {
		l, path := open(t, format, true)
		l.Error("a \"b\"\nc")
		l.Debug("d")
		l.Close()
		stamp := regexp.MustCompile(`time="\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"`)
		got := stamp.ReplaceAllString(read(t, path), "T")
		if want := "T level=error msg=\"a \\\"b\\\"\\nc\"\nT level=debug msg=\"d\"\n"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestLevels(t *testing.T) {
	tests := []struct {
		name  string
		debug bool
		calls []string
		want  []string
	}{
		{"nothing to say", false, nil, nil},
		{"debug is off", false, []string{"debug"}, nil},
		{"debug is on", true, []string{"debug", "warning", "error"}, []string{"debug", "warning", "error"}},
		{"warnings of a success", false, []string{"warning", "warning"}, []string{"warning", "warning"}},
		{"a failure is the only record", false, []string{"warning", "error", "warning"}, []string{"error"}},
	}
	for _, tt := range tests {
		l, path := open(t, "json", tt.debug)
		if l.Debugging() != tt.debug {
			t.Errorf("%s: Debugging() = %v", tt.name, l.Debugging())
		}
		for _, level := range tt.calls {
			map[string]func(string){"debug": l.Debug, "warning": l.Warn, "error": l.Error}[level]("m")
		}
		if err := l.Close(); err != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
		var got []string
		for s := bufio.NewScanner(strings.NewReader(read(t, path))); s.Scan(); {
			var r struct{ Level string }
			if err := json.Unmarshal(s.Bytes(), &r); err != nil {
				t.Fatal(err)
			}
			got = append(got, r.Level)
		}
		if !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s: records %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestNil(t *testing.T) {
	l, err := Open("", "json", false)
	if l != nil || err != nil {
		t.Fatalf("Open without a path: %v, %v", l, err)
	}
	l.Error("e")
	l.Warn("w")
	l.Debug("d")
	if l.Debugging() || l.Close() != nil {
		t.Error("a nil log does something")
	}
}

func TestOpen(t *testing.T) {
	dir := t.TempDir()
	tests := []struct{ path, format, want string }{
		{dir + "/log", "xml", `invalid log format "xml": use text or json`},
		{"", "xml", `invalid log format "xml": use text or json`},
		{dir + "/none/log", "json", "open " + dir + "/none/log: no such file or directory"},
		{dir, "json", "open " + dir + ": is a directory"},
	}
	for _, tt := range tests {
		if _, err := Open(tt.path, tt.format, false); err == nil || err.Error() != tt.want {
			t.Errorf("got %v, want %s", err, tt.want)
		}
	}
	if _, err := os.Stat(dir + "/log"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a wrong format leaves a file: %v", err)
	}

	old := unix.Umask(0o022)
	defer unix.Umask(old)
	path := dir + "/log"
	for range 2 { // the second appends
		l, err := Open(path, "text", false)
		if err != nil {
			t.Fatal(err)
		}
		if flags, err := unix.FcntlInt(uintptr(l.fd), unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC == 0 {
			t.Errorf("close-on-exec: %#x, %v", flags, err)
		}
		l.Error("x")
		l.Close()
	}
	st, err := os.Stat(path)
	if err != nil || st.Mode().Perm() != 0o644 {
		t.Errorf("mode %v, %v", st.Mode(), err)
	}
	if n := strings.Count(read(t, path), "\n"); n != 2 {
		t.Errorf("%d records", n)
	}
}

func TestWriteFailure(t *testing.T) {
	l, err := Open("/dev/full", "json", false)
	if err != nil {
		t.Skip(err)
	}
	l.Error("x")
	if err := l.Close(); err == nil || err.Error() != "write /dev/full: no space left on device" {
		t.Errorf("Close: %v", err)
	}
}

// Several processes, and several goroutines of this one, share one file.
func TestConcurrentWriters(t *testing.T) {
	l, path := open(t, "json", true)
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			cmd := exec.Command("/proc/self/exe")
			cmd.Env = append(os.Environ(), writerEnv+"="+path)
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
		wg.Go(func() {
			for range 200 {
				l.Debug(strings.Repeat("w", 3000))
			}
		})
	}
	wg.Wait()
	l.Close()
	lines := bytes.Split(bytes.TrimSuffix([]byte(read(t, path)), []byte("\n")), []byte("\n"))
	if len(lines) != 1200 {
		t.Errorf("%d records, want 1200", len(lines))
	}
	for _, line := range lines {
		var r struct{ Msg string }
		if err := json.Unmarshal(line, &r); err != nil || len(r.Msg) != 3000 {
			t.Fatalf("mixed record: %v in %.200q", err, line)
		}
	}
}

func FuzzJSON(f *testing.F) {
	f.Add("a\"\\\x00\xff\u2028")
	f.Fuzz(func(t *testing.T, s string) {
		b := appendJSON(nil, s)
		var got string
		if err := json.Unmarshal(b, &got); err != nil || got != strings.ToValidUTF8(s, "\ufffd") && !equalRunes(got, s) {
			t.Errorf("%q became %s, which reads %q, %v", s, b, got, err)
		}
	})
}

// equalRunes compares s as encoding/json would: one U+FFFD for each bad byte.
func equalRunes(got, s string) bool { return got == string([]rune(s)) }
