package hooks

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/oci-mini/oci-mini/internal/program"
)

// TestArguments: args and env reach the hook exactly, absent ones by the rules.
func TestArguments(t *testing.T) {
	t.Setenv("OF_THE_RUNTIME", "yes")
	args := []string{reportHelper, "", "a b", "\xff", "-x", "*"}
	if got := report(t, Runner{}, specs.Hook{Args: args}, "").Args; len(got) != 6 || !slices.Equal(got[:3], args[:3]) || !slices.Equal(got[4:], args[4:]) {
		t.Errorf("args %q, want %q", got, args)
	}
	tests := []struct {
		name string
		env  []string
		want func([]string) bool
	}{
		{"absent", nil, func(e []string) bool {
			return slices.Equal(e, os.Environ()) && slices.Contains(e, "OF_THE_RUNTIME=yes")
		}},
		{"empty", []string{}, func(e []string) bool { return len(e) == 0 }},
		{"given", []string{"B=2", "A=1", "A=1", "noequals", "=x"}, func(e []string) bool {
			return slices.Equal(e, []string{"B=2", "A=1", "A=1", "noequals", "=x"})
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := report(t, Runner{}, specs.Hook{Env: tt.env}, "").Env; !tt.want(got) {
				t.Errorf("env %q", got)
			}
		})
	}

	// Without args, the path is args[0].
	for _, none := range [][]string{nil, {}} {
		out := outFile(t)
		if err := (Runner{Stdout: out}).Run(specs.Hook{Path: "/usr/bin/env", Args: none, Env: []string{"A=1"}}, nil); err != nil {
			t.Fatal(err)
		}
		if got := content(t, out); got != "A=1\n" {
			t.Errorf("env printed %q", got)
		}
	}
	out := outFile(t)
	path := script(t, `tr '\0' '\n' </proc/$$/cmdline`)
	if err := (Runner{Stdout: out}).Run(specs.Hook{Path: path}, nil); err != nil {
		t.Fatal(err)
	}
	if got := content(t, out); got != "/bin/sh\n"+path+"\n" {
		t.Errorf("command line %q", got)
	}
}

// TestSurroundings: what else a hook starts with.
func TestSurroundings(t *testing.T) {
	// A descriptor that the runtime inherited without the close-on-exec flag.
	leak, err := unix.Open("/", unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(leak)
	dir := t.TempDir()
	limit := unix.Rlimit{Cur: 123, Max: 456}
	s := report(t, Runner{Dir: dir, FileLimit: &limit}, specs.Hook{}, `{"id":"x"}`)
	if s.Stdin != `{"id":"x"}` {
		t.Errorf("input %q", s.Stdin)
	}
	if s.Dir != dir {
		t.Errorf("directory %s, want %s", s.Dir, dir)
	}
	if s.Soft != 123 {
		t.Errorf("RLIMIT_NOFILE %d, want 123", s.Soft)
	}
	if s.Pgid != s.Pid || s.Sid == s.Pid {
		t.Errorf("pid %d, group %d, session %d: want a group of its own and no session", s.Pid, s.Pgid, s.Sid)
	}
	if s.Blocked != "0000000000000000" {
		t.Errorf("blocked signals %s", s.Blocked)
	}
	if s.Stdin == "" || !strings.HasPrefix(s.Err, "pipe:") {
		t.Errorf("standard error is %s", s.Err)
	}
	// 3 is ls's own, for the directory that it lists.
	if want := []string{"0", "1", "2", "3"}; !slices.Equal(s.Fds, want) {
		t.Errorf("descriptors %q, want %q", s.Fds, want)
	}
	for _, kind := range []string{"mnt", "pid", "user"} {
		if own, _ := os.Readlink("/proc/self/ns/" + kind); s.Namespaces[kind] != own {
			t.Errorf("namespace %s, want %s", s.Namespaces[kind], own)
		}
	}
	if s := report(t, Runner{}, specs.Hook{}, ""); s.Stdin != "" || s.Soft == 123 {
		t.Errorf("without state and limit: %+v", s)
	}
	noChildren(t)
}

// TestStreams: files for output, also if they are the runtime's own 0 to 2 in another order.
func TestStreams(t *testing.T) {
	out, errs := outFile(t), outFile(t)
	path := script(t, "echo to out; echo to err >&2; exit 3")
	err := Runner{Stdout: out, Stderr: errs}.Run(specs.Hook{Path: path}, nil)
	if text := "hook " + path + ": exit status 3"; err == nil || err.Error() != text {
		t.Errorf("%v, want %s", err, text)
	}
	if o, e := content(t, out), content(t, errs); o != "to out\n" || e != "to err\n" {
		t.Errorf("%q and %q", o, e)
	}

	if os.Stdout.Fd() != 1 || os.Stderr.Fd() != 2 {
		t.Skip("go test -json gives the test one file for both streams")
	}
	// 1 is the file for errors and 2 the one for output, as seen from the hook. They
	// are this process's own meanwhile, so nothing may be reported before they are back.
	func() {
		for fd, f := range map[int]*os.File{1: errs, 2: out} {
			saved, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 10)
			if err != nil {
				t.Fatal(err)
			}
			if err := unix.Dup3(int(f.Fd()), fd, 0); err != nil {
				t.Fatal(err)
			}
			defer func() { unix.Dup3(saved, fd, 0); unix.Close(saved) }()
		}
		_ = Runner{Stdout: os.Stderr, Stderr: os.Stdout}.Run(specs.Hook{Path: path}, nil)
	}()
	if o, e := content(t, out), content(t, errs); o != "to out\nto out\n" || e != "to err\nto err\n" {
		t.Errorf("crosswise: %q and %q", o, e)
	}
}

