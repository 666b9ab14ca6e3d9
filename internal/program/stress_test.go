package program

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// disturb keeps the Go runtime as busy as it gets until the returned function is
// called: goroutines that allocate and grow their stacks, and a collection every
// millisecond.
func disturb() (stop func() (collections uint32)) {
	var done atomic.Bool
	var wg sync.WaitGroup
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range 3 {
		wg.Go(func() {
			var keep [64][]*[128]byte
			for i := 0; !done.Load(); i++ {
				keep[i%len(keep)] = []*[128]byte{new([128]byte), new([128]byte)}
				if i%1024 == 0 {
					var deep func(int) int
					deep = func(n int) int {
						if n == 0 {
							return 0
						}
						return deep(n-1) + n
					}
					wg.Go(func() { deep(1000) })
				}
			}
		})
	}
	wg.Go(func() {
		for !done.Load() {
			runtime.GC()
			time.Sleep(time.Millisecond)
		}
	})
	return func() uint32 {
		done.Store(true)
		wg.Wait()
		runtime.ReadMemStats(&after)
		return after.NumGC - before.NumGC
	}
}

// shortLife launches a Program of a few calls, answers its sync point, and sees
// it end. It returns errors, because it runs on other goroutines than the test's.
func shortLife(p *Program, started bool, key uint64) error {
	c, err := p.Launch(Options{CgroupFd: -1})
	if err != nil {
		return err
	}
	defer c.Release()
	ev, err := c.Next()
	if err != nil || ev != (Event{Token: 's'}) {
		return fmt.Errorf("event %+v, %w", ev, errors.Join(err, c.Kill()))
	}
	if c.Value(0) != uint64(c.Pid) || c.Value(1) != key {
		return fmt.Errorf("child %d published %d and %d, want %d", c.Pid, c.Value(0), c.Value(1), key)
	}
	if err := c.Continue(); err != nil {
		return err
	}
	if ev, err = c.Next(); err != nil || ev != (Event{Started: started, Exited: !started}) {
		return fmt.Errorf("event %+v, %w", ev, err)
	}
	status, err := c.Reap()
	if want := map[bool]int{true: 0, false: int(key)}[started]; err != nil || status != want {
		return fmt.Errorf("status %d, %w", status, err)
	}
	return nil
}

// shortProgram publishes the pid and the key, and ends with the key as status,
// or in execve of the program, if there is one.
func shortProgram(t testing.TB, key int, execve string) *Program {
	return assemble(t, func(a *Assembler) {
		r := a.Reg()
		a.Call(r, unix.SYS_GETPID)
		a.Publish(0, r.Arg())
		a.Call(r, unix.SYS_OPENAT, Const(unix.AT_FDCWD), a.String("/"), Const(unix.O_PATH|unix.O_CLOEXEC), Const(0))
		a.Call(Discard, unix.SYS_CLOSE, r.Arg())
		a.Publish(1, Const(key))
		a.Sync('s')
		a.Call(Discard, unix.SYS_RT_SIGPROCMASK, Const(unix.SIG_SETMASK), a.Words(0), Const(0), Const(8))
		if execve != "" {
			a.Call(Discard, unix.SYS_EXECVE, a.String(execve), a.Strings([]string{execve}), a.Strings(nil))
		}
		a.Exit(key)
	})
}

// TestStress launches again and again out of a process that allocates, grows
// stacks and collects garbage all the while, from one goroutine and from eight.
// Whatever in the child needed the Go runtime would sooner or later meet a lock
// that a thread held at the clone.
func TestStress(t *testing.T) {
	total := 1000
	if testing.Short() {
		total = 100
	}
	trueProgram := ""
	for _, path := range []string{"/bin/true", "/usr/bin/true"} {
		if unix.Access(path, unix.X_OK) == nil {
			trueProgram = path
			break
		}
	}
	for _, goroutines := range []int{1, 8} {
		t.Run(fmt.Sprintf("goroutines=%d", goroutines), func(t *testing.T) {
			// More of them than processors, so that the launching goroutines are
			// not the last to get one.
			defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(8))
			fds := countFds(t)
			stop := disturb()
			begin := time.Now()
			var wg sync.WaitGroup
			for g := range goroutines {
				wg.Go(func() {
					key := g + 1
					exits := shortProgram(t, key, "")
					execs := shortProgram(t, key, trueProgram)
					for i := range total / 2 / goroutines {
						if err := shortLife(exits, false, uint64(key)); err != nil {
							t.Errorf("goroutine %d, launch %d: %v", g, 2*i, err)
							return
						}
						if err := shortLife(execs, trueProgram != "", uint64(key)); err != nil {
							t.Errorf("goroutine %d, launch %d: %v", g, 2*i+1, err)
							return
						}
					}
				})
			}
			wg.Wait()
			took := time.Since(begin)
			collections := stop()
			t.Logf("%d launches and %d collections in %v", total, collections, took)
			if collections < 3 {
				t.Errorf("only %d collections: nothing was disturbed", collections)
			}
			if got := countFds(t); got != fds {
				t.Errorf("%d descriptors, %d before", got, fds)
			}
			noChildren(t)
		})
	}
}

// TestKillBesideNext: Kill is for another goroutine than the one that waits.
func TestKillBesideNext(t *testing.T) {
	r, _ := pipe(t)
	for _, forks := range []bool{false, true} {
		p := assemble(t, func(a *Assembler) {
			if forks {
				a.Fork(0, -1)
			}
			a.Call(Discard, unix.SYS_READ, constFd(r), Scratch(0), Const(1))
		})
		for i := range 50 {
			c := launch(t, p, 0)
			killed := make(chan error)
			go func() {
				time.Sleep(time.Duration(i) * 20 * time.Microsecond)
				killed <- c.Kill()
			}()
			o := follow(t, c)
			if err := <-killed; err != nil && !errors.Is(err, os.ErrProcessDone) && !errors.Is(err, unix.ESRCH) {
				t.Error(err)
			}
			if f := o.failure(t); !f.BySignal || o.status != 128+9 {
				t.Fatalf("forks %t: %+v, status %d", forks, f, o.status)
			}
		}
	}
}
