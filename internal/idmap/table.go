package idmap

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/moby/sys/user"
	"golang.org/x/sys/unix"
)

// allotment is a line of /etc/subuid: ids that a user may map.
type allotment struct{ first, size uint64 }

func (a allotment) holds(first, last uint64) bool { return first >= a.first && last < a.first+a.size }

// String is the range as people write it.
func (a allotment) String() string { return fmt.Sprintf("%d-%d", a.first, a.first+a.size-1) }

// allotments reads the lines NAME:FIRST:COUNT, or UID:FIRST:COUNT, of one user
// (subuid(5)). faulty is the first of their lines that is not of this form, with its number:
// the helpers read none with a space or a missing number, and do not say so.
func allotments(table, name string, uid int) (own []allotment, faulty string) {
	n := 0
	for line := range strings.Lines(table) {
		n++
		line = strings.TrimSuffix(line, "\n")
		fields := strings.Split(line, ":")
		if who := strings.TrimSpace(fields[0]); who != name && who != strconv.Itoa(uid) {
			continue
		}
		if a, ok := parseAllotment(fields); ok {
			own = append(own, a)
		} else if faulty == "" {
			faulty = fmt.Sprintf("line %d, %q, is not of the form NAME:FIRST:COUNT without spaces, and counts for nothing", n, line)
		}
	}
	return own, faulty
}

// parseAllotment reads the fields of a line as the helpers do, which overlook all behind the
// third.
func parseAllotment(fields []string) (a allotment, ok bool) {
	if len(fields) < 3 || fields[0] != strings.TrimSpace(fields[0]) {
		return a, false
	}
	first, err1 := strconv.ParseUint(fields[1], 0, 32)
	size, err2 := strconv.ParseUint(fields[2], 0, 63)
	return allotment{first, size}, err1 == nil && err2 == nil && size > 0
}

// explain says why the helper refused ranges, or nil if the table has them all.
func (k Kind) explain(table string, ranges []Range) error {
	uid := unix.Getuid()
	name := strconv.Itoa(uid)
	if u, err := user.LookupUid(uid); err == nil {
		name = u.Name
	}
	return k.explainFor(table, name, uid, ranges)
}

// explainFor is explain for a user.
func (k Kind) explainFor(table, name string, uid int, ranges []Range) error {
	own, faulty := allotments(table, name, uid)
	refused := func(format string, args ...any) error {
		text := fmt.Sprintf(format, args...)
		if faulty != "" {
			text += "; " + faulty
		}
		return fmt.Errorf("%s: %w", text, unix.EPERM)
	}
	for _, r := range ranges {
		if r.Size == 1 && r.Outside == uint32(k.own()) {
			continue // everybody may
		}
		need := fmt.Sprintf("it needs the line %s:%d:%d", name, r.Outside, r.Size)
		switch {
		case len(own) == 0 && faulty != "":
			return refused("%s has no sound line for %s, who can map no %s but their own: %s", k.Table, name, k.Noun, need)
		case len(own) == 0:
			return refused("%s has no line for %s, who can map no %s but their own: %s", k.Table, name, k.Noun, need)
		}
		var lines []string
		held, begins := false, allotment{}
		for _, a := range own {
			lines = append(lines, a.String())
			held = held || a.holds(uint64(r.Outside), r.last())
			if a.holds(uint64(r.Outside), uint64(r.Outside)) {
				begins = a
			}
		}
		switch {
		case held:
		case begins.size > 0:
			return refused("%s gives %s only %d ids from %d on (%s), and the mapping takes %d: %s, or the mapping a smaller size",
				k.Table, name, begins.first+begins.size-uint64(r.Outside), r.Outside, begins, r.Size, need)
		default:
			return refused("%ss %d-%d are outside of what %s gives %s (%s): %s, or the mapping other ids",
				k.Noun, r.Outside, r.last(), k.Table, name, strings.Join(lines, ", "), need)
		}
	}
	return nil
}
