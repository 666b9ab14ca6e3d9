package spec

import (
	"fmt"
	"strconv"
	"strings"
)

// Range is a run of numbered things, both ends included.
type Range struct{ First, Last int }

// MaxRange is the highest number that [ParseRanges] accepts. It is far above what
// any kernel is built for (8192 processors, 1024 memory nodes), and keeps a bit
// mask made of the ranges small.
const MaxRange = 1<<16 - 1

// ParseRanges reads a list of processors or memory nodes, such as 0-3,7: the form
// of process.execCPUAffinity, linux.memoryPolicy.nodes and the cpuset resources.
// Spaces around the members and superfluous commas are forgiven. The empty string
// is the empty list; a list that is not empty must name something.
func ParseRanges(list string) ([]Range, error) {
	if list == "" {
		return nil, nil
	}
	ranges := make([]Range, 0, 1+strings.Count(list, ","))
	for member := range strings.SplitSeq(list, ",") {
		member = strings.Trim(member, " \t\n")
		if member == "" {
			continue
		}
		low, high, isRange := strings.Cut(member, "-")
		if !isRange {
			high = low
		}
		first, err := parseMember(low)
		if err != nil {
			return nil, err
		}
		last, err := parseMember(high)
		if err != nil {
			return nil, err
		}
		if first > last {
			return nil, fmt.Errorf("%s runs backwards", member)
		}
		ranges = append(ranges, Range{first, last})
	}
	if len(ranges) == 0 {
		return nil, fmt.Errorf("%q names nothing", list)
	}
	return ranges, nil
}

func parseMember(number string) (int, error) {
	n, err := strconv.ParseUint(number, 10, 32)
	if err != nil {
		return 0, fmt.Errorf("%q is not a number", number)
	}
	if n > MaxRange {
		return 0, fmt.Errorf("%d is above %d", n, MaxRange)
	}
	return int(n), nil
}

// ranges checks a list of processors or nodes, and returns how many ranges it has.
func (c *checker) ranges(at pointer, list string) int {
	ranges, err := ParseRanges(list)
	if err != nil {
		c.bad(at, "must be a list such as 0-3,7: %v", err)
	}
	return len(ranges)
}
