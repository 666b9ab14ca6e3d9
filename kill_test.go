package main

import (
	"os"
	"os/exec"
	"testing"

	"golang.org/x/sys/unix"
)

// TestSignalEach: a process that is listed at first and no more when its number is looked at again
// gets no signal, as it may be another one by then.
func TestSignalEach(t *testing.T) {
	var processes [2]*os.Process
	for i := range processes {
		c := exec.Command("sleep", "60")
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		processes[i] = c.Process
		defer func() { _ = c.Process.Kill(); _ = c.Wait() }()
	}
	stays, goes := processes[0].Pid, processes[1].Pid
	lists := [][]int{{stays, goes, 1 << 22}, {stays}}
	list := func() ([]int, error) {
		next := lists[0]
		if len(lists) > 1 {
			lists = lists[1:]
		}
		return next, nil
	}
	if err := signalEach(list, unix.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	var st unix.Siginfo
	if err := unix.Waitid(unix.P_PID, stays, &st, unix.WSTOPPED|unix.WNOWAIT, nil); err != nil {
		t.Errorf("the process that stays: %v", err)
	}
	if err := unix.Waitid(unix.P_PID, goes, &st, unix.WSTOPPED|unix.WNOWAIT|unix.WNOHANG, nil); err != nil || st.Signo != 0 {
		t.Errorf("the process that is not listed any more was stopped: %v, signal %d", err, st.Signo)
	}
}
