package seccomp

import "github.com/opencontainers/runtime-spec/specs-go"

//go:generate go run ./tablegen

// numbers has the number of each name of [nameText] on one architecture, in the
// order of the names. The tables are plain data: they cost nothing at start.
type numbers [numNames]uint16

const (
	// absent stands for a call that the architecture does not have.
	absent = 0xffff
	// compactPrivate is where numbers stand for those from armPrivate on, which do
	// not fit.
	compactPrivate = 0xf000
)

// nameAt returns a name by its place in the table.
func nameAt(i int) string {
	start := uint16(0)
	if i > 0 {
		start = nameEnds[i-1]
	}
	return nameText[start:nameEnds[i]]
}

// nameIndex returns the place of a name in the table, or -1.
func nameIndex(name string) int {
	h := uint32(2166136261) // FNV-1a
	for i := range len(name) {
		h = (h ^ uint32(name[i])) * 16777619
	}
	for at := (h ^ h>>16) % uint32(len(nameSlots)); nameSlots[at] != 0; at = (at + 1) % uint32(len(nameSlots)) {
		if i := int(nameSlots[at]) - 1; nameAt(i) == name {
			return i
		}
	}
	return -1
}

// Number returns the number of a system call on an architecture.
func Number(on specs.Arch, name string) (nr uint32, ok bool) {
	a, i := findArch(on), nameIndex(name)
	if a == nil || i < 0 {
		return 0, false
	}
	return a.number(i)
}

// Name returns the name of a system call on an architecture, or "".
func Name(on specs.Arch, nr uint32) string {
	if a := findArch(on); a != nil {
		return a.nameOf(nr)
	}
	return ""
}

func (a *arch) nameOf(nr uint32) string {
	for i := range numNames {
		if n, ok := a.number(i); ok && n == nr {
			return nameAt(i)
		}
	}
	return ""
}
