package cgroup

import (
	"math"
	"strconv"
	"strings"
)

// readV2 reads a version 2 directory: alone says that no version 1 hierarchy
// exists beside it. On a hybrid host its controllers are mostly elsewhere, but
// pressure is told here.
func (r *statsReader) readV2(s *Stats, alone bool) {
	s.CPU.PSI, s.Memory.PSI, s.BlockIO.PSI = r.psi("cpu.pressure"), r.psi("memory.pressure"), r.psi("io.pressure")
	if alone {
		// Time is counted without the controller too.
		r.keyed("cpu.stat", func(key string, n uint64) {
			switch key {
			case "usage_usec":
				s.CPU.Usage.Total = n * 1000
			case "user_usec":
				s.CPU.Usage.User = n * 1000
			case "system_usec":
				s.CPU.Usage.Kernel = n * 1000
			case "nr_periods":
				s.CPU.Throttling.Periods = n
			case "nr_throttled":
				s.CPU.Throttling.ThrottledPeriods = n
			case "throttled_usec":
				s.CPU.Throttling.ThrottledTime = n * 1000
			}
		})
		s.CPUSet.CPUs, s.CPUSet.Mems = r.list("cpuset.cpus.effective"), r.list("cpuset.mems.effective")
	}
	if _, ok := r.text("memory.current"); ok {
		r.memoryV2(&s.Memory)
	}
	if _, ok := r.text("pids.current"); ok {
		r.pids(&s.Pids)
	} else if alone {
		if pids, err := r.dir.pids(true); err == nil {
			s.Pids.Current = uint64(len(pids))
		}
	}
	if text, ok := r.text("io.stat"); ok && !r.ioStat(&s.BlockIO, text) {
		r.malformed("io.stat", text)
	}
	r.hugetlbV2(s.Hugetlb, pageSizes())
}

func (r *statsReader) hugetlbV2(into map[string]HugetlbStats, sizes []string) {
	for _, size := range sizes {
		file := "hugetlb." + size
		if _, ok := r.text(file + ".current"); !ok {
			continue
		}
		h := HugetlbStats{}
		r.keyed(file+".events", func(key string, n uint64) {
			if key == "max" {
				h.Failcnt = n
			}
		})
		if _, ok := r.text(file + ".rsvd.current"); ok {
			file += ".rsvd"
		}
		h.Usage = r.number(file + ".current")
		into[size] = h
	}
}

func (r *statsReader) memoryV2(m *MemoryStats) {
	m.Raw = map[string]uint64{}
	r.keyed("memory.stat", func(key string, n uint64) { m.Raw[key] = n })
	m.Cache = m.Raw["file"]
	m.Usage = MemoryEntry{Limit: r.number("memory.max"), Usage: r.number("memory.current"), Max: r.number("memory.peak")}
	r.keyed("memory.events", func(key string, n uint64) {
		if key == "max" {
			m.Usage.Failcnt = n
		}
	})
	// The format has version 1's sum of memory and swap. Of two maxima, which
	// were not reached at once, there is none.
	if _, ok := r.text("memory.swap.current"); ok {
		m.Swap = MemoryEntry{Limit: r.number("memory.swap.max"), Usage: r.number("memory.swap.current") + m.Usage.Usage}
		if m.Usage.Limit == math.MaxUint64 {
			m.Swap.Limit = math.MaxUint64
		} else if m.Swap.Limit != math.MaxUint64 {
			m.Swap.Limit += m.Usage.Limit
		}
	}
}

// ioStat parses lines such as "8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=5
// dios=6". Other keys come and go with the I/O controllers.
func (r *statsReader) ioStat(s *BlockIOStats, text string) bool {
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		major, minor, _ := strings.Cut(words[0], ":")
		var n [2]uint64
		if !numbers([]string{major, minor}, n[:]) {
			return false
		}
		for _, word := range words[1:] {
			key, value, _ := strings.Cut(word, "=")
			list, op := &s.ServiceBytes, ""
			switch key {
			case "rbytes":
				op = "Read"
			case "wbytes":
				op = "Write"
			case "dbytes":
				op = "Discard"
			case "rios":
				list, op = &s.Serviced, "Read"
			case "wios":
				list, op = &s.Serviced, "Write"
			case "dios":
				list, op = &s.Serviced, "Discard"
			default:
				continue
			}
			count, err := strconv.ParseUint(value, 10, 64)
			if err != nil {
				return false
			}
			*list = append(*list, BlockIOEntry{n[0], n[1], op, count})
		}
	}
	return true
}

// psi reads pressure stall information, if the kernel has it and it is on.
func (r *statsReader) psi(file string) *PSI {
	text, ok := r.text(file)
	if !ok {
		return nil
	}
	p, ok := parsePSI(text)
	if !ok {
		r.malformed(file, text)
		return nil
	}
	return p
}

// parsePSI parses lines "some avg10=0.12 avg60=0.00 avg300=0.00 total=34567".
func parsePSI(text string) (*PSI, bool) {
	p := &PSI{}
	for line := range strings.Lines(text) {
		kind, rest, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		var d *PSIData
		switch kind {
		case "some":
			d = &p.Some
		case "full":
			d = &p.Full
		default:
			continue
		}
		for word := range strings.FieldsSeq(rest) {
			key, value, _ := strings.Cut(word, "=")
			var err error
			switch key {
			case "avg10":
				d.Avg10, err = strconv.ParseFloat(value, 64)
			case "avg60":
				d.Avg60, err = strconv.ParseFloat(value, 64)
			case "avg300":
				d.Avg300, err = strconv.ParseFloat(value, 64)
			case "total":
				d.Total, err = strconv.ParseUint(value, 10, 64)
			}
			if err != nil {
				return nil, false
			}
		}
	}
	return p, true
}