// TestState: documents of all sizes, for hooks that read them and for some that do not.
func TestState(t *testing.T) {
	for _, size := range []int{0, 1, 4096, 1 << 16, 1<<16 + 1, 3 << 20} {
		state := strings.Repeat("x", size)
		out := outFile(t)
		if err := (Runner{Stdout: out}).Run(specs.Hook{Path: script(t, "wc -c")}, []byte(state)); err != nil {
			t.Fatal(err)
		}
		if got := strings.TrimSpace(content(t, out)); got != strconv.Itoa(size) {
			t.Errorf("the hook read %s bytes of %d", got, size)
		}
		for _, text := range []string{"exit 0", "exec <&-; sleep 0.1", "head -c 10 >/dev/null"} {
			if err := (Runner{}).Run(specs.Hook{Path: script(t, text)}, []byte(state)); err != nil {
				t.Errorf("%d bytes, %s: %v", size, text, err)
			}
		}
	}
	noChildren(t)
}

// TestErrors checks the texts in full.
func TestErrors(t *testing.T) {
	notExecutable := filepath.Join(t.TempDir(), "plain")
	if err := os.WriteFile(notExecutable, []byte("#!/bin/sh\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	noInterpreter := filepath.Join(t.TempDir(), "lost")
	if err := os.WriteFile(noInterpreter, []byte("#!/missing/interpreter\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	text := filepath.Join(t.TempDir(), "text")
	if err := os.WriteFile(text, []byte("hello\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name   string
		runner Runner
		hook   specs.Hook
		is     error
		want   string // PATH stands for the hook's path
	}{
		{"exit status", Runner{}, specs.Hook{Path: script(t, "exit 3")}, nil, "hook PATH: exit status 3"},
		{"last words", Runner{}, specs.Hook{Path: script(t, "echo one >&2; echo two >&2; exit 255")}, nil,
			"hook PATH: exit status 255: one; two"},
		{"four lines", Runner{}, specs.Hook{Path: script(t, `printf '1\n2\n\n3\n4 \r\n \n5\n\n' >&2; exit 1`)}, nil,
			"hook PATH: exit status 1: 2; 3; 4; 5"},
		{"control characters", Runner{}, specs.Hook{Path: script(t, `printf '\033[31mred\a "\342\200\256x" \377 \303\251' >&2; exit 1`)}, nil,
			`hook PATH: exit status 1: \x1b[31mred\a "\u202ex" \xff é`},
		{"signal", Runner{}, specs.Hook{Path: script(t, "echo x >&2; kill -TERM $$")}, nil,
			"hook PATH: killed by signal 15 (SIGTERM): x"},
		{"real-time signal", Runner{}, specs.Hook{Path: script(t, "kill -40 $$")}, nil, "hook PATH: killed by signal 40"},
		{"missing", Runner{}, specs.Hook{Path: "/missing/hook"}, unix.ENOENT,
			"hook PATH: execve: no such file or directory (ENOENT)"},
		{"no interpreter", Runner{}, specs.Hook{Path: noInterpreter}, unix.ENOENT,
			"hook PATH: execve: no such file or directory (ENOENT); the file exists, so it is its interpreter that does not"},
		{"not executable", Runner{}, specs.Hook{Path: notExecutable}, unix.EACCES, "hook PATH: execve: permission denied (EACCES)"},
		{"directory", Runner{}, specs.Hook{Path: "/"}, unix.EACCES, "hook PATH: execve: permission denied (EACCES)"},
		{"no format", Runner{}, specs.Hook{Path: text}, unix.ENOEXEC, "hook PATH: execve: exec format error (ENOEXEC)"},
		{"missing directory", Runner{Dir: "/missing"}, specs.Hook{Path: "/bin/true"}, unix.ENOENT,
			"hook PATH: chdir /missing: no such file or directory (ENOENT)"},
		{"relative", Runner{}, specs.Hook{Path: "bin/true"}, nil, "hook PATH: the path is not absolute"},
		{"empty", Runner{}, specs.Hook{}, nil, "hook : the path is not absolute"},
		{"newline in the path", Runner{}, specs.Hook{Path: "/a\nb"}, unix.ENOENT, `hook /a\nb: execve: no such file or directory (ENOENT)`},
		{"NUL", Runner{}, specs.Hook{Path: "/bin/true", Args: []string{"a\x00b"}}, nil, `hook PATH: program: string "a\x00b" has a NUL byte`},
		{"timeout of zero", Runner{}, specs.Hook{Path: "/bin/true", Timeout: seconds(0)}, nil,
			"hook PATH: a timeout of 0 s: it must be greater than zero"},
		{"negative timeout", Runner{}, specs.Hook{Path: "/bin/true", Timeout: seconds(-1)}, nil,
			"hook PATH: a timeout of -1 s: it must be greater than zero"},
	}
	before := countFds(t)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := tt.runner.Run(tt.hook, []byte("{}"))
			if err == nil {
				t.Fatal("no error")
			}
			want := strings.ReplaceAll(tt.want, "PATH", tt.hook.Path)
			if err.Error() != want {
				t.Errorf("got  %s\nwant %s", err, want)
			}
			if tt.is != nil && !errors.Is(err, tt.is) {
				t.Errorf("%v is not %v", err, tt.is)
			}
			var own *Error
			if ran := strings.Contains(want, "exit status") || strings.Contains(want, "killed"); errors.As(err, &own) != ran {
				t.Errorf("it is an *Error: %t, want %t", !ran, ran)
			}
		})
	}
	if after := countFds(t); after != before {
		t.Errorf("%d descriptors before, %d after", before, after)
	}
	noChildren(t)
}

// TestBigStderr: a hook that writes more than any pipe holds.
func TestBigStderr(t *testing.T) {
	long := strings.Repeat("é", 300)
	path := script(t, `head -c 5000000 /dev/zero >&2; printf '\n%s\nlast' '`+long+`' >&2; exit 1`)
	err := Runner{}.Run(specs.Hook{Path: path}, nil)
	var own *Error
	if !errors.As(err, &own) {
		t.Fatal(err)
	}
	if len(own.Stderr) > 512 || len(own.Stderr) < 500 || !strings.HasSuffix(own.Stderr, "éé; last") || strings.ContainsRune(own.Stderr, '�') {
		t.Errorf("%d bytes: %q", len(own.Stderr), own.Stderr)
	}
	if err := (Runner{}).Run(specs.Hook{Path: script(t, "head -c 5000000 /dev/zero >&2")}, nil); err != nil {
		t.Error(err)
	}
}

// TestTimeout: the time limit ends the hook, what it started, and the waiting.
func TestTimeout(t *testing.T) {
	tests := []struct{ name, text, words string }{
		{"alone", "echo $$ >&3\nexec sleep 60", ""},
		{"last words", "echo $$ >&3; echo so far >&2\nexec sleep 60", ": so far"},
		{"grandchild holds the pipe", "sleep 60 &\necho $! >&3\nwait", ""},
		{"grandchild ignores SIGTERM", "sh -c 'trap \"\" TERM; echo $$ >&3; sleep 60; :' &\nwait", ""},
		{"stopped", "echo $$ >&3; kill -STOP $$", ""},
		{"does not read", "echo $$ >&3; sleep 60", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			pids := outFile(t)
			path := script(t, "exec 3>>"+pids.Name()+"\n"+tt.text)
			var err error
			within(t, 3*time.Second, func() {
				err = Runner{}.Run(specs.Hook{Path: path, Timeout: seconds(1)}, make([]byte, 1<<20))
			})
			if want := "hook " + path + ": killed after 1s (timeout)" + tt.words; err == nil || err.Error() != want {
				t.Errorf("%v, want %s", err, want)
			}
			if !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Error("it is not os.ErrDeadlineExceeded")
			}
			n := 0
			for field := range strings.FieldsSeq(content(t, pids)) {
				pid, err := strconv.Atoi(field)
				if err != nil {
					t.Fatal(err)
				}
				n++
				if !gone(pid) {
					t.Errorf("process %d survived", pid)
					unix.Kill(pid, unix.SIGKILL)
				}
			}
			if n == 0 {
				t.Error("the hook did not run")
			}
		})
	}
}

