package terminal

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// modeEnv makes the test binary act as one of the processes below.
const modeEnv = "TERMINAL_TEST_MODE"

const flood = 1 << 20

func TestMain(m *testing.M) {
	switch mode := os.Getenv(modeEnv); mode {
	case "":
		os.Exit(m.Run())
	case "flood": // writes as much as no buffer holds, and ends
		os.Stdout.Write(bytes.Repeat([]byte{'x'}, flood))
		os.Exit(7)
	case "sleep":
		time.Sleep(time.Minute)
	case "exit7":
		time.Sleep(50 * time.Millisecond)
		os.Exit(7)
	case "orphaner": // leaves a child behind
		if err := helper("exit7").Start(); err != nil {
			fatalf("%v", err)
		}
	case "reaper":
		reaper(WaitReaping)
	case "waiter":
		waiter()
	case "until-resized": // waits for the window size 50x132
		for {
			if w, err := unix.IoctlGetWinsize(0, unix.TIOCGWINSZ); err == nil && w.Row == 50 && w.Col == 132 {
				break
			}
			time.Sleep(5 * time.Millisecond)
		}
		fmt.Print("resized")
	case "foreground":
		foreground()
	default:
		fatalf("unknown mode %q", mode)
	}
	os.Exit(0)
}

func fatalf(format string, args ...any) {
	fmt.Fprintf(os.Stderr, format+"\n", args...)
	os.Exit(99)
}

// helper is a command that runs this binary in the given mode.
func helper(mode string) *exec.Cmd {
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), modeEnv+"="+mode)
	return cmd
}

// onTerminal makes slave the controlling terminal of cmd's new session.
func onTerminal(cmd *exec.Cmd, slave *os.File) *exec.Cmd {
	cmd.Stdin, cmd.Stdout, cmd.Stderr = slave, slave, slave
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true, Ctty: 0, Pdeathsig: syscall.SIGKILL}
	return cmd
}

// foreground is what a runtime does: it joins its own terminal to a new one,
// runs a process there, and leaves.
func foreground() {
	before, err := unix.IoctlGetTermios(0, unix.TCGETS)
	if err != nil {
		fatalf("TCGETS: %v", err)
	}
	master, slave, err := pty()
	if err != nil {
		fatalf("pty: %v", err)
	}
	signals, err := Catch()
	if err == nil {
		err = signals.CatchRest()
	}
	if err != nil {
		fatalf("Catch: %v", err)
	}
	cmd := onTerminal(helper("until-resized"), slave)
	if err := cmd.Start(); err != nil {
		fatalf("start: %v", err)
	}
	slave.Close()
	signals.Forward(func(s unix.Signal) { cmd.Process.Signal(s) })
	s, err := Proxy(master, os.Stdin, os.Stdout)
	if err != nil {
		fatalf("Proxy: %v", err)
	}
	fmt.Print("ready")
	cmd.Wait()
	if err := s.Wait(DrainLimit); err != nil {
		fatalf("Wait: %v", err)
	}
	if err := s.Close(); err != nil {
		fatalf("Close: %v", err)
	}
	after, err := unix.IoctlGetTermios(0, unix.TCGETS)
	if err != nil || *after != *before {
		fatalf("terminal not restored: %v", err)
	}
	fmt.Print("restored")
}

// reaper exits 0 if wait collects an orphan and still returns the status of the right
// process.
func reaper(wait func(pid int) (unix.WaitStatus, error)) {
	if err := SetSubreaper(); err != nil {
		fatalf("SetSubreaper: %v", err)
	}
	if err := helper("orphaner").Start(); err != nil {
		fatalf("%v", err)
	}
	time.Sleep(20 * time.Millisecond)
	main := helper("exit7")
	main.Env[len(main.Env)-1] = modeEnv + "=flood"
	master, slave, err := pty() // holds the flood back until the orphan is gone
	if err != nil {
		fatalf("%v", err)
	}
	main.Stdout = slave
	if err := main.Start(); err != nil {
		fatalf("%v", err)
	}
	slave.Close()
	go func() {
		time.Sleep(200 * time.Millisecond)
		buf := make([]byte, 1<<16)
		for {
			if _, err := master.Read(buf); err != nil {
				return
			}
		}
	}()
	status, err := wait(main.Process.Pid)
	if err != nil || status.ExitStatus() != 7 {
		fatalf("waiting: %v, %v", status, err)
	}
	tasks, _ := os.ReadDir("/proc/self/task")
	for _, task := range tasks {
		if left, _ := os.ReadFile("/proc/self/task/" + task.Name() + "/children"); strings.TrimSpace(string(left)) != "" {
			fatalf("children left: %s", left)
		}
	}
	if _, err := wait(main.Process.Pid); err == nil || !strings.Contains(err.Error(), "wait4: no child processes") {
		fatalf("waiting again: %v", err)
	}
}

// waiter exits 0 if Signals.Wait does what the reaper wants of WaitReaping, and sends the
// signals of before and meanwhile in order, without another goroutine.
func waiter() {
	signals, err := Catch()
	if err == nil {
		err = signals.CatchRest()
	}
	if err != nil {
		fatalf("Catch: %v", err)
	}
	unix.Kill(os.Getpid(), unix.SIGTERM)
	var got []unix.Signal
	go func() { // the flood goes on after 200 ms
		for sig := unix.Signal(50); sig < 60; sig++ {
			time.Sleep(5 * time.Millisecond)
			unix.Kill(os.Getpid(), sig)
		}
	}()
	before := runtime.NumGoroutine()
	reaper(func(pid int) (unix.WaitStatus, error) {
		status, err := signals.Wait(pid, func(sig unix.Signal) {
			if got = append(got, sig); sig == 50 && runtime.NumGoroutine() > before+1 { // the reaper's own
				fatalf("%d goroutines, before %d", runtime.NumGoroutine(), before)
			}
		})
		return status, err
	})
	if want := []unix.Signal{unix.SIGTERM, 50, 51, 52, 53, 54, 55, 56, 57, 58, 59}; !slices.Equal(got, want) {
		fatalf("signals %v, want %v", got, want)
	}
}

// pty opens both sides of a new pseudo terminal.
func pty() (master, slave *os.File, err error) {
	m, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, nil, err
	}
	if err := unix.IoctlSetPointerInt(m, unix.TIOCSPTLCK, 0); err != nil {
		return nil, nil, err
	}
	s, err := ptsPeer(m)
	if err != nil {
		return nil, nil, err
	}
	return os.NewFile(uintptr(m), "master"), os.NewFile(uintptr(s), "slave"), nil
}

func ptsPeer(master int) (int, error) {
	fd, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(master), unix.TIOCGPTPEER, unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC)
	if errno != 0 {
		return -1, errno
	}
	return int(fd), nil
}
