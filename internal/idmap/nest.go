package idmap

import (
	"bufio"
	"fmt"
	"os"
	"strings"
)

// Of reads the map of a process's user namespace, "self" or a pid, as the caller sees the
// ids outside.
func (k Kind) Of(process string) ([]Range, error) {
	file, err := os.Open("/proc/" + process + "/" + k.File)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	var list []Range
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		var r Range
		if _, err := fmt.Sscan(lines.Text(), &r.Inside, &r.Outside, &r.Size); err != nil {
			return nil, fmt.Errorf("%s: %q: %w", file.Name(), lines.Text(), err)
		}
		list = append(list, r)
	}
	return list, lines.Err()
}

// Nest cuts the lines of a map for a user namespace below one that has itself the map own:
// each has to lie within one line of that, or the kernel says EPERM (map_id_range_down in
// its kernel/user_namespace.c). If an id outside is in no line of own, ok is false and
// missing is the first such id.
func Nest(ranges, own []Range) (lines []Range, missing uint32, ok bool) {
	for _, r := range ranges {
		for r.Size > 0 {
			n := uint32(0)
			for _, o := range own {
				if r.Outside >= o.Inside && r.Outside-o.Inside < o.Size {
					n = min(r.Size, o.Size-(r.Outside-o.Inside))
				}
			}
			if n == 0 {
				return nil, r.Outside, false
			}
			lines = append(lines, Range{r.Inside, r.Outside, n})
			r.Inside, r.Outside, r.Size = r.Inside+n, r.Outside+n, r.Size-n
		}
	}
	return lines, 0, true
}

// Text is a map as people write it: first id inside, first outside, how many. A long one
// is cut.
func Text(ranges []Range) string {
	const most = 5
	var lines []string
	for i, r := range ranges {
		if i == most {
			lines = append(lines, fmt.Sprintf("and %d more", len(ranges)-most))
			break
		}
		lines = append(lines, fmt.Sprintf("%d %d %d", r.Inside, r.Outside, r.Size))
	}
	if len(lines) == 0 {
		return "none"
	}
	return strings.Join(lines, ", ")
}
