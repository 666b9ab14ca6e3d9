package seal

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/oci-mini/oci-mini/internal/program"
)

// launch makes a child that executes the Program.
func launch(t testing.TB, a *program.Assembler) *program.Child {
	t.Helper()
	p, err := a.Finish()
	if err != nil {
		t.Fatal(err)
	}
	c, err := p.Launch(program.Options{CgroupFd: -1})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestView forks a child that swaps its executable file, and looks at what
// /proc/PID/exe of it leads to while it lives and after.
func TestView(t *testing.T) {
	needRoot(t)
	for _, swap := range []bool{true, false} { // false shows what the swap is for
		t.Run(fmt.Sprintf("swap %v", swap), func(t *testing.T) {
			a := program.NewAssembler()
			if swap {
				v, err := OpenView()
				if err != nil {
					t.Fatal(err)
				}
				defer unix.Close(v.Fd())
				v.Dissolve()
				v.Assemble(a)
			}
			a.Sync(1)
			a.Exit(7)
			c := launch(t, a)
			defer c.Release()
			if e, err := c.Next(); err != nil || e.Token != 1 {
				t.Fatalf("event %+v, %v", e, err)
			}
			exe := fmt.Sprintf("/proc/%d/exe", c.Pid)
			handle, err := unix.Open(exe, unix.O_PATH|unix.O_CLOEXEC, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer unix.Close(handle)
			var fs unix.Statfs_t
			if err := unix.Fstatfs(handle, &fs); err != nil {
				t.Fatal(err)
			}
			if got := fs.Flags&unix.ST_RDONLY != 0; got != swap {
				t.Errorf("%s leads to a read-only mount: %v", exe, got)
			}
			var mine, its unix.Stat_t
			if unix.Stat(self, &mine) != nil || unix.Fstat(handle, &its) != nil || mine.Ino != its.Ino || mine.Dev != its.Dev {
				t.Error("it is another file")
			}
			cmdline, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", c.Pid))
			if want := strings.Join(os.Args, "\x00") + "\x00"; string(cmdline) != want {
				t.Errorf("the command line became %q", cmdline)
			}
			if err := unix.MountSetattr(handle, "", unix.AT_EMPTY_PATH, &unix.MountAttr{Attr_clr: unix.MOUNT_ATTR_RDONLY}); swap && err == nil {
				t.Error("the mount was made writable through the handle")
			}
			if err := c.Continue(); err != nil {
				t.Fatal(err)
			}
			if e, err := c.Next(); err != nil || !e.Exited {
				t.Fatalf("event %+v, %v", e, err)
			}
			if status, err := c.Reap(); status != 7 || err != nil {
				t.Errorf("status %d, %v", status, err)
			}
		})
	}
}

// TestDissolve: the mount can be made writable, by who reaches it, for as long as either the
// child or the caller has its descriptor, and never after both have given it up.
func TestDissolve(t *testing.T) {
	needRoot(t)
	const swapped = 3
	v, err := OpenView()
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(v.Fd())
	a := program.NewAssembler()
	a.Sync(1)
	v.Assemble(a)
	a.Publish(swapped, program.Const(1))
	a.Sync(2)
	a.Exit(0)
	c := launch(t, a)
	defer func() {
		c.Kill()
		c.Reap()
		c.Release()
	}()
	exe := fmt.Sprintf("/proc/%d/exe", c.Pid)
	next := func(token byte) {
		t.Helper()
		if e, err := c.Next(); err != nil || e.Token != token {
			t.Fatalf("event %+v, %v; want token %d", e, err, token)
		}
	}
	next(1)
	readOnly := unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY}
	if unix.MountSetattr(v.tree, "", unix.AT_EMPTY_PATH, &clearReadOnly) != nil || unix.MountSetattr(v.tree, "", unix.AT_EMPTY_PATH, &readOnly) != nil {
		t.Error("the mount cannot be changed even before it is dissolved: this test shows nothing")
	}
	if holders(t, v, c.Pid) != 1 {
		t.Error("the child has not one descriptor of the mount to give up")
	}
	if err := c.Continue(); err != nil {
		t.Fatal(err)
	}
	c.Await(swapped)
	if c.Value(swapped) != 1 {
		t.Error("the child has not got to its second sync point")
	}
	if n := holders(t, v, c.Pid); n != 0 {
		t.Errorf("the child still has %d descriptors of the mount", n)
	}
	v.Dissolve()
	next(2)
	handle, err := unix.Open(exe, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(handle)
	for _, a := range attacks {
		if err := a.try(handle, fmt.Sprintf("/proc/self/fd/%d", handle), t.TempDir()); err == nil {
			t.Errorf("%s succeeded", a.name)
		}
	}
	v.Dissolve() // does nothing
}

// holders counts the descriptors of a process that are the mount's directory.
func holders(t *testing.T, v *View, pid int) (n int) {
	t.Helper()
	var want unix.Stat_t
	if err := unix.Fstat(v.tree, &want); err != nil {
		t.Fatal(err)
	}
	dir := fmt.Sprintf("/proc/%d/fd/", pid)
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		var st unix.Stat_t
		if unix.Stat(dir+e.Name(), &st) == nil && st.Dev == want.Dev && st.Ino == want.Ino {
			n++
		}
	}
	return n
}

// TestViewOfMovable: a binary that is loaded anywhere (-buildmode=pie) has no view, and is executed
// again instead.
func TestViewOfMovable(t *testing.T) {
	head, err := os.ReadFile(self)
	if err != nil {
		t.Fatal(err)
	}
	head = head[:min(len(head), 4096)]
	const dyn = 3 // ET_DYN of elf(5)
	for kind, want := range map[byte]bool{etExec: true, dyn: false} {
		head[16] = kind
		file := filepath.Join(t.TempDir(), "head")
		if err := os.WriteFile(file, head, 0o600); err != nil {
			t.Fatal(err)
		}
		fd, err := unix.Open(file, unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Close(fd)
		if err := (&View{fd: fd}).read(); (err == nil) != want {
			t.Errorf("a file of type %d: %v", kind, err)
		}
	}
}

// TestViewExecutesScript has the swapped child execute /proc/self/exe, as a
// container's "#!/proc/self/exe" would: it is the read-only file.
func TestViewExecutesScript(t *testing.T) {
	needRoot(t)
	script := t.TempDir() + "/script"
	if err := os.WriteFile(script, []byte("#!/proc/self/exe\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	v, err := OpenView()
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(v.Fd())
	v.Dissolve()
	a := program.NewAssembler()
	v.Assemble(a)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	a.Call(program.Discard, unix.SYS_DUP3, program.Const(int(w.Fd())), program.Const(1), program.Const(0))
	zero := a.Words(0)
	a.Call(program.Discard, unix.SYS_RT_SIGPROCMASK, program.Const(unix.SIG_SETMASK), zero, program.Const(0), program.Const(8))
	a.Call(program.Discard, unix.SYS_EXECVE, a.String(script), a.Strings([]string{"script"}), a.Strings([]string{roleEnv + "=view"}))
	c := launch(t, a)
	defer c.Release()
	if e, err := c.Next(); err != nil || !e.Started {
		t.Fatalf("event %+v, %v", e, err)
	}
	w.Close()
	var out [64]byte
	n, _ := r.Read(out[:])
	if got := string(out[:n]); got != "read-only" {
		t.Errorf("the script's interpreter finds its own binary %q", got)
	}
	if _, err := c.Reap(); err != nil {
		t.Fatal(err)
	}
}

// viewed tells by what kind of mount this process is executed.
func viewed() {
	var fs unix.Statfs_t
	switch err := unix.Statfs(self, &fs); {
	case err != nil:
		fmt.Print(err)
	case fs.Flags&unix.ST_RDONLY != 0:
		fmt.Print("read-only")
	default:
		fmt.Print("writable")
	}
	os.Exit(0)
}
