package seccomp

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/opencontainers/runtime-spec/specs-go"
	"github.com/opencontainers/runtime-spec/specs-go/features"
)

// A Group is calls that get the same answer.
type Group struct {
	Action specs.LinuxSeccompAction `json:"action,omitempty"`
	Data   uint32                   `json:"data"`
	// ByArguments says that the answers depend on arguments; then there is no
	// action.
	ByArguments bool     `json:"byArguments,omitempty"`
	Calls       []string `json:"calls"`
}

// Overview returns the known calls of an architecture by what they get: those that
// are judged by their arguments first, then the largest group.
func (f *Filter) Overview(on specs.Arch) ([]Group, error) {
	a := findArch(on)
	if a == nil {
		return nil, fmt.Errorf("%q is not an architecture", on)
	}
	var groups []Group
	for call := range numNames {
		nr, ok := a.number(call)
		if !ok {
			continue
		}
		v, err := f.Judge(on, nr, [6]uint64{})
		if err != nil {
			return nil, err
		}
		g := Group{Action: v.Action, Data: v.Data}
		if len(f.Conditional(on, nr)) > 0 {
			g = Group{ByArguments: true}
		}
		i := slices.IndexFunc(groups, func(o Group) bool {
			return o.Action == g.Action && o.Data == g.Data && o.ByArguments == g.ByArguments
		})
		if i < 0 {
			i = len(groups)
			groups = append(groups, g)
		}
		groups[i].Calls = append(groups[i].Calls, nameAt(call))
	}
	slices.SortStableFunc(groups, func(a, b Group) int {
		if a.ByArguments != b.ByArguments {
			return cmp.Compare(index(b.ByArguments), index(a.ByArguments))
		}
		return cmp.Compare(len(b.Calls), len(a.Calls))
	})
	return groups, nil
}

// Conditional returns the JSON pointers of the rules that judge a call by its
// arguments, in the order in which they are tried. There are none if it gets the same answer whatever they are.
func (f *Filter) Conditional(on specs.Arch, nr uint32) []string {
	a := findArch(on)
	if a == nil {
		return nil
	}
	call := nameIndex(a.nameOf(nr))
	r, err := read(f.profile)
	if err != nil || call < 0 {
		return nil
	}
	r.exact = true
	var list []rule
	if _, constant, inTurn := r.decide(call, a.wide); !constant {
		for _, i := range inTurn {
			list = append(list, r.all[i])
		}
	}
	for i := range multiplexers {
		if m := &multiplexers[i]; a.muxed && m.name == nameAt(call) {
			list = r.multiplexed(m, a.wide)
		}
	}
	var pointers []string
	for _, rule := range list {
		if p := fmt.Sprintf("/linux/seccomp/syscalls/%d", rule.entry); !slices.Contains(pointers, p) {
			pointers = append(pointers, p)
		}
	}
	return pointers
}

// Features is what `features` says of seccomp: the names that profiles may have.
func Features() *features.Seccomp {
	yes := true
	return &features.Seccomp{
		Enabled: &yes, Actions: plain(Actions()), Operators: plain(Operators()), Archs: plain(Arches()),
		KnownFlags: plain(Flags()), SupportedFlags: plain(Flags()),
	}
}

func plain[T ~string](names []T) []string {
	list := make([]string, len(names))
	for i, name := range names {
		list[i] = string(name)
	}
	return list
}
