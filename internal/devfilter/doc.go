// Package devfilter turns the device rules of a config (linux.resources.devices)
// into what the kernel enforces: an eBPF program of type CGROUP_DEVICE on cgroup
// version 2, lines for devices.allow and devices.deny on version 1.
//
// # What a list means
//
// Every access to a device node asks for one or more of read, write and mknod.
// Each of these is judged alone: the last rule that matches the device and names
// that access decides, and where none does it is denied. The request passes if
// all that it asks for passes. So an empty list, and a missing one, deny
// everything.
//
// On version 2 the program does exactly this. Version 1 can hold only a default
// and a set of exceptions to it; a list that would need an exception inside an
// exception is refused there instead of being enforced loosely. Where reading
// and writing are allowed by two different patterns, version 1 denies an open
// for both, so it is never looser than version 2.
package devfilter
