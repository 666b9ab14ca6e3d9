package main

import (
	"fmt"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/oci-mini/oci-mini/internal/idmap"
	"github.com/oci-mini/oci-mini/internal/plan"
)

// shellMapsItself says whether unshare(1) can write the maps of the new user namespace:
// one id of each kind, the caller's own, and nothing to join before.
func (b *birth) shellMapsItself() bool {
	l := b.spec.Linux
	return b.ownUsers() && !b.ns.staged &&
		b.mapper(idmap.Users, l.UIDMappings) == mapOwn && b.mapper(idmap.Groups, l.GIDMappings) == mapOwn
}

// shellUserCommand is the program that brings the script into the user namespace.
func (b *birth) shellUserCommand() string {
	if b.shellMapsItself() {
		return "unshare"
	}
	return "nsenter"
}

// shellMapped tells which line of the script has written the maps.
func (b *birth) shellMapped() string {
	if b.shellMapsItself() {
		return "unshare did it"
	}
	return "done before nsenter"
}

// shellCaller is whom the script is for.
func (b *birth) shellCaller() string {
	if b.host.mounts {
		return "root"
	}
	return fmt.Sprintf("user %d: it needs no privileges", b.host.euid)
}

// shellUsers enters a new user namespace with its mappings and the other namespaces, by
// the words of nsenter(1) and unshare(1) for those. Its last line lacks the command to run
// in them.
func (b *birth) shellUsers(join, words []string) []string {
	l := b.spec.Linux
	if b.shellMapsItself() {
		uid, gid := l.UIDMappings[0].ContainerID, l.GIDMappings[0].ContainerID
		own := []string{"unshare", "--map-root-user"}
		if uid != 0 || gid != 0 {
			own = []string{"unshare", fmt.Sprintf("--map-user=%d", uid), fmt.Sprintf("--map-group=%d", gid), "--keep-caps"}
		}
		return []string{"exec " + plan.Command(append(own, words[1:]...)...)}
	}
	// unshare(1) cannot wait for those who write the maps. A process holds the user
	// namespace until the container is in it.
	lines := []string{
		"unshare --user sleep 10 & users=$!",
		"trap 'kill $users' EXIT",
		plan.Remark("a process that does not show its namespaces is not ready either"),
		`until ns=$(readlink /proc/$users/ns/user) && [ "$ns" != "$(readlink /proc/self/ns/user)" ]; do kill -0 $users && sleep 0.1; done`,
	}
	enter := plan.Command(join...) + " --user=/proc/$users/ns/user"
	for _, m := range []struct {
		kind idmap.Kind
		maps []specs.LinuxIDMapping
	}{{idmap.Users, b.uids}, {idmap.Groups, b.gids}} {
		text := strings.TrimSuffix(mappingLines(m.maps), "\n")
		switch b.mapper(m.kind, m.maps) {
		case mapHelper:
			lines = append(lines, m.kind.Helper+" $users "+strings.Join(strings.Fields(text), " "))
			continue
		case mapOwn:
			if m.kind.File == idmap.Groups.File {
				lines = append(lines, "echo deny >/proc/$users/setgroups")
			}
		}
		lines = append(lines, "echo '"+text+"' >/proc/$users/"+m.kind.File)
	}
	if b.groupsDenied {
		enter += " --preserve-credentials" // or it gives groups up, which is denied
	}
	return append(lines, "exec "+enter+" "+plan.Command(words...)+` sh -c "kill \$0; exec \"\$@\"" $users`)
}
