package main

import (
	"fmt"
	"reflect"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/oci-mini/oci-mini/internal/seccomp"
)

// holdFilter refuses images with a filter that lets calls through which that of the config never
// does. A filter cannot be exchanged. One that is stricter, such as an earlier one of an engine
// that has come to know more calls since, is good. Calls that both judge by their arguments are not compared.
// Of images without a word about it nothing is known but that there is a filter; see privileges.
func (b *birth) holdFilter(was *specs.LinuxSeccomp) error {
	if was == nil || b.filter == nil || reflect.DeepEqual(was, b.spec.Linux.Seccomp) {
		return nil
	}
	old, err := seccomp.Compile(was, seccomp.Native())
	if err != nil {
		return fmt.Errorf("--image-path: %s: %w", noteFile, err)
	}
	for _, arch := range append([]specs.Arch{seccomp.Native()}, b.spec.Linux.Seccomp.Architectures...) {
		let, err := letThrough(old, arch)
		if err != nil {
			return err
		}
		lets, err := letThrough(b.filter, arch)
		if err != nil {
			return err
		}
		for call, how := range let {
			if how > lets[call] {
				return fmt.Errorf("/linux/seccomp: the images have another filter, which lets %s of %s through where the config's does not, and cannot be exchanged", call, arch)
			}
		}
	}
	return nil
}

// How a filter lets calls through. Zero is: never.
const (
	sometimes = 1 // by their arguments
	always    = 2
)

// letThrough says it of the calls of an architecture by their names. Numbers without one are passed over.
func letThrough(f *seccomp.Filter, on specs.Arch) (map[string]int, error) {
	groups, err := f.Overview(on)
	if err != nil {
		return nil, err
	}
	calls := map[string]int{}
	for _, g := range groups {
		how := 0
		switch {
		case g.ByArguments:
			how = sometimes
		case g.Action == specs.ActAllow, g.Action == specs.ActLog:
			how = always
		}
		for _, call := range g.Calls {
			calls[call] = how
		}
	}
	return calls, nil
}
