package spec

import (
	"math"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// noID is the id that setresuid(2) and chown(2) take as "leave as it is": a
// process that asked for it would keep the runtime's own.
const noID = math.MaxUint32

// process checks a process. Capabilities are not judged: one that is unknown or
// cannot be granted is worth a warning, not an error (config.md, "Linux Process").
func (c *checker) process(at *pointer, p *specs.Process) {
	user := at.field("user")
	c.user(&user, &p.User)

	args := at.field("args")
	if len(p.Args) == 0 {
		c.bad(args, "must have at least one entry: the program to run")
	} else if p.Args[0] == "" {
		c.bad(args.item(0), "must not be empty: the program to run")
	}
	c.texts(args, p.Args)
	c.environ(at.field("env"), p.Env)
	c.absolute(at.field("cwd"), p.Cwd)
	c.rlimits(at.field("rlimits"), p.Rlimits)
	c.text(at.field("apparmorProfile"), p.ApparmorProfile)
	if adj := p.OOMScoreAdj; adj != nil && (*adj < -1000 || *adj > 1000) {
		c.bad(at.field("oomScoreAdj"), "must be from -1000 to 1000, is %d", *adj)
	}
	if p.Scheduler != nil {
		in := at.field("scheduler")
		c.scheduler(&in, p.Scheduler)
	}
	c.text(at.field("selinuxLabel"), p.SelinuxLabel)
	if p.IOPriority != nil {
		in := at.field("ioPriority")
		c.known(in.field("class"), string(p.IOPriority.Class), IOPriorityClasses)
		if n := p.IOPriority.Priority; n < 0 || n > 7 {
			c.bad(in.field("priority"), "must be from 0 to 7, is %d", n)
		}
	}
	if p.ExecCPUAffinity != nil {
		in := at.field("execCPUAffinity")
		c.ranges(in.field("initial"), p.ExecCPUAffinity.Initial)
		c.ranges(in.field("final"), p.ExecCPUAffinity.Final)
	}
}

func (c *checker) user(at *pointer, u *specs.User) {
	c.id(at.field("uid"), u.UID)
	c.id(at.field("gid"), u.GID)
	if u.Umask != nil && *u.Umask > 0o777 {
		c.bad(at.field("umask"), "must be at most 511 (octal 777), is %d (octal %[1]o)", *u.Umask)
	}
	gids := at.field("additionalGids")
	for i, gid := range u.AdditionalGids {
		c.id(gids.item(i), gid)
	}
}

func (c *checker) id(at pointer, id uint32) {
	if id == noID {
		c.bad(at, "must be below %d, which stands for no id", uint32(noID))
	}
}

func (c *checker) rlimits(list pointer, limits []specs.POSIXRlimit) {
	for i := range limits {
		at, limit := list.item(i), &limits[i]
		if c.known(at.field("type"), limit.Type, Rlimits) {
			for j := range limits[:i] {
				if limits[j].Type == limit.Type {
					c.bad(at.field("type"), "must not be given twice, is %s as in entry %d", limit.Type, j)
					break
				}
			}
		}
		if limit.Soft > limit.Hard {
			c.bad(at.field("soft"), "must be at most the hard limit %d, is %d", limit.Hard, limit.Soft)
		}
	}
}

// scheduler checks what sched_setattr(2) would answer with a bare EINVAL.
func (c *checker) scheduler(at *pointer, s *specs.Scheduler) {
	policy := s.Policy
	known := c.known(at.field("policy"), string(policy), SchedulerPolicies)
	if s.Nice != 0 && (s.Nice < -20 || s.Nice > 19) {
		c.bad(at.field("nice"), "must be from -20 to 19, is %d", s.Nice)
	}
	switch {
	case !known:
	case policy == specs.SchedFIFO || policy == specs.SchedRR:
		if s.Priority < 1 || s.Priority > 99 {
			c.bad(at.field("priority"), "must be from 1 to 99 with %s, is %d", policy, s.Priority)
		}
	case s.Priority != 0:
		c.bad(at.field("priority"), "must be given with SCHED_FIFO and SCHED_RR alone, is %d with %s", s.Priority, policy)
	}
	flags := at.field("flags")
	for i, flag := range s.Flags {
		c.known(flags.item(i), string(flag), SchedulerFlags)
	}
	switch {
	case !known:
	case policy == specs.SchedDeadline:
		c.deadline(at, s)
	default:
		for _, x := range [...]struct {
			name  string
			value uint64
		}{{"runtime", s.Runtime}, {"deadline", s.Deadline}, {"period", s.Period}} {
			if x.value != 0 {
				c.bad(at.field(x.name), "must be given with SCHED_DEADLINE alone, is %d with %s", x.value, policy)
			}
		}
	}
}

// deadline checks the times of SCHED_DEADLINE (sched(7)): at least 1024 ns, below
// 2^63 ns, and runtime <= deadline <= period. A period of 0 is the deadline.
func (c *checker) deadline(at *pointer, s *specs.Scheduler) {
	const least, most = 1024, 1<<63 - 1
	if s.Runtime < least || s.Runtime > most {
		c.bad(at.field("runtime"), "must be from %d to %d ns with SCHED_DEADLINE, is %d", least, uint64(most), s.Runtime)
	}
	switch {
	case s.Deadline < least || s.Deadline > most:
		c.bad(at.field("deadline"), "must be from %d to %d ns with SCHED_DEADLINE, is %d", least, uint64(most), s.Deadline)
	case s.Deadline < s.Runtime:
		c.bad(at.field("deadline"), "must be at least the runtime of %d ns, is %d", s.Runtime, s.Deadline)
	}
	switch {
	case s.Period == 0:
	case s.Period < least || s.Period > most:
		c.bad(at.field("period"), "must be from %d to %d ns with SCHED_DEADLINE, is %d", least, uint64(most), s.Period)
	case s.Period < s.Deadline:
		c.bad(at.field("period"), "must be at least the deadline of %d ns, is %d", s.Deadline, s.Period)
	}
}
