package main

import (
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// usersSwitches are the kernel parameters by which a host keeps users from user
// namespaces, and the value at which each does.
var usersSwitches = [...]struct{ name, off, on string }{
	{"user.max_user_namespaces", "0", "a number such as 15000"},
	// A patch of Debian and others.
	{"kernel.unprivileged_userns_clone", "0", "1"},
	// Ubuntu, from 23.10 on: the namespace is made, but gives no rights.
	{"kernel.apparmor_restrict_unprivileged_userns", "1", "0, or a profile of AppArmor that lets oci-mini use them (userns,)"},
}

// usersForbidden says whether a failure may come from such a parameter: that of the
// clone or unshare itself, or a refusal of what root of a user namespace may otherwise do. The
// kernel's words do not tell: a limit of zero namespaces is "no space left on device".
func usersForbidden(errno unix.Errno, clone bool, euid int) bool {
	switch errno {
	case unix.ENOSPC, unix.EUSERS:
		return clone && usersSwitch(readSwitch) != ""
	case unix.EPERM, unix.EACCES:
		return (clone || euid != 0) && usersSwitch(readSwitch) != ""
	}
	return false
}

// usersSwitch names the parameter that is off, or returns "".
func usersSwitch(read func(name string) string) string {
	for _, s := range usersSwitches {
		if read(s.name) == s.off {
			return "user namespaces are switched off on this host: " + s.name + " is " + s.off + "; as root, set it to " + s.on
		}
	}
	return ""
}

// readSwitch reads a kernel parameter, "" if the kernel does not have it.
func readSwitch(name string) string {
	text, err := os.ReadFile("/proc/sys/" + strings.ReplaceAll(name, ".", "/"))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(text))
}
