package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"github.com/urfave/cli/v2"

	"github.com/oci-mini/oci-mini/internal/cgroup"
	"github.com/oci-mini/oci-mini/internal/state"
	"github.com/oci-mini/oci-mini/internal/systemd"
	"github.com/oci-mini/oci-mini/spec"
)

var updateCommand = &cli.Command{
	Name:      "update",
	Usage:     "change a container's resource limits: all that are given, or none",
	ArgsUsage: "ID",
	Description: "The JSON of --resources is that of linux.resources in config.json; what it leaves\n" +
		"out stays as it is, and so do devices, whose rules cannot change. Other flags win\n" +
		"over it. SIZE is bytes, or a number with K, M, G or T; -1 is no limit.",
	Flags: []cli.Flag{
		&cli.StringFlag{Name: "resources", Aliases: []string{"r"}, Usage: "read resources as JSON from this `FILE`, - for standard input"},
		&cli.StringFlag{Name: "blkio-weight", Usage: "block I/O `WEIGHT`, 10 to 1000"},
		&cli.StringFlag{Name: "cpu-period", Usage: "period of the CPU quota, in `MICROSECONDS`"},
		&cli.StringFlag{Name: "cpu-quota", Usage: "CPU time in a period, in `MICROSECONDS`; -1 is no limit"},
		&cli.StringFlag{Name: "cpu-burst", Usage: "CPU time saved up beyond the quota, in `MICROSECONDS`"},
		&cli.StringFlag{Name: "cpu-share", Usage: "CPU `SHARES` against other cgroups, 2 to 262144"},
		&cli.StringFlag{Name: "cpu-rt-period", Usage: "period of the realtime CPU time, in `MICROSECONDS` (cgroup v1)"},
		&cli.StringFlag{Name: "cpu-rt-runtime", Usage: "realtime CPU time in a period, in `MICROSECONDS` (cgroup v1)"},
		&cli.StringFlag{Name: "cpu-idle", Usage: "`1` runs the container only when nothing else wants to run, 0 not"},
		&cli.StringFlag{Name: "cpuset-cpus", Usage: "`LIST` of the CPUs to use, such as 0-3,7"},
		&cli.StringFlag{Name: "cpuset-mems", Usage: "`LIST` of the memory nodes to use"},
		&cli.StringFlag{Name: "memory", Usage: "memory limit, a `SIZE`"},
		&cli.StringFlag{Name: "memory-reservation", Usage: "memory reservation (soft limit), a `SIZE`"},
		&cli.StringFlag{Name: "memory-swap", Usage: "limit of memory and swap together, a `SIZE`"},
		&cli.StringFlag{Name: "kernel-memory", Hidden: true, Usage: "ignored"},
		&cli.StringFlag{Name: "kernel-memory-tcp", Hidden: true, Usage: "ignored"},
		&cli.StringFlag{Name: "pids-limit", Usage: "greatest `NUMBER` of processes and threads; -1 is no limit"},
		&cli.StringFlag{Name: "l3-cache-schema", Usage: "`SCHEMA` of the L3 cache, such as L3:0=7f0;1=1f (Intel RDT)"},
		&cli.StringFlag{Name: "mem-bw-schema", Usage: "`SCHEMA` of memory bandwidth, such as MB:0=20;1=70 (Intel RDT)"},
	},
	Action: func(c *cli.Context) error {
		if err := arguments(c, 1, 1); err != nil {
			return err
		}
		id := c.Args().First()
		r := &specs.LinuxResources{}
		err := readResources(r, c.String("resources"), c.App.Reader)
		if err == nil {
			err = resourceFlags(r, c.String)
		}
		if err != nil {
			return failed(c, id, err)
		}
		if ignoresKernelMemory(r.Memory) || c.String("kernel-memory") != "" || c.String("kernel-memory-tcp") != "" {
			const text = "the limits of kernel memory are ignored: no kernel since 5.16 has them"
			fmt.Fprintf(os.Stderr, "oci-mini: update %s: %s\n", id, text)
			log.Warn(text)
		}
		dir, err := lock(c, id)
		if err != nil {
			return err
		}
		defer dir.Close()
		return failed(c, id, updateContainer(dir, r, c.String("l3-cache-schema"), c.String("mem-bw-schema")))
	},
}

