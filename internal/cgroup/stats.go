package cgroup

import (
	"errors"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Stats is what the kernel counts for a cgroup and those below it. Its JSON is
// the data of the "stats" events that container engines read, with the names that
// version 1 files had; version 2 values are converted to their units and sums.
// What a host does not count is zero, and missing where the format allows that.
type Stats struct {
	CPU     CPUStats                `json:"cpu"`
	CPUSet  CPUSetStats             `json:"cpuset"`
	Memory  MemoryStats             `json:"memory"`
	Pids    PidsStats               `json:"pids"`
	BlockIO BlockIOStats            `json:"blkio"`
	Hugetlb map[string]HugetlbStats `json:"hugetlb"` // by page size, such as "2MB"
}

// CPUStats is the use of processors.
type CPUStats struct {
	Usage      CPUUsage   `json:"usage,omitzero"`
	Throttling Throttling `json:"throttling,omitzero"`
	PSI        *PSI       `json:"psi,omitempty"`
}

// CPUUsage is time on processors, in nanoseconds. Only version 1 counts it for
// each processor.
type CPUUsage struct {
	Total        uint64   `json:"total,omitempty"`
	Percpu       []uint64 `json:"percpu,omitempty"`
	PercpuKernel []uint64 `json:"percpu_kernel,omitempty"`
	PercpuUser   []uint64 `json:"percpu_user,omitempty"`
	Kernel       uint64   `json:"kernel"`
	User         uint64   `json:"user"`
}

// Throttling is what a quota of processor time did.
type Throttling struct {
	Periods          uint64 `json:"periods,omitempty"`
	ThrottledPeriods uint64 `json:"throttledPeriods,omitempty"`
	ThrottledTime    uint64 `json:"throttledTime,omitempty"` // nanoseconds
}

// CPUSetStats are the processors and memory nodes that may be used. On version
// 2 they are the effective ones, and the flags of version 1 are zero.
type CPUSetStats struct {
	CPUs                  []uint16 `json:"cpus,omitempty"`
	CPUExclusive          uint64   `json:"cpu_exclusive"`
	Mems                  []uint16 `json:"mems,omitempty"`
	MemHardwall           uint64   `json:"mem_hardwall"`
	MemExclusive          uint64   `json:"mem_exclusive"`
	MemoryMigrate         uint64   `json:"memory_migrate"`
	MemorySpreadPage      uint64   `json:"memory_spread_page"`
	MemorySpreadSlab      uint64   `json:"memory_spread_slab"`
	MemoryPressure        uint64   `json:"memory_pressure"`
	SchedLoadBalance      uint64   `json:"sched_load_balance"`
	SchedRelaxDomainLevel int64    `json:"sched_relax_domain_level"`
}

// MemoryStats is the use of memory, in bytes.
type MemoryStats struct {
	Cache uint64      `json:"cache,omitempty"`
	Usage MemoryEntry `json:"usage,omitzero"`
	// Swap is memory and swap together, on version 2 too.
	Swap      MemoryEntry `json:"swap,omitzero"`
	Kernel    MemoryEntry `json:"kernel,omitzero"`
	KernelTCP MemoryEntry `json:"kernelTCP,omitzero"`
	// Raw is memory.stat as it is.
	Raw map[string]uint64 `json:"raw,omitempty"`
	PSI *PSI              `json:"psi,omitempty"`
}

// MemoryEntry is one kind of memory. No limit is the greatest number of the
// kernel's file, or that of 64 bits for "max".
type MemoryEntry struct {
	Limit   uint64 `json:"limit"`
	Usage   uint64 `json:"usage,omitempty"`
	Max     uint64 `json:"max,omitempty"`
	Failcnt uint64 `json:"failcnt"`
}

// PidsStats counts processes and threads. Limit is zero for none.
type PidsStats struct {
	Current uint64 `json:"current,omitempty"`
	Limit   uint64 `json:"limit,omitempty"`
}

// BlockIOStats counts the traffic of block devices. Version 2, and version 1
// without the BFQ scheduler, count only the first two.
type BlockIOStats struct {
	ServiceBytes []BlockIOEntry `json:"ioServiceBytesRecursive,omitempty"`
	Serviced     []BlockIOEntry `json:"ioServicedRecursive,omitempty"`
	Queued       []BlockIOEntry `json:"ioQueueRecursive,omitempty"`
	ServiceTime  []BlockIOEntry `json:"ioServiceTimeRecursive,omitempty"`
	WaitTime     []BlockIOEntry `json:"ioWaitTimeRecursive,omitempty"`
	Merged       []BlockIOEntry `json:"ioMergedRecursive,omitempty"`
	Time         []BlockIOEntry `json:"ioTimeRecursive,omitempty"`
	Sectors      []BlockIOEntry `json:"sectorsRecursive,omitempty"`
	PSI          *PSI           `json:"psi,omitempty"`
}

// BlockIOEntry is the count of one operation ("Read", "Write", "Discard", and
// on version 1 "Sync", "Async", "Total") on one device.
type BlockIOEntry struct {
	Major uint64 `json:"major,omitempty"`
	Minor uint64 `json:"minor,omitempty"`
	Op    string `json:"op,omitempty"`
	Value uint64 `json:"value,omitempty"`
}

// HugetlbStats is the use of huge pages of one size, in bytes: reservations
// included where the kernel counts them (5.7).
type HugetlbStats struct {
	Usage   uint64 `json:"usage,omitempty"`
	Max     uint64 `json:"max,omitempty"`
	Failcnt uint64 `json:"failcnt"`
}

// PSI is pressure stall information (Documentation/accounting/psi.rst), which
// only version 2 hierarchies have; that of a hybrid host too.
type PSI struct {
	Some PSIData `json:"some"`
	Full PSIData `json:"full"`
}

// PSIData is the share of time, in percent, that some or all tasks stood still
// for want of a resource, and the sum of that time in microseconds.
type PSIData struct {
	Avg10  float64 `json:"avg10"`
	Avg60  float64 `json:"avg60"`
	Avg300 float64 `json:"avg300"`
	Total  uint64  `json:"total"`
}

// Stats reads what the kernel counts for the cgroup. A file that does not exist
// is no error: its controller is not there.
func (c *Cgroup) Stats() (*Stats, error) {
	s := &Stats{Hugetlb: map[string]HugetlbStats{}}
	var errs []error
	for i := range c.dirs {
		r := statsReader{dir: &c.dirs[i]}
		if r.dir.Hierarchy.Unified {
			r.readV2(s, len(c.dirs) == 1)
		} else {
			r.readV1(s)
		}
		if r.err != nil {
			errs = append(errs, r.err)
		}
	}
	return s, errors.Join(errs...)
}

// statsReader reads the files of one directory, and keeps the first error.
type statsReader struct {
	dir *openDir
	err error
}

// text returns the content of a file. Besides a missing file, EOPNOTSUPP means
// that there is nothing to read: pressure stall information that was turned off
// at boot.
func (r *statsReader) text(file string) (string, bool) {
	text, err := readAt(r.dir.fd, file)
	switch {
	case err == nil:
		return text, true
	case err != unix.ENOENT && err != unix.EOPNOTSUPP && r.err == nil:
		r.err = pathError("read", r.dir.Path+"/"+file, err)
	}
	return "", false
}

func (r *statsReader) malformed(file, what string) {
	if r.err == nil {
		r.err = &os.PathError{Op: "parse", Path: r.dir.Path + "/" + file, Err: errors.New("unexpected content " + strconv.Quote(what))}
	}
}

// number returns the content of a file with one number; "max" is the greatest.
func (r *statsReader) number(file string) uint64 {
	text, ok := r.text(file)
	if !ok {
		return 0
	}
	text = strings.TrimSpace(text)
	if text == "max" {
		return ^uint64(0)
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		r.malformed(file, text)
	}
	return n
}

// keyed calls f for each line "key number" of a file.
func (r *statsReader) keyed(file string, f func(key string, n uint64)) bool {
	text, ok := r.text(file)
	for line := range strings.Lines(text) {
		key, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		n, err := strconv.ParseUint(value, 10, 64)
		if err != nil {
			r.malformed(file, line)
			return ok
		}
		f(key, n)
	}
	return ok
}

// list returns the numbers of a list such as 0-3,7.
func (r *statsReader) list(file string) []uint16 {
	text, _ := r.text(file)
	list, ok := parseList(strings.TrimSpace(text))
	if !ok {
		r.malformed(file, text)
	}
	return list
}

func parseList(text string) (list []uint16, ok bool) {
	if text == "" {
		return nil, true
	}
	for part := range strings.SplitSeq(text, ",") {
		first, last, isRange := strings.Cut(part, "-")
		if !isRange {
			last = first
		}
		a, err := strconv.ParseUint(first, 10, 16)
		b, err2 := strconv.ParseUint(last, 10, 16)
		if err != nil || err2 != nil || a > b {
			return nil, false
		}
		for n := a; n <= b; n++ {
			list = append(list, uint16(n))
		}
	}
	return list, true
}

// pageSizes returns the sizes of huge pages as the names of cgroup files spell
// them.
func pageSizes() (sizes []string) {
	entries, _ := os.ReadDir("/sys/kernel/mm/hugepages")
	for _, e := range entries {
		if size, ok := pageSize(e.Name()); ok {
			sizes = append(sizes, size)
		}
	}
	return sizes
}

// pageSize converts hugepages-2048kB to 2MB.
func pageSize(name string) (string, bool) {
	number, ok := strings.CutPrefix(name, "hugepages-")
	number, ok2 := strings.CutSuffix(number, "kB")
	n, err := strconv.ParseUint(number, 10, 64)
	if !ok || !ok2 || err != nil {
		return "", false
	}
	switch {
	case n >= 1<<20:
		return strconv.FormatUint(n>>20, 10) + "GB", true
	case n >= 1<<10:
		return strconv.FormatUint(n>>10, 10) + "MB", true
	}
	return number + "KB", true
}
