package hostinfo

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Status says how well something is there.
type Status string

// The statuses of a Check.
const (
	OK      Status = "ok"
	Limited Status = "limited" // there, but not for all uses
	Missing Status = "missing"
)

// Check is one thing that was looked at.
type Check struct {
	Name   string `json:"name"`
	Status Status `json:"status"`
	// Found is what there is, in words.
	Found string `json:"found"`
	// Values are the names that were found, where there may be several.
	Values []string `json:"values,omitempty"`
	// For is what needs it.
	For string `json:"for"`
	// Required tells that no container runs without it.
	Required bool `json:"required"`
	// Remedy is what to do where it is not OK.
	Remedy string `json:"remedy,omitempty"`
}

// Host is a machine as its files show it, and the user who asks.
type Host struct {
	Root    string // in front of every path; "" is the machine itself
	Release string // the kernel's, as by uname(2)
	Euid    int
	Env     func(string) string
	// Look finds a program, as exec.LookPath does.
	Look func(string) (string, error)
	// CgroupMode is v2, hybrid, v1 or none, and Controllers are those of all
	// hierarchies.
	CgroupMode  string
	Controllers []string
	// Delegated says whether the user may make cgroups below the own one.
	Delegated bool
}

// This is the machine that the program runs on. Release and the cgroups are left to the
// caller.
func This() *Host {
	return &Host{Euid: os.Geteuid(), Env: os.Getenv, Look: exec.LookPath}
}

// Checks looks at everything.
func (h *Host) Checks() []Check {
	list := []Check{h.kernel(), h.namespaces(), h.userNamespaces()}
	if h.Euid != 0 {
		list = append(list, h.subordinateIDs("subuid", "uid", "newuidmap"), h.subordinateIDs("subgid", "gid", "newgidmap"))
	}
	return append(list, h.cgroups(), h.systemd(), h.seccomp(), h.module("apparmor", "/process/apparmorProfile"),
		h.module("selinux", "/process/selinuxLabel and /linux/mountLabel"), h.keyrings(), h.overlay(), h.numa(), h.resctrl(), h.criu())
}

// Ready says whether nothing is missing that every container needs.
func Ready(list []Check) bool {
	return !slices.ContainsFunc(list, func(c Check) bool { return c.Required && c.Status == Missing })
}

// read is the content of a file without the space at its ends, and whether there is one.
func (h *Host) read(name string) (string, bool) {
	text, ok := h.content(name)
	return strings.TrimSpace(text), ok
}

// content is a file with its spaces.
func (h *Host) content(name string) (string, bool) {
	data, err := os.ReadFile(filepath.Join("/", h.Root, name))
	return string(data), err == nil
}

func (h *Host) exists(name string) bool {
	_, err := os.Lstat(filepath.Join("/", h.Root, name))
	return err == nil
}

// fileSystem says whether the kernel knows a type of file system. One in a module that is
// not loaded is not listed.
func (h *Host) fileSystem(name string) bool {
	list, _ := h.read("/proc/filesystems")
	for line := range strings.Lines(list) {
		if fields := strings.Fields(line); len(fields) > 0 && fields[len(fields)-1] == name {
			return true
		}
	}
	return false
}

// user is the name of the user in passwd, or the number.
func (h *Host) user() string {
	id := strconv.Itoa(h.Euid)
	passwd, _ := h.read("/etc/passwd")
	for line := range strings.Lines(passwd) {
		if fields := strings.Split(line, ":"); len(fields) > 2 && fields[2] == id {
			return fields[0]
		}
	}
	return id
}
