package seccomp

import (
	"fmt"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// A Verdict is what a filter answers to a call, and why.
type Verdict struct {
	// Ret is what the program returns: a SECCOMP_RET_ number with its data.
	Ret uint32 `json:"ret"`
	// Action is Ret's action.
	Action specs.LinuxSeccompAction `json:"action"`
	// Data is Ret's data: the errno or the message for a tracer.
	Data uint32 `json:"data"`
	// Rule is the JSON pointer of what in config.json decided.
	Rule string `json:"rule"`
	// Reason says why, where that is not a rule of the call.
	Reason string `json:"reason,omitempty"`
	// Instructions is how many the kernel executes for it.
	Instructions int `json:"instructions"`
}

// Answer executes the program for a call, and says what it returns but not why, which
// [Filter.Judge] does. It costs a twentieth of that.
func (f *Filter) Answer(on specs.Arch, nr uint32, args [6]uint64) Verdict {
	a := findArch(on)
	if a == nil {
		return Verdict{Ret: badArch, Action: actionOf(badArch)}
	}
	ret, steps := run(f.Program, &Data{Number: nr, Arch: a.audit, Args: args}, a.big)
	return Verdict{Ret: ret, Action: actionOf(ret), Data: ret & maxTrace, Instructions: steps}
}

// Judge says what the filter answers to a call of an architecture. The number is
// as the caller gives it, on x32 with its bit.
//
// The program is executed, and the profile read once more, rule by rule: they have
// to agree.
func (f *Filter) Judge(on specs.Arch, nr uint32, args [6]uint64) (Verdict, error) {
	a := findArch(on)
	if a == nil {
		return Verdict{}, fmt.Errorf("%q is not an architecture", on)
	}
	d := &Data{Number: nr, Arch: a.audit, Args: args}
	ret, steps := run(f.Program, d, a.big)
	v := interpret(f.profile, f.native, d)
	if v.Ret != ret {
		return v, fmt.Errorf("the program returns %#x and %s says %#x", ret, v.Rule, v.Ret)
	}
	v.Action, v.Data, v.Instructions = actionOf(ret), ret&maxTrace, steps
	return v, nil
}
