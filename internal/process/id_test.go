package process

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

const roleEnv = "PROCESS_TEST_ROLE"

func init() {
	// The main goroutine must be on the first thread to end it alone.
	if os.Getenv(roleEnv) == "leader ends" {
		runtime.LockOSThread()
	}
}

func TestMain(m *testing.M) {
	switch os.Getenv(roleEnv) {
	case "":
		os.Exit(m.Run())
	case "leader ends":
		runtime.GOMAXPROCS(2) // the first thread takes its processor along
		go func() {
			io.Copy(io.Discard, os.Stdin)
			os.Exit(0)
		}()
		fmt.Println("ready")
		unix.RawSyscall(unix.SYS_EXIT, 0, 0, 0)
	}
	os.Exit(3)
}

// shell starts a shell that runs script with its standard input held open.
func shell(t *testing.T, script string) (*exec.Cmd, io.Closer) {
	t.Helper()
	cmd := exec.Command("/bin/sh", "-c", script)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	return cmd, in
}

func TestSelf(t *testing.T) {
	self, err := Self()
	if err != nil {
		t.Fatal(err)
	}
	again, err := Find(os.Getpid())
	if err != nil || self != again || self.Pid != os.Getpid() || self.StartTime == 0 {
		t.Errorf("Self %+v, Find %+v, %v", self, again, err)
	}
	if !self.Alive() {
		t.Error("not alive")
	}
	if err := self.Signal(0); err != nil {
		t.Error(err)
	}
}

func TestOpenVerifies(t *testing.T) {
	self, err := Self()
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name string
		id   ID
		want string
	}{
		{"zero", ID{}, "process 0 was never started: no such process"},
		{"negative", ID{Pid: -1}, "process -1 was never started: no such process"},
		{"recycled", ID{self.Pid, self.StartTime - 1}, fmt.Sprintf("process %d has ended, another process has its pid: no such process", self.Pid)},
		{"beyond pid_max", ID{1<<22 + 1, 5}, "process 4194305 has ended: no such process"},
	} {
		fd, err := tc.id.Open()
		if err == nil || !errors.Is(err, unix.ESRCH) || err.Error() != tc.want {
			t.Errorf("%s: Open: %d, %v, want %s", tc.name, fd, err, tc.want)
		}
		if tc.id.Alive() {
			t.Errorf("%s: alive", tc.name)
		}
		if err := tc.id.Signal(unix.SIGKILL); !errors.Is(err, unix.ESRCH) {
			t.Errorf("%s: Signal: %v", tc.name, err)
		}
	}
	if _, err := Find(0); !errors.Is(err, unix.ESRCH) {
		t.Errorf("Find(0): %v", err)
	}
}

// A pid in use as a thread id is no process.
func TestThreadIsNoProcess(t *testing.T) {
	tids := make(chan int)
	done := make(chan struct{})
	go func() {
		runtime.LockOSThread()
		tids <- unix.Gettid()
		<-done
	}()
	defer close(done)
	tid := <-tids
	if tid == os.Getpid() {
		t.Skip("the goroutine runs on the first thread")
	}
	id, err := Find(tid)
	if err != nil {
		t.Skip(err)
	}
	if _, err := id.Open(); !errors.Is(err, unix.ESRCH) {
		t.Errorf("Open: %v, want ESRCH", err)
	}
}

// opened finds a process and opens it until the test ends.
func opened(t *testing.T, cmd *exec.Cmd) (ID, int) {
	t.Helper()
	id, err := Find(cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	fd, err := id.Open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	return id, fd
}

func TestLifeAndDeath(t *testing.T) {
	cmd, in := shell(t, "read x; exit 7")
	id, fd := opened(t, cmd)
	if flags, _ := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); flags&unix.FD_CLOEXEC == 0 {
		t.Error("pidfd is not close-on-exec")
	}
	if dead, err := Wait(fd, 0); dead || err != nil {
		t.Errorf("Wait 0: %v, %v", dead, err)
	}
	begin := time.Now()
	if dead, err := Wait(fd, 20*time.Millisecond); dead || err != nil || time.Since(begin) < 20*time.Millisecond {
		t.Errorf("Wait 20 ms: %v, %v after %v", dead, err, time.Since(begin))
	}
	in.Close()
	if dead, err := Wait(fd, -1); !dead || err != nil {
		t.Errorf("Wait for ever: %v, %v", dead, err)
	}

	// Now it is a zombie: still to be found, and dead.
	if again, err := Find(id.Pid); err != nil || again != id {
		t.Errorf("Find of a zombie: %+v, %v", again, err)
	}
	if id.Alive() {
		t.Error("a zombie is alive")
	}
	if _, err := id.Open(); !errors.Is(err, unix.ESRCH) || !strings.Contains(err.Error(), "not waited for") {
		t.Errorf("Open of a zombie: %v", err)
	}
	if err := id.Signal(0); !errors.Is(err, unix.ESRCH) {
		t.Errorf("Signal to a zombie: %v", err)
	}

	if err := cmd.Wait(); cmd.ProcessState.ExitCode() != 7 {
		t.Errorf("the shell ends with %v", err)
	}
	if _, err := Find(id.Pid); !errors.Is(err, unix.ESRCH) {
		t.Errorf("Find after the end: %v", err)
	}
	if id.Alive() {
		t.Error("alive after the end")
	}
	if dead, err := Wait(fd, 0); !dead || err != nil {
		t.Errorf("Wait after the end: %v, %v", dead, err)
	}
}

