package mountopt

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// IDRange is one range of the mapping that "idmap=" and "ridmap=" can carry: a
// line of /proc/PID/uid_map (user_namespaces(7)) for the namespace that is
// given to mount_setattr(2) with MOUNT_ATTR_IDMAP.
type IDRange struct {
	// Inside is the first id in the filesystem, Outside the id that it shows
	// as, Size the number of ids.
	Inside, Outside, Size uint32
	// Relative tells that Outside is an id of the container's user namespace,
	// to be translated with the container's own mapping.
	Relative bool
}

// mapping reads "uids=RANGES;gids=RANGES", where RANGES are INSIDE-OUTSIDE-SIZE
// with '#' between them and '@' in front of a relative one. This is crun's
// extension of the specification, which podman's --mount idmap=... relies on.
func (p *parser) mapping(s string) error {
	p.UIDs, p.GIDs = nil, nil
	for part := range strings.SplitSeq(s, ";") {
		if part == "" {
			continue
		}
		kind, ranges, _ := strings.Cut(part, "=")
		var into *[]IDRange
		switch kind {
		case "uids":
			into = &p.UIDs
		case "gids":
			into = &p.GIDs
		default:
			return fmt.Errorf("unknown part %q: use uids= and gids=", part)
		}
		for text := range strings.SplitSeq(ranges, "#") {
			if text == "" {
				continue
			}
			r, err := parseRange(text)
			if err != nil {
				return fmt.Errorf("range %q: %w", text, err)
			}
			*into = append(*into, r)
		}
	}
	if len(p.UIDs) == 0 || len(p.GIDs) == 0 {
		return errors.New("a mapping needs both uids= and gids=")
	}
	return nil
}

func parseRange(s string) (r IDRange, err error) {
	s, r.Relative = strings.CutPrefix(s, "@")
	inside, rest, ok1 := strings.Cut(s, "-")
	outside, size, ok2 := strings.Cut(rest, "-")
	if !ok1 || !ok2 {
		return r, errors.New("use INSIDE-OUTSIDE-SIZE")
	}
	for _, f := range []struct {
		text string
		to   *uint32
	}{{inside, &r.Inside}, {outside, &r.Outside}, {size, &r.Size}} {
		n, err := strconv.ParseUint(f.text, 10, 32)
		if err != nil {
			return r, fmt.Errorf("%q is not a number from 0 to 4294967295", f.text)
		}
		*f.to = uint32(n)
	}
	if r.Size == 0 {
		return r, errors.New("the size is zero")
	}
	if last := uint64(r.Size) - 1; uint64(r.Inside)+last > 1<<32-2 || uint64(r.Outside)+last > 1<<32-2 {
		return r, errors.New("runs past the last id, 4294967294")
	}
	return r, nil
}
