package spec

import (
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
)

func TestTables(t *testing.T) {
	for name, table := range map[string][]Value{
		"Rlimits": Rlimits, "Propagations": Propagations, "SchedulerPolicies": SchedulerPolicies,
		"SchedulerFlags": SchedulerFlags, "IOPriorityClasses": IOPriorityClasses,
		"MemoryPolicyModes": MemoryPolicyModes, "MemoryPolicyFlags": MemoryPolicyFlags,
		"Personalities": Personalities, "Clocks": Clocks, "DeviceTypes": DeviceTypes,
	} {
		names, numbers := map[string]bool{}, map[uint64]string{}
		for _, v := range table {
			if v.Name == "" || names[v.Name] {
				t.Errorf("%s: name %q twice or empty", name, v.Name)
			}
			names[v.Name] = true
			if other, ok := numbers[v.Value]; ok && name != "DeviceTypes" {
				t.Errorf("%s: %s and %s have the same number", name, v.Name, other)
			}
			numbers[v.Value] = v.Name
			if got, ok := Lookup(table, v.Name); !ok || got != v.Value {
				t.Errorf("%s: %s not found", name, v.Name)
			}
		}
		if len(Names(table)) != len(table) || Names(table)[0] != table[0].Name {
			t.Errorf("%s: names %v", name, Names(table))
		}
		if _, ok := Lookup(table, ""); ok {
			t.Errorf("%s: the empty name is found", name)
		}
	}
	for _, list := range [][]string{SeccompActions, SeccompOperators, SeccompFlags, SeccompArches} {
		if sorted := slices.Sorted(slices.Values(list)); len(slices.Compact(sorted)) != len(list) {
			t.Errorf("a name is there twice: %v", list)
		}
	}
}

// The numbers of the resource limits are those of the kernel, as it lists them.
func TestRlimitsAreComplete(t *testing.T) {
	data, err := os.ReadFile("/proc/self/limits")
	if err != nil {
		t.Skip("no proc:", err)
	}
	if kernel := strings.Count(string(data), "\nMax "); kernel != len(Rlimits) {
		t.Errorf("the kernel has %d, the table %d", kernel, len(Rlimits))
	}
	for i, limit := range Rlimits {
		if i > 0 && slices.ContainsFunc(Rlimits[:i], func(v Value) bool { return v.Value == limit.Value }) {
			t.Errorf("%s has another's number", limit.Name)
		}
	}
}

func TestNamespaces(t *testing.T) {
	for i := range Namespaces {
		ns := &Namespaces[i]
		if LookupNamespace(ns.Type) != ns {
			t.Errorf("%s is not found", ns.Type)
		}
		// The type, as everybody writes it, is but for two the file's name.
		if ns.File != string(ns.Type) && ns.File != map[string]string{"network": "net", "mount": "mnt"}[string(ns.Type)] {
			t.Errorf("%s has file %s", ns.Type, ns.File)
		}
		if _, err := os.Readlink("/proc/self/ns/" + ns.File); err != nil {
			t.Error(err)
		}
	}
	if LookupNamespace("net") != nil || LookupNamespace("") != nil {
		t.Error("found what is not there")
	}
}

func TestParseRanges(t *testing.T) {
	for list, want := range map[string][]Range{
		"": nil, "0": {{0, 0}}, "0-3,7": {{0, 3}, {7, 7}}, " 1 , 2-3 ,": {{1, 1}, {2, 3}},
		"5-5": {{5, 5}}, "65535": {{65535, 65535}}, ",0,": {{0, 0}}, "0\n": {{0, 0}},
	} {
		if got, err := ParseRanges(list); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("ParseRanges(%q) = %v, %v", list, got, err)
		}
	}
	for list, want := range map[string]string{
		",": `"," names nothing`, " ": `" " names nothing`, "a": `"a" is not a number`,
		"-": `"" is not a number`, "1-": `"" is not a number`, "-3": `"" is not a number`,
		"1 - 2": `"1 " is not a number`, "3-1": `3-1 runs backwards`, "1-2-3": `"2-3" is not a number`,
		"65536": `65536 is above 65535`, "0-99999999999": `"99999999999" is not a number`,
		"+1": `"+1" is not a number`, "0x1": `"0x1" is not a number`, "0-10:1/2": `"10:1/2" is not a number`,
	} {
		if got, err := ParseRanges(list); err == nil || err.Error() != want {
			t.Errorf("ParseRanges(%q) = %v, %v, want %s", list, got, err, want)
		}
	}
}
