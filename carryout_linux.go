package main

import (
	"time"

	"golang.org/x/sys/unix"

	"github.com/oci-mini/oci-mini/internal/plan"
	"github.com/oci-mini/oci-mini/internal/program"
)

// carryOut executes the Plan up to the point where init has finished its part:
// it executed the process, or waits for start. On failure, what the runtime made
// is undone and the error names the step.
func (b *birth) carryOut(p *plan.Plan, undo *undoStack) error {
	defer b.closeOpened()
	for i := range p.Clone {
		if err := b.do(&p.Steps[i], undo); err != nil {
			return err
		}
	}

	code, err := assemble(p)
	if err != nil {
		return err
	}
	b.code = code
	b.child, err = code.Launch(b.cloneOptions())
	if err != nil {
		return stepError(&p.Steps[p.Clone], err)
	}
	undo.push(func() error {
		_ = b.child.Kill()
		_, err := b.child.Reap()
		b.child.Release()
		return err
	})
	logDone(&p.Steps[p.Clone])
	if b.launched != nil {
		if err := b.launched(); err != nil {
			return err
		}
	}
	next := p.Clone + 1
	for ; p.Steps[next].Beside; next++ { // while init begins
		if err := b.do(&p.Steps[next], undo); err != nil {
			return err
		}
	}
	return b.serve(p, undo, next)
}

// assemble translates the steps after the clone: those of init to instructions,
// those of the runtime to points at which init waits for them.
func assemble(p *plan.Plan) (*program.Program, error) {
	a := program.NewAssembler()
	for i := p.Clone + 1; i < len(p.Steps); i++ {
		s := &p.Steps[i]
		a.Step(i)
		switch {
		case s.By == plan.Init:
			s.Assemble(a)
		case s.Beside:
		case i == p.Clone+1 || p.Steps[i-1].By == plan.Init:
			// Consecutive steps of the runtime share one sync point. The token
			// only has to be one: the order is known.
			a.Sync(1)
		}
	}
	return a.Finish()
}

// serve does the runtime's steps from next on while init waits for each at its sync point.
func (b *birth) serve(p *plan.Plan, undo *undoStack, next int) error {
	passed := func(end int) { // by init, up to a step
		for ; next < end; next++ {
			logDone(&p.Steps[next])
		}
	}
	for {
		event, err := b.next()
		if err != nil {
			passed(failedStep(p, err))
			return b.initError(p, err)
		}
		if event.Started {
			passed(len(p.Steps))
			return nil
		}
		beside := event.Token == tokenListener
		if beside { // what follows happens while init goes on
			if err := b.child.Continue(); err != nil {
				return b.initError(p, err)
			}
		}
		for next < len(p.Steps) && p.Steps[next].By == plan.Init {
			passed(next + 1)
		}
		for ; next < len(p.Steps) && p.Steps[next].By == plan.Runtime; next++ {
			if err := b.do(&p.Steps[next], undo); err != nil {
				return err
			}
		}
		if beside {
			continue
		}
		if err := b.child.Continue(); err != nil {
			return b.initError(p, err)
		}
		if b.opt.wait && b.settled {
			return nil
		}
	}
}

// heedEvery is how long a signal may wait until it ends a creation.
const heedEvery = 20 * time.Millisecond

// next waits for init, and ends it if a signal comes meanwhile: nothing bounds how
// long a mount may take. It looks for signals between waits rather than from another
// goroutine, because most waits are over before that would have begun.
func (b *birth) next() (program.Event, error) {
	for {
		if err := b.interrupted(); err != nil {
			_ = b.child.Kill()
			return program.Event{}, err
		}
		event, happened, err := b.child.Poll(heedEvery)
		if happened || err != nil {
			return event, err
		}
	}
}

// interrupted returns an error if a signal has come.
func (b *birth) interrupted() error {
	if b.signals == nil {
		return nil
	}
	if sig := b.signals.Next(); sig != 0 {
		return errInterrupted{sig}
	}
	return nil
}

// do executes one step of the runtime, unless a signal has come meanwhile.
func (b *birth) do(s *plan.Step, undo *undoStack) error {
	if err := b.interrupted(); err != nil {
		return err
	}
	back, err := s.Do()
	if back != nil {
		undo.push(back)
	}
	if err != nil {
		return stepError(s, err)
	}
	logDone(s)
	return nil
}

// logDone writes the debug record of a step that is done. Of init that is known at its next
// sync point.
func logDone(s *plan.Step) {
	if log.Debugging() {
		log.Debug(s.String())
	}
}

// cloneOptions is what the clone needs besides the Program.
func (b *birth) cloneOptions() program.Options {
	opt := program.Options{Flags: b.ns.cloned(), CgroupFd: -1}
	if b.cgroup != nil {
		opt.CgroupFd = b.cgroup.UnifiedFd()
	}
	switch {
	case b.joins:
		opt.Flags = 0
	case b.entersPids() && !b.ns.staged:
		// Only the process that is forked into the pid namespace goes into the
		// cgroup as well; see enterPids.
		opt.CgroupFd = -1
	}
	if b.cloneOn != nil || b.cgroup != nil && b.cgroup.HasV1() {
		opt.Prepare, opt.Restore = b.prepareThread, b.restoreThread
	}
	return opt
}

// closeOpened lets go of all that was only for the making.
func (b *birth) closeOpened() {
	for _, child := range b.aside {
		_ = child.Kill()
		_, _ = child.Reap()
		child.Release()
	}
	b.aside = nil
	for _, fd := range b.opened {
		_ = unix.Close(fd)
	}
	b.opened = nil
}
