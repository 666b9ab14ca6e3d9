package cgroup

import (
	"errors"
	"slices"
	"strconv"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// A Write is one value for one cgroup file.
type Write struct {
	// Field is the JSON pointer of the config field that asks for it, such as
	// /linux/resources/memory/limit.
	Field string
	// Controller finds the hierarchy: a version 1 name ("blkio") or a version
	// 2 name ("io"), as it fits Unified.
	Controller string
	// Unified tells a file of a version 2 hierarchy.
	Unified bool
	// File is the name in the container's cgroup directory.
	File string
	// Value is written as it is, with one write(2).
	Value string
	// Else is written instead when File does not exist.
	Else *Write
	// Optional means that a missing File says what Value would say.
	Optional bool
	// Retry marks a value that the kernel checks against a later one of the
	// same controller: refused with EINVAL, it is written again after that.
	Retry bool
	// AfterJoin asks to write only when the container's first process is in
	// the cgroup and the thread that entered before the fork
	// ([Cgroup.EnterThread]) is out of it: the number of processes would count
	// that thread, and version 1 memory limits could kill it.
	AfterJoin bool
}

// A FieldError is a resource that cannot be expressed on this host, or a value
// outside of its range.
type FieldError struct {
	// Field is the JSON pointer of the config field.
	Field string
	// Reason is what is wrong with it.
	Reason string
}

// Error returns "field: reason".
func (e *FieldError) Error() string { return e.Field + ": " + e.Reason }

// Writes translates resources to cgroup file writes, in the order in which
// they are to be made. Nothing is touched. Every fault is reported, joined in
// one error, each as a [*FieldError].
//
// Zero means "not set" where the kernel has no use for a zero (limits of
// memory, cpu time and weights), because engines send it so; a pids limit, a
// swappiness, a burst and an idle of zero are honoured. The deprecated kernel,
// kernelTCP and useHierarchy are ignored: no kernel since 5.16 has an effect
// for them. checkBeforeUpdate is the caller's ([Cgroup.MemoryUsage]); devices
// are no values and have a package of their own.
func Writes(l *Layout, r *specs.LinuxResources) ([]Write, error) {
	if r == nil {
		return nil, nil
	}
	t := translation{layout: l}
	// cpuset first: on version 1 nothing can join without cpus and mems.
	t.cpuset(r.CPU)
	t.cpu(r.CPU)
	t.memory(r.Memory)
	t.pids(r.Pids)
	t.blockIO(r.BlockIO)
	t.hugepages(r.HugepageLimits)
	t.rdma(r.Rdma)
	t.network(r.Network)
	// unified last: what it says about a file is to win.
	t.unified(r.Unified)
	return t.writes, errors.Join(t.faults...)
}

// Controllers returns the version 2 controllers that the writes need, each
// once, for [Dirs.Create].
func Controllers(writes []Write) []string {
	var names []string
	for _, w := range writes {
		if w.Unified && w.Controller != "cgroup" && !slices.Contains(names, w.Controller) {
			names = append(names, w.Controller)
		}
	}
	return names
}

// Split parts the writes in those before a process joins and those after.
func Split(writes []Write) (before, after []Write) {
	for _, w := range writes {
		if w.AfterJoin {
			after = append(after, w)
		} else {
			before = append(before, w)
		}
	}
	return before, after
}

// translation collects the writes and faults of one call of Writes.
type translation struct {
	layout *Layout
	writes []Write
	faults []error
}

// A target is where the fields of one controller go.
type target struct {
	*translation
	controller string
	unified    bool
}

func (t *translation) fault(field, reason string) {
	t.faults = append(t.faults, &FieldError{field, reason})
}

// target finds the hierarchy of a controller, given by its version 1 name.
// Field is named in the fault when there is none.
func (t *translation) target(field, v1 string) (target, bool) {
	v2 := v1
	if v1 == "blkio" {
		v2 = "io"
	}
	var unified bool
	for i := range t.layout.Hierarchies {
		switch h := &t.layout.Hierarchies[i]; {
		case h.Unified && h.has(v2):
			return target{t, v2, true}, true
		case !h.Unified && h.has(v1):
			return target{t, v1, false}, true
		case h.Unified:
			unified = true
		}
	}
	switch {
	case unified && t.layout.Mode == Unified && (v1 == "net_cls" || v1 == "net_prio"):
		t.fault(field, "cgroup v2 has no such setting")
	case t.layout.Mode == None:
		t.fault(field, "no cgroup file system is mounted")
	case t.layout.Mode == Unified:
		t.fault(field, "cgroup controller "+v2+" is not available")
	default:
		t.fault(field, "cgroup controller "+v1+" is not available")
	}
	return target{}, false
}

// onlyV1 reports a field that version 2 cannot express.
func (t target) onlyV1(field string) bool {
	if t.unified {
		t.fault(field, "cgroup v2 has no such setting")
	}
	return !t.unified
}

// add appends a write to the file v1 or v2, as the hierarchy is.
func (t target) add(field, v1, v2, value string) *Write {
	file := v1
	if t.unified {
		file = v2
	}
	t.writes = append(t.writes, Write{
		Field: field, Controller: t.controller, Unified: t.unified, File: file, Value: value,
	})
	return &t.writes[len(t.writes)-1]
}

// limit spells a limit: -1 is "max" on version 2 and stays -1 on version 1.
func (t target) limit(n int64) string {
	if n == -1 && t.unified {
		return "max"
	}
	return strconv.FormatInt(n, 10)
}

func (t *translation) pids(r *specs.LinuxPids) {
	const field = "/linux/resources/pids/limit"
	if r == nil || r.Limit == nil {
		return
	}
	to, ok := t.target(field, "pids")
	if !ok {
		return
	}
	value := "max"
	switch n := *r.Limit; {
	case n < -1:
		t.fault(field, "is below -1")
		return
	case n >= 0:
		// Zero is honoured: the processes that are there live on, and can
		// have no children.
		value = strconv.FormatInt(n, 10)
	}
	to.add(field, "pids.max", "pids.max", value).AfterJoin = true
}

func (t *translation) hugepages(limits []specs.LinuxHugepageLimit) {
	for i, limit := range limits {
		field := "/linux/resources/hugepageLimits/" + strconv.Itoa(i)
		if !validPageSize(limit.Pagesize) {
			t.fault(field+"/pageSize", strconv.Quote(limit.Pagesize)+" is not a size such as 64KB, 2MB or 1GB")
			continue
		}
		to, ok := t.target(field, "hugetlb")
		if !ok {
			continue
		}
		field += "/limit"
		file := "hugetlb." + limit.Pagesize
		value := strconv.FormatUint(limit.Limit, 10)
		to.add(field, file+".limit_in_bytes", file+".max", value)
		// The reservation is limited too, because a fault over the usage
		// limit is a SIGBUS and one over the reservation a failed mmap; it
		// came with kernel 5.7 and may be configured out.
		to.add(field, file+".rsvd.limit_in_bytes", file+".rsvd.max", value).Optional = true
	}
}

// validPageSize checks the <size><unit>B form of the specification.
func validPageSize(s string) bool {
	digits := strings.TrimRight(s, "KMGB")
	unit := s[len(digits):]
	if digits == "" || digits[0] == '0' || strings.Trim(digits, "0123456789") != "" {
		return false
	}
	return unit == "KB" || unit == "MB" || unit == "GB"
}

func (t *translation) rdma(limits map[string]specs.LinuxRdma) {
	names := make([]string, 0, len(limits))
	for name := range limits {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		field := "/linux/resources/rdma/" + pointer(name)
		if name == "" || strings.ContainsAny(name, " \t\n") {
			t.fault(field, "is not the name of a device")
			continue
		}
		value := name
		if n := limits[name].HcaHandles; n != nil {
			value += " hca_handle=" + strconv.FormatUint(uint64(*n), 10)
		}
		if n := limits[name].HcaObjects; n != nil {
			value += " hca_object=" + strconv.FormatUint(uint64(*n), 10)
		}
		if value == name {
			continue
		}
		if to, ok := t.target(field, "rdma"); ok {
			to.add(field, "rdma.max", "rdma.max", value)
		}
	}
}

func (t *translation) network(r *specs.LinuxNetwork) {
	if r == nil {
		return
	}
	if r.ClassID != nil {
		const field = "/linux/resources/network/classID"
		if to, ok := t.target(field, "net_cls"); ok && to.onlyV1(field) {
			to.add(field, "net_cls.classid", "", strconv.FormatUint(uint64(*r.ClassID), 10))
		}
	}
	for i, p := range r.Priorities {
		field := "/linux/resources/network/priorities/" + strconv.Itoa(i)
		if p.Name == "" || strings.ContainsAny(p.Name, " \t\n") {
			t.fault(field+"/name", "is not the name of an interface")
			continue
		}
		if to, ok := t.target(field, "net_prio"); ok && to.onlyV1(field) {
			to.add(field, "net_prio.ifpriomap", "", p.Name+" "+strconv.FormatUint(uint64(p.Priority), 10))
		}
	}
}

func (t *translation) unified(values map[string]string) {
	if len(values) == 0 {
		return
	}
	if t.layout.Mode != Unified {
		// "An error MUST be generated": config-linux.md, Unified.
		t.fault("/linux/resources/unified", "needs cgroup v2; this host has "+t.layout.Mode.String())
		return
	}
	names := make([]string, 0, len(values))
	for name := range values {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		field := "/linux/resources/unified/" + pointer(name)
		controller, _, dotted := strings.Cut(name, ".")
		switch {
		case strings.Contains(name, "/"):
			t.fault(field, "is not a file name: it has a slash")
			continue
		case !dotted || controller == "":
			t.fault(field, "is not of the form controller.parameter")
			continue
		case name == "cgroup.procs", name == "cgroup.threads", name == "cgroup.kill", name == "cgroup.freeze":
			t.fault(field, "acts on processes and is no resource")
			continue
		case controller != "cgroup" && !t.layout.Hierarchies[0].has(controller):
			t.fault(field, "cgroup controller "+controller+" is not available")
			continue
		}
		add := func(value string) {
			t.writes = append(t.writes, Write{
				Field: field, Controller: controller, Unified: true, File: name, Value: value,
				AfterJoin: name == "pids.max",
			})
		}
		// The files take one line at a time. An empty value, which resets
		// cpuset.cpus, needs its newline: an empty write(2) does nothing.
		if strings.Trim(values[name], "\n") == "" {
			add("\n")
			continue
		}
		for line := range strings.SplitSeq(values[name], "\n") {
			if line != "" {
				add(line)
			}
		}
	}
}

// pointer escapes one reference token of a JSON pointer, RFC 6901 section 3.
func pointer(token string) string {
	return strings.ReplaceAll(strings.ReplaceAll(token, "~", "~0"), "/", "~1")
}
