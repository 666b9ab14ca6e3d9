// Package resctrl uses the kernel's resctrl file system, the interface of Intel RDT and
// its relatives (Documentation/filesystems/resctrl.rst): groups of tasks, what of caches
// and memory bandwidth each may use, and what it does use.
//
// A directory at the top of the file system is a control group: its file schemata holds the
// allocations, a line for each resource, and its file tasks the threads. Below mon_groups of
// a control group there may be groups that are only monitored. mkdir(2) makes a group and
// rmdir(2) removes it, whatever is in it: its tasks fall back to the group above.
package resctrl
