package cgroup

import (
	"encoding/json"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/oci-mini/oci-mini/internal/cgroup/cgrouptest"
)

// The JSON is what engines parse: it is compared as a whole.
func TestStatsJSON(t *testing.T) {
	const pressure = "some avg10=1.50 avg60=0.25 avg300=0.00 total=1234\nfull avg10=0.00 avg60=0.00 avg300=0.12 total=99\n"
	const psi = `"psi":{"some":{"avg10":1.5,"avg60":0.25,"avg300":0,"total":1234},"full":{"avg10":0,"avg60":0,"avg300":0.12,"total":99}}`
	for _, test := range []struct {
		name      string
		hierarchy Hierarchy
		files     map[string]string
		want      string
	}{
		{"nothing", fakeV1, nil, `{"cpu":{},"cpuset":{"cpu_exclusive":0,"mem_hardwall":0,"mem_exclusive":0,"memory_migrate":0,` +
			`"memory_spread_page":0,"memory_spread_slab":0,"memory_pressure":0,"sched_load_balance":0,"sched_relax_domain_level":0},` +
			`"memory":{},"pids":{},"blkio":{},"hugetlb":{}}`},
		{"v1", fakeV1, map[string]string{
			"cpu.stat":                               "nr_periods 12\nnr_throttled 3\nthrottled_time 4500\nnr_bursts 0\nburst_time 0\n",
			"cpuacct.usage":                          "123456789\n",
			"cpuacct.stat":                           "user 7\nsystem 5\n",
			"cpuacct.usage_percpu":                   "100 23 \n",
			"cpuacct.usage_all":                      "cpu user system\n0 60 40\n1 13 10\n",
			"cpuset.cpus":                            "0-1,3\n",
			"cpuset.mems":                            "0\n",
			"cpuset.cpu_exclusive":                   "0\n",
			"cpuset.sched_load_balance":              "1\n",
			"cpuset.sched_relax_domain_level":        "-1\n",
			"memory.stat":                            "cache 4096\nrss 8192\nhierarchical_memory_limit 9223372036854771712\n",
			"memory.usage_in_bytes":                  "12288\n",
			"memory.limit_in_bytes":                  "67108864\n",
			"memory.max_usage_in_bytes":              "20480\n",
			"memory.failcnt":                         "2\n",
			"memory.memsw.usage_in_bytes":            "12289\n",
			"memory.memsw.limit_in_bytes":            "67108865\n",
			"memory.kmem.usage_in_bytes":             "77\n",
			"pids.current":                           "4\n",
			"pids.max":                               "max\n",
			"blkio.bfq.io_serviced_recursive":        "Total 0\n",
			"blkio.throttle.io_serviced_recursive":   "8:16 Read 1\n8:16 Write 2\n8:16 Sync 3\n8:16 Total 3\nTotal 3\n",
			"blkio.throttle.io_service_bytes":        "8:16 Read 7\nTotal 7\n",
			"blkio.throttle.sectors_recursive":       "8:16 24\n",
			"blkio.throttle.io_service_bytes_serial": "nonsense\n",
		}, `{"cpu":{"usage":{"total":123456789,"percpu":[100,23],"percpu_kernel":[40,10],"percpu_user":[60,13],"kernel":50000000,"user":70000000},` +
			`"throttling":{"periods":12,"throttledPeriods":3,"throttledTime":4500}},` +
			`"cpuset":{"cpus":[0,1,3],"cpu_exclusive":0,"mems":[0],"mem_hardwall":0,"mem_exclusive":0,"memory_migrate":0,` +
			`"memory_spread_page":0,"memory_spread_slab":0,"memory_pressure":0,"sched_load_balance":1,"sched_relax_domain_level":-1},` +
			`"memory":{"cache":4096,"usage":{"limit":67108864,"usage":12288,"max":20480,"failcnt":2},"swap":{"limit":67108865,"usage":12289,"failcnt":0},` +
			`"kernel":{"limit":0,"usage":77,"failcnt":0},"raw":{"cache":4096,"hierarchical_memory_limit":9223372036854771712,"rss":8192}},` +
			`"pids":{"current":4},` +
			`"blkio":{"ioServicedRecursive":[{"major":8,"minor":16,"op":"Read","value":1},{"major":8,"minor":16,"op":"Write","value":2},` +
			`{"major":8,"minor":16,"op":"Sync","value":3},{"major":8,"minor":16,"op":"Total","value":3}],` +
			`"sectorsRecursive":[{"major":8,"minor":16,"value":24}]},"hugetlb":{}}`},
		{"v2", fakeV2, map[string]string{
			"cpu.stat":              "usage_usec 5000\nuser_usec 3000\nsystem_usec 2000\nnice_usec 0\nnr_periods 10\nnr_throttled 2\nthrottled_usec 70\n",
			"cpu.pressure":          pressure,
			"io.pressure":           pressure,
			"cpuset.cpus.effective": "2\n",
			"cpuset.mems.effective": "0\n",
			"memory.stat":           "anon 8192\nfile 4096\n",
			"memory.current":        "12288\n",
			"memory.max":            "67108864\n",
			"memory.peak":           "20480\n",
			"memory.events":         "low 0\nhigh 0\nmax 6\noom 1\noom_kill 1\noom_group_kill 0\n",
			"memory.swap.current":   "1000\n",
			"memory.swap.max":       "2000\n",
			"pids.current":          "4\n",
			"pids.max":              "33\n",
			"io.stat":               "8:16 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=5 dios=6 cost.usage=7\n8:0 \n",
		}, `{"cpu":{"usage":{"total":5000000,"kernel":2000000,"user":3000000},"throttling":{"periods":10,"throttledPeriods":2,"throttledTime":70000},` + psi + `},` +
			`"cpuset":{"cpus":[2],"cpu_exclusive":0,"mems":[0],"mem_hardwall":0,"mem_exclusive":0,"memory_migrate":0,` +
			`"memory_spread_page":0,"memory_spread_slab":0,"memory_pressure":0,"sched_load_balance":0,"sched_relax_domain_level":0},` +
			`"memory":{"cache":4096,"usage":{"limit":67108864,"usage":12288,"max":20480,"failcnt":6},` +
			`"swap":{"limit":67110864,"usage":13288,"failcnt":0},"raw":{"anon":8192,"file":4096}},` +
			`"pids":{"current":4,"limit":33},` +
			`"blkio":{"ioServiceBytesRecursive":[{"major":8,"minor":16,"op":"Read","value":1},{"major":8,"minor":16,"op":"Write","value":2},` +
			`{"major":8,"minor":16,"op":"Discard","value":5}],"ioServicedRecursive":[{"major":8,"minor":16,"op":"Read","value":3},` +
			`{"major":8,"minor":16,"op":"Write","value":4},{"major":8,"minor":16,"op":"Discard","value":6}],` + psi + `},"hugetlb":{}}`},
		{"v2 without limits or the pids controller", fakeV2, map[string]string{
			"memory.current":      "5\n",
			"memory.max":          "max\n",
			"memory.swap.current": "6\n",
			"memory.swap.max":     "0\n",
			"cgroup.procs":        "11\n12\n0\n",
		}, `{"cpu":{},"cpuset":{"cpu_exclusive":0,"mem_hardwall":0,"mem_exclusive":0,"memory_migrate":0,` +
			`"memory_spread_page":0,"memory_spread_slab":0,"memory_pressure":0,"sched_load_balance":0,"sched_relax_domain_level":0},` +
			`"memory":{"usage":{"limit":18446744073709551615,"usage":5,"failcnt":0},"swap":{"limit":18446744073709551615,"usage":11,"failcnt":0}},` +
			`"pids":{"current":2},"blkio":{},"hugetlb":{}}`},
	} {
		t.Run(test.name, func(t *testing.T) {
			s, err := fake(t, test.hierarchy, test.files).Stats()
			if err != nil {
				t.Fatal(err)
			}
			got, err := json.Marshal(s)
			if err != nil || string(got) != test.want {
				t.Errorf("%v\n%s\nwant\n%s", err, got, test.want)
			}
		})
	}
}

