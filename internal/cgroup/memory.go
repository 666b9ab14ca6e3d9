package cgroup

import (
	"strconv"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

func (t *translation) memory(r *specs.LinuxMemory) {
	const at = "/linux/resources/memory/"
	if r == nil {
		return
	}
	limit, reservation, swap := value(r.Limit), value(r.Reservation), value(r.Swap)
	noKiller := r.DisableOOMKiller != nil && *r.DisableOOMKiller
	// Engines send a swappiness of -1 for "not set", which reaches the
	// unsigned field as its greatest value.
	swappiness := r.Swappiness != nil && int64(*r.Swappiness) != -1

	var first string
	switch {
	case limit != 0:
		first = at + "limit"
	case swap != 0:
		first = at + "swap"
	case reservation != 0:
		first = at + "reservation"
	case swappiness:
		first = at + "swappiness"
	case noKiller:
		first = at + "disableOOMKiller"
	default:
		return
	}
	to, ok := t.target(first, "memory")
	if !ok {
		return
	}
	for _, f := range []struct {
		name string
		n    int64
	}{{"limit", limit}, {"reservation", reservation}, {"swap", swap}} {
		if f.n < -1 {
			t.fault(at+f.name, "is below -1")
			return
		}
	}
	if swap > 0 && limit > 0 && swap < limit {
		t.fault(at+"swap", "memory and swap together ("+strconv.FormatInt(swap, 10)+
			") is below the memory limit ("+strconv.FormatInt(limit, 10)+")")
		return
	}

	begin := len(t.writes)
	defer func() {
		// The thread that lends its version 1 cgroups to the clone is the
		// runtime's: a limit that is too low for it must not kill the runtime.
		for i := begin; i < len(t.writes) && !to.unified; i++ {
			t.writes[i].AfterJoin = true
		}
	}()
	if to.unified {
		to.memoryV2(limit, swap)
	} else {
		to.memoryV1(limit, swap)
	}
	if reservation != 0 {
		to.add(at+"reservation", "memory.soft_limit_in_bytes", "memory.low", to.limit(reservation))
	}
	if swappiness && to.onlyV1(at+"swappiness") {
		if *r.Swappiness > 100 {
			t.fault(at+"swappiness", strconv.FormatUint(*r.Swappiness, 10)+" is not between 0 and 100")
		} else {
			to.add(at+"swappiness", "memory.swappiness", "", strconv.FormatUint(*r.Swappiness, 10))
		}
	}
	if noKiller && to.onlyV1(at+"disableOOMKiller") {
		to.add(at+"disableOOMKiller", "memory.oom_control", "", "1")
	}
}

// memoryV1 writes the limit of memory before that of memory and swap, as the
// kernel holds limit <= memsw at every moment: that order is right for a new
// cgroup and for lower limits. To raise both, the first write fails with
// EINVAL and is made again after the second.
func (t target) memoryV1(limit, swap int64) {
	const at = "/linux/resources/memory/"
	if limit != 0 {
		t.add(at+"limit", "memory.limit_in_bytes", "", t.limit(limit)).Retry = swap != 0 || limit == -1
	}
	switch {
	case swap != 0:
		// Unlimited is what a kernel without swap accounting does anyway.
		t.add(at+"swap", "memory.memsw.limit_in_bytes", "", t.limit(swap)).Optional = swap == -1
	case limit == -1:
		// Unlimited memory under a limit of the sum would be a lie.
		t.add(at+"limit", "memory.memsw.limit_in_bytes", "", "-1").Optional = true
	}
}

// memoryV2 subtracts: the specification's swap is the sum of memory and swap,
// as on version 1, and memory.swap.max is the swap alone. It is written before
// memory.max, so that a limit below the usage finds the swap it may use.
func (t target) memoryV2(limit, swap int64) {
	const at = "/linux/resources/memory/"
	switch {
	case swap > 0 && limit == 0:
		t.fault(at+"swap", "is the sum of memory and swap, and needs a memory limit on cgroup v2")
	case swap > 0 && limit > 0:
		n := swap - limit
		// A kernel without swap has no file, and allows no swap.
		t.add(at+"swap", "", "memory.swap.max", t.limit(n)).Optional = n == 0
	case swap > 0:
		t.add(at+"swap", "", "memory.swap.max", t.limit(swap))
	case swap == -1:
		t.add(at+"swap", "", "memory.swap.max", "max").Optional = true
	case limit == -1:
		// The same as on version 1: unlimited memory frees the swap too.
		t.add(at+"limit", "", "memory.swap.max", "max").Optional = true
	}
	if limit != 0 {
		t.add(at+"limit", "", "memory.max", t.limit(limit))
	}
}

// value returns what p points to, zero for nothing.
func value[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}