// updateContainer changes what is asked for of a container, be it created, running or paused:
// all of it, or nothing.
func updateContainer(dir *state.Dir, r *specs.LinuxResources, l3CacheSchema, memBwSchema string) error {
	switch status, _ := statusOf(dir); status {
	case specs.StateStopped:
		return errNotRunning
	case specs.StateCreating:
		return errors.New("cannot update a container that is still being created")
	}
	back, err := updateRdt(dir.Record, l3CacheSchema, memBwSchema)
	if err != nil {
		return err
	}
	if l3CacheSchema+memBwSchema != "" && asksNothing(r) {
		return nil // a resctrl group is no cgroup
	}
	if err := setLimits(dir, r); err != nil {
		return withCleanup(err, back())
	}
	return nil
}

// asksNothing says whether resources are as resourceFlags leaves them without any flag.
func asksNothing(r *specs.LinuxResources) bool {
	return reflect.DeepEqual(*r, specs.LinuxResources{
		Memory: &specs.LinuxMemory{}, CPU: &specs.LinuxCPU{}, Pids: &specs.LinuxPids{}, BlockIO: &specs.LinuxBlockIO{},
	})
}

// readResources reads the document of --resources, if there is one.
func readResources(r *specs.LinuxResources, name string, stdin io.Reader) (err error) {
	var data []byte
	piped := name == "-" // by an engine, which nothing else is to be told than the outcome
	switch name {
	case "":
		return nil
	case "-":
		name = "standard input"
		data, err = io.ReadAll(stdin)
	default:
		data, err = os.ReadFile(name)
	}
	if err != nil {
		return err
	}
	if err = spec.Decode(name, data, r); err == nil {
		for _, f := range spec.UnreadOf(data, new(specs.LinuxResources)) {
			sayWarning(piped, f.String())
		}
	}
	// Devices are skipped on purpose, as by other runtimes: what makes devices
	// available later, such as a GPU's hook, has changed the rules itself.
	r.Devices = nil
	return err
}

// resourceFlags sets what the flags say. flag returns the value of one, "" if it
// was not given.
func resourceFlags(r *specs.LinuxResources, flag func(string) string) error {
	// An empty object asks for nothing.
	r.Memory, r.CPU = orNew(r.Memory), orNew(r.CPU)
	r.Pids, r.BlockIO = orNew(r.Pids), orNew(r.BlockIO)
	for name, to := range map[string]*string{"cpuset-cpus": &r.CPU.Cpus, "cpuset-mems": &r.CPU.Mems} {
		if list := flag(name); list != "" {
			*to = list
		}
	}
	for _, f := range []struct {
		name string
		to   **uint64
	}{
		{"cpu-period", &r.CPU.Period},
		{"cpu-burst", &r.CPU.Burst},
		{"cpu-share", &r.CPU.Shares},
		{"cpu-rt-period", &r.CPU.RealtimePeriod},
	} {
		if text := flag(f.name); text != "" {
			n, err := strconv.ParseUint(text, 10, 64)
			if err != nil {
				return fmt.Errorf("--%s: %w", f.name, notNumber(text, err))
			}
			*f.to = &n
		}
	}
	signed := func(text string) (int64, error) {
		n, err := strconv.ParseInt(text, 10, 64)
		return n, notNumber(text, err)
	}
	for _, f := range []struct {
		name  string
		to    **int64
		parse func(string) (int64, error)
	}{
		{"cpu-quota", &r.CPU.Quota, signed},
		{"cpu-rt-runtime", &r.CPU.RealtimeRuntime, signed},
		{"cpu-idle", &r.CPU.Idle, signed},
		{"memory", &r.Memory.Limit, parseSize},
		{"memory-reservation", &r.Memory.Reservation, parseSize},
		{"memory-swap", &r.Memory.Swap, parseSize},
		{"pids-limit", &r.Pids.Limit, signed},
	} {
		if text := flag(f.name); text != "" {
			n, err := f.parse(text)
			if err != nil {
				return fmt.Errorf("--%s: %w", f.name, err)
			}
			*f.to = &n
		}
	}
	if text := flag("blkio-weight"); text != "" {
		n, err := strconv.ParseUint(text, 10, 16)
		if err != nil {
			return fmt.Errorf("--blkio-weight: %w", notNumber(text, err))
		}
		weight := uint16(n)
		r.BlockIO.Weight = &weight
	}
	return nil
}

