package systemd

import (
	"errors"
	"fmt"
	"path"
	"strings"
)

// A Unit is where a group of processes is to be kept.
type Unit struct {
	// Slice is the unit above, such as system.slice.
	Slice string
	// Name is the whole name, with .scope or .slice at its end.
	Name string
}

// maxName is UNIT_NAME_MAX of systemd: the length of a name and a zero byte.
const maxName = 255

// ParsePath reads slice:prefix:name, which means the scope prefix-name.scope in
// that slice. Without a prefix it is name.scope; a name that ends in .slice is a
// slice itself. An empty path, and an empty slice in it, take what is given by
// default.
func ParsePath(cgroupsPath, id, defaultSlice, defaultPrefix string) (Unit, error) {
	// A + is the one character of ids that names of units have not: systemd-escape(1).
	parts := []string{"", defaultPrefix, strings.ReplaceAll(id, "+", `\x2b`)}
	if cgroupsPath != "" {
		if parts = strings.Split(cgroupsPath, ":"); len(parts) != 3 {
			return Unit{}, fmt.Errorf("%q is not of the form slice:prefix:name, as the systemd cgroup manager needs it", cgroupsPath)
		}
	}
	u := Unit{Slice: parts[0], Name: parts[2]}
	if u.Slice == "" {
		u.Slice = defaultSlice
	}
	if _, err := expand(u.Slice); err != nil {
		return Unit{}, err
	}
	switch {
	case u.Name == "":
		return Unit{}, fmt.Errorf("%q has no name behind its last colon", cgroupsPath)
	case u.IsSlice():
		if _, err := expand(u.Name); err != nil {
			return Unit{}, err
		}
		// The name of a slice tells the slice above.
		above := "-.slice"
		if i := strings.LastIndexByte(u.Name, '-'); i > 0 {
			above = u.Name[:i] + ".slice"
		}
		if parts[0] != "" && parts[0] != above {
			return Unit{}, fmt.Errorf("the slice %s lies in %s by its name, not in %s", u.Name, above, parts[0])
		}
		u.Slice = above
		return u, nil
	case parts[1] != "":
		u.Name = parts[1] + "-" + u.Name
	}
	u.Name += ".scope"
	return u, validName(u.Name)
}

// IsSlice tells a slice from a scope.
func (u Unit) IsSlice() bool { return strings.HasSuffix(u.Name, ".slice") }

// Cgroup is the unit's path below the cgroup of its systemd: a slice lies in all
// whose names its own begins with, a-b.slice in a.slice.
func (u Unit) Cgroup() string {
	if u.IsSlice() {
		dir, _ := expand(u.Name)
		return dir
	}
	dir, _ := expand(u.Slice)
	return path.Join(dir, u.Name)
}

// expand is the path of a slice, "/" for -.slice.
func expand(slice string) (string, error) {
	name, ok := strings.CutSuffix(slice, ".slice")
	switch {
	case !ok:
		return "", fmt.Errorf("%q is not the name of a slice: it does not end in .slice", slice)
	case name == "-":
		return "/", nil
	case name == "" || strings.HasPrefix(name, "-") || strings.HasSuffix(name, "-") || strings.Contains(name, "--"):
		return "", fmt.Errorf("%q is not the name of a slice: every part between its dashes must have a name", slice)
	}
	if err := validName(slice); err != nil {
		return "", err
	}
	dir := "/"
	for i := range len(name) + 1 {
		if i == len(name) || name[i] == '-' {
			dir = path.Join(dir, name[:i]+".slice")
		}
	}
	return dir, nil
}

var errLong = errors.New("is longer than the 255 bytes of a unit's name")

// validName checks the characters that systemd takes in names: unit_name_is_valid.
func validName(name string) error {
	if len(name) > maxName {
		return fmt.Errorf("%.40q... %w", name, errLong)
	}
	for i := range len(name) {
		c := name[i]
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte(`:-_.\`, c) >= 0 {
			continue
		}
		return fmt.Errorf("%q is not a unit's name: it has the character %q", name, string(c))
	}
	return nil
}
