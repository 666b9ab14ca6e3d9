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
// (subuid(5)). Lines that are not of this form count for nothing, as for the helpers.
func allotments(table, name string, uid int) []allotment {
	var own []allotment
	for line := range strings.SplitSeq(table, "\n") {
		fields := strings.Split(strings.TrimSpace(line), ":")
		if len(fields) != 3 || fields[0] != name && fields[0] != strconv.Itoa(uid) {
			continue
		}
		first, err1 := strconv.ParseUint(fields[1], 10, 32)
		size, err2 := strconv.ParseUint(fields[2], 10, 32)
		if err1 == nil && err2 == nil && size > 0 {
			own = append(own, allotment{first, size})
		}
	}
	return own
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
	own := allotments(table, name, uid)
	for _, r := range ranges {
		if r.Size == 1 && r.Outside == uint32(k.own()) {
			continue // everybody may
		}
		need := fmt.Sprintf("it needs the line %s:%d:%d", name, r.Outside, r.Size)
		if len(own) == 0 {
			return fmt.Errorf("%s has no line for %s, who can map no %s but their own: %s: %w", k.Table, name, k.Noun, need, unix.EPERM)
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
			return fmt.Errorf("%s gives %s only %d ids from %d on (%s), and the mapping takes %d: %s, or the mapping a smaller size: %w",
				k.Table, name, begins.first+begins.size-uint64(r.Outside), r.Outside, begins, r.Size, need, unix.EPERM)
		default:
			return fmt.Errorf("%ss %d-%d are outside of what %s gives %s (%s): %s, or the mapping other ids: %w",
				k.Noun, r.Outside, r.last(), k.Table, name, strings.Join(lines, ", "), need, unix.EPERM)
		}
	}
	return nil
}
