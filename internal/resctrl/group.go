package resctrl

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Group is a control group, and a group below it in which a container is monitored.
type Group struct {
	Root *Root
	// Path is the directory of the control group, which is the root's for the default one.
	Path string
	// Monitor is the directory of the monitored group, or "".
	Monitor string
}

// Group returns the group of a name, "/" for the default one. monitor is the name of the
// group below it, or "".
func (r *Root) Group(name, monitor string) *Group {
	g := &Group{Root: r, Path: filepath.Join(r.Path, name)}
	if monitor != "" {
		g.Monitor = filepath.Join(g.Path, "mon_groups", monitor)
	}
	return g
}

// Exists says whether there is the control group already.
func (g *Group) Exists() bool {
	_, err := os.Lstat(g.Path)
	return err == nil
}

// Make makes the control group with the given lines of schemata. One that exists must
// have what the lines ask for, and stays as it is. made tells whether it was made.
func (g *Group) Make(lines []string) (made bool, err error) {
	err = g.Root.mkdir(g.Path)
	if errors.Is(err, fs.ErrExist) {
		return false, g.check(lines)
	}
	if err != nil {
		return false, g.Root.explained(err)
	}
	if len(lines) == 0 {
		return true, nil
	}
	return true, g.SetSchemata(lines)
}

// Check checks that the control group exists and has what the lines ask for.
func (g *Group) Check(lines []string) error {
	if !g.Exists() {
		return fmt.Errorf("there is no resctrl group %s", g.Path)
	}
	return g.check(lines)
}

func (g *Group) check(lines []string) error {
	// The directory info, and others of the kernel's own, are no groups.
	if _, err := os.Lstat(g.tasks()); err != nil {
		return fmt.Errorf("%s is not a resctrl group: %w", g.Path, err)
	}
	if len(lines) == 0 {
		return nil
	}
	file, err := g.Schemata()
	if err != nil {
		return err
	}
	step, _ := g.Root.number("info", "MB", "bandwidth_gran")
	for _, text := range lines {
		for line := range strings.Lines(text) {
			if err := matches(file, line, step); err != nil {
				return fmt.Errorf("the resctrl group %s exists: %w", g.Path, err)
			}
		}
	}
	return nil
}

// Schemata is the content of the schemata file.
func (g *Group) Schemata() (string, error) {
	text, err := os.ReadFile(filepath.Join(g.Path, "schemata"))
	return string(text), err
}

// SetSchemata writes lines to the schemata file, in their order. The kernel takes all of
// them or fails at the first that it does not like.
func (g *Group) SetSchemata(lines []string) error {
	return g.Root.write(filepath.Join(g.Path, "schemata"), strings.Join(lines, "\n")+"\n")
}

// MakeMonitor makes the monitored group, which must be new: it is for one container.
func (g *Group) MakeMonitor() error { return g.Root.explained(g.Root.mkdir(g.Monitor)) }

// Join puts a process with one thread into the control group, and then into the
// monitored one, which takes only tasks of its control group.
func (g *Group) Join(pid int) error {
	files := []string{g.tasks()}
	if g.Monitor != "" {
		files = append(files, filepath.Join(g.Monitor, "tasks"))
	}
	for _, file := range files {
		if err := g.Root.write(file, strconv.Itoa(pid)); err != nil {
			return err
		}
	}
	return nil
}

func (g *Group) tasks() string { return filepath.Join(g.Path, "tasks") }

// number reads a file of the file system that holds one number.
func (r *Root) number(path ...string) (uint64, error) {
	text, err := os.ReadFile(filepath.Join(append([]string{r.Path}, path...)...))
	if err != nil {
		return 0, err
	}
	return strconv.ParseUint(strings.TrimSpace(string(text)), 10, 64)
}
