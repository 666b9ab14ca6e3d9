package cgroup

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

func p[T any](v T) *T { return &v }

var (
	v1 = &Layout{Legacy, []Hierarchy{
		{Dir: "/sys/fs/cgroup/memory", Controllers: []string{"memory"}},
		{Dir: "/sys/fs/cgroup/cpu,cpuacct", Controllers: []string{"cpu", "cpuacct"}},
		{Dir: "/sys/fs/cgroup/all", Controllers: []string{"cpuset", "pids", "blkio", "hugetlb", "rdma", "net_cls", "net_prio"}},
	}}
	v2 = &Layout{Unified, []Hierarchy{
		{Dir: "/sys/fs/cgroup", Unified: true, Controllers: []string{"memory", "cpu", "cpuset", "pids", "io", "hugetlb", "rdma"}},
	}}
	hybrid = &Layout{Hybrid, []Hierarchy{
		{Dir: "/sys/fs/cgroup/memory", Controllers: []string{"memory"}},
		{Dir: "/sys/fs/cgroup/unified", Unified: true, Controllers: []string{"hugetlb"}},
	}}
	none = &Layout{}
)

// spell writes a list of writes as text: File=Value, with a mark for each flag.
func spell(writes []Write) string {
	var lines []string
	for _, w := range writes {
		line := w.File + "=" + w.Value
		for _, f := range []struct {
			on   bool
			name string
		}{{w.Optional, " optional"}, {w.Retry, " retry"}, {w.AfterJoin, " after"}} {
			if f.on {
				line += f.name
			}
		}
		if w.Else != nil {
			line += " else " + spell([]Write{*w.Else})
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "\n")
}

func TestWrites(t *testing.T) {
	type mem = specs.LinuxMemory
	type cpu = specs.LinuxCPU
	type res = specs.LinuxResources
	memory := func(m mem) *res { return &res{Memory: &m} }
	ofCPU := func(c cpu) *res { return &res{CPU: &c} }
	pids := func(n int64) *res { return &res{Pids: &specs.LinuxPids{Limit: &n}} }
	sda := specs.LinuxThrottleDevice{Rate: 1024}
	sda.Major, sda.Minor = 8, 0
	free := specs.LinuxThrottleDevice{}
	free.Major, free.Minor = 8, 16
	heavy := specs.LinuxWeightDevice{Weight: p(uint16(500)), LeafWeight: p(uint16(300))}
	heavy.Major = 8

	const m = "/linux/resources/memory/"
	const c = "/linux/resources/cpu/"
	const noV2 = ": cgroup v2 has no such setting"
	for _, test := range []struct {
		name   string
		r      *res
		v1, v2 string // the writes, or "!" and the error
	}{
		{"nothing", nil, "", ""},
		{"empty", &res{Memory: &mem{}, CPU: &cpu{}, Pids: &specs.LinuxPids{}, BlockIO: &specs.LinuxBlockIO{}, Network: &specs.LinuxNetwork{}}, "", ""},
		{"zeros are not set", &res{
			Memory: &mem{Limit: p(int64(0)), Swap: p(int64(0)), Reservation: p(int64(0)), DisableOOMKiller: p(false)},
			CPU:    &cpu{Shares: p(uint64(0)), Quota: p(int64(0)), Period: p(uint64(0)), RealtimeRuntime: p(int64(0)), RealtimePeriod: p(uint64(0))},
		}, "", ""},

		{"limit", memory(mem{Limit: p(int64(1000))}), "memory.limit_in_bytes=1000 after", "memory.max=1000"},
		{"limit and swap", memory(mem{Limit: p(int64(1000)), Swap: p(int64(3000))}),
			"memory.limit_in_bytes=1000 retry after\nmemory.memsw.limit_in_bytes=3000 after", "memory.swap.max=2000\nmemory.max=1000"},
		{"no swap", memory(mem{Limit: p(int64(1000)), Swap: p(int64(1000))}),
			"memory.limit_in_bytes=1000 retry after\nmemory.memsw.limit_in_bytes=1000 after", "memory.swap.max=0 optional\nmemory.max=1000"},
		{"any swap", memory(mem{Limit: p(int64(1000)), Swap: p(int64(-1))}),
			"memory.limit_in_bytes=1000 retry after\nmemory.memsw.limit_in_bytes=-1 optional after", "memory.swap.max=max optional\nmemory.max=1000"},
		{"unlimited", memory(mem{Limit: p(int64(-1))}),
			"memory.limit_in_bytes=-1 retry after\nmemory.memsw.limit_in_bytes=-1 optional after", "memory.swap.max=max optional\nmemory.max=max"},
		{"unlimited with a limit of the sum", memory(mem{Limit: p(int64(-1)), Swap: p(int64(10))}),
			"memory.limit_in_bytes=-1 retry after\nmemory.memsw.limit_in_bytes=10 after", "memory.swap.max=10\nmemory.max=max"},
		{"swap alone", memory(mem{Swap: p(int64(10))}), "memory.memsw.limit_in_bytes=10 after",
			"!" + m + "swap: is the sum of memory and swap, and needs a memory limit on cgroup v2"},
		{"swap below memory", memory(mem{Limit: p(int64(10)), Swap: p(int64(9))}),
			"!" + m + "swap: memory and swap together (9) is below the memory limit (10)",
			"!" + m + "swap: memory and swap together (9) is below the memory limit (10)"},
		{"negative", memory(mem{Limit: p(int64(-2))}), "!" + m + "limit: is below -1", "!" + m + "limit: is below -1"},
		{"reservation", memory(mem{Reservation: p(int64(7))}), "memory.soft_limit_in_bytes=7 after", "memory.low=7"},
		{"swappiness", memory(mem{Swappiness: p(uint64(0))}), "memory.swappiness=0 after", "!" + m + "swappiness" + noV2},
		{"swappiness of -1", memory(mem{Swappiness: p(^uint64(0))}), "", ""},
		{"swappiness of 101", memory(mem{Swappiness: p(uint64(101))}), "!" + m + "swappiness: 101 is not between 0 and 100", "!" + m + "swappiness" + noV2},
		{"no killer", memory(mem{DisableOOMKiller: p(true)}), "memory.oom_control=1 after", "!" + m + "disableOOMKiller" + noV2},
		{"deprecated", memory(mem{Kernel: p(int64(1)), KernelTCP: p(int64(1)), UseHierarchy: p(true)}), "", ""},

		{"shares", ofCPU(cpu{Shares: p(uint64(1024))}), "cpu.shares=1024", "cpu.weight=100"},
		{"shares of 1", ofCPU(cpu{Shares: p(uint64(1))}), "!" + c + "shares: 1 is not between 2 and 262144", "cpu.weight=1"},
		{"idle", ofCPU(cpu{Idle: p(int64(1))}), "cpu.idle=1", "cpu.idle=1"},
		{"busy with shares", ofCPU(cpu{Idle: p(int64(0)), Shares: p(uint64(2))}), "cpu.idle=0\ncpu.shares=2", "cpu.idle=0\ncpu.weight=1"},
		{"idle with shares", ofCPU(cpu{Idle: p(int64(1)), Shares: p(uint64(2))}),
			"cpu.idle=0\ncpu.shares=2\ncpu.idle=1", "cpu.idle=0\ncpu.weight=1\ncpu.idle=1"},
		{"quota", ofCPU(cpu{Quota: p(int64(5000))}), "cpu.cfs_quota_us=5000", "cpu.max=5000"},
		{"period", ofCPU(cpu{Period: p(uint64(9000))}), "cpu.cfs_period_us=9000", "cpu.max=max 9000"},
		{"quota and period", ofCPU(cpu{Quota: p(int64(5000)), Period: p(uint64(9000))}),
			"cpu.cfs_period_us=9000 retry\ncpu.cfs_quota_us=5000", "cpu.max=5000 9000"},
		{"all of bandwidth", ofCPU(cpu{Quota: p(int64(5000)), Period: p(uint64(9000)), Burst: p(uint64(100))}),
			"cpu.cfs_period_us=9000 retry\ncpu.cfs_burst_us=100 retry\ncpu.cfs_quota_us=5000", "cpu.max.burst=100 retry\ncpu.max=5000 9000"},
		{"no burst", ofCPU(cpu{Burst: p(uint64(0))}), "cpu.cfs_burst_us=0", "cpu.max.burst=0"},
		{"no quota", ofCPU(cpu{Quota: p(int64(-1)), Period: p(uint64(9000))}),
			"cpu.cfs_period_us=9000 retry\ncpu.cfs_quota_us=-1", "cpu.max=max 9000"},
		{"realtime", ofCPU(cpu{RealtimeRuntime: p(int64(1)), RealtimePeriod: p(uint64(2))}),
			"cpu.rt_period_us=2 retry\ncpu.rt_runtime_us=1", "!" + c + "realtimePeriod" + noV2 + "\n" + c + "realtimeRuntime" + noV2},
		{"cpuset", ofCPU(cpu{Cpus: "0-1", Mems: "0"}), "cpuset.cpus=0-1\ncpuset.mems=0", "cpuset.cpus=0-1\ncpuset.mems=0"},

		{"pids", pids(7), "pids.max=7 after", "pids.max=7 after"},
		{"no more pids", pids(0), "pids.max=0 after", "pids.max=0 after"},
		{"any pids", pids(-1), "pids.max=max after", "pids.max=max after"},
		{"bad pids", pids(-2), "!/linux/resources/pids/limit: is below -1", "!/linux/resources/pids/limit: is below -1"},

		{"hugepages", &res{HugepageLimits: []specs.LinuxHugepageLimit{{Pagesize: "2MB", Limit: 4}}},
			"hugetlb.2MB.limit_in_bytes=4\nhugetlb.2MB.rsvd.limit_in_bytes=4 optional", "hugetlb.2MB.max=4\nhugetlb.2MB.rsvd.max=4 optional"},
		{"bad page size", &res{HugepageLimits: []specs.LinuxHugepageLimit{{Pagesize: "../2MB"}}},
			`!/linux/resources/hugepageLimits/0/pageSize: "../2MB" is not a size such as 64KB, 2MB or 1GB`,
			`!/linux/resources/hugepageLimits/0/pageSize: "../2MB" is not a size such as 64KB, 2MB or 1GB`},
		{"rdma", &res{Rdma: map[string]specs.LinuxRdma{
			"mlx5_1": {HcaHandles: p(uint32(3)), HcaObjects: p(uint32(4))}, "mlx5_0": {HcaObjects: p(uint32(0))}, "idle": {}}},
			"rdma.max=mlx5_0 hca_object=0\nrdma.max=mlx5_1 hca_handle=3 hca_object=4",
			"rdma.max=mlx5_0 hca_object=0\nrdma.max=mlx5_1 hca_handle=3 hca_object=4"},
		{"network", &res{Network: &specs.LinuxNetwork{ClassID: p(uint32(1048577)), Priorities: []specs.LinuxInterfacePriority{{Name: "eth0", Priority: 5}}}},
			"net_cls.classid=1048577\nnet_prio.ifpriomap=eth0 5",
			"!/linux/resources/network/classID" + noV2 + "\n/linux/resources/network/priorities/0" + noV2},

		{"weight", &res{BlockIO: &specs.LinuxBlockIO{Weight: p(uint16(100)), WeightDevice: []specs.LinuxWeightDevice{{LinuxBlockIODevice: heavy.LinuxBlockIODevice, Weight: heavy.Weight}}}},
			"blkio.bfq.weight=100 else blkio.weight=100\nblkio.bfq.weight_device=8:0 500 else blkio.weight_device=8:0 500",
			"io.bfq.weight=100 else io.weight=910\nio.bfq.weight=8:0 500 else io.weight=8:0 4950"},
		{"leaf weight", &res{BlockIO: &specs.LinuxBlockIO{LeafWeight: p(uint16(10)), WeightDevice: []specs.LinuxWeightDevice{{LinuxBlockIODevice: heavy.LinuxBlockIODevice, LeafWeight: heavy.LeafWeight}}}},
			"blkio.leaf_weight=10\nblkio.leaf_weight_device=8:0 300",
			"!/linux/resources/blockIO/leafWeight" + noV2 + "\n/linux/resources/blockIO/weightDevice/0/leafWeight" + noV2},
		{"small weight", &res{BlockIO: &specs.LinuxBlockIO{Weight: p(uint16(9))}},
			"!/linux/resources/blockIO/weight: 9 is not between 10 and 1000", "!/linux/resources/blockIO/weight: 9 is not between 10 and 1000"},
		{"throttle", &res{BlockIO: &specs.LinuxBlockIO{
			ThrottleReadBpsDevice: []specs.LinuxThrottleDevice{sda, free}, ThrottleWriteBpsDevice: []specs.LinuxThrottleDevice{sda},
			ThrottleReadIOPSDevice: []specs.LinuxThrottleDevice{sda}, ThrottleWriteIOPSDevice: []specs.LinuxThrottleDevice{free}}},
			"blkio.throttle.read_bps_device=8:0 1024\nblkio.throttle.read_bps_device=8:16 0\nblkio.throttle.write_bps_device=8:0 1024\n" +
				"blkio.throttle.read_iops_device=8:0 1024\nblkio.throttle.write_iops_device=8:16 0",
			"io.max=8:0 rbps=1024\nio.max=8:16 rbps=max\nio.max=8:0 wbps=1024\nio.max=8:0 riops=1024\nio.max=8:16 wiops=max"},

		{"unified", &res{Unified: map[string]string{"memory.high": "5", "cgroup.max.depth": "3", "io.max": "8:0 rbps=1\n8:16 wbps=2\n", "cpuset.cpus": "", "pids.max": "9"}},
			"!/linux/resources/unified: needs cgroup v2; this host has v1",
			"cgroup.max.depth=3\ncpuset.cpus=\n\nio.max=8:0 rbps=1\nio.max=8:16 wbps=2\nmemory.high=5\npids.max=9 after"},
		{"bad unified", &res{Unified: map[string]string{"a/b.c": "", "nodot": "", "misc.max": "", "cgroup.procs": "1", "cgroup.freeze": "1"}},
			"!/linux/resources/unified: needs cgroup v2; this host has v1",
			"!/linux/resources/unified/a~1b.c: is not a file name: it has a slash\n" +
				"/linux/resources/unified/cgroup.freeze: acts on processes and is no resource\n" +
				"/linux/resources/unified/cgroup.procs: acts on processes and is no resource\n" +
				"/linux/resources/unified/misc.max: cgroup controller misc is not available\n" +
				"/linux/resources/unified/nodot: is not of the form controller.parameter"},
	} {
		t.Run(test.name, func(t *testing.T) {
			for _, of := range []struct {
				layout *Layout
				want   string
			}{{v1, test.v1}, {v2, test.v2}} {
				writes, err := Writes(of.layout, test.r)
				got := spell(writes)
				if err != nil {
					got = "!" + err.Error()
					var field *FieldError
					if !errors.As(err, &field) {
						t.Errorf("%v: %T has no field", of.layout.Mode, err)
					}
				}
				if got != of.want {
					t.Errorf("%v: got\n%s\nwant\n%s", of.layout.Mode, got, of.want)
				}
				for _, w := range writes {
					if !strings.HasPrefix(w.Field, "/linux/resources/") || w.Controller == "" || w.Unified != (of.layout == v2) {
						t.Errorf("%v: %+v", of.layout.Mode, w)
					}
				}
			}
		})
	}
}

// TestWritesWhere: on a hybrid host every controller is sought where it lives,
// and a missing one is told with the field.
func TestWritesWhere(t *testing.T) {
	writes, err := Writes(hybrid, &specs.LinuxResources{
		Memory:         &specs.LinuxMemory{Limit: p(int64(1))},
		HugepageLimits: []specs.LinuxHugepageLimit{{Pagesize: "2MB", Limit: 2}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := spell(writes); got != "memory.limit_in_bytes=1 after\nhugetlb.2MB.max=2\nhugetlb.2MB.rsvd.max=2 optional" {
		t.Error(got)
	}
	if got := Controllers(writes); !reflect.DeepEqual(got, []string{"hugetlb"}) {
		t.Error(got)
	}
	r := &specs.LinuxResources{Pids: &specs.LinuxPids{Limit: p(int64(1))}}
	for layout, want := range map[*Layout]string{
		hybrid: "/linux/resources/pids/limit: cgroup controller pids is not available",
		none:   "/linux/resources/pids/limit: no cgroup file system is mounted",
	} {
		if _, err := Writes(layout, r); err == nil || err.Error() != want {
			t.Errorf("%v: %v", layout.Mode, err)
		}
	}
}

// TestEveryField sets one field of LinuxResources after the other, and expects
// a write or a fault from each that is not known to be left alone.
func TestEveryField(t *testing.T) {
	ignored := map[string]bool{
		"/devices":                  true, // another package
		"/memory/kernel":            true,
		"/memory/kernelTCP":         true,
		"/memory/useHierarchy":      true,
		"/memory/checkBeforeUpdate": true, // the caller's
	}
	var walk func(t *testing.T, r *specs.LinuxResources, v reflect.Value, path string)
	walk = func(t *testing.T, r *specs.LinuxResources, v reflect.Value, path string) {
		for i := range v.NumField() {
			f := v.Field(i)
			tag, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("json"), ",")
			name := path + "/" + tag
			old := reflect.ValueOf(f.Interface())
			switch {
			case f.Kind() == reflect.Pointer && f.Type().Elem().Kind() == reflect.Struct:
				f.Set(reflect.New(f.Type().Elem()))
				walk(t, r, f.Elem(), name)
				f.SetZero()
				continue
			case f.Kind() == reflect.Pointer:
				f.Set(reflect.New(f.Type().Elem()))
				switch e := f.Elem(); e.Kind() {
				case reflect.Bool:
					e.SetBool(true)
				case reflect.Int64:
					e.SetInt(64)
				default:
					e.SetUint(64)
				}
			case f.Kind() == reflect.String:
				f.SetString("0")
			case f.Kind() == reflect.Slice:
				f.Set(reflect.MakeSlice(f.Type(), 1, 1))
				if w, ok := f.Interface().([]specs.LinuxWeightDevice); ok {
					w[0].Weight = p(uint16(64))
				}
			case f.Kind() == reflect.Map:
				f.Set(reflect.MakeMap(f.Type()))
				if name == "/unified" {
					r.Unified = map[string]string{"memory.high": "1"}
				} else {
					r.Rdma = map[string]specs.LinuxRdma{"x": {HcaHandles: p(uint32(1))}}
				}
			default:
				t.Fatalf("%s: unexpected %v", name, f.Kind())
			}
			for _, l := range []*Layout{v1, v2} {
				writes, err := Writes(l, r)
				if silent := len(writes) == 0 && err == nil; silent != ignored[name] {
					t.Errorf("%v: %s: %v, %v", l.Mode, name, writes, err)
				}
				for _, w := range writes {
					if !strings.HasPrefix(w.Field, "/linux/resources"+name) {
						t.Errorf("%v: %s: %+v", l.Mode, name, w)
					}
				}
				if err != nil && !strings.HasPrefix(err.Error(), "/linux/resources"+name) {
					t.Errorf("%v: %s: %v", l.Mode, name, err)
				}
			}
			f.Set(old)
		}
	}
	r := &specs.LinuxResources{}
	walk(t, r, reflect.ValueOf(r).Elem(), "")
}

func TestWeight(t *testing.T) {
	for shares, want := range map[uint64]uint64{0: 0, 1: 1, 2: 1, 3: 2, 512: 59, 1024: 100, 2048: 174, 262143: 10000, 262144: 10000, 1 << 40: 10000} {
		if got := Weight(shares); got != want {
			t.Errorf("%d: %d, want %d", shares, got, want)
		}
	}
	for shares, last := uint64(2), uint64(1); shares <= 1<<18; shares++ {
		w := Weight(shares)
		if w < last || w > 10000 {
			t.Fatalf("%d shares: %d after %d", shares, w, last)
		}
		last = w
	}
	for weight, want := range map[uint16]uint64{10: 1, 100: 910, 500: 4950, 1000: 10000} {
		if got := IOWeight(weight); got != want {
			t.Errorf("io %d: %d, want %d", weight, got, want)
		}
	}
}

func TestSplit(t *testing.T) {
	before, after := Split([]Write{{File: "a"}, {File: "b", AfterJoin: true}, {File: "c"}})
	if spell(before) != "a=\nc=" || spell(after) != "b= after" {
		t.Errorf("%v %v", before, after)
	}
}
