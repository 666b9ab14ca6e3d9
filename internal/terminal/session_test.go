package terminal

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"golang.org/x/term"
)

func newPty(t *testing.T) (master, slave *os.File) {
	t.Helper()
	master, slave, err := pty()
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, os.ErrPermission) {
		t.Skipf("no pseudo terminals here: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { master.Close(); slave.Close() })
	return master, slave
}

// rawPty is a pseudo terminal that changes no byte by itself.
func rawPty(t *testing.T) (master, slave *os.File) {
	t.Helper()
	master, slave = newPty(t)
	if _, err := term.MakeRaw(int(slave.Fd())); err != nil {
		t.Fatal(err)
	}
	return master, slave
}

func newPipe(t *testing.T) (r, w *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close(); w.Close() })
	return r, w
}

func start(t *testing.T, master, in, out *os.File) *Session {
	t.Helper()
	s, err := Proxy(master, in, out)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// within fails the test if f does not return in time.
func within(t *testing.T, limit time.Duration, what string, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() { defer close(done); f() }()
	select {
	case <-done:
	case <-time.After(limit):
		t.Fatalf("%s did not end within %v", what, limit)
	}
}

func TestOutputIsDrained(t *testing.T) {
	for _, slow := range []bool{false, true} {
		master, slave := rawPty(t)
		in, _ := newPipe(t)
		r, w := newPipe(t)
		cmd := onTerminal(helper("flood"), slave)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		slave.Close()
		s := start(t, master, in, w)
		var got int
		read := make(chan struct{})
		go func() {
			defer close(read)
			buf := make([]byte, 64<<10)
			for {
				n, err := r.Read(buf)
				if got += n; err != nil {
					return
				}
				if slow { // slower than the drain limit, which must not count this
					time.Sleep(15 * time.Millisecond)
				}
			}
		}()
		err := cmd.Wait()
		if cmd.ProcessState.ExitCode() != 7 {
			t.Fatalf("the process failed: %v", err)
		}
		within(t, 20*time.Second, "Wait", func() {
			if err := s.Wait(10 * time.Millisecond); err != nil {
				t.Errorf("Wait: %v", err)
			}
		})
		w.Close()
		<-read
		if got != flood {
			t.Errorf("slow=%v: %d bytes of %d arrived", slow, got, flood)
		}
	}
}

// A carriage return before each newline is for terminals alone.
func TestNewlines(t *testing.T) {
	for _, test := range []struct {
		name string
		out  func(*testing.T) (r, w *os.File)
		want string
	}{
		{"pipe", newPipe, "a\nb\n"},
		{"terminal", rawPty, "a\r\nb\r\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			master, slave := newPty(t)
			in, _ := newPipe(t)
			r, w := test.out(t)
			if err := SuitNewlines(master, w); err != nil {
				t.Fatal(err)
			}
			if _, err := slave.WriteString("a\nb\n"); err != nil {
				t.Fatal(err)
			}
			s := start(t, master, in, w)
			got := make([]byte, len(test.want))
			if _, err := io.ReadFull(r, got); err != nil || string(got) != test.want {
				t.Errorf("%q arrived, want %q (%v)", got, test.want, err)
			}
			slave.Close()
			within(t, 5*time.Second, "Wait", func() { _ = s.Wait(10 * time.Millisecond) })
		})
	}
}

// Another process may keep the terminal open after the end of the first.
func TestWaitIsBounded(t *testing.T) {
	master, slave := rawPty(t)
	in, _ := newPipe(t)
	r, w := newPipe(t)
	s := start(t, master, in, w)
	io.WriteString(slave, "last words")
	within(t, 5*time.Second, "Wait", func() { s.Wait(100 * time.Millisecond) })
	w.Close()
	if got, _ := io.ReadAll(r); string(got) != "last words" {
		t.Errorf("got %q", got)
	}
}