func orNew[T any](p *T) *T {
	if p == nil {
		p = new(T)
	}
	return p
}

// notNumber is the error for a text that strconv did not take.
func notNumber(text string, err error) error {
	switch {
	case errors.Is(err, strconv.ErrRange):
		return fmt.Errorf("%s is too large", text)
	case err != nil:
		return fmt.Errorf("%q is not a number", text)
	}
	return nil
}

// parseSize parses a number of bytes such as 1048576, 64M, 1.5g, 512 KiB or -1.
// Units count by 1024, as engines mean them, with and without the i.
func parseSize(text string) (int64, error) {
	if text == "-1" {
		return -1, nil
	}
	number := strings.TrimRight(text, "bBiIkKmMgGtTpP ")
	unit := strings.ToLower(strings.TrimSpace(text[len(number):]))
	factor := float64(1)
	if unit != "" && unit != "b" {
		i := strings.IndexByte("kmgtp", unit[0])
		if rest := unit[1:]; i < 0 || rest != "" && rest != "b" && rest != "ib" {
			return 0, fmt.Errorf("%q is not a size such as 1048576, 64M or 1.5G", text)
		}
		factor = math.Pow(1024, float64(i+1))
	}
	if n, err := strconv.ParseUint(number, 10, 63); err == nil && factor == 1 {
		return int64(n), nil
	}
	n, err := strconv.ParseFloat(number, 64)
	if err != nil || strings.Trim(number, "0123456789.") != "" {
		return 0, fmt.Errorf("%q is not a size such as 1048576, 64M or 1.5G", text)
	}
	if n *= factor; n >= math.MaxInt64 {
		return 0, fmt.Errorf("%s is too large", text)
	}
	return int64(n), nil
}

func ignoresKernelMemory(m *specs.LinuxMemory) bool {
	if m == nil {
		return false
	}
	//lint:ignore SA1019 it is looked at to be ignored aloud
	kernel, tcp := m.Kernel, m.KernelTCP
	return kernel != nil && *kernel != 0 || tcp != nil && *tcp != 0
}

// setLimits changes the limits of a container.
func setLimits(dir *state.Dir, r *specs.LinuxResources) error {
	if len(dir.Record.Cgroup.Dirs) == 0 {
		return errors.New("it was created without a cgroup")
	}
	layout, err := cgroup.Detect()
	if err != nil {
		return err
	}
	cg, err := cgroup.OpenExisting(ownDirs(dir.Record))
	if err != nil {
		return err
	}
	defer cg.Close()
	if err := spec.ValidateResources(r); err != nil {
		return err
	}
	if err := checkMemory(dir, r.Memory, cg.MemoryUsage); err != nil {
		return err
	}
	if err := merge(r, layout, cg.CPUQuota, cg.MemoryLimit); err != nil {
		return err
	}
	writes, err := cgroup.Writes(layout, r)
	if err != nil {
		return ofResources(err)
	}
	var before []systemd.Property
	if dir.Record.Cgroup.Unit != "" {
		// Before a controller is on, there is nothing to read that could be put back.
		if err := cg.TurnOn(writes); err != nil {
			return ofWrite(err)
		}
		before = presentProperties(cg.Present, writes)
	}
	back, err := cg.Update(writes)
	if err == nil && dir.Record.Cgroup.Unit != "" {
		err = keepLimits(dir.Record, cg, writes, before, back)
	}
	return ofWrite(err)
}