// TestInTime: a limit does no harm to a hook that keeps it.
func TestInTime(t *testing.T) {
	took := within(t, 5*time.Second, func() {
		if err := (Runner{}).Run(specs.Hook{Path: "/bin/true", Timeout: seconds(60)}, nil); err != nil {
			t.Error(err)
		}
		err := Runner{}.Run(specs.Hook{Path: "/bin/false", Timeout: seconds(math.MaxInt)}, nil)
		if err == nil || err.Error() != "hook /bin/false: exit status 1" {
			t.Error(err)
		}
	})
	t.Log(took)
	noChildren(t)
}

// TestLeftBehind: a hook is over with its first process. What it left lives on, keeps
// standard error, and delays nobody.
func TestLeftBehind(t *testing.T) {
	for _, status := range []int{0, 4} {
		// One that is quiet, and one that fills the pipe as fast as it can.
		for _, text := range []string{"sleep 60 &", "yes long line >&2 &"} {
			pids := outFile(t)
			path := script(t, fmt.Sprintf("%s\necho $! >%s; exit %d", text, pids.Name(), status))
			var err error
			within(t, 2*time.Second, func() { err = Runner{}.Run(specs.Hook{Path: path}, nil) })
			var own *Error
			switch {
			case status == 0 && err != nil:
				t.Error(err)
			case status != 0 && (!errors.As(err, &own) || own.Status != status):
				t.Errorf("%v, want exit status %d", err, status)
			}
			pid, err := strconv.Atoi(strings.TrimSpace(content(t, pids)))
			if err != nil {
				t.Fatal(err)
			}
			if text[0] == 's' && unix.Kill(pid, 0) != nil {
				t.Error("what the hook left is dead")
			}
			unix.Kill(pid, unix.SIGKILL)
		}
	}
}

