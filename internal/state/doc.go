// Package state is the store of containers on disk: one directory a container,
// ROOT/ID, with
//
//	state.json   the [Record]: what was made and what has to be undone
//	config.json  the configuration as it was at create; later edits of the
//	             bundle's must not affect the container
//	start.sock   the socket on which a created container waits (made by others)
//
// # What a reader sees
//
// An entry appears whole, by one rename of a hidden directory, and vanishes
// whole, by one rename back. state.json is replaced by rename as well. So
// [Store.Load] and [Store.List] need no lock and never meet half of anything,
// whenever the runtime was killed. What a killed runtime can leave is a hidden
// directory that stands in nobody's way, and [Store.Sweep] removes it.
//
// # The lock
//
// A command that changes a container holds the flock(2) of its directory from
// [Store.Create] or [Store.Lock] until [Dir.Close]. The lock belongs to the open
// file description, which a forked child shares until it closes the descriptor
// or executes a program: Close therefore unlocks explicitly, and the child
// that becomes the container's first process has to close [Dir.Fd] early, or
// the lock would outlive a runtime that was killed.
//
// # Durability
//
// state.json is synced before it gets its name, so that after a power cut it
// tells of resources that may have survived (a cgroup of a systemd unit, a
// hook's doings), not of nothing. The store normally lies on a tmpfs, where
// this is free; on a disk it is by far the greatest part of creating an entry.
// config.json and the directories are not synced: no process of a container
// survives a power cut, so nobody executes anything by that configuration any
// more, and an entry that was lost altogether is as good as a deleted one.
package state
