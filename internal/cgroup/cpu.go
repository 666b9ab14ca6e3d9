package cgroup

import (
	"math"
	"strconv"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// minShares and maxShares bound cpu.shares: the kernel clamps to them without
// a word (MIN_SHARES and MAX_SHARES in kernel/sched/sched.h).
const (
	minShares = 2
	maxShares = 1 << 18
)

func (t *translation) cpuset(r *specs.LinuxCPU) {
	if r == nil {
		return
	}
	const at = "/linux/resources/cpu/"
	if r.Cpus != "" {
		if to, ok := t.target(at+"cpus", "cpuset"); ok {
			to.add(at+"cpus", "cpuset.cpus", "cpuset.cpus", r.Cpus)
		}
	}
	if r.Mems != "" {
		if to, ok := t.target(at+"mems", "cpuset"); ok {
			to.add(at+"mems", "cpuset.mems", "cpuset.mems", r.Mems)
		}
	}
}

func (t *translation) cpu(r *specs.LinuxCPU) {
	const at = "/linux/resources/cpu/"
	if r == nil {
		return
	}
	shares, quota, period := value(r.Shares), value(r.Quota), value(r.Period)
	rtRuntime, rtPeriod := value(r.RealtimeRuntime), value(r.RealtimePeriod)

	var first string
	switch {
	case shares != 0:
		first = at + "shares"
	case quota != 0:
		first = at + "quota"
	case period != 0:
		first = at + "period"
	case r.Burst != nil:
		first = at + "burst"
	case r.Idle != nil:
		first = at + "idle"
	case rtRuntime != 0:
		first = at + "realtimeRuntime"
	case rtPeriod != 0:
		first = at + "realtimePeriod"
	default:
		return
	}
	to, ok := t.target(first, "cpu")
	if !ok {
		return
	}
	// The realtime values come before anything joins: a process of a realtime
	// class cannot enter a cgroup that has no realtime budget.
	to.realtime(rtRuntime, rtPeriod)
	to.weight(shares, r.Idle)
	to.bandwidth(quota, period, r.Burst)
}

// weight writes shares and idle. An idle group takes no weight (EINVAL), so it
// is made busy for as long as the weight needs to be written.
func (t target) weight(shares uint64, idle *int64) {
	const at = "/linux/resources/cpu/"
	if idle != nil && (*idle == 0 || shares != 0) {
		t.add(at+"idle", "cpu.idle", "cpu.idle", "0")
	}
	switch {
	case shares == 0:
	case t.unified:
		t.add(at+"shares", "", "cpu.weight", strconv.FormatUint(Weight(shares), 10))
	case shares < minShares || shares > maxShares:
		t.fault(at+"shares", strconv.FormatUint(shares, 10)+" is not between 2 and 262144")
	default:
		t.add(at+"shares", "cpu.shares", "", strconv.FormatUint(shares, 10))
	}
	if idle != nil && *idle != 0 {
		t.add(at+"idle", "cpu.idle", "cpu.idle", strconv.FormatInt(*idle, 10))
	}
}

// bandwidth writes period, quota and burst. The kernel holds two conditions at
// every moment, and refuses what breaks them with EINVAL: quota/period is not
// above that of an ancestor, and burst is not above quota. Period and burst
// come first, which suits a new cgroup (no quota, no burst) and a lower burst;
// where the old quota stands in the way they are written again after it.
func (t target) bandwidth(quota int64, period uint64, burst *uint64) {
	const at = "/linux/resources/cpu/"
	if quota < -1 {
		// Any negative quota has always meant "no limit".
		quota = -1
	}
	if period != 0 && !t.unified {
		t.add(at+"period", "cpu.cfs_period_us", "", strconv.FormatUint(period, 10)).Retry = quota != 0
	}
	if burst != nil {
		t.add(at+"burst", "cpu.cfs_burst_us", "cpu.max.burst", strconv.FormatUint(*burst, 10)).Retry =
			quota != 0 || t.unified && period != 0
	}
	switch {
	case t.unified && quota != 0 && period != 0:
		t.add(at+"quota", "", "cpu.max", t.limit(quota)+" "+strconv.FormatUint(period, 10))
	case t.unified && period != 0:
		t.add(at+"period", "", "cpu.max", "max "+strconv.FormatUint(period, 10))
	case quota != 0:
		// A single number leaves the period of cpu.max as it is.
		t.add(at+"quota", "cpu.cfs_quota_us", "cpu.max", t.limit(quota))
	}
}

// realtime writes the budget of the realtime classes. Runtime must not be
// above period at any moment, hence the second try.
func (t target) realtime(runtime int64, period uint64) {
	const at = "/linux/resources/cpu/"
	if period != 0 && t.onlyV1(at+"realtimePeriod") {
		t.add(at+"realtimePeriod", "cpu.rt_period_us", "", strconv.FormatUint(period, 10)).Retry = runtime != 0
	}
	if runtime != 0 && t.onlyV1(at+"realtimeRuntime") {
		t.add(at+"realtimeRuntime", "cpu.rt_runtime_us", "", strconv.FormatInt(runtime, 10))
	}
}

// Weight converts version 1 cpu.shares (2 to 262144, default 1024) to a
// version 2 cpu.weight (1 to 10000, default 100): ten to the power of the
// quadratic function of log2(shares) that passes through the least, the
// default and the greatest pair. All current runtimes use this curve; older
// ones used a straight line, which made the default share a weight of 39.
func Weight(shares uint64) uint64 {
	switch {
	case shares == 0:
		return 0
	case shares <= minShares:
		return 1
	case shares >= maxShares:
		return 10000
	}
	l := math.Log2(float64(shares))
	return uint64(math.Ceil(math.Pow(10, (l*l+125*l)/612-7.0/34)))
}