// TestInterrupt: a signal to the runtime ends the hook.
func TestInterrupt(t *testing.T) {
	signals := make(chan os.Signal, 1)
	pids := outFile(t)
	path := script(t, "sleep 60 &\necho $! >"+pids.Name()+"\nwait")
	timer := time.AfterFunc(300*time.Millisecond, func() { signals <- unix.SIGTERM })
	defer timer.Stop()
	var err error
	within(t, 2*time.Second, func() { err = Runner{Interrupt: signals}.Run(specs.Hook{Path: path}, nil) })
	var own *Error
	if !errors.As(err, &own) || own.Interrupt != unix.SIGTERM ||
		err.Error() != "hook "+path+": killed because the runtime got the signal terminated" {
		t.Error(err)
	}
	if pid, err := strconv.Atoi(strings.TrimSpace(content(t, pids))); err != nil || !gone(pid) {
		t.Errorf("%d survived, %v", pid, err)
	}
	if err := (Runner{Interrupt: signals}).Run(specs.Hook{Path: "/bin/true"}, nil); err != nil {
		t.Error(err)
	}
	noChildren(t)
}

func TestTail(t *testing.T) {
	tests := []struct {
		parts []string
		want  string
	}{
		{nil, ""},
		{[]string{"\n \n\t\n"}, ""},
		{[]string{"a"}, "a"},
		{[]string{"a\n", "b", "c\n"}, "a; bc"},
		{[]string{"1\n2\n3\n4\n5"}, "2; 3; 4; 5"},
		{[]string{`C:\x "q"`}, `C:\\x "q"`},
		{[]string{strings.Repeat("a", 10000), "\nb"}, strings.Repeat("a", 509) + "; b"},
		{[]string{strings.Repeat("a\n", 3000)}, "a; a; a; a"},
	}
	for _, tt := range tests {
		var whole, single tail
		for _, part := range tt.parts {
			whole.add([]byte(part))
			for _, b := range []byte(part) {
				single.add([]byte{b})
			}
		}
		if got := whole.String(); got != tt.want {
			t.Errorf("%.40q: %q, want %q", tt.parts, got, tt.want)
		}
		if !reflect.DeepEqual(whole.kept, single.kept) {
			t.Errorf("%.40q: another end if it comes byte by byte", tt.parts)
		}
	}
}

// TestLaunchError: a failure before there is a process.
func TestLaunchError(t *testing.T) {
	in := &Namespaces{Clone: &program.Options{Flags: unix.CLONE_VM, CgroupFd: -1}}
	err := Runner{In: in}.Run(specs.Hook{Path: "/bin/true"}, nil)
	if !errors.Is(err, unix.EINVAL) || !strings.HasPrefix(err.Error(), "hook /bin/true: ") {
		t.Error(err)
	}
}

// BenchmarkRun is what the cheapest hook costs.
func BenchmarkRun(b *testing.B) {
	for b.Loop() {
		if err := (Runner{}).Run(specs.Hook{Path: "/bin/true", Env: []string{}}, []byte("{}")); err != nil {
			b.Fatal(err)
		}
	}
}
