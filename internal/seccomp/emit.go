package seccomp

import (
	"fmt"

	"golang.org/x/net/bpf"
)

// A label is a place in the program, counted from its end: 0 is the last
// instruction.
type label int32

// maxInstructions is the longest program that the kernel takes (BPF_MAXINSNS).
const maxInstructions = 4096

// farthest is how many instructions a conditional jump can skip.
const farthest = 255

// An emitter writes a program from its end to its start.
//
// Classic BPF jumps only forward, so all places to which an instruction can go are
// known when it is written, with their distances. An instruction is written only
// together with where it goes on: nothing can fall through to what happens to come
// next. The same instruction with the same ways on is written once, so identical
// tails of the program are one.
type emitter struct {
	code []bpf.RawInstruction // backwards
	seen map[node]label
	rets []label         // of constant answers
	hops map[label]label // nearest place that leads to a distant one
}

// A node is an instruction and where it goes on.
type node struct {
	op      uint16
	k       uint32
	yes, no label
}

func newEmitter() *emitter {
	return &emitter{
		code: make([]bpf.RawInstruction, 0, 1024),
		seen: make(map[node]label, 128),
		hops: make(map[label]label, 32),
	}
}

func (e *emitter) put(i bpf.RawInstruction) label {
	e.code = append(e.code, i)
	return label(len(e.code) - 1)
}

// ret ends the program with an answer.
func (e *emitter) ret(k uint32) label {
	for _, l := range e.rets {
		if e.code[l].K == k {
			return l
		}
	}
	l := e.put(bpf.RawInstruction{Op: opRet, K: k})
	e.rets = append(e.rets, l)
	return l
}

// distance is how many instructions the next one would skip to get to a label.
func (e *emitter) distance(to label) int { return len(e.code) - int(to) - 1 }

// hop returns a place that leads to a label and can be reached from the next
// instructions.
func (e *emitter) hop(to label) label {
	if l, ok := e.hops[to]; ok && e.distance(l) < farthest {
		return l
	}
	var l label
	if i := e.code[to]; i.Op == opRet {
		l = e.put(i)
	} else {
		l = e.put(bpf.RawInstruction{Op: opJump, K: uint32(e.distance(to))})
	}
	e.hops[to] = l
	return l
}

// branch goes one of two ways by a comparison of the accumulator.
func (e *emitter) branch(op uint16, k uint32, yes, no label) label {
	for {
		switch {
		case e.distance(yes) > farthest:
			yes = e.hop(yes)
		case e.distance(no) > farthest:
			no = e.hop(no)
		default:
			return e.put(bpf.RawInstruction{Op: op, Jt: uint8(e.distance(yes)), Jf: uint8(e.distance(no)), K: k})
		}
	}
}

// then makes the next instruction be followed by a label.
func (e *emitter) then(l label) {
	if e.distance(l) > 0 {
		// Not remembered as a hop: whoever needs one may be too far from here.
		e.put(bpf.RawInstruction{Op: opJump, K: uint32(e.distance(l))})
	}
}

// load reads a word of seccomp_data into the accumulator and goes on at a label.
func (e *emitter) load(offset uint32, next label) label {
	e.then(next)
	return e.put(bpf.RawInstruction{Op: opLoad, K: offset})
}

// and keeps the bits of a mask in the accumulator.
func (e *emitter) and(mask uint32, next label) label {
	e.then(next)
	return e.put(bpf.RawInstruction{Op: opAnd, K: mask})
}

// once writes an instruction by the function, or returns where the same stands.
func (e *emitter) once(n node, write func() label) label {
	if l, ok := e.seen[n]; ok {
		return l
	}
	l := write()
	e.seen[n] = l
	return l
}

// program returns the finished program, in the order of its execution.
func (e *emitter) program(start label) ([]bpf.RawInstruction, error) {
	e.then(start)
	code := make([]bpf.RawInstruction, len(e.code))
	for i, instruction := range e.code {
		code[len(code)-1-i] = instruction
	}
	code = drop(code)
	if len(code) > maxInstructions {
		return nil, fmt.Errorf("the filter has %d instructions with identical ones merged, and the kernel takes %d", len(code), maxInstructions)
	}
	return code, check(code)
}

// drop takes out the instructions that nothing leads to: an answer that no call
// gets, or rules that a look ahead made needless.
func drop(code []bpf.RawInstruction) []bpf.RawInstruction {
	reached := make([]bool, len(code))
	place := make([]int, len(code)+1) // of each instruction in what is left
	reached[0] = true
	for i, c := range code {
		place[i+1] = place[i]
		if !reached[i] {
			continue
		}
		place[i+1]++
		if c.Op != opRet {
			yes, no := ways(i, c)
			reached[yes], reached[no] = true, true
		}
	}
	left := code[:0]
	for i, c := range code {
		if !reached[i] {
			continue
		}
		yes, no := ways(i, c)
		switch c.Op {
		case opRet, opLoad, opAnd:
		case opJump:
			c.K = uint32(place[yes] - place[i] - 1)
		default:
			c.Jt, c.Jf = uint8(place[yes]-place[i]-1), uint8(place[no]-place[i]-1)
		}
		left = append(left, c)
	}
	return left
}