// ofWrite puts the field that asked for a write in front of what was refused of it.
func ofWrite(err error) error {
	var refused *cgroup.WriteError
	if errors.As(err, &refused) && refused.Field != "" {
		err = fmt.Errorf("%s: %w", inResources(refused.Field), err)
	}
	return err
}

// merge adds present values to those that cannot be written alone. A file of
// cgroup v2 may hold two settings: the quota with its period, and the
// specification's swap includes the memory.
func merge(r *specs.LinuxResources, l *cgroup.Layout, quota func() (int64, error), limit func() (uint64, error)) error {
	if c := r.CPU; c != nil && isSet(c.Period) && !isSet(c.Quota) && !onV1(l, "cpu") {
		switch n, err := quota(); {
		case err == nil:
			c.Quota = &n
		case !errors.Is(err, fs.ErrNotExist): // else the write tells it better
			return err
		}
	}
	if m := r.Memory; m != nil && m.Swap != nil && *m.Swap > 0 && !isSet(m.Limit) && !onV1(l, "memory") {
		switch n, err := limit(); {
		case err == nil && n <= math.MaxInt64:
			present := int64(n)
			if *m.Swap < present {
				return fmt.Errorf("/memory/swap: memory and swap together (%d) is below the memory limit (%d)", *m.Swap, present)
			}
			m.Limit = &present
		case err != nil && !errors.Is(err, fs.ErrNotExist):
			return err
		}
	}
	return nil
}

func isSet[T int64 | uint64](p *T) bool { return p != nil && *p != 0 }

func onV1(l *cgroup.Layout, controller string) bool {
	return slices.ContainsFunc(l.Hierarchies, func(h cgroup.Hierarchy) bool {
		return !h.Unified && slices.Contains(h.Controllers, controller)
	})
}

// checkMemory refuses a limit that is below what is in use, if the update or else
// the config asks for it: /linux/resources/memory/checkBeforeUpdate. Without it,
// cgroup v2 would kill processes to get there.
func checkMemory(dir *state.Dir, m *specs.LinuxMemory, usage func() (current, peak uint64, err error)) error {
	if m == nil || !isSet(m.Limit) && !isSet(m.Swap) {
		return nil
	}
	check := m.CheckBeforeUpdate
	if check == nil {
		data, err := dir.Config()
		if err != nil {
			return err
		}
		var config struct {
			Linux struct {
				Resources struct{ Memory specs.LinuxMemory }
			}
		}
		if err := json.Unmarshal(data, &config); err != nil {
			return err
		}
		check = config.Linux.Resources.Memory.CheckBeforeUpdate
	}
	if check == nil || !*check {
		return nil
	}
	current, peak, err := usage()
	if err != nil {
		return err
	}
	for _, l := range []struct {
		field string
		limit *int64
	}{{"limit", m.Limit}, {"swap", m.Swap}} {
		if l.limit != nil && *l.limit > 0 && uint64(*l.limit) < current {
			return fmt.Errorf("/memory/%s: %d is below the memory in use (current usage: %d, peak usage: %d)", l.field, *l.limit, current, peak)
		}
	}
	return nil
}

// inResources cuts the pointer of a config's field down to that in the document
// of an update.
func inResources(field string) string { return strings.TrimPrefix(field, "/linux/resources") }

// ofResources does the same for the faults of a translation.
func ofResources(err error) error {
	var list faultList
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		for _, err := range joined.Unwrap() {
			list = append(list, ofResources(err))
		}
		return list
	}
	if f, ok := err.(*cgroup.FieldError); ok {
		return &cgroup.FieldError{Field: inResources(f.Field), Reason: f.Reason}
	}
	return err
}
