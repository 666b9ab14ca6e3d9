# shellcheck shell=bash
# What every test of the suite stands on: a bundle of its own over a shared
# busybox rootfs, a runtime called with a state root of its own, and a picture
# of the host before and after. A test that leaves anything behind fails.
#
# The caller may set
#   RUNTIME          the runtime under test (default: oci-mini in the checkout)
#   OCI_TEST_TMP     the directory for everything made here (tests/run makes it)
#   OCI_TEST_SHARED_HOST=1
#                    others make cgroups on this host at the same time: only
#                    cgroups named after the test's container count as left over
#   OCI_TEST_BESIDE=DIR
#                    other passes of this suite run on this host: what their
#                    containers have is known by its names, and what only one
#                    of them may do at a time is locked in that directory
#   OCI_TEST_CGROUP_MANAGER=systemd
#                    containers are made with --systemd-cgroup
#   OCI_TEST_PATIENCE=N
#                    this host is N times slower than others: wait that much longer
#   OCI_TEST_USERNS=1
#                    every config has a user namespace of its own
#
# Root or another user may run it: a user without privileges has the config that
# spec --rootless writes, and a user namespace that knows one id. A test that makes no
# sense there skips with its reason: needs_root and its siblings below. A file that has
# one reason for all its tests says so in a function "needs".
#
# A test sees
#   ID               a container id that no other test uses
#   BUNDLE ROOT T    its bundle, its state root, a directory for its files
#   ROOTFS           the root filesystem its config names
#   WORLD            whose containers the suite makes: root, userns or rootless
#   STATUS OUT ERR   exit code, standard output and standard error of the last rt

REPO=$(cd "${BATS_TEST_DIRNAME:-.}/../.." && pwd)
RUNTIME=${RUNTIME:-$REPO/oci-mini}
OCI_TEST_TMP=${OCI_TEST_TMP:-${BATS_RUN_TMPDIR:-${BATS_TMPDIR:-/tmp}}}
SHARED=$OCI_TEST_TMP/shared
PATIENCE=${OCI_TEST_PATIENCE:-1}
MANAGER=()
[[ ${OCI_TEST_CGROUP_MANAGER:-cgroupfs} == cgroupfs ]] || MANAGER=(--cgroup-manager "$OCI_TEST_CGROUP_MANAGER")
WORLD=root
if ((EUID != 0)); then
	WORLD=rootless
elif [[ ${OCI_TEST_USERNS:-} ]]; then
	WORLD=userns
fi

# ---------------------------------------------------------------- verdicts

# fail LINE...: ends the test with these lines as its reason.
fail() {
	printf '%s\n' "$@" >&2
	return 1
}

# is GOT WANT [WHAT]: the two strings are equal.
is() {
	[[ $1 == "$2" ]] || fail "${3:-value} differs" "  got:  $1" "  want: $2"
}

# has TEXT PART: PART occurs in TEXT.
has() {
	[[ $1 == *"$2"* ]] || fail "text lacks: $2" "  text: $1"
}

# lacks TEXT PART: PART does not occur in TEXT.
lacks() {
	[[ $1 != *"$2"* ]] || fail "text should not have: $2" "  text: $1"
}

# like TEXT REGEX: TEXT matches the extended regular expression.
like() {
	[[ $1 =~ $2 ]] || fail "text does not match: $2" "  text: $1"
}

# refute COMMAND...: the command fails (a plain ! is not noticed by bats).
refute() {
	if "$@"; then fail "should have failed: $*"; fi
}

# wait_for [-t SECONDS] COMMAND...: the command succeeds in time (default 5 s).
wait_for() {
	local limit=5 end
	if [[ $1 == -t ]]; then
		limit=$2
		shift 2
	fi
	limit=$((limit * PATIENCE))
	end=$((${EPOCHREALTIME/[.,]/} + limit * 1000000))
	until "$@"; do
		((${EPOCHREALTIME/[.,]/} < end)) || fail "not within $limit s: $*" || return 1
		sleep 0.03
	done
}

