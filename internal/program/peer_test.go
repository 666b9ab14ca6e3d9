package program

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// peerReport runs a Program that reports to a socket, and reads the other end.
func peerReport(t *testing.T, build func(a *Assembler, peer Arg)) (outcome, *Failure) {
	t.Helper()
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	ours := os.NewFile(uintptr(pair[0]), "peer")
	defer ours.Close()
	c := launch(t, assemble(t, func(a *Assembler) {
		a.String("something before the notes")
		build(a, Const(pair[1]))
	}), 0)
	unix.Close(pair[1])
	o := follow(t, c)
	peer, err := Meet(int(ours.Fd()))
	if err == io.ErrUnexpectedEOF {
		return o, nil // it ended before it introduced itself
	}
	if err != nil {
		t.Fatal(err)
	}
	defer peer.Release()
	f, err := peer.Wait()
	if err != nil {
		t.Fatal(err)
	}
	return o, f
}

func TestPeerFailure(t *testing.T) {
	zeroth := unix.EBADF
	if unix.SYS_READ != 0 {
		zeroth = unix.EINVAL // io_setup, on machines without history
	}
	tests := []struct {
		name  string
		build func(a *Assembler, peer Arg)
		want  *Failure
	}{
		{"call", func(a *Assembler, peer Arg) {
			a.ReportTo(peer)
			a.Call(Discard, unix.SYS_CLOSE, Const(-1)).Note("the note")
		}, &Failure{Origin: Origin{Nr: unix.SYS_CLOSE, Note: "the note"}, Errno: unix.EBADF}},
		{"call without a note", func(a *Assembler, peer Arg) {
			a.ReportTo(peer)
			a.Call(Discard, unix.SYS_CLOSE, Const(-1))
		}, &Failure{Origin: Origin{Nr: unix.SYS_CLOSE}, Errno: unix.EBADF}},
		{"call number 0", func(a *Assembler, peer Arg) {
			a.ReportTo(peer)
			a.Call(Discard, 0, Const(-1), Scratch(0), Const(1))
		}, &Failure{Errno: zeroth}},
		{"fail", func(a *Assembler, peer Arg) {
			a.ReportTo(peer)
			a.Fail(unix.ENOTDIR, "/cwd")
		}, &Failure{Origin: Origin{Nr: noCall, Note: "/cwd"}, Errno: unix.ENOTDIR}},
		{"a register names the peer", func(a *Assembler, peer Arg) {
			r := a.Reg()
			a.Set(r, peer)
			a.ReportTo(r.Arg())
			a.Set(r, Const(-1)) // it is the value that counts
			a.Fail(unix.EIO, "")
		}, &Failure{Origin: Origin{Nr: noCall}, Errno: unix.EIO}},
		{"before", func(a *Assembler, peer Arg) {
			a.Call(Discard, unix.SYS_CLOSE, Const(-1))
			a.ReportTo(peer)
		}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			o, f := peerReport(t, tt.build)
			parent := o.failure(t)
			switch {
			case tt.want == nil && f != nil:
				t.Errorf("%+v, want none", f)
			case tt.want == nil:
			case f == nil || *f != *tt.want:
				t.Errorf("the peer learns %+v, want %+v", f, tt.want)
			case f.Error() != parent.Error():
				t.Errorf("the peer learns %q, the parent %q", f, parent)
			}
		})
	}
}

// TestPeerSuccess: a started program closes the descriptor.
func TestPeerSuccess(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	r, w := pipe(t)
	o, f := peerReport(t, func(a *Assembler, peer Arg) {
		a.ReportTo(peer)
		a.Call(Discard, unix.SYS_DUP3, constFd(w), Const(1), Const(0))
		a.Call(Discard, unix.SYS_EXECVE, a.String(self), a.Strings([]string{self}), a.Strings([]string{helperEnv + "=args"}))
	})
	if f != nil || o.err != nil || !o.event.Started || o.status != 7 {
		t.Errorf("peer %+v; event %+v, %v, status %d", f, o.event, o.err, o.status)
	}
	w.Close()
	if out, _ := io.ReadAll(r); len(out) == 0 {
		t.Error("the program did not run")
	}
}

// TestPeerGone: a report that nobody reads must not kill the child with SIGPIPE:
// its end would look like another.
func TestPeerGone(t *testing.T) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	c := launch(t, assemble(t, func(a *Assembler) {
		a.Call(Discard, unix.SYS_RT_SIGPROCMASK, Const(unix.SIG_SETMASK), a.Words(0), Const(0), Const(8))
		a.ReportTo(Const(pair[1]))
		a.Sync(1)
		a.Call(Discard, unix.SYS_CLOSE, Const(pair[0])) // the copy that it inherited
		a.Call(Discard, unix.SYS_CLOSE, Const(-1)).Note("late")
	}), 0)
	unix.Close(pair[1])
	unix.Close(pair[0])
	o := follow(t, c)
	if f := o.failure(t); f.Errno != unix.EBADF || f.Killed || f.Note != "late" || o.status != failureStatus {
		t.Errorf("%+v, status %d", f, o.status)
	}
}

// TestMeetStranger: what is no report is not taken for one.
func TestMeetStranger(t *testing.T) {
	plain, err := unix.MemfdCreate("plain", unix.MFD_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(plain)
	small, err := unix.MemfdCreate("small", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(small)
	if _, err := unix.FcntlInt(uintptr(small), unix.F_ADD_SEALS, unix.F_SEAL_SHRINK); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name string
		oob  []byte
		want string
	}{
		{"no descriptor", nil, "no descriptor"},
		{"two", unix.UnixRights(plain, small), "no descriptor"},
		{"not sealed", unix.UnixRights(plain), "not its report"},
		{"too small", unix.UnixRights(small), "not its report"},
		{"a socket", unix.UnixRights(0), "not its report"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer unix.Close(pair[0])
			defer unix.Close(pair[1])
			if err := unix.Sendmsg(pair[0], []byte{1}, tt.oob, nil, 0); err != nil {
				t.Fatal(err)
			}
			if _, err := Meet(pair[1]); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v, want %q", err, tt.want)
			}
		})
	}
}

// TestSyscallNames: every name is given once.
func TestSyscallNames(t *testing.T) {
	var names []string
	for nr := range uintptr(600) {
		if name := SyscallName(nr); !strings.HasPrefix(name, "system call ") {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	if n := len(slices.Compact(slices.Clone(names))); n != len(names) || n < 50 {
		t.Errorf("%d names, %d different: %v", len(names), n, names)
	}
	if SyscallName(noCall) != "" {
		t.Error("a control instruction has a name")
	}
}

// TestSyscallsAreNamed: what the tree's code puts into Programs has a name, also what fails on
// no machine that the tests have seen.
func TestSyscallsAreNamed(t *testing.T) {
	table, err := os.ReadFile("syscalls.go")
	if err != nil {
		t.Fatal(err)
	}
	call := regexp.MustCompile(`\b(?:a\.Call\([^,\n]*, |call\()unix\.(SYS_[A-Z0-9_]+)`)
	found := 0
	err = filepath.WalkDir("../..", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		source, err := os.ReadFile(path)
		for _, match := range call.FindAllSubmatch(source, -1) {
			found++
			if !bytes.Contains(table, fmt.Appendf(nil, "case unix.%s:\n", match[1])) {
				t.Errorf("%s: SyscallName has no name for %s", path, match[1])
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if found < 100 {
		t.Errorf("only %d calls found", found)
	}
}
