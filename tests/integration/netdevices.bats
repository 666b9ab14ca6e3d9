#!/usr/bin/env bats
# linux.netDevices: network devices move from the runtime's network namespace into
# the container's. "The host" is a network namespace of the test's own here.

load helpers

needs() {
	needs_root 'moves devices between network namespaces of the host'
}

# network: a network namespace, held by the process PID until the test ends.
network() {
	unshare -n sleep 300 3>&- &
	PID=$!
	STARTED+=("$PID")
	wait_for own_network "$PID"
}

# own_host: a network namespace that is the host of this test, with the device eth7, which
# the config asks for. RUNTIME runs there, and BINARY is the runtime itself.
own_host() {
	command -v ip >/dev/null || skip "needs ip (iproute2)"
	network
	HOST=/proc/$PID/ns/net
	BINARY=$RUNTIME
	RUNTIME=$T/runtime
	printf '#!/bin/sh\nexec nsenter --net=%s %s "$@"\n' "$HOST" "$BINARY" >"$RUNTIME"
	chmod 755 "$RUNTIME"
	device eth7
	config '.linux.netDevices = {eth7: {}}'
}

own_network() {
	[[ $(readlink "/proc/$1/ns/net") != "$(readlink /proc/self/ns/net)" ]]
}

# host ARG...: ip(8) on the host.
host() {
	nsenter --net="$HOST" ip "$@"
}

# device NAME [IP...]: a device on the host, or where the words after it run ip. A tap
# where the kernel has no dummies.
device() {
	local name=$1
	shift
	"${@:-host}" link add "$name" type dummy 2>/dev/null ||
		"${@:-host}" tuntap add "$name" mode tap || skip "the kernel has neither dummy nor tap devices"
}

# other_network: a network namespace made beforehand, that the container joins.
other_network() {
	network
	OTHER=/proc/$PID/ns/net
	config '.linux.namespaces |= map(if .type == "network" then .path = $p else . end)' --arg p "$OTHER"
}

there() {
	nsenter --net="$OTHER" ip "$@"
}

@test "a device moves into the container, is set up, and is gone from the host" {
	own_host
	inside_ok 'ip link show eth7'
	like "$OUT" 'eth7: <[^>]*UP'
	! host link show eth7 2>/dev/null || fail "the host has it still"
	nothing_left
}

@test "a device keeps its MTU, hardware address and queue length under a new name" {
	own_host
	host link set eth7 mtu 1789 address 02:11:22:33:44:55 txqueuelen 77
	config '.linux.netDevices = {eth7: {name: "net0"}}'
	inside_ok 'ip link show net0; ip link show eth7 2>&1 || true'
	has "$OUT" 'mtu 1789'
	has "$OUT" 'qlen 77'
	has "$OUT" '02:11:22:33:44:55'
	has "$OUT" "can't find device 'eth7'"
}

@test "permanent global addresses move with label, peer, lifetime, metric and flags; no others" {
	own_host
	other_network
	host link set eth7 up
	host address add 192.0.2.1/24 broadcast 192.0.2.255 dev eth7
	host address add 192.0.2.2/24 label eth7:web noprefixroute dev eth7
	host address add 198.51.100.1 peer 198.51.100.2/32 metric 7 dev eth7
	host address add 203.0.113.1/24 preferred_lft 0 dev eth7
	host address add 203.0.113.9/24 valid_lft 600 preferred_lft 300 dev eth7
	host address add 10.0.0.1/8 scope link dev eth7
	host address add 2001:db8::1/64 nodad preferred_lft 0 dev eth7
	host address add 2001:db8::2 peer 2001:db8::3/128 dev eth7
	config '.linux.netDevices = {eth7: {name: "net0"}}'
	inside_ok true
	local is
	is=$(there -json address show net0 | jq -c '.[0].addr_info[] | select(.scope == "global")
		| [.local, .address, .prefixlen, .broadcast, .label, .metric, .noprefixroute, .nodad, .deprecated, .preferred_life_time]' | sort)
	is "$is" "$(sort <<-'END'
		["192.0.2.1",null,24,"192.0.2.255","net0",null,null,null,null,4294967295]
		["192.0.2.2",null,24,null,"net0:web",null,true,null,null,4294967295]
		["198.51.100.1","198.51.100.2",32,null,"net0",7,null,null,null,4294967295]
		["203.0.113.1",null,24,null,"net0",null,null,null,true,4294967295]
		["2001:db8::1",null,64,null,null,null,null,true,true,0]
		["2001:db8::2","2001:db8::3",128,null,null,null,null,null,null,4294967295]
	END
	)" 'addresses'
	is "$(there -json address show net0 | jq -c '[.[0].addr_info[] | select(.scope == "link" and .family == "inet")]')" '[]' 'addresses of link scope'
}

