package main

import (
	"fmt"
	"testing"

	"github.com/oci-mini/oci-mini/internal/cgroup"
)

// What systemd is told is what the files say, and nothing of a file that is not there: what a
// failed update puts back must not be what it asked for.
func TestPresentProperties(t *testing.T) {
	v2 := func(controller, file, value string) cgroup.Write {
		return cgroup.Write{Controller: controller, Unified: true, File: file, Value: value}
	}
	v1 := func(controller, file, value string) cgroup.Write {
		return cgroup.Write{Controller: controller, File: file, Value: value}
	}
	weight := v2("io", "io.bfq.weight", "500")
	other := v2("io", "io.weight", "default 500")
	weight.Else = &other
	for _, test := range []struct {
		name   string
		files  map[string]string
		writes []cgroup.Write
		want   string
	}{
		{"what is there, not what is asked for", map[string]string{"memory.max": "max\n", "pids.max": "20\n"},
			[]cgroup.Write{v2("memory", "memory.max", "1000"), v2("pids", "pids.max", "30")},
			"[MemoryMax=uint64 18446744073709551615 TasksMax=uint64 20]"},
		{"a controller that is off", map[string]string{"pids.max": "20\n"},
			[]cgroup.Write{v2("memory", "memory.max", "1000"), v2("pids", "pids.max", "30"), v2("cpu", "cpu.idle", "0")}, "[TasksMax=uint64 20]"},
		{"nothing", nil, []cgroup.Write{v2("memory", "memory.max", "1000"), weight, v1("cpu", "cpu.cfs_quota_us", "5")}, "[]"},
		{"another file instead", map[string]string{"io.weight": "default 100\n8:0 200\n"}, []cgroup.Write{weight}, "[IOWeight=uint64 100]"},
		{"a part of a file", map[string]string{"cpu.max": "20000 50000\n"}, []cgroup.Write{v2("cpu", "cpu.max", "30000")},
			"[CPUQuotaPerSecUSec=uint64 400000 CPUQuotaPeriodUSec=uint64 50000]"},
		{"two files of v1", map[string]string{"cpu.cfs_quota_us": "-1\n", "cpu.cfs_period_us": "50000\n"}, []cgroup.Write{v1("cpu", "cpu.cfs_quota_us", "30000")},
			"[CPUQuotaPerSecUSec=uint64 18446744073709551615 CPUQuotaPeriodUSec=uint64 50000]"},
		{"idle no more", map[string]string{"cpu.idle": "0\n", "cpu.weight": "77\n"}, []cgroup.Write{v2("cpu", "cpu.idle", "1")}, "[CPUWeight=uint64 77]"},
		{"idle", map[string]string{"cpu.idle": "1\n", "cpu.weight": "0\n"}, []cgroup.Write{v2("cpu", "cpu.idle", "0")}, "[CPUWeight=uint64 0]"},
	} {
		var present func(w cgroup.Write) (file, text string, ok bool)
		present = func(w cgroup.Write) (file, text string, ok bool) {
			text, ok = test.files[w.File]
			if !ok && w.Else != nil {
				return present(*w.Else)
			}
			return w.File, text, ok
		}
		if got := fmt.Sprint(presentProperties(present, test.writes)); got != test.want {
			t.Errorf("%s: %s, want %s", test.name, got, test.want)
		}
	}
}
