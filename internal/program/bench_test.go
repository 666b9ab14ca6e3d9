package program

import (
	"fmt"
	"testing"

	"golang.org/x/sys/unix"
)

// BenchmarkLaunch is a clone, a Program that only exits, and its end.
func BenchmarkLaunch(b *testing.B) {
	p := assemble(b, func(a *Assembler) { a.Exit(0) })
	for b.Loop() {
		c, err := p.Launch(Options{CgroupFd: -1})
		if err != nil {
			b.Fatal(err)
		}
		if _, err := c.Next(); err != nil {
			b.Fatal(err)
		}
		if _, err := c.Reap(); err != nil {
			b.Fatal(err)
		}
		c.Release()
	}
}

// BenchmarkInstruction is what one more instruction costs: a call that does
// nothing, so that what remains is the system call itself and the interpreter.
func BenchmarkInstruction(b *testing.B) {
	p := assemble(b, func(a *Assembler) {
		for range b.N {
			a.Call(Discard, unix.SYS_GETPPID, Const(1), Const(2), Const(3))
		}
		a.Exit(0)
	})
	b.ResetTimer()
	c, err := p.Launch(Options{CgroupFd: -1})
	if err != nil {
		b.Fatal(err)
	}
	defer c.Release()
	if _, err := c.Next(); err != nil {
		b.Fatal(err)
	}
	if _, err := c.Reap(); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkAssemble builds a Program of a container's size: 80 calls with their
// strings, an environment, and the notes.
func BenchmarkAssemble(b *testing.B) {
	env := make([]string, 20)
	for i := range env {
		env[i] = fmt.Sprintf("VARIABLE_%d=value", i)
	}
	paths := make([]string, 40)
	for i := range paths {
		paths[i] = fmt.Sprintf("some/directory/%d", i)
	}
	b.ReportAllocs()
	for b.Loop() {
		assemble(b, func(a *Assembler) {
			for i, path := range paths {
				a.Step(i)
				fd := a.Reg()
				a.Call(fd, unix.SYS_OPENAT2, Const(unix.AT_FDCWD), a.String(path), a.OpenHow(unix.O_PATH, 0, unix.RESOLVE_IN_ROOT), OpenHowSize).
					Tolerate(unix.ENOENT).Note(path)
				a.Call(Discard, unix.SYS_CLOSE, fd.Arg())
				a.Release(fd)
			}
			a.Call(Discard, unix.SYS_EXECVE, a.String("/bin/sh"), a.Strings([]string{"sh"}), a.Strings(env))
		})
	}
}
