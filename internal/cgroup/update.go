package cgroup

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Update makes the writes of a set of resources as [Cgroup.WriteAll] does, but
// all or none: when the kernel refuses one, the earlier ones are taken back, the
// latest first, and the error says whether that succeeded.
//
// Memory that was reclaimed or processes that were killed to reach a limit stay
// so. A file that cannot be read holds no value that could be put back.
//
// After a success back does the same for a caller whose next step failed: it takes
// the writes back and returns the error that it is given, with that at its end.
//
// A version 2 controller that the cgroup does not have yet is turned on for it, and
// stays on: that alone limits nothing.
func (c *Cgroup) Update(writes []Write) (back func(error) error, err error) {
	if err := c.TurnOn(writes); err != nil {
		return nil, err
	}
	saved, err := c.save(writes)
	if err != nil {
		return nil, err
	}
	back = func(err error) error {
		if left := putBack(saved); left != nil {
			return fmt.Errorf("%w; then %w", err, left)
		}
		return fmt.Errorf("%w; nothing was changed", err)
	}
	if err := c.WriteAll(writes); err != nil {
		return nil, back(c.explain(err))
	}
	return back, nil
}

// Hold reads the files of the writes, whose values do not matter, and returns what gives
// those of them that somebody else has changed since their text back.
func (c *Cgroup) Hold(files []Write) (back func() error, err error) {
	saved, err := c.save(files)
	return func() error { return putBack(saved) }, err
}