# is_oci_mini: the runtime under test is this project's, which promises more
# than the runtimes it can stand in for.
is_oci_mini() {
	local version
	read -r version <"$SHARED/version"
	[[ $version == oci-mini\ * ]]
}

# only_oci_mini WHAT: skips the test for another runtime.
only_oci_mini() {
	is_oci_mini || skip "a promise of oci-mini alone: $1"
}

# ------------------------------------------------------------- the runtime

# rt [ARG...]: the runtime on this test's state root. Never fails by itself:
# STATUS, OUT and ERR say what happened. Standard input is /dev/null.
rt() {
	rt_stdin "$@" </dev/null
}

# rt_stdin ARG...: rt with the caller's standard input.
rt_stdin() {
	STATUS=0
	[[ $WORLD != userns || $ROOTFS == "$SHARED/rootfs" || ! -d $ROOTFS ]] || find "$ROOTFS" -uid 0 -exec chown -h "$FIRST:$FIRST" {} +
	OCI_TEST_MARK=$MARK timeout --foreground -k $((2 * PATIENCE)) $((${RT_TIMEOUT:-30} * PATIENCE)) \
		"$RUNTIME" "${STATE[@]}" "${MANAGER[@]}" "$@" >"$T/out" 2>"$T/err" 3>&- || STATUS=$?
	slurp OUT "$T/out"
	slurp ERR "$T/err"
	if ((STATUS == 124 || (STATUS == 137 && ${RT_KILL_OK:-0} == 0))) && [[ ! -s $T/err && ${1:-} != run && ${1:-} != exec ]]; then
		fail "no answer in time: $*"
	fi
}

# slurp NAME FILE: the variable becomes the file's text without zero bytes and without
# the newlines at its end, as with $(<FILE), and no process is made for it.
slurp() {
	local -n slurped=$1
	local part
	slurped=
	while IFS= read -rd '' part; do slurped+=$part; done <"$2"
	slurped+=$part
	while [[ $slurped == *$'\n' ]]; do slurped=${slurped%$'\n'}; done
}

# ok ARG...: rt must succeed.
ok() {
	rt "$@"
	((STATUS == 0)) || fail "$* exits $STATUS" "  stdout: $OUT" "  stderr: $ERR"
}

# silent ARG...: rt must succeed and print nothing at all.
silent() {
	ok "$@" || return 1
	[[ -z $OUT$ERR ]] || fail "$* should print nothing" "  stdout: $OUT" "  stderr: $ERR"
}

# refused TEXT ARG...: rt must exit 1 and say TEXT on standard error.
refused() {
	local text=$1
	shift
	rt "$@"
	((STATUS == 1)) || fail "$* should exit 1, exits $STATUS" "  stdout: $OUT" "  stderr: $ERR" || return 1
	has "$ERR" "$text"
}

# inside SCRIPT [ARG...]: runs SCRIPT by the container's shell in the
# foreground; OUT and STATUS are the script's. A config edited before is kept.
inside() {
	local script=$1
	shift
	args sh -c "$script" sh "$@"
	rt run --bundle "$BUNDLE" "$ID"
}

# inside_ok SCRIPT [ARG...]: inside, and the script must exit 0.
inside_ok() {
	inside "$@"
	((STATUS == 0)) || fail "the container exits $STATUS" "  stdout: $OUT" "  stderr: $ERR"
}

