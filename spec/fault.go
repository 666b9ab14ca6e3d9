package spec

import (
	"fmt"
	"strconv"
	"strings"
)

// Fault is one thing wrong with a configuration.
type Fault struct {
	// Pointer is the JSON pointer (RFC 6901) of the value at fault, such as
	// /mounts/3/options/0. It names the place where a missing value would be,
	// and is empty for the document as a whole.
	Pointer string
	// Problem says what the value must be, and what it is.
	Problem string
}

// String returns the fault as one line: pointer, colon, problem.
func (f Fault) String() string {
	if f.Pointer == "" {
		return "the document: " + f.Problem
	}
	return f.Pointer + ": " + f.Problem
}

// Faults is every fault found in a configuration, in the order of the document.
// (Faults of value come in the order in which runtime-spec defines the fields,
// which is the order of every document that was written by a Go program.)
type Faults []Fault

// Error returns one line for each fault.
func (f Faults) Error() string {
	lines := make([]string, len(f))
	for i := range f {
		lines[i] = f[i].String()
	}
	return strings.Join(lines, "\n")
}

// pointer is a place in the configuration. Pointers are linked upwards and live
// on the stack; they become text only when there is a fault to report, so that
// checking a sound configuration builds no strings. A nil pointer is the whole
// document.
type pointer struct {
	up    *pointer
	name  string
	index int // the position in an array, or -1 for the property called name
}

func (p *pointer) field(name string) pointer { return pointer{up: p, name: name, index: -1} }

func (p *pointer) item(i int) pointer { return pointer{up: p, index: i} }

func (p *pointer) String() string {
	if p == nil {
		return ""
	}
	if p.index >= 0 {
		return p.up.String() + "/" + strconv.Itoa(p.index)
	}
	return p.up.String() + "/" + Escape(p.name)
}

// Escape is a property's name as a part of a JSON pointer (RFC 6901).
func Escape(name string) string {
	if strings.ContainsAny(name, "~/") {
		name = strings.ReplaceAll(strings.ReplaceAll(name, "~", "~0"), "/", "~1")
	}
	return name
}

// checker collects faults.
type checker struct {
	faults Faults
}

// result returns the faults as an error, or nil.
func (c *checker) result() error {
	if len(c.faults) == 0 {
		return nil
	}
	return c.faults
}

// bad reports a fault at the given place.
func (c *checker) bad(at pointer, format string, args ...any) {
	c.faults = append(c.faults, Fault{at.String(), fmt.Sprintf(format, args...)})
}

// text checks a string that the kernel will be given as a C string, which a NUL
// byte would cut short: the rest would be ignored in silence.
func (c *checker) text(at pointer, value string) bool {
	if strings.IndexByte(value, 0) < 0 {
		return true
	}
	c.bad(at, "must not contain a NUL byte, is %q", value)
	return false
}

// texts checks each string of an array as text does.
func (c *checker) texts(at pointer, values []string) {
	for i, value := range values {
		c.text(at.item(i), value)
	}
}

// absolute checks a path that the specification wants absolute.
func (c *checker) absolute(at pointer, value string) {
	switch {
	case value == "":
		c.bad(at, "must be an absolute path, is empty")
	case value[0] != '/':
		c.bad(at, "must be an absolute path, is %q", value)
	default:
		c.text(at, value)
	}
}

// environ checks the entries of an environment: each is a name, an equals sign
// and a value (POSIX environ).
func (c *checker) environ(at pointer, env []string) {
	for i, entry := range env {
		switch strings.IndexByte(entry, '=') {
		case -1:
			c.bad(at.item(i), "must have the form NAME=VALUE, is %q", entry)
		case 0:
			c.bad(at.item(i), "must have a name before the equals sign, is %q", entry)
		default:
			c.text(at.item(i), entry)
		}
	}
}

// known checks that a value is one of a table's names.
func (c *checker) known(at pointer, value string, table []Value) bool {
	if _, ok := Lookup(table, value); ok {
		return true
	}
	c.unknown(at, value, Names(table))
	return false
}

// unknown reports a value that is not among those allowed.
func (c *checker) unknown(at pointer, value string, allowed []string) {
	if value == "" {
		c.bad(at, "is required: one of %s", strings.Join(allowed, ", "))
		return
	}
	c.bad(at, "must be one of %s, is %q", strings.Join(allowed, ", "), value)
}
