package cgroup

import (
	"strconv"
	"strings"
)

// tick is the length of the clock ticks that the kernel shows to programs
// (USER_HZ), in nanoseconds: it is the same on all architectures of oci-mini.
const tick = 1e9 / 100

// readV1 reads the controllers of one hierarchy.
func (r *statsReader) readV1(s *Stats) {
	h := &r.dir.Hierarchy
	if h.has("cpu") {
		r.keyed("cpu.stat", func(key string, n uint64) {
			switch key {
			case "nr_periods":
				s.CPU.Throttling.Periods = n
			case "nr_throttled":
				s.CPU.Throttling.ThrottledPeriods = n
			case "throttled_time":
				s.CPU.Throttling.ThrottledTime = n
			}
		})
	}
	if h.has("cpuacct") {
		r.cpuacct(&s.CPU.Usage)
	}
	if h.has("cpuset") {
		r.cpuset(&s.CPUSet)
	}
	if h.has("memory") {
		r.memoryV1(&s.Memory)
	}
	if h.has("pids") {
		r.pids(&s.Pids)
	}
	if h.has("blkio") {
		r.blkio(&s.BlockIO)
	}
	if h.has("hugetlb") {
		r.hugetlbV1(s.Hugetlb, pageSizes())
	}
}

func (r *statsReader) hugetlbV1(into map[string]HugetlbStats, sizes []string) {
	for _, size := range sizes {
		file := "hugetlb." + size
		if _, ok := r.text(file + ".rsvd.usage_in_bytes"); ok {
			file += ".rsvd"
		} else if _, ok := r.text(file + ".usage_in_bytes"); !ok {
			continue
		}
		into[size] = HugetlbStats{
			Usage: r.number(file + ".usage_in_bytes"), Max: r.number(file + ".max_usage_in_bytes"), Failcnt: r.number(file + ".failcnt"),
		}
	}
}

func (r *statsReader) cpuacct(u *CPUUsage) {
	u.Total = r.number("cpuacct.usage")
	// Of the files that tell user from kernel time this is the one that adds
	// up to the total.
	r.keyed("cpuacct.stat", func(key string, n uint64) {
		switch key {
		case "user":
			u.User = n * tick
		case "system":
			u.Kernel = n * tick
		}
	})
	text, _ := r.text("cpuacct.usage_percpu")
	for word := range strings.FieldsSeq(text) {
		n, err := strconv.ParseUint(word, 10, 64)
		if err != nil {
			r.malformed("cpuacct.usage_percpu", word)
			return
		}
		u.Percpu = append(u.Percpu, n)
	}
	// The first line is "cpu user system".
	text, _ = r.text("cpuacct.usage_all")
	_, text, _ = strings.Cut(text, "\n")
	for line := range strings.Lines(text) {
		var n [3]uint64
		if !numbers(strings.Fields(line), n[:]) {
			r.malformed("cpuacct.usage_all", line)
			return
		}
		u.PercpuUser, u.PercpuKernel = append(u.PercpuUser, n[1]), append(u.PercpuKernel, n[2])
	}
}

// numbers parses as many words as there are numbers asked for.
func numbers(words []string, into []uint64) bool {
	if len(words) < len(into) {
		return false
	}
	for i := range into {
		n, err := strconv.ParseUint(words[i], 10, 64)
		if err != nil {
			return false
		}
		into[i] = n
	}
	return true
}

func (r *statsReader) cpuset(s *CPUSetStats) {
	s.CPUs, s.Mems = r.list("cpuset.cpus"), r.list("cpuset.mems")
	s.CPUExclusive = r.number("cpuset.cpu_exclusive")
	s.MemHardwall = r.number("cpuset.mem_hardwall")
	s.MemExclusive = r.number("cpuset.mem_exclusive")
	s.MemoryMigrate = r.number("cpuset.memory_migrate")
	s.MemorySpreadPage = r.number("cpuset.memory_spread_page")
	s.MemorySpreadSlab = r.number("cpuset.memory_spread_slab")
	s.MemoryPressure = r.number("cpuset.memory_pressure")
	s.SchedLoadBalance = r.number("cpuset.sched_load_balance")
	if text, ok := r.text("cpuset.sched_relax_domain_level"); ok {
		text = strings.TrimSpace(text)
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			r.malformed("cpuset.sched_relax_domain_level", text)
		}
		s.SchedRelaxDomainLevel = n
	}
}

func (r *statsReader) memoryV1(m *MemoryStats) {
	m.Raw = map[string]uint64{}
	r.keyed("memory.stat", func(key string, n uint64) { m.Raw[key] = n })
	m.Cache = m.Raw["cache"]
	m.Usage = r.memoryEntry("memory")
	m.Swap = r.memoryEntry("memory.memsw")
	m.Kernel = r.memoryEntry("memory.kmem")
	m.KernelTCP = r.memoryEntry("memory.kmem.tcp")
}

func (r *statsReader) memoryEntry(prefix string) MemoryEntry {
	return MemoryEntry{
		Limit: r.number(prefix + ".limit_in_bytes"), Usage: r.number(prefix + ".usage_in_bytes"),
		Max: r.number(prefix + ".max_usage_in_bytes"), Failcnt: r.number(prefix + ".failcnt"),
	}
}

// pids reads files that both versions have.
func (r *statsReader) pids(p *PidsStats) {
	p.Current = r.number("pids.current")
	if p.Limit = r.number("pids.max"); p.Limit == ^uint64(0) {
		p.Limit = 0
	}
}

// blkio takes the counts of the BFQ scheduler if it has any, else those of the
// throttling layer, which sees the requests of every scheduler.
func (r *statsReader) blkio(s *BlockIOStats) {
	for _, prefix := range [...]string{"blkio.bfq.", "blkio.throttle."} {
		*s = BlockIOStats{
			ServiceBytes: r.devices(prefix + "io_service_bytes_recursive"),
			Serviced:     r.devices(prefix + "io_serviced_recursive"),
			// These exist only in kernels made for debugging (CONFIG_BFQ_CGROUP_DEBUG).
			Queued:      r.devices(prefix + "io_queued_recursive"),
			ServiceTime: r.devices(prefix + "io_service_time_recursive"),
			WaitTime:    r.devices(prefix + "io_wait_time_recursive"),
			Merged:      r.devices(prefix + "io_merged_recursive"),
			Time:        r.devices(prefix + "time_recursive"),
			Sectors:     r.devices(prefix + "sectors_recursive"),
			PSI:         s.PSI,
		}
		if len(s.ServiceBytes)+len(s.Serviced) > 0 {
			return
		}
	}
}

// devices reads the lines "major:minor operation value" or "major:minor value".
func (r *statsReader) devices(file string) (entries []BlockIOEntry) {
	text, _ := r.text(file)
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		if len(words) == 2 && words[0] == "Total" {
			continue
		}
		e, ok := deviceEntry(words)
		if !ok {
			r.malformed(file, line)
			return nil
		}
		entries = append(entries, e)
	}
	return entries
}

func deviceEntry(words []string) (e BlockIOEntry, ok bool) {
	switch len(words) {
	case 2:
	case 3:
		e.Op = words[1]
	default:
		return e, false
	}
	major, minor, _ := strings.Cut(words[0], ":")
	var n [3]uint64
	ok = numbers([]string{major, minor, words[len(words)-1]}, n[:])
	e.Major, e.Minor, e.Value = n[0], n[1], n[2]
	return e, ok
}