@test "a name with %d gets the first number that is free" {
	own_host
	config '.linux.netDevices = {eth7: {name: "eth%d"}}'
	inside_ok 'cat /proc/net/dev'
	has "$OUT" ' eth0:'
	other_network
	device eth0
	device eth2
	device eth0 there
	host address add 192.0.2.1/24 label eth0:web dev eth0
	config '.linux.netDevices = {eth0: {name: "eth%d"}, eth2: {}}'
	inside_ok true
	has "$(there address show eth1)" '192.0.2.1/24 scope global eth1:web'
	like "$(there link show eth1)" 'eth1: <[^>]*UP'
	there link show eth2 >/dev/null
}

@test "a name that is taken in the container is an error, and the device stays as it was" {
	own_host
	other_network
	device net0 there
	host address add 192.0.2.1/24 dev eth7
	host link set eth7 up
	config '.linux.netDevices = {eth7: {name: "net0"}}'
	refused '/linux/netDevices/eth7 (move the network device eth7 into the container as net0): the container has a network device net0 already: file exists (EEXIST)' create --bundle "$BUNDLE" "$ID"
	has "$ERR" 'hint: /linux/netDevices/eth7/name gives it another name'
	like "$(host address show eth7)" 'eth7: <[^>]*UP'
	has "$(host address show eth7)" '192.0.2.1/24'
	there link show net0 >/dev/null
	config '.linux.netDevices = {eth7: {name: "lo"}}'
	refused 'the container has a network device lo already' create --bundle "$BUNDLE" "$ID"
	nothing_left
}

@test "several devices, two that change names, and one that a createRuntime hook makes" {
	own_host
	device eth8
	config '.linux.netDevices = {eth7: {name: "eth8"}, eth8: {name: "eth7"}, late: {}}
		| .hooks.createRuntime = [{path: "/bin/sh", args: ["sh", "-c", "cat >/dev/null; ip link add late type veth peer name early"], env: [$p]}]' --arg p "PATH=$PATH"
	host link set eth7 mtu 1407
	host link set eth8 mtu 1408
	inside_ok 'for d in eth7 eth8 late; do cat /sys/class/net/$d/mtu; done'
	is "$OUT" $'1408\n1407\n1500'
}

@test "create fails after the move: the device is back with its name, its addresses and its state" {
	own_host
	host address add 192.0.2.1/24 label eth7:web dev eth7
	host link set eth7 up
	config '.linux.netDevices = {eth7: {name: "net%d"}} | .process.args = ["/no/such/program"]'
	refused 'no such file or directory' create --bundle "$BUNDLE" "$ID"
	has "$(host address show eth7)" '192.0.2.1/24 scope global eth7:web'
	like "$(host address show eth7)" 'eth7: <[^>]*UP'
	config '.process.args = ["true"] | .hooks.createContainer = [{path: "/bin/false"}]'
	refused '/hooks/createContainer/0' run --bundle "$BUNDLE" "$ID"
	has "$(host address show eth7)" '192.0.2.1/24 scope global eth7:web'
	config 'del(.hooks)'
	refused 'no-such-dir' create --pid-file /no-such-dir/pid --bundle "$BUNDLE" "$ID"
	has "$(host address show eth7)" '192.0.2.1/24 scope global eth7:web'
	nothing_left
}