func TestStatsHugetlb(t *testing.T) {
	sizes := []string{"2MB", "1GB", "16GB"}
	got := map[string]HugetlbStats{}
	c := fake(t, fakeV1, map[string]string{
		"hugetlb.2MB.usage_in_bytes": "1\n", "hugetlb.2MB.max_usage_in_bytes": "2\n", "hugetlb.2MB.failcnt": "3\n",
		"hugetlb.1GB.usage_in_bytes": "1\n", "hugetlb.1GB.rsvd.usage_in_bytes": "4\n", "hugetlb.1GB.rsvd.max_usage_in_bytes": "5\n", "hugetlb.1GB.rsvd.failcnt": "6\n",
	})
	r := statsReader{dir: &c.dirs[0]}
	r.hugetlbV1(got, sizes)
	want := map[string]HugetlbStats{"2MB": {1, 2, 3}, "1GB": {4, 5, 6}}
	if r.err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("v1: %v %v, want %v", got, r.err, want)
	}
	got = map[string]HugetlbStats{}
	c = fake(t, fakeV2, map[string]string{
		"hugetlb.2MB.current": "1\n", "hugetlb.2MB.events": "max 3\n",
		"hugetlb.1GB.current": "1\n", "hugetlb.1GB.rsvd.current": "4\n", "hugetlb.1GB.events": "max 6\n",
	})
	r = statsReader{dir: &c.dirs[0]}
	r.hugetlbV2(got, sizes)
	want = map[string]HugetlbStats{"2MB": {1, 0, 3}, "1GB": {4, 0, 6}}
	if r.err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("v2: %v %v, want %v", got, r.err, want)
	}
}

