package program

import (
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestAssemblerFaults(t *testing.T) {
	tests := []struct {
		name  string
		build func(*Assembler)
		want  string
	}{
		{"out of registers", func(a *Assembler) {
			for range numRegs + 1 {
				a.Reg()
			}
		}, "out of registers"},
		{"operands", func(a *Assembler) {
			a.Call(Discard, unix.SYS_GETPID, make([]Arg, 7)...)
		}, "7 operands"},
		{"errnos", func(a *Assembler) {
			c := a.Call(Discard, unix.SYS_GETPID)
			for e := range unix.Errno(maxErrnos + 1) {
				c.Tolerate(e + 1)
			}
		}, "more than 6 errnos"},
		{"NUL in a string", func(a *Assembler) { a.String("a\x00b") }, `string "a\x00b" has a NUL`},
		{"NUL in a list", func(a *Assembler) { a.Strings([]string{"ok", "\x00"}) }, "NUL"},
		{"NUL in a note for a peer", func(a *Assembler) {
			a.ReportTo(Const(3))
			a.Call(Discard, unix.SYS_GETPID).Note("a\x00")
		}, "NUL"},
		{"label bound twice", func(a *Assembler) {
			l := a.NewLabel()
			a.Bind(l)
			a.Bind(l)
		}, "label 0 bound twice"},
		{"label of a jump not bound", func(a *Assembler) { a.Jump(a.NewLabel()) }, "label 0 is never bound"},
		{"label of an errno not bound", func(a *Assembler) {
			a.Call(Discard, unix.SYS_GETPID).On(unix.EPERM, a.NewLabel())
		}, "never bound"},
		{"negative slot", func(a *Assembler) { a.Publish(-1, Const(0)) }, "value slot -1"},
		{"slot past the end", func(a *Assembler) { a.Publish(numValues, Const(0)) }, "value slot 16"},
		{"fork's slot", func(a *Assembler) { a.Fork(numValues, -1) }, "value slot 16"},
		{"second fork", func(a *Assembler) { a.Fork(0, -1); a.Fork(1, -1) }, "second fork"},
		{"discarded result as an operand", func(a *Assembler) { a.Publish(0, Discard.Arg()) }, "register 255 as operand"},
		{"discarded result as an fs context", func(a *Assembler) {
			a.Call(Discard, unix.SYS_GETPID).Message(Discard)
		}, "register 255 as fs context"},
		{"pointer past the structure", func(a *Assembler) {
			a.PointTo(a.Words(0), 1, Arg{kindArena, 0})
		}, "past the end"},
		{"pointer before the structure", func(a *Assembler) {
			s := a.String("before")
			a.PointTo(a.Words(0), -8, s)
		}, "past the end"},
		{"pointer to scratch", func(a *Assembler) { a.PointTo(a.Words(0), 0, Scratch(0)) }, "not in the arena"},
		{"pointer to a constant", func(a *Assembler) { a.PointTo(a.Words(0), 0, Const(0)) }, "not in the arena"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := NewAssembler()
			tt.build(a)
			p, err := a.Finish()
			if err == nil || !strings.Contains(err.Error(), tt.want) || p != nil {
				t.Fatalf("%v, %v; want a fault with %q", p, err, tt.want)
			}
			if !strings.HasPrefix(err.Error(), "program: ") {
				t.Errorf("%v does not say whose it is", err)
			}
		})
	}
}

// TestFirstFault: what follows a fault is often its consequence.
func TestFirstFault(t *testing.T) {
	a := NewAssembler()
	a.Publish(99, Const(0))
	a.String("\x00")
	if _, err := a.Finish(); err == nil || !strings.Contains(err.Error(), "value slot 99") {
		t.Errorf("%v, want the first fault", err)
	}
}

func TestRegisters(t *testing.T) {
	a := NewAssembler()
	seen := map[Reg]bool{}
	for range numRegs {
		seen[a.Reg()] = true
	}
	if len(seen) != numRegs {
		t.Fatalf("%d different registers of %d", len(seen), numRegs)
	}
	a.Release(5, Discard, 9)
	if x, y := a.Reg(), a.Reg(); x != 5 || y != 9 {
		t.Errorf("got %d and %d of the released 5 and 9", x, y)
	}
	if _, err := a.Finish(); err != nil {
		t.Error(err)
	}
	a.Reg()
	if _, err := a.Finish(); err == nil {
		t.Error("one register too many and no fault")
	}
}

func TestArenaPlaces(t *testing.T) {
	a := NewAssembler()
	x := a.String("x")
	if again := a.String("x"); again != x {
		t.Errorf("equal strings at %d and %d", x.value, again.value)
	}
	for range 3 { // memory that a call may write is not shared
		b := a.Bytes([]byte{1, 2, 3})
		if b.value%8 != 0 || b.value < uintptr(len("x")+1) {
			t.Errorf("bytes at %d", b.value)
		}
		if c := a.Bytes([]byte{1, 2, 3}); c == b {
			t.Error("equal bytes share their place")
		}
	}
	// A Program whose arena grew: its pointers must mean the final place.
	list := []string{strings.Repeat("long", 20000), "end"}
	table := a.Strings(list)
	for range 100 {
		a.Bytes(make([]byte, 4096))
	}
	p, err := a.Finish()
	if err != nil {
		t.Fatal(err)
	}
	if got := cStrings(p, table); len(got) != 2 || got[0] != list[0] || got[1] != list[1] {
		t.Errorf("strings of %d entries do not read back", len(got))
	}
}

func TestScratchRange(t *testing.T) {
	for _, offset := range []int{-1, ScratchSize} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("offset %d is accepted", offset)
				}
			}()
			Scratch(offset)
		}()
	}
}

func TestOrigins(t *testing.T) {
	p := assemble(t, func(a *Assembler) {
		a.Step(4)
		a.Call(Discard, unix.SYS_GETPID).Note("who")
		a.Step(5)
		a.Exit(0)
	})
	want := []Origin{
		{4, unix.SYS_GETPID, "who"},
		{5, noCall, ""},
		{5, noCall, "end of program"},
	}
	if p.Len() != len(want) {
		t.Fatalf("%d instructions", p.Len())
	}
	for i, o := range p.Origins() {
		if o != want[i] {
			t.Errorf("instruction %d comes from %+v, want %+v", i, o, want[i])
		}
	}
}