func TestWaitIsBoundedForChatter(t *testing.T) {
	master, slave := rawPty(t)
	in, _ := newPipe(t)
	null, err := os.OpenFile("/dev/null", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	s := start(t, master, in, null)
	go func() {
		for line := bytes.Repeat([]byte("x"), 4096); ; {
			if _, err := slave.Write(line); err != nil {
				return
			}
		}
	}()
	within(t, 10*time.Second, "Wait", func() { s.Wait(time.Second) })
	s.Close() // hangs up, which ends the writer
}

func TestReopenedTerminal(t *testing.T) {
	master, slave := rawPty(t)
	in, _ := newPipe(t)
	r, w := newPipe(t)
	s := start(t, master, in, w)
	io.WriteString(slave, "one ")
	slave.Close()
	time.Sleep(20 * time.Millisecond)
	fd, err := ptsPeer(s.masterFd)
	if err != nil {
		t.Fatal(err)
	}
	unix.Write(fd, []byte("two"))
	unix.Close(fd)
	within(t, 5*time.Second, "Wait", func() { s.Wait(DrainLimit) })
	w.Close()
	if got, _ := io.ReadAll(r); string(got) != "one two" {
		t.Errorf("got %q", got)
	}
}

func TestInputIsTransparent(t *testing.T) {
	master, slave := rawPty(t)
	in, typed := newPipe(t)
	_, w := newPipe(t)
	start(t, master, in, w)
	want := make([]byte, 300_000) // more than the kernel's buffers hold
	for i := range want {
		want[i] = byte(i ^ i>>8)
	}
	go typed.Write(want)
	got := make([]byte, len(want))
	within(t, 20*time.Second, "reading", func() {
		if _, err := io.ReadFull(slave, got); err != nil {
			t.Error(err)
		}
	})
	if sha256.Sum256(got) != sha256.Sum256(want) {
		t.Error("input was changed on the way")
	}
}

func TestEndOfInput(t *testing.T) {
	for _, text := range []string{"line\n", "no newline", ""} {
		master, slave := newPty(t)
		in, typed := newPipe(t)
		_, w := newPipe(t)
		start(t, master, in, w)
		io.WriteString(typed, text)
		typed.Close()
		within(t, 5*time.Second, "reading", func() {
			if got, err := io.ReadAll(slave); err != nil || string(got) != text {
				t.Errorf("got %q, %v, want %q", got, err, text)
			}
		})
	}
}

// What is typed after the end of the process is for somebody else.
func TestInputIsLeftAloneAfterEnd(t *testing.T) {
	master, slave := rawPty(t)
	in, typed := newPipe(t)
	_, w := newPipe(t)
	s := start(t, master, in, w)
	slave.Close()
	within(t, 5*time.Second, "Wait", func() { s.Wait(DrainLimit) })
	io.WriteString(typed, "exit\n")
	typed.Close()
	time.Sleep(20 * time.Millisecond)
	if got, _ := io.ReadAll(in); string(got) != "exit\n" {
		t.Errorf("%q is left of the input", got)
	}
}

// A process that does not read must not keep the session from ending.
func TestBlockedInput(t *testing.T) {
	master, slave := rawPty(t)
	in, typed := newPipe(t)
	_, w := newPipe(t)
	s := start(t, master, in, w)
	go typed.Write(make([]byte, 1<<20))
	time.Sleep(50 * time.Millisecond)
	slave.Close()
	within(t, 5*time.Second, "Wait and Close", func() { s.Wait(DrainLimit); s.Close() })
	within(t, 5*time.Second, "release", func() {
		for s.refs.Load() != 0 {
			time.Sleep(time.Millisecond)
		}
	})
}

func TestTerminalIsRestored(t *testing.T) {
	_, tty := newPty(t)
	before, err := unix.IoctlGetTermios(int(tty.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	master, _ := newPty(t)
	s := start(t, master, tty, tty)
	during, _ := unix.IoctlGetTermios(int(tty.Fd()), unix.TCGETS)
	if during.Lflag&(unix.ICANON|unix.ECHO|unix.ISIG) != 0 || during.Oflag&unix.OPOST != 0 {
		t.Errorf("not raw: %+v", during)
	}
	for range 2 {
		if err := s.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	}
	after, _ := unix.IoctlGetTermios(int(tty.Fd()), unix.TCGETS)
	if *after != *before {
		t.Errorf("not restored:\n got %+v\nwant %+v", after, before)
	}
}

// The whole of it, in a process with a controlling terminal: the kernel's own
// SIGWINCH reaches the inner terminal, output comes out, modes are restored.
func TestForeground(t *testing.T) {
	master, slave := newPty(t)
	cmd := onTerminal(helper("foreground"), slave)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	slave.Close()
	var seen strings.Builder
	within(t, 20*time.Second, "foreground process", func() {
		buf := make([]byte, 1024)
		for {
			n, err := master.Read(buf)
			seen.Write(buf[:n])
			if err != nil {
				break // EIO: it is gone
			}
			if strings.HasSuffix(seen.String(), "ready") {
				unix.IoctlSetWinsize(int(master.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 50, Col: 132})
			}
		}
	})
	if err := cmd.Wait(); err != nil || seen.String() != "readyresizedrestored" {
		t.Errorf("%v: %q", err, seen.String())
	}
}

func TestSizeAtStart(t *testing.T) {
	outer, tty := newPty(t)
	in, _ := newPipe(t)
	for _, size := range []unix.Winsize{{Row: 33, Col: 99, Xpixel: 1, Ypixel: 2}, {}} {
		unix.IoctlSetWinsize(int(outer.Fd()), unix.TIOCSWINSZ, &size)
		master, slave := newPty(t)
		unix.IoctlSetWinsize(int(master.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 1, Col: 2})
		start(t, master, in, tty) // in is no terminal: the size is that of out
		want := size
		if size.Row == 0 {
			want = unix.Winsize{Row: 1, Col: 2}
		}
		if got, err := unix.IoctlGetWinsize(int(slave.Fd()), unix.TIOCGWINSZ); err != nil || *got != want {
			t.Errorf("outside %v: inside %v, %v, want %v", size, got, err, want)
		}
	}
}

// When nobody looks at the output any more the process's terminal hangs up.
func TestBrokenOutput(t *testing.T) {
	master, slave := newPty(t)
	in, _ := newPipe(t)
	r, w := newPipe(t)
	// Under nohup(1) SIGHUP is ignored, and would be in the helper; a signal that is
	// caught becomes the default one at its execve.
	caught := make(chan os.Signal, 1)
	signal.Notify(caught, unix.SIGHUP)
	defer signal.Stop(caught)
	cmd := onTerminal(helper("sleep"), slave)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	s := start(t, master, in, w)
	r.Close()
	io.WriteString(slave, "nobody reads this")
	slave.Close()
	within(t, 10*time.Second, "the process", func() { cmd.Wait() })
	if ws := cmd.ProcessState.Sys().(syscall.WaitStatus); ws.Signal() != syscall.SIGHUP {
		t.Errorf("ended by %v, want SIGHUP", cmd.ProcessState)
	}
	if err := s.Wait(DrainLimit); !errors.Is(err, unix.EPIPE) {
		t.Errorf("Wait: %v, want EPIPE", err)
	}
}