// A file that says something unexpected is an error that names it, and does not
// cost the rest.
func TestStatsMalformed(t *testing.T) {
	for file, text := range map[string]string{
		"cpuacct.usage":                        "x\n",
		"cpuacct.stat":                         "user\n",
		"cpuacct.usage_percpu":                 "1 x\n",
		"cpuacct.usage_all":                    "cpu user system\n0 1\n",
		"cpuset.cpus":                          "3-1\n",
		"cpuset.sched_relax_domain_level":      "1-\n",
		"blkio.throttle.io_serviced_recursive": "8:0 Read Write 1\n",
		"blkio.bfq.io_serviced_recursive":      "8 Read 1\n",
	} {
		s, err := fake(t, fakeV1, map[string]string{file: text, "pids.current": "7\n"}).Stats()
		if err == nil || !strings.Contains(err.Error(), "/"+file+": unexpected content") || s.Pids.Current != 7 {
			t.Errorf("%s %q: %v", file, text, err)
		}
	}
	for file, text := range map[string]string{
		"io.stat": "8:0 rbytes=x\n", "cpu.pressure": "some avg10=x\n", "pids.current": "x\n",
	} {
		s, err := fake(t, fakeV2, map[string]string{file: text, "cpu.stat": "usage_usec 7\n"}).Stats()
		if err == nil || !strings.Contains(err.Error(), "/"+file+": unexpected content") || s.CPU.Usage.Total != 7000 {
			t.Errorf("%s %q: %v", file, text, err)
		}
	}
}

func TestParseList(t *testing.T) {
	for _, test := range []struct {
		text string
		want []uint16
		ok   bool
	}{
		{"", nil, true}, {"0", []uint16{0}, true}, {"0-2,5,7-7", []uint16{0, 1, 2, 5, 7}, true},
		{"2-1", nil, false}, {"x", nil, false}, {"1,", nil, false}, {"1-", nil, false}, {"70000", nil, false}, {"65535-65535", []uint16{65535}, true},
	} {
		if got, ok := parseList(test.text); !slices.Equal(got, test.want) || ok != test.ok {
			t.Errorf("%q: %v %v", test.text, got, ok)
		}
	}
}

func TestPageSize(t *testing.T) {
	for name, want := range map[string]string{
		"hugepages-64kB": "64KB", "hugepages-2048kB": "2MB", "hugepages-1048576kB": "1GB", "hugepages-16777216kB": "16GB",
		"hugepages-kB": "", "hugepages-2048": "", "2048kB": "",
	} {
		if got, ok := pageSize(name); got != want || ok != (want != "") {
			t.Errorf("%s: %q %v", name, got, ok)
		}
	}
}

// The real files of a cgroup with a process in it.
func TestV1Stats(t *testing.T) {
	l := layout(t, Legacy, Hybrid)
	realStats(t, l)
}

func TestV2Stats(t *testing.T) {
	if !cgrouptest.V2(t) {
		return
	}
	l := layout(t, Unified)
	s := realStats(t, l)
	if _, err := os.Stat("/proc/pressure/cpu"); err == nil && s.CPU.PSI == nil {
		t.Error("no pressure, though the kernel has it")
	}
}

func realStats(t *testing.T, l *Layout) *Stats {
	c := create(t, l, name())
	proc := start(t, nil)
	if err := c.Join(proc.Process.Pid); err != nil {
		t.Fatal(err)
	}
	opened, err := OpenExisting(c.Paths())
	if err != nil {
		t.Fatal(err)
	}
	defer opened.Close()
	s, err := opened.Stats()
	if err != nil {
		t.Fatal(err)
	}
	if s.Pids.Current == 0 {
		t.Errorf("no process is counted: %+v", s)
	}
	if made, err := c.Stats(); err != nil || !reflect.DeepEqual(made.CPUSet, s.CPUSet) {
		t.Errorf("%v: as created %+v, as opened %+v", err, made.CPUSet, s.CPUSet)
	}
	if l.Mode != Unified && c.v1("cpuset") != nil && len(s.CPUSet.CPUs) == 0 {
		t.Error("no cpus")
	}
	if l.Mode != Unified && c.v1("memory") != nil && (s.Memory.Usage.Limit == 0 || len(s.Memory.Raw) == 0) {
		t.Errorf("memory: %+v", s.Memory)
	}
	return s
}
