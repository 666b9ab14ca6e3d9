// Package systemd asks a systemd to keep a group of processes as one of its
// units: it knows the names of units and the properties that stand for cgroup
// files, and makes the few calls of systemd's interface on D-Bus,
// org.freedesktop.systemd1(5). Every call has a deadline, and its error names
// the call and the unit.
//
// A unit is made of processes that run already: a scope, systemd.scope(5), or a
// slice, systemd.slice(5), whose processes its maker puts there.
package systemd