func TestSignal(t *testing.T) {
	for _, sig := range []unix.Signal{unix.SIGKILL, unix.SIGTERM, unix.SIGABRT, sigRTMin} {
		cmd, _ := shell(t, "ulimit -c 0; echo; read x")
		id, err := Find(cmd.Process.Pid)
		if err != nil {
			t.Fatal(err)
		}
		if err := id.Signal(sig); err != nil {
			t.Error(err)
		}
		err = cmd.Wait()
		if status := cmd.ProcessState.Sys().(syscall.WaitStatus); status.Signal() != sig {
			t.Errorf("signal %d: the shell ends with %v", sig, err)
		}
	}
}

func TestWaitErrors(t *testing.T) {
	if _, err := Wait(1<<20, 0); !errors.Is(err, unix.EBADF) {
		t.Errorf("bad descriptor: %v", err)
	}
}

// Signals that arrive while waiting neither end nor lengthen the wait.
func TestWaitInterrupted(t *testing.T) {
	cmd, _ := shell(t, "read x")
	_, fd := opened(t, cmd)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	tid := unix.Gettid()
	stop := make(chan struct{})
	stopped := make(chan int)
	go func() {
		sent := 0
		for {
			select {
			case <-stop:
				stopped <- sent
				return
			case <-time.After(2 * time.Millisecond):
				// The Go runtime handles SIGURG and otherwise ignores it.
				unix.Tgkill(os.Getpid(), tid, unix.SIGURG)
				sent++
			}
		}
	}()
	const timeout = 60 * time.Millisecond
	begin := time.Now()
	dead, err := Wait(fd, timeout)
	took := time.Since(begin)
	close(stop)
	if sent := <-stopped; sent < 5 {
		t.Skipf("only %d signals sent", sent)
	}
	if dead || err != nil || took < timeout || took > 10*timeout {
		t.Errorf("Wait: %v, %v after %v", dead, err, took)
	}
}

// A process whose first thread has ended looks like a zombie and is alive.
func TestLeaderEnded(t *testing.T) {
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), roleEnv+"=leader ends")
	in, _ := cmd.StdinPipe()
	out, _ := cmd.StdoutPipe()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	defer in.Close()
	if _, err := io.ReadFull(out, make([]byte, 6)); err != nil {
		t.Fatal(err)
	}
	for range 200 {
		st, err := readStat(cmd.Process.Pid)
		if err != nil {
			t.Fatal(err)
		}
		if st.state != 'Z' {
			time.Sleep(time.Millisecond)
			continue
		}
		id := ID{cmd.Process.Pid, st.start}
		if !id.Alive() {
			t.Error("counts as dead")
		}
		fd, err := id.Open()
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Close(fd)
		if dead, err := Wait(fd, 0); dead || err != nil {
			t.Errorf("Wait: %v, %v", dead, err)
		}
		return
	}
	t.Fatal("the first thread did not end")
}

func TestParseStat(t *testing.T) {
	const tail = " 1 2 3 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 5 0 987654 1 2 3\n"
	for _, tc := range []struct {
		line string
		want stat
		ok   bool
	}{
		{"42 (sh) S" + tail, stat{'S', 5, 987654}, true},
		{"42 (a) Z 1 (b) c) R" + tail, stat{'R', 5, 987654}, true},
		{"42 ()\n) X" + tail, stat{'X', 5, 987654}, true},
		{"", stat{}, false},
		{"42 sh S" + tail, stat{}, false},
		{"42 (sh)", stat{}, false},
		{"42 (sh)S" + tail, stat{}, false},
		{"42 (sh) SS" + tail, stat{}, false},
		{"42 (sh) S 1 2 3", stat{}, false},
		{"42 (sh) S 1 2 3 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 5 0 9876", stat{}, false},
		{"42 (sh) S 1 2 3 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 5 0 x 1", stat{}, false},
		{"42 (sh) S 1 2 3 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 x 0 9 1", stat{}, false},
	} {
		got, ok := parseStat([]byte(tc.line))
		if ok != tc.ok || ok && got != tc.want {
			t.Errorf("%q: %+v %v, want %+v %v", tc.line, got, ok, tc.want, tc.ok)
		}
	}
	if !(stat{state: 'Z', threads: 1}).dead() || (stat{state: 'Z', threads: 2}).dead() || !(stat{state: 'X'}).dead() || (stat{state: 'T'}).dead() {
		t.Error("dead is wrong")
	}
}

func FuzzParseStat(f *testing.F) {
	f.Add([]byte("42 (sh) S 1 2 3 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 5 0 987654 1 2 3\n"))
	f.Add([]byte("1 ())"))
	f.Fuzz(func(t *testing.T, line []byte) {
		if _, ok := parseStat(line); ok && len(line) < 40 {
			t.Errorf("%q is too short for 22 fields", line)
		}
	})
}

// TestInner: the number in a pid namespace of its own is 1; here it is the same.
func TestInner(t *testing.T) {
	if n, err := Inner(os.Getpid()); err != nil || n != os.Getpid() {
		t.Errorf("own number is %d, %v", n, err)
	}
	if _, err := Inner(1 << 30); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no process: %v", err)
	}
	if os.Geteuid() != 0 {
		t.Skip("a pid namespace needs root")
	}
	cmd := exec.Command("/bin/sh", "-c", "read end")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWPID}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { cmd.Process.Kill(); cmd.Wait() }()
	if n, err := Inner(cmd.Process.Pid); err != nil || n != 1 {
		t.Errorf("the first of a namespace is %d, %v", n, err)
	}
}