# status_is ID STATUS: state says so.
status_is() {
	rt state "$1" && [[ $OUT =~ \"status\":\ ?\"$2\" ]]
}

# init_pid ID: the pid of a container's first process, as state gives it.
init_pid() {
	rt state "$1"
	[[ $OUT =~ \"pid\":\ ?([0-9]+) ]] && echo "${BASH_REMATCH[1]}"
}

# gone PID: no process of that number, or only its zombie.
gone() {
	local key value state=
	[[ -e /proc/$1 ]] || return 0
	while read -r key value _; do
		[[ $key == State: ]] || continue
		state=$value
		break
	done 2>/dev/null <"/proc/$1/status" || return 0
	[[ -z $state || $state == Z ]]
}

# ------------------------------------------------------------------ config

# config FILTER [JQ-ARG...]: edits the bundle's config.json.
config() {
	local filter=$1 text
	shift
	jq "$filter" "$BUNDLE/config.json" "$@" >"$T/config.new" || fail "jq: $filter" || return 1
	slurp text "$T/config.new"
	printf '%s\n' "$text" >"$BUNDLE/config.json"
}

# args WORD...: sets process.args.
args() {
	config '.process.args = $ARGS.positional' --args -- "$@"
}

# mount_add DESTINATION TYPE SOURCE [OPTION...]: appends to mounts.
mount_add() {
	local destination=$1 type=$2 source=$3
	shift 3
	config '.mounts += [{destination: $d, type: $t, source: $s, options: $ARGS.positional}]' \
		--arg d "$destination" --arg t "$type" --arg s "$source" --args -- "$@"
}

# caps NAME...: sets the bounding, effective and permitted sets.
caps() {
	config '.process.capabilities = (["bounding", "effective", "permitted"]
		| map({(.): $ARGS.positional}) | add)' --args -- "$@"
}

# own_rootfs: gives the test a rootfs that it may write and that is not
# compared afterwards, in the bundle as "rootfs", mounted writable. What the test puts
# there as root is the container's root's, too, by the next rt.
own_rootfs() {
	cp -a "$SHARED/rootfs" "$BUNDLE/rootfs"
	ROOTFS=$BUNDLE/rootfs
	config '.root = {path: "rootfs", readonly: false}'
}

# new_bundle DIR: a second bundle like the first one, untouched.
new_bundle() {
	[[ -d $1 ]] || mkdir -p "$1"
	printf '%s\n' "${TEMPLATE//@MARK@/$MARK}" >"$1/config.json"
}

# --------------------------------------------------------- users and rights

# FIRST is the first of the 65536 ids of the user namespaces that OCI_TEST_USERNS makes.
FIRST=100000

# outside ID: what the container's id is on the host.
outside() {
	case $WORLD in
	root) echo "$1" ;;
	userns) echo $((FIRST + $1)) ;;
	rootless) echo "$EUID" ;;
	esac
}

# give PATH...: makes what the test has made the property of the container's root.
give() {
	[[ $WORLD != userns ]] || chown -Rh "$FIRST:$FIRST" "$@"
}

# join_users PID: where the config has a user namespace, it becomes that of the process,
# to which its other namespaces belong.
join_users() {
	[[ $WORLD == root ]] || config '.linux.namespaces |= map(if .type == "user" then .path = $p else . end)' --arg p "/proc/$1/ns/user"
}

# with_network: the config has a network namespace, and a sysfs that shows it, also where
# spec --rootless has neither.
with_network() {
	[[ $WORLD != rootless ]] || config '.linux.namespaces += [{type: "network"}]
		| (.mounts[] | select(.destination == "/sys")) |= {destination: "/sys", type: "sysfs", source: "sysfs", options: ["nosuid", "noexec", "nodev", "ro"]}'
}

# needs_root WHAT: skips the test for a user without privileges.
needs_root() {
	[[ $WORLD != rootless ]] || skip "needs root: $1"
}

# needs_ids WHAT: skips the test where the user namespace has one id.
needs_ids() {
	[[ $WORLD != rootless ]] || skip "needs more ids than the user's own: $1"
}

# needs_host_users WHAT: skips the test where the containers have user namespaces.
needs_host_users() {
	[[ $WORLD == root ]] || skip "needs the host's user namespace: $1"
}

# own_users: skips the test where all containers have a user namespace, as it makes its
# own wherever it runs.
own_users() {
	[[ $WORLD == root ]] || skip "makes its user namespaces itself, in the pass as root"
}

# own_config: skips the test in all passes but those as root, since it takes no config
# from this suite: it would be the same there.
own_config() {
	[[ $WORLD == root ]] || skip "has configs of its own, the same as in the pass as root"
}

# ---------------------------------------------------------------- the host

# cgroup2: the runtime sees a unified hierarchy.
cgroup2() {
	[[ -e /sys/fs/cgroup/cgroup.controllers ]]
}

