// Package plan describes a container's birth before it happens: an ordered list
// of steps, each with the field of config.json that asked for it, what it does
// in words, who does it and why it stands where it stands.
//
// A Plan is made by pure functions of the configuration and of facts about the
// host; making it touches nothing. Its steps also carry what executes them:
// [Step.Do] for the runtime process, [Step.Assemble] for the container's first
// process. One loop over the list is the whole execution, and the same list is
// printed by `explain`.
package plan

import (
	"strings"

	"github.com/oci-mini/oci-mini/internal/program"
)

// Executor is the process that carries out a step.
type Executor string

const (
	// Runtime is the oci-mini process that the caller started.
	Runtime Executor = "runtime"
	// Init is the container's first process, between its clone and its execve.
	Init Executor = "init"
	// Criu is the program criu at a restore, in the place of Init. Its step ends when it tells
	// of what is its Name, and it waits then for the runtime's that follow.
	Criu Executor = "criu"
)

// Step is one thing that happens.
type Step struct {
	// Field is the JSON pointer (RFC 6901) into config.json of what asked for
	// the step, or "" for what every container needs.
	Field string `json:"field,omitempty"`
	// By says who does it.
	By Executor `json:"by"`
	// Words say what happens, in the imperative: "mount proc on /proc".
	Words string `json:"words"`
	// Name is what an error calls the step, where Words would be long: "proc on
	// /proc".
	Name string `json:"-"`
	// Detail are particulars that `explain` shows and error texts leave out,
	// such as the options of a mount.
	Detail string `json:"detail,omitempty"`
	// Reason says why the step stands at this place, where that is not obvious.
	Reason string `json:"reason,omitempty"`
	// Shell are the lines that a person would type for the step, for a script
	// that [Plan.Script] writes. It is filled only to be explained.
	Shell []string `json:"shell,omitempty"`

	// Beside says of a step of the runtime that init goes on meanwhile, and not to a sync
	// point first. Directly behind the clone such steps are done before the runtime waits for
	// init; elsewhere, where init tells it to.
	Beside bool `json:"-"`
	// Do executes a step of the runtime and returns how to undo what outlives
	// the process, or nil where nothing does.
	Do func() (undo func() error, err error) `json:"-"`
	// Assemble appends the instructions of a step of init. It runs after all
	// runtime steps before the clone, so that it may use what they opened.
	Assemble func(*program.Assembler) `json:"-"`
}

// String is the step in one line, for the log: "init: mount proc on /proc (/mounts/0)".
func (s *Step) String() string {
	var b strings.Builder
	b.WriteString(string(s.By) + ": " + s.Words)
	if s.Field != "" {
		b.WriteString(" (" + s.Field + ")")
	}
	if s.Detail != "" {
		b.WriteString(": " + s.Detail)
	}
	return b.String()
}

// Plan is the list of steps in the order of time.
type Plan struct {
	Steps []Step `json:"steps"`
	// Clone is the index of the step that creates the first process, or CRIU. Runtime
	// steps before it happen first; one after it happens while init waits for it.
	Clone int `json:"clone"`
	// Caller is whom [Plan.Script] is for, such as "root".
	Caller string `json:"-"`
}

// Add appends steps.
func (p *Plan) Add(steps ...Step) { p.Steps = append(p.Steps, steps...) }

// AddClone appends the step that creates the first process.
func (p *Plan) AddClone(s Step) {
	p.Clone = len(p.Steps)
	p.Add(s)
}
