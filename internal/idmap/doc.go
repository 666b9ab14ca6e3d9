// Package idmap writes the id maps of a user namespace (user_namespaces(7)).
//
// A process without privileges may write one line that maps its own id, and of
// groups only after it has given setgroups(2) up. For more it needs the setuid
// programs newuidmap and newgidmap (package uidmap), which hold it to the ranges
// that /etc/subuid and /etc/subgid give to its user (subuid(5)). Those programs say
// little when they refuse; [Kind.Help] finds out which of the ways to be wrong it is,
// and names the file and the line that it needs.
//
// Host files are found by fixed paths or along the caller's PATH: nothing of a
// container has a part in it.
package idmap