# kernel_since VERSION: the kernel is that one or a newer one.
kernel_since() {
	printf '%s\n%s\n' "$1" "$(uname -r)" | sort --check=quiet -V
}

# personality32: sets LINUX32, and MACHINE32 to the machine's name that uname gives then; false
# where the processor runs no programs of 32 bits, so that the kernel refuses it (arm64).
# shellcheck disable=SC2034 # the caller reads it
personality32() {
	config '.linux.personality = {domain: "LINUX32"}'
	case $(uname -m) in
	x86_64) MACHINE32=i686 ;;
	aarch64)
		MACHINE32=armv8l
		setarch linux32 true 2>/dev/null
		;;
	*) skip "what uname says with LINUX32 is not known for $(uname -m)" ;;
	esac
}

# supports JQ WHAT: skips the test where the runtime's own features document says
# that it lacks something that this suite is ahead of.
supports() {
	"$RUNTIME" features | jq -e "$1" >/dev/null || skip "the runtime's features do not list $2 yet"
}

# only_cgroupfs WHY: skips the test where systemd manages the cgroups.
only_cgroupfs() {
	((${#MANAGER[@]} == 0)) || skip "with the cgroupfs manager only: $1"
}

# need_systemd: skips the test where no systemd makes units for the caller.
need_systemd() {
	[[ -d /run/systemd/system ]] || skip "systemd is not init here: tests/vm/boot has one"
	[[ $EUID == 0 || ${DBUS_SESSION_BUS_ADDRESS:-} ]] || skip "no session bus leads to a systemd of this user's"
}

# delegated: the highest cgroup of version 2 in which the caller may make others.
delegated() {
	local dir=/sys/fs/cgroup own
	if [[ $WORLD == rootless ]]; then
		own=$(sed -n 's/^0:://p' /proc/self/cgroup)
		dir+=${own%/}
		while [[ $dir != /sys/fs/cgroup && -w ${dir%/*}/cgroup.procs ]]; do dir=${dir%/*}; done
	fi
	echo "$dir"
}

# has_controller NAME: whether the kernel offers it in the cgroups that are used.
has_controller() {
	if cgroup2; then
		grep -qw -- "$1" "$(delegated)/cgroup.controllers"
	else
		[[ -e /sys/fs/cgroup/$1/cgroup.procs ]]
	fi
}

# need_controller NAME: skips the test where the kernel offers it elsewhere.
need_controller() {
	has_controller "$1" && return
	if cgroup2; then skip "cgroup2 here has no $1 controller"; fi
	skip "no cgroup v1 hierarchy with the $1 controller"
}

# cgroup_of PID [CONTROLLER]: the directory of a process's cgroup. Without a
# controller: the unified one, or on v1 the one of devices.
cgroup_of() {
	local id names path want=${2:-devices}
	while IFS=: read -r id names path; do
		if cgroup2; then
			[[ $id == 0 ]] && echo "/sys/fs/cgroup$path"
		elif [[ ,$names, == *,$want,* ]]; then
			echo "/sys/fs/cgroup/$want$path"
		fi
	done <"/proc/$1/cgroup"
}

# leaf ID: the last part of the path of a container's cgroup, where the config names none.
leaf() {
	if [[ ${MANAGER[1]:-} == systemd ]]; then echo "oci-mini-$1.scope"; else echo "$1"; fi
}

# picture: everything on the host that a container could leave something in. It is
# taken twice for every test, so it asks few programs.
picture() {
	local pid
	places
	find_marked
	for pid in "${MARKED[@]}"; do
		echo "process $pid $(tr '\0' ' ' <"/proc/$pid/cmdline")"
	done
}

# places: the picture without processes.
places() {
	local mounts flags fd cgroups=(-path "*$MARK*")
	mapfile -t mounts </proc/self/mountinfo
	printf 'mount %s\n' "${mounts[@]}"
	if [[ ! ${OCI_TEST_SHARED_HOST:-} ]]; then
		cgroups+=(-o ! -regex '.*\.\(service\|scope\|slice\|mount\|socket\|swap\)')
		[[ ! ${OCI_TEST_BESIDE:-} ]] || cgroups+=(! -regex '.*/\(oci-mini-tests\.\|[^/]*t[0-9]+n[0-9]+\).*')
	fi
	find /sys/fs/cgroup "$SHARED/rootfs" "$ROOT" \
		\( -path '/sys/fs/cgroup*' \( ! -type d -o ! \( "${cgroups[@]}" \) -o -printf 'cgroup %p\n' \) \) -o \
		\( -path "$SHARED/rootfs*" -printf 'rootfs %P %y %M %U:%G %s %l\n' \) -o \
		-path "$ROOT/*" -printf 'state %P %y\n' 2>/dev/null || true
	stat -c 'device %n %F %t:%T %a %U:%G' /dev/null /dev/zero /dev/full /dev/random /dev/urandom /dev/tty /dev/ptmx
	read -r flags </sys/class/net/lo/flags
	echo "lo $flags"
	for fd in {3..9}; do
		[[ ! -e /proc/$BASHPID/fd/$fd ]] || echo "fd $fd"
	done
}

# marked: pids of processes that this test's runtime or containers started.
marked() {
	find_marked
	((${#MARKED[@]} == 0)) || printf '%s\n' "${MARKED[@]}"
}

# find_marked: the same in MARKED.
find_marked() {
	local files file pid
	mapfile -t files < <(exec grep -lsz "OCI_TEST_MARK=$MARK" /proc/[0-9]*/environ)
	MARKED=()
	for file in "${files[@]}"; do
		pid=${file#/proc/}
		pid=${pid%/environ}
		gone "$pid" || MARKED+=("$pid")
	done
}

# same_picture: nothing has been left behind since the test began. What ends
# on its own soon after (a dying process, its cgroup) gets two seconds. What
# systemd starts and stops meanwhile is no concern: its units are not in the
# picture, and a cgroup that has gone is not left behind.
same_picture() {
	local left='' end=$((${EPOCHREALTIME/[.,]/} + 2000000 * PATIENCE))
	until ((${EPOCHREALTIME/[.,]/} > end)); do
		picture >"$T.after"
		cmp -s "$T.before" "$T.after" && return 0
		left=$(diff "$T.before" "$T.after" | grep '^[<>]' | grep -v '^< cgroup ') || return 0
		sleep 0.1
	done
	fail "the host is not as it was:" "$left"
}

# nothing_left: like same_picture, for use inside a test: no state either.
nothing_left() {
	same_picture
}

# ------------------------------------------------------- before and after

# make_shared: what all tests of a run share: the rootfs, the config template.
make_shared() {
	[[ -e $SHARED/done ]] && return
	rm -rf "$SHARED"
	mkdir -p "$SHARED/rootfs"
	local d busybox
	busybox=$(command -v busybox) || fail "busybox is missing: see tests/install-deps" || return 1
	[[ -x $RUNTIME ]] || fail "no runtime at $RUNTIME: make build" || return 1
	for d in bin dev etc home mnt/full proc root run srv sys tmp usr/bin var; do
		mkdir -p "$SHARED/rootfs/$d"
	done
	chmod 1777 "$SHARED/rootfs/tmp"
	cp "$busybox" "$SHARED/rootfs/bin/busybox"
	# One process for all of them.
	busybox --list | perl -lne 'BEGIN { chdir shift or die } $_ eq "busybox" or symlink "busybox", $_ or die' "$SHARED/rootfs/bin" || return 1
	printf 'root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000:user:/home:/bin/sh\n' >"$SHARED/rootfs/etc/passwd"
	printf 'root:x:0:\nuser:x:1000:\n' >"$SHARED/rootfs/etc/group"
	echo content >"$SHARED/rootfs/mnt/full/file"
	"$RUNTIME" --version | head -n 1 >"$SHARED/version"
	mkdir -p "$SHARED/spec"
	local rootless=() users=.
	case $WORLD in
	rootless) rootless=(--rootless) ;;
	userns)
		give "$SHARED/rootfs"
		users='.linux.namespaces += [{type: "user"}]
			| .linux.uidMappings = [{containerID: 0, hostID: $first, size: 65536}] | .linux.gidMappings = .linux.uidMappings'
		;;
	esac
	"$RUNTIME" spec "${rootless[@]}" --bundle "$SHARED/spec" || return 1
	jq --arg root "$SHARED/rootfs" --argjson first "$FIRST" '
		.process.terminal = false
		| .process.args = ["true"]
		| .process.env += ["OCI_TEST_MARK=@MARK@"]
		| .root.path = $root
		| '"$users" "$SHARED/spec/config.json" >"$SHARED/config.json" || return 1
	: >"$SHARED/done"
}

setup() {
	# bats runs a function before every command, to know the line of a failure: half of the
	# time of a short test. Here it looks at the commands of the test's own file alone.
	# shellcheck disable=SC2016 # for the trap
	trap '[[ $BASH_SOURCE != "$BATS_TEST_SOURCE" ]] || bats_debug_trap "$BASH_SOURCE"' DEBUG
	! declare -F needs >/dev/null || needs
	make_shared
	MARK=t$$n$BATS_TEST_NUMBER
	ID=$MARK
	T=$OCI_TEST_TMP/$MARK
	BUNDLE=$T/bundle
	ROOT=$T/root
	STATE=(--root "$ROOT")
	if [[ $WORLD == rootless ]]; then
		# Where users have it, if they do not say otherwise.
		export XDG_RUNTIME_DIR=$T/xdg
		ROOT=$XDG_RUNTIME_DIR/oci-mini
		! is_oci_mini || STATE=()
	fi
	export ROOTFS=$SHARED/rootfs
	slurp TEMPLATE "$SHARED/config.json"
	STARTED=()
	mkdir -p "$ROOT" "$BUNDLE"
	new_bundle "$BUNDLE"
	# No process has this mark yet.
	places >"$T.before"
}

# background COMMAND...: starts it marked, remembers it; its pid is in PID.
background() {
	OCI_TEST_MARK=$MARK "$@" 3>&- &
	PID=$!
	STARTED+=("$PID")
}

# alone WHAT: until this test ends no other pass is in a test of that, as the host has
# too little of it for two.
alone() {
	[[ ${OCI_TEST_BESIDE:-} ]] || return 0
	flock --no-fork "$OCI_TEST_BESIDE/$1.lock" sh -c 'echo >"$1"; exec sleep 600' sh "$T/alone" 3>&- &
	STARTED+=("$!")
	wait_for -t 120 test -e "$T/alone"
}

teardown() {
	[[ ${T:-} && -d $T ]] || return 0
	local bad=0 entry pid left
	cd "$OCI_TEST_TMP" || return 1
	for entry in "$ROOT"/*/; do
		[[ -d $entry ]] || continue
		entry=${entry%/}
		rt delete --force "${entry##*/}" || true
		((STATUS == 0)) || fail "delete --force ${entry##*/} exits $STATUS: $ERR" || bad=1
	done
	for pid in "${STARTED[@]}"; do
		kill -9 "$pid" 2>/dev/null || true
		wait "$pid" 2>/dev/null || true
	done
	same_picture || bad=1
	if ((bad)); then
		# What a script of explain left when its time was over need not have the mark.
		find_marked
		for pid in "${MARKED[@]}" $(find /sys/fs/cgroup -path "*$MARK*" -name cgroup.procs -exec cat {} + 2>/dev/null); do
			kill -9 "$pid" 2>/dev/null || true
		done
		sleep 0.2
		find /sys/fs/cgroup -depth -type d -path "*$MARK*" -exec rmdir {} + 2>/dev/null || true
	fi
	slurp left /proc/self/mountinfo
	[[ $left == *" $T"* ]] || rm -rf --one-file-system "$T" "$T.before" "$T.after"
	trap - DEBUG # it has nothing to look at any more
	if ((bad)) && [[ ${BATS_TEST_COMPLETED:-} ]]; then
		# But that it is this line that failed, and not the last one of the test.
		trap 'bats_debug_trap "$BASH_SOURCE"' DEBUG
	fi
	return $bad
}
