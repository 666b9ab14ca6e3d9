// Package capability turns the capability names of config.json
// (/process/capabilities) into the bit masks of capset(2), and back.
//
// Its table is the only place where the names stand. It makes no system call
// but the two of [Last].
package capability

import (
	"os"

	"golang.org/x/sys/unix"
)

// names holds the name of each capability at its number
// (include/uapi/linux/capability.h). Number 40 came with kernel 5.9, so every
// kernel that oci-mini runs on knows all of them.
var names = [...]string{
	unix.CAP_CHOWN:              "CAP_CHOWN",
	unix.CAP_DAC_OVERRIDE:       "CAP_DAC_OVERRIDE",
	unix.CAP_DAC_READ_SEARCH:    "CAP_DAC_READ_SEARCH",
	unix.CAP_FOWNER:             "CAP_FOWNER",
	unix.CAP_FSETID:             "CAP_FSETID",
	unix.CAP_KILL:               "CAP_KILL",
	unix.CAP_SETGID:             "CAP_SETGID",
	unix.CAP_SETUID:             "CAP_SETUID",
	unix.CAP_SETPCAP:            "CAP_SETPCAP",
	unix.CAP_LINUX_IMMUTABLE:    "CAP_LINUX_IMMUTABLE",
	unix.CAP_NET_BIND_SERVICE:   "CAP_NET_BIND_SERVICE",
	unix.CAP_NET_BROADCAST:      "CAP_NET_BROADCAST",
	unix.CAP_NET_ADMIN:          "CAP_NET_ADMIN",
	unix.CAP_NET_RAW:            "CAP_NET_RAW",
	unix.CAP_IPC_LOCK:           "CAP_IPC_LOCK",
	unix.CAP_IPC_OWNER:          "CAP_IPC_OWNER",
	unix.CAP_SYS_MODULE:         "CAP_SYS_MODULE",
	unix.CAP_SYS_RAWIO:          "CAP_SYS_RAWIO",
	unix.CAP_SYS_CHROOT:         "CAP_SYS_CHROOT",
	unix.CAP_SYS_PTRACE:         "CAP_SYS_PTRACE",
	unix.CAP_SYS_PACCT:          "CAP_SYS_PACCT",
	unix.CAP_SYS_ADMIN:          "CAP_SYS_ADMIN",
	unix.CAP_SYS_BOOT:           "CAP_SYS_BOOT",
	unix.CAP_SYS_NICE:           "CAP_SYS_NICE",
	unix.CAP_SYS_RESOURCE:       "CAP_SYS_RESOURCE",
	unix.CAP_SYS_TIME:           "CAP_SYS_TIME",
	unix.CAP_SYS_TTY_CONFIG:     "CAP_SYS_TTY_CONFIG",
	unix.CAP_MKNOD:              "CAP_MKNOD",
	unix.CAP_LEASE:              "CAP_LEASE",
	unix.CAP_AUDIT_WRITE:        "CAP_AUDIT_WRITE",
	unix.CAP_AUDIT_CONTROL:      "CAP_AUDIT_CONTROL",
	unix.CAP_SETFCAP:            "CAP_SETFCAP",
	unix.CAP_MAC_OVERRIDE:       "CAP_MAC_OVERRIDE",
	unix.CAP_MAC_ADMIN:          "CAP_MAC_ADMIN",
	unix.CAP_SYSLOG:             "CAP_SYSLOG",
	unix.CAP_WAKE_ALARM:         "CAP_WAKE_ALARM",
	unix.CAP_BLOCK_SUSPEND:      "CAP_BLOCK_SUSPEND",
	unix.CAP_AUDIT_READ:         "CAP_AUDIT_READ",
	unix.CAP_PERFMON:            "CAP_PERFMON",
	unix.CAP_BPF:                "CAP_BPF",
	unix.CAP_CHECKPOINT_RESTORE: "CAP_CHECKPOINT_RESTORE",
}

// Parse returns the mask of the named capabilities, bit n for capability n, and
// the names that it does not know in their order. A name is known in the form of
// capabilities(7) alone: upper case, with CAP_. The specification wants unknown
// ones to be warned of and otherwise ignored (config.md, "Linux Process").
func Parse(list []string) (mask uint64, unknown []string) {
next:
	for _, name := range list {
		for n := range names {
			if names[n] == name {
				mask |= 1 << n
				continue next
			}
		}
		unknown = append(unknown, name)
	}
	return mask, unknown
}

// Names returns all names in the order of their numbers, for `capabilities` of
// `features` (runtime-spec features-linux.md).
func Names() []string {
	list := make([]string, len(names))
	copy(list, names[:])
	return list
}

// In returns the names of the capabilities in mask in the order of their
// numbers. Bits without a name are left out.
func In(mask uint64) []string {
	var list []string
	for n := range names {
		if mask>>n&1 != 0 {
			list = append(list, names[n])
		}
	}
	return list
}

// Last returns the number of the last capability of the running kernel: the
// bounding set must be dropped up to it, whether the number has a name here
// or not.
//
// It asks with prctl(PR_CAPBSET_READ), which fails with EINVAL above the last,
// beginning with the last one that has a name: two calls and about 0.5 µs,
// where /proc/sys/kernel/cap_last_cap takes 2 µs and a mounted /proc. The error
// is prctl's own if not even 0 is known, which no kernel does but a filter may.
func Last() (int, error) { return lastOf(known) }

func lastOf(known func(n int) error) (int, error) {
	last := len(names) - 1
	if err := known(last); err != nil {
		// Older than the table, or no answer at all.
		for err == unix.EINVAL && last > 0 {
			last--
			err = known(last)
		}
		if err != nil {
			return -1, os.NewSyscallError("prctl PR_CAPBSET_READ", err)
		}
		return last, nil
	}
	for last < 63 && known(last+1) == nil {
		last++
	}
	return last, nil
}

// known returns nil if the kernel has capability n.
func known(n int) error {
	// unix.Prctl drops the value: whether the capability is in the set.
	return unix.Prctl(unix.PR_CAPBSET_READ, uintptr(n), 0, 0, 0)
}
