// Package cgroup knows the files of the cgroup file systems: which hierarchies
// a host has, where a container's directories lie in them, which values a set
// of OCI resources becomes, and how a group of processes is joined, frozen,
// killed and removed. It knows nothing of containers.
//
// Three kinds of host exist. On a unified host one cgroup2 file system is
// mounted at /sys/fs/cgroup. On a legacy host every version 1 controller has a
// hierarchy of its own, mounted below /sys/fs/cgroup by a convention that this
// package trusts instead of parsing mountinfo. A hybrid host is a legacy host
// with a cgroup2 file system beside the others, mostly without controllers.
//
// [Detect], [Layout.Dirs] and [Writes] only look and compute; [Dirs.Create] is
// the first call that changes anything. The kernel's documents are
// Documentation/admin-guide/cgroup-v2.rst and cgroup-v1/; the resources are
// those of the OCI runtime specification, config-linux.md, "Control groups".
package cgroup