@test "a namespace made beforehand keeps the device after delete, another one takes it along" {
	own_host
	host link add v0 type veth peer name v1
	other_network
	args sleep 100
	config '.linux.netDevices = {v0: {name: "net0"}}'
	silent run --detach --bundle "$BUNDLE" "$ID"
	ok exec "$ID" ip link show net0
	silent delete --force "$ID"
	there link show net0 >/dev/null
	host link show v1 >/dev/null
	config '.linux.namespaces |= map(del(.path)) | .linux.netDevices = {v1: {}}'
	silent create --bundle "$BUNDLE" "$ID"
	there link show net0 >/dev/null
	silent delete --force "$ID"
	# Virtual devices end with their namespace, and with one of a pair the other.
	wait_for no_device_there net0
}

no_device_there() {
	! there link show "$1" >/dev/null 2>&1
}

@test "the runtime that stays in the foreground does not hold the network namespace" {
	own_host
	host link add v0 type veth peer name v1
	config '.linux.netDevices = {v0: {}}'
	args sh -c 'echo up; exec sleep 100'
	background "$RUNTIME" --root "$ROOT" run --bundle "$BUNDLE" "$ID" >"$T/started"
	local runtime=$PID
	wait_for grep -q up "$T/started"
	wait_for status_is "$ID" running
	lacks "$(readlink "/proc/$runtime/fd/"*)" 'net:['
	ok kill "$ID" KILL
	wait_for no_device_on_host v1
}

no_device_on_host() {
	! host link show "$1" >/dev/null 2>&1
}

@test "a device that is missing or cannot move, and a namespace that is the host's, are errors" {
	own_host
	config '.linux.netDevices = {nothing: {}}'
	refused "/linux/netDevices/nothing (move the network device nothing into the container): there is no network device nothing in the runtime's network namespace: no such device (ENODEV)" create --bundle "$BUNDLE" "$ID"
	config '.linux.netDevices = {lo: {name: "lo1"}}'
	refused 'invalid argument (EINVAL)' create --bundle "$BUNDLE" "$ID"
	has "$ERR" 'hint: some devices belong to their network namespace'
	config '.linux.netDevices = {eth7: {}} | .linux.namespaces |= map(if .type == "network" then .path = $p else . end)' --arg p "$HOST"
	refused 'the network namespace is the one that the devices are in already' create --bundle "$BUNDLE" "$ID"
	host link show eth7 >/dev/null
	nothing_left
}

@test "rootless is an error, explain shows the step, features lists it" {
	own_host
	config '.linux.netDevices = {eth7: {name: "net%d"}}'
	ok explain "$BUNDLE/"
	like "$OUT" 'runtime +move the network device eth7 into the container as net%d +/linux/netDevices/eth7'
	ok features
	is "$(jq .linux.netDevices.enabled <<<"$OUT")" true enabled
	chmod 755 "$T" "$BUNDLE" "$OCI_TEST_TMP"
	STATUS=0
	ERR=$(setpriv --reuid=65534 --regid=65534 --clear-groups "$BINARY" --root "$T/none" explain "$BUNDLE/" 2>&1 >/dev/null) || STATUS=$?
	is "$STATUS" 1 status
	has "$ERR" '/linux/netDevices: needs root'
}

# spare_card: the network card that the virtual machine of tests/vm has for this.
spare_card() {
	local file
	modprobe virtio_net 2>/dev/null || true
	for file in /sys/class/net/*/address; do
		if [[ $(<"$file") == 02:0c:1a:00:00:01 ]]; then
			basename "$(dirname "$file")"
			return
		fi
	done
	return 1
}

@test "a network card is back on the host after delete, under the name that it had in the container" {
	local card
	spare_card >/dev/null || skip "no network card to give away: tests/vm has one"
	card=$(spare_card)
	ip address add 192.0.2.7/24 dev "$card"
	config '.linux.netDevices = {($d): {name: "card%d"}}' --arg d "$card"
	args sleep 100
	silent run --detach --bundle "$BUNDLE" "$ID"
	ok exec "$ID" ip address show card0
	has "$OUT" 'inet 192.0.2.7/24'
	! ip link show "$card" 2>/dev/null || fail "the host has it still"
	silent delete --force "$ID"
	wait_for ip link show card0 >/dev/null
}
