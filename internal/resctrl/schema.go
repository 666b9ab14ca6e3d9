package resctrl

import (
	"fmt"
	"strconv"
	"strings"
)

// schema is one line of a schemata file: a resource, and a value for each of its
// instances, such as L3:0=ff;1=f0.
type schema struct {
	resource string
	values   map[string]string // instance -> value, both without padding
}

// parseSchema reads a line. The kernel pads what it prints.
func parseSchema(line string) (schema, error) {
	resource, list, ok := strings.Cut(line, ":")
	s := schema{strings.TrimSpace(resource), map[string]string{}}
	if !ok || s.resource == "" {
		return s, fmt.Errorf("%q is not of the form RESOURCE:ID=VALUE[;ID=VALUE]", line)
	}
	for part := range strings.SplitSeq(list, ";") {
		if strings.TrimSpace(part) == "" {
			continue
		}
		id, value, ok := strings.Cut(part, "=")
		id, value = strings.TrimSpace(id), plain(value)
		if !ok || id == "" || value == "" {
			return s, fmt.Errorf("%q is not of the form RESOURCE:ID=VALUE[;ID=VALUE]", line)
		}
		s.values[id] = value
	}
	return s, nil
}

// plain is a value without what does not count: spaces, leading zeros, the case of
// hexadecimal digits.
func plain(value string) string {
	value = strings.ToLower(strings.TrimSpace(value))
	if trimmed := strings.TrimLeft(value, "0"); trimmed != "" || value == "" {
		return trimmed
	}
	return "0"
}

// matches says whether the lines of a schemata file hold what a line asks for. step is the
// granularity of memory bandwidth, to whose next multiple the kernel rounds up; 0 if
// it is not known.
func matches(file string, wanted string, step uint64) error {
	want, err := parseSchema(wanted)
	if err != nil {
		return err
	}
	for line := range strings.Lines(file) {
		has, err := parseSchema(line)
		if err != nil || has.resource != want.resource {
			continue
		}
		for id, value := range want.values {
			if is := has.values[id]; is != value && is != rounded(want.resource, value, step) {
				return fmt.Errorf("it has %s, and %s is asked for", strings.TrimSpace(line), strings.TrimSpace(wanted))
			}
		}
		return nil
	}
	return fmt.Errorf("it has no line for %s, and %s is asked for", want.resource, strings.TrimSpace(wanted))
}

// rounded is the percentage of bandwidth that the kernel makes of one.
func rounded(resource, value string, step uint64) string {
	n, err := strconv.ParseUint(value, 10, 32)
	if !strings.HasPrefix(resource, "MB") || err != nil || step == 0 || n > 100 {
		return value
	}
	return strconv.FormatUint((n+step-1)/step*step, 10)
}