// TurnOn enables the version 2 controllers of the writes, from the hierarchy's root
// downwards, so that their files are there. One that nobody has is left to the write, which
// tells it better; one that is refused is a [*WriteError] with the field that asked for it.
func (c *Cgroup) TurnOn(writes []Write) error {
	d := c.unified()
	if d == nil {
		return nil
	}
	var missing []string
	for _, w := range writes {
		if w.Unified && w.Controller != "" && !d.enabled(w.Controller) && !slices.Contains(missing, w.Controller) {
			missing = append(missing, w.Controller)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	err := enableBelow(d.Hierarchy.Dir, d.Path, missing, missing)
	var refused *WriteError
	if errors.As(err, &refused) {
		refused.Field = writes[slices.IndexFunc(writes, func(w Write) bool { return w.Unified && w.Controller == refused.Controller })].Field
	}
	return err
}

// former is what a file said before a write.
type former struct {
	dir   *openDir
	write Write
	text  string
	// instead says the same to a cgroup with processes, which takes no empty cpuset
	// once it has one of its own; "" where there is no need.
	instead string
}

// save reads the files that the writes are about to change.
func (c *Cgroup) save(writes []Write) ([]former, error) {
	saved := make([]former, 0, len(writes))
	for _, w := range writes {
		for {
			d := c.v1(w.Controller)
			if w.Unified {
				d = c.unified()
			}
			if d == nil {
				break
			}
			text, err := readAt(d.fd, w.File)
			if err == unix.ENOENT && w.Else != nil {
				w = *w.Else
				continue
			}
			switch err {
			case nil:
				f := former{dir: d, write: w, text: text}
				if strings.TrimSpace(text) == "" && (w.File == "cpuset.cpus" || w.File == "cpuset.mems") {
					f.instead, _ = readAt(d.fd, w.File+".effective")
				}
				saved = append(saved, f)
			case unix.ENOENT, unix.EINVAL, unix.EACCES:
				// Missing, or made for writing only.
			default:
				return nil, pathError("read", d.Path+"/"+w.File, err)
			}
			break
		}
	}
	return saved, nil
}

// putBack restores the files that say something else now. What the kernel does
// not take is tried once more when the others are back, since it checks some
// values against others.
func putBack(saved []former) error {
	var failed error
	for range 2 {
		failed = nil
		var again []former
		for _, f := range slices.Backward(saved) {
			switch err := f.restore(); {
			case err == nil:
				continue
			case failed == nil:
				failed = fmt.Errorf("could not be put back: %w", err)
			default:
				failed = fmt.Errorf("%w, %w", failed, err)
			}
			again = append(again, f)
		}
		slices.Reverse(again)
		saved = again
	}
	return failed
}

func (f *former) restore() error {
	text, err := readAt(f.dir.fd, f.write.File)
	if err != nil || text == f.text {
		return nil // as it was, or gone with the cgroup
	}
	for _, value := range f.values() {
		err := writeAt(f.dir.fd, f.write.File, value)
		if err == unix.ENOSPC && f.instead != "" {
			value = strings.TrimSpace(f.instead)
			err = writeAt(f.dir.fd, f.write.File, value)
		}
		if err != nil {
			w := Write{File: f.write.File, Value: value}
			return &WriteError{w, f.dir.Path + "/" + w.File, err}
		}
	}
	return nil
}

// perDevice are the files that have a line for each device that has a value, and
// what a write says after the device to take the value away.
var perDevice = [...]struct{ file, none string }{
	{"blkio.throttle.read_bps_device", "0"},
	{"blkio.throttle.write_bps_device", "0"},
	{"blkio.throttle.read_iops_device", "0"},
	{"blkio.throttle.write_iops_device", "0"},
	{"blkio.bfq.weight_device", "default"},
	{"blkio.weight_device", "0"},
	{"blkio.leaf_weight_device", "0"},
	{"io.max", "rbps=max wbps=max riops=max wiops=max"},
	{"io.weight", "default"},
	{"io.bfq.weight", "default"},
	{"io.latency", "target=max"},
	{"rdma.max", "hca_handle=max hca_object=max"},
	{"misc.max", "max"},
	{"net_prio.ifpriomap", "0"},
}

// values are the writes that make the file say again what it said: most files
// take what they give, some give more than they take at once.
func (f *former) values() []string {
	if f.write.File == "memory.oom_control" {
		return []string{fmt.Sprint(keyed(f.text, "oom_kill_disable"))}
	}
	if device, _, ok := strings.Cut(f.write.Value, " "); ok {
		for _, p := range perDevice {
			if p.file != f.write.File {
				continue
			}
			for line := range strings.Lines(f.text) {
				if strings.HasPrefix(line, device+" ") {
					return []string{strings.TrimSuffix(line, "\n")}
				}
			}
			return []string{device + " " + p.none}
		}
	}
	text := strings.TrimSuffix(f.text, "\n")
	if text == "" {
		return []string{"\n"} // an empty write(2) does nothing
	}
	return strings.Split(text, "\n")
}

// explain adds to the kernel's word what it was about.
func (c *Cgroup) explain(err error) error {
	var w *WriteError
	if !errors.As(err, &w) {
		return err
	}
	if w.Unified {
		if w.File == "cpu.max" && errors.Is(w.Err, unix.EINVAL) {
			return fmt.Errorf("%w: the period must be from 1000 to 1000000 µs, and the quota at least 1000 µs", err)
		}
		return err
	}
	d := c.v1(w.Controller)
	if d == nil {
		return err
	}
	const limit, sum = "memory.limit_in_bytes", "memory.memsw.limit_in_bytes"
	switch {
	case w.File == limit && errors.Is(w.Err, unix.EINVAL):
		if n, rerr := readNumber(d.fd, sum); rerr == nil {
			return fmt.Errorf("%w: memory and swap together are limited to %d", err, n)
		}
	case w.File == sum && errors.Is(w.Err, unix.EINVAL):
		if n, rerr := readNumber(d.fd, limit); rerr == nil {
			return fmt.Errorf("%w: memory alone is limited to %d", err, n)
		}
	case w.File == sum && errors.Is(w.Err, unix.EBUSY):
		current, rerr := readNumber(d.fd, "memory.memsw.usage_in_bytes")
		peak, rerr2 := readNumber(d.fd, "memory.memsw.max_usage_in_bytes")
		if rerr == nil && rerr2 == nil {
			return fmt.Errorf("unable to set memory and swap limit to %s (current usage: %d, peak usage: %d): %w",
				w.Value, current, peak, unix.EBUSY)
		}
	case w.File == "cpu.cfs_burst_us" && errors.Is(w.Err, unix.EINVAL):
		if text, rerr := readAt(d.fd, "cpu.cfs_quota_us"); rerr == nil {
			return fmt.Errorf("%w: the quota is %s", err, strings.TrimSpace(text))
		}
	case w.File == "cpu.shares" && errors.Is(w.Err, unix.EINVAL):
		if n, rerr := readNumber(d.fd, "cpu.idle"); rerr == nil && n == 1 {
			return fmt.Errorf("%w: the cgroup is idle and has no weight", err)
		}
	}
	return err
}

// CPUQuota returns the quota of CPU time of a version 2 cgroup in microseconds
// a period, -1 for none.
func (c *Cgroup) CPUQuota() (int64, error) {
	d := c.unified()
	if d == nil {
		return 0, fmt.Errorf("cgroup controller cpu: %w", ErrNoHierarchy)
	}
	text, err := readAt(d.fd, "cpu.max")
	if err != nil {
		return 0, pathError("read", d.Path+"/cpu.max", err)
	}
	quota, _, _ := strings.Cut(strings.TrimSuffix(text, "\n"), " ")
	if quota == "max" {
		return -1, nil
	}
	n, err := strconv.ParseInt(quota, 10, 64)
	return n, pathError("parse", d.Path+"/cpu.max", err)
}

// MemoryLimit returns the limit of memory in bytes; without one it is the
// greatest number that the kernel has.
func (c *Cgroup) MemoryLimit() (uint64, error) {
	d, file := c.v1("memory"), "memory.limit_in_bytes"
	if d == nil {
		d, file = c.unified(), "memory.max"
	}
	if d == nil {
		return 0, fmt.Errorf("cgroup controller memory: %w", ErrNoHierarchy)
	}
	n, err := readNumber(d.fd, file)
	return n, pathError("read", d.Path+"/"+file, err)
}
