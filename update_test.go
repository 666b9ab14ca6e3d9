package main

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/oci-mini/oci-mini/internal/cgroup"
	"github.com/oci-mini/oci-mini/internal/state"
)

func TestParseSize(t *testing.T) {
	for text, want := range map[string]int64{
		"-1": -1, "0": 0, "1048576": 1 << 20, "9223372036854775807": math.MaxInt64,
		"64M": 64 << 20, "64m": 64 << 20, "64MB": 64 << 20, "64MiB": 64 << 20, "64 mb": 64 << 20, "7b": 7, "512k": 512 << 10,
		"1.5G": 3 << 29, "2T": 2 << 40, "1P": 1 << 50, ".5k": 512,
	} {
		if got, err := parseSize(text); got != want || err != nil {
			t.Errorf("%s: %d %v, want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", "-2", "M", "64Q", "64X", "64MX", "64Mi", "1e3", "0x10", "1_000", "NaN", "Inf", "--1", "1,5G", "6 4", "64MM"} {
		if got, err := parseSize(text); err == nil || !strings.Contains(err.Error(), "is not a size") {
			t.Errorf("%q: %d %v", text, got, err)
		}
	}
	for _, text := range []string{"9000P", "9223372036854775808"} {
		if got, err := parseSize(text); err == nil || !strings.Contains(err.Error(), "too large") {
			t.Errorf("%q: %d %v", text, got, err)
		}
	}
}

func TestResourceFlags(t *testing.T) {
	flags := map[string]string{
		"blkio-weight": "500", "cpu-period": "100000", "cpu-quota": "-1", "cpu-burst": "0", "cpu-share": "1024",
		"cpu-rt-period": "5", "cpu-rt-runtime": "4", "cpu-idle": "1", "cpuset-cpus": "0-1", "cpuset-mems": "0",
		"memory": "64M", "memory-reservation": "32M", "memory-swap": "-1", "pids-limit": "0",
	}
	// The document's values stay where no flag is.
	r := &specs.LinuxResources{
		Memory: &specs.LinuxMemory{Limit: new(int64(1)), Swappiness: new(uint64(7))},
		Rdma:   map[string]specs.LinuxRdma{"a": {}},
	}
	if err := resourceFlags(r, func(name string) string { return flags[name] }); err != nil {
		t.Fatal(err)
	}
	want := &specs.LinuxResources{
		Memory: &specs.LinuxMemory{Limit: new(int64(64 << 20)), Reservation: new(int64(32 << 20)), Swap: new(int64(-1)), Swappiness: new(uint64(7))},
		CPU: &specs.LinuxCPU{
			Shares: new(uint64(1024)), Quota: new(int64(-1)), Burst: new(uint64(0)), Period: new(uint64(100000)), Idle: new(int64(1)),
			RealtimeRuntime: new(int64(4)), RealtimePeriod: new(uint64(5)), Cpus: "0-1", Mems: "0",
		},
		Pids:    &specs.LinuxPids{Limit: new(int64(0))},
		BlockIO: &specs.LinuxBlockIO{Weight: new(uint16(500))},
		Rdma:    map[string]specs.LinuxRdma{"a": {}},
	}
	if !reflect.DeepEqual(r, want) {
		t.Errorf("%+v, want %+v", r, want)
	}

	for name, value := range map[string]string{
		"blkio-weight": "70000", "cpu-period": "-1", "cpu-quota": "1.5", "cpu-share": "x", "memory": "64Q", "pids-limit": "9223372036854775808",
	} {
		err := resourceFlags(&specs.LinuxResources{}, func(n string) string {
			if n == name {
				return value
			}
			return ""
		})
		if err == nil || !strings.HasPrefix(err.Error(), "--"+name+": ") || !strings.Contains(err.Error(), value) {
			t.Errorf("--%s %s: %v", name, value, err)
		}
	}
}

// Every flag that sets a resource is read.
func TestResourceFlagsAreComplete(t *testing.T) {
	read := map[string]bool{
		"resources": true, "kernel-memory": true, "kernel-memory-tcp": true, "l3-cache-schema": true, "mem-bw-schema": true,
	}
	if err := resourceFlags(&specs.LinuxResources{}, func(name string) string { read[name] = true; return "" }); err != nil {
		t.Fatal(err)
	}
	defined := map[string]bool{}
	for _, f := range updateCommand.Flags {
		defined[f.Names()[0]] = true
	}
	delete(defined, "help")
	if !reflect.DeepEqual(read, defined) {
		t.Errorf("read %v\ndefined %v", read, defined)
	}
}

func TestReadResources(t *testing.T) {
	const document = `{"pids": {"limit": 5}, "devices": [{"allow": false}], "nonsense": 1}`
	file := t.TempDir() + "/r.json"
	if err := os.WriteFile(file, []byte(document), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"-", file} {
		r := &specs.LinuxResources{}
		if err := readResources(r, name, strings.NewReader(document)); err != nil || r.Devices != nil || *r.Pids.Limit != 5 {
			t.Errorf("%s: %+v %v", name, r, err)
		}
	}
	for text, want := range map[string]string{`{"pids": {"limit": "5"}}`: "/pids/limit", `{"pids`: "standard input", `[]`: "object", ``: "standard input"} {
		if err := readResources(&specs.LinuxResources{}, "-", strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
	if err := readResources(&specs.LinuxResources{}, file+"x", nil); !errors.Is(err, fs.ErrNotExist) {
		t.Error("missing file:", err)
	}
}

func TestMerge(t *testing.T) {
	v2 := &cgroup.Layout{Mode: cgroup.Unified, Hierarchies: []cgroup.Hierarchy{{Unified: true, Controllers: []string{"cpu", "memory"}}}}
	v1 := &cgroup.Layout{Mode: cgroup.Hybrid, Hierarchies: []cgroup.Hierarchy{{Controllers: []string{"cpu"}}, {Controllers: []string{"memory"}}, {Unified: true}}}
	missing := &fs.PathError{Op: "read", Path: "cpu.max", Err: fs.ErrNotExist}
	broken := errors.New("broken")
	for _, test := range []struct {
		name            string
		layout          *cgroup.Layout
		cpu             specs.LinuxCPU
		memory          specs.LinuxMemory
		quota           int64
		limit           uint64
		err             error
		wantQuota, want *int64
		wantErr         string
	}{
		{name: "period alone", layout: v2, cpu: specs.LinuxCPU{Period: new(uint64(5))}, quota: 77, wantQuota: new(int64(77))},
		{name: "period alone, no quota", layout: v2, cpu: specs.LinuxCPU{Period: new(uint64(5))}, quota: -1, wantQuota: new(int64(-1))},
		{name: "period and a quota of zero", layout: v2, cpu: specs.LinuxCPU{Period: new(uint64(5)), Quota: new(int64(0))}, quota: 77, wantQuota: new(int64(77))},
		{name: "both", layout: v2, cpu: specs.LinuxCPU{Period: new(uint64(5)), Quota: new(int64(6))}, quota: 77, wantQuota: new(int64(6))},
		{name: "quota alone", layout: v2, cpu: specs.LinuxCPU{Quota: new(int64(6))}, quota: 77, wantQuota: new(int64(6))},
		{name: "v1 has two files", layout: v1, cpu: specs.LinuxCPU{Period: new(uint64(5))}, quota: 77},
		{name: "no file", layout: v2, cpu: specs.LinuxCPU{Period: new(uint64(5))}, err: missing},
		{name: "unreadable", layout: v2, cpu: specs.LinuxCPU{Period: new(uint64(5))}, err: broken, wantErr: "broken"},
		{name: "swap alone", layout: v2, memory: specs.LinuxMemory{Swap: new(int64(100))}, limit: 60, want: new(int64(60))},
		{name: "swap alone, unlimited memory", layout: v2, memory: specs.LinuxMemory{Swap: new(int64(100))}, limit: math.MaxUint64},
		{name: "swap below the limit", layout: v2, memory: specs.LinuxMemory{Swap: new(int64(50))}, limit: 60, wantErr: "/memory/swap: memory and swap together (50) is below the memory limit (60)"},
		{name: "unlimited swap alone", layout: v2, memory: specs.LinuxMemory{Swap: new(int64(-1))}, limit: 60},
		{name: "swap alone on v1", layout: v1, memory: specs.LinuxMemory{Swap: new(int64(100))}, limit: 60},
		{name: "unreadable limit", layout: v2, memory: specs.LinuxMemory{Swap: new(int64(100))}, err: broken, wantErr: "broken"},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := &specs.LinuxResources{CPU: &test.cpu, Memory: &test.memory}
			err := merge(r, test.layout, func() (int64, error) { return test.quota, test.err }, func() (uint64, error) { return test.limit, test.err })
			if test.wantErr != "" {
				if err == nil || err.Error() != test.wantErr {
					t.Errorf("error %v, want %s", err, test.wantErr)
				}
				return
			}
			if err != nil || !reflect.DeepEqual(r.CPU.Quota, test.wantQuota) || !reflect.DeepEqual(r.Memory.Limit, test.want) {
				t.Errorf("%v: quota %v, limit %v", err, r.CPU.Quota, r.Memory.Limit)
			}
		})
	}
}

func TestCheckMemory(t *testing.T) {
	store := state.Open(t.TempDir())
	var dirs [2]*state.Dir
	for i, config := range []string{`{"linux":{"resources":{"memory":{"checkBeforeUpdate":true}}}}`, `{}`} {
		dir, err := store.Create(&state.Record{ID: fmt.Sprint("c", i), Phase: state.Ready}, []byte(config))
		if err != nil {
			t.Fatal(err)
		}
		defer dir.Close()
		dirs[i] = dir
	}
	checking, not := dirs[0], dirs[1]
	usage := func() (uint64, uint64, error) { return 1000, 2000, nil }
	for _, test := range []struct {
		name   string
		dir    *state.Dir
		memory *specs.LinuxMemory
		want   string
	}{
		{"nothing", checking, nil, ""},
		{"no limit", checking, &specs.LinuxMemory{Swappiness: new(uint64(1))}, ""},
		{"below, by the config", checking, &specs.LinuxMemory{Limit: new(int64(999))}, "/memory/limit: 999 is below the memory in use (current usage: 1000, peak usage: 2000)"},
		{"below, and the update does not want to know", checking, &specs.LinuxMemory{Limit: new(int64(999)), CheckBeforeUpdate: new(false)}, ""},
		{"below, by the update", not, &specs.LinuxMemory{Limit: new(int64(1)), CheckBeforeUpdate: new(true)}, "/memory/limit: 1 is below"},
		{"below, unchecked", not, &specs.LinuxMemory{Limit: new(int64(1))}, ""},
		{"as much", checking, &specs.LinuxMemory{Limit: new(int64(1000))}, ""},
		{"unlimited", checking, &specs.LinuxMemory{Limit: new(int64(-1)), Swap: new(int64(-1))}, ""},
		{"swap below", checking, &specs.LinuxMemory{Swap: new(int64(500))}, "/memory/swap: 500 is below"},
	} {
		err := checkMemory(test.dir, test.memory, usage)
		if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.HasPrefix(err.Error(), test.want)) {
			t.Errorf("%s: %v", test.name, err)
		}
	}
}

// Faults name the place in the document of the update, one a line.
func TestOfResources(t *testing.T) {
	_, err := cgroup.Writes(&cgroup.Layout{}, &specs.LinuxResources{
		Pids: &specs.LinuxPids{Limit: new(int64(1))}, Unified: map[string]string{"a.b": "1"},
	})
	got := ofResources(err)
	if want := "/pids/limit: no cgroup file system is mounted\n/unified: needs cgroup v2; this host has none"; got == nil || got.Error() != want {
		t.Errorf("%v\nwant\n%s", got, want)
	}
}
