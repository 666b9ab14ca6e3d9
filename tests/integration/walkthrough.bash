# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154 # STATUS, OUT, ERR and what setup makes are of helpers.bash
# The containers that people make by hand in walk-throughs, from examples/. Each
# effect is looked for twice: in the container that oci-mini makes, and in the one
# that its printed script makes.

# example NAME: the bundle is a copy of examples/NAME, with this test's mark and
# without the terminal that bats does not have. The root file system is left out.
example() {
	EXAMPLE=$REPO/examples/$1
	export BUSYBOX_MK=$REPO/examples/busybox.mk
	rm "$BUNDLE/config.json"
	find "$EXAMPLE" -maxdepth 1 -type f ! -name config.json -exec cp {} "$BUNDLE" \;
	if [[ ! -e $EXAMPLE/config.template.json ]]; then
		cp "$EXAMPLE/config.json" "$BUNDLE"
	fi
}

# marked_config: the config as the tests need it. Limits without a controller go:
# what they limit is then not looked at.
marked_config() {
	config '.process.terminal = false | .process.env += ["OCI_TEST_MARK=" + $m]' --arg m "$MARK"
	has_controller cpu || config 'del(.linux.resources.cpu)'
	has_controller memory || config 'del(.linux.resources.memory)'
}

# has_controller NAME: limits can be set.
has_controller() {
	if cgroup2; then
		grep -qw -- "$1" /sys/fs/cgroup/cgroup.controllers
	else
		[[ -d /sys/fs/cgroup/$1 ]]
	fi
}

# script [FLAG...]: the printed script of the bundle, in $T/script.
script() {
	ok explain --format sh "$@" "$BUNDLE/" "$ID"
	is "$ERR" ''
	cp "$T/out" "$T/script"
}

# foreground HOW [FLAG...]: runs the bundle to its end, by oci-mini ("run") or by
# the printed script ("script"); STATUS, OUT and ERR are as with rt.
foreground() {
	local how=$1
	shift
	if [[ $how == run ]]; then
		rt run "$@" "$BUNDLE/" "$ID"
		return
	fi
	script "$@"
	STATUS=0
	OCI_TEST_MARK=$MARK timeout --foreground -k 2 $((60 * PATIENCE)) sh "$T/script" </dev/null >"$T/out" 2>"$T/err" 3>&- || STATUS=$?
	slurp OUT "$T/out"
	slurp ERR "$T/err"
}

# start_by HOW [FLAG...]: starts the bundle in the background. CPID is the
# container's first process.
start_by() {
	HOW=$1
	shift
	if [[ $HOW == run ]]; then
		ok run --detach "$@" "$BUNDLE/" "$ID"
		CPID=$(init_pid "$ID")
		return
	fi
	script "$@"
	background sh "$T/script" </dev/null >"$T/script.out" 2>"$T/script.err"
	SCRIPT=$PID
	# It may have a tenth of a processor.
	wait_for -t 60 has_first_process || fail "the script says: $(<"$T/script.err")"
}

# has_first_process: CPID is the process that is number 1 in a pid namespace of
# its own and has been executed by the script's last line, which drops the
# script's variables.
has_first_process() {
	local pid dir
	local leaf
	leaf=$(leaf "$ID")
	for dir in /sys/fs/cgroup/*/"$leaf" /sys/fs/cgroup/"$leaf" /sys/fs/cgroup/*/*/*/"$leaf"; do
		[[ -d $dir ]] || continue
		while read -r pid; do
			[[ $(awk '$1 == "NSpid:" && NF > 2 { print $NF }' "/proc/$pid/status" 2>/dev/null) == 1 ]] || continue
			! grep -qsaz '^root=' "/proc/$pid/environ" || continue
			CPID=$pid
			return
		done <"$dir/cgroup.procs"
	done
	return 1
}

# A script's container may outlive a test that fails, and not every program leaves
# the mark of the test in its environment.
eval "$(declare -f teardown | sed '1s/teardown/common_teardown/')"
teardown() {
	if [[ ${SCRIPT:-} && ${CPID:-} ]] && grep -qs "/$(leaf "$ID")\$" "/proc/$CPID/cgroup"; then
		kill -KILL "$CPID"
		wait "$SCRIPT" || true
	fi
	common_teardown
}

# in_it COMMAND...: runs a command in the container and succeeds if that does; its
# output is in OUT.
in_it() {
	if [[ $HOW == run ]]; then
		rt exec "$ID" "$@"
	else
		STATUS=0
		OUT=$(OCI_TEST_MARK=$MARK nsenter --target "$CPID" --mount --uts --ipc --net --pid --root --wd \
			env PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "$@" 2>"$T/err" 3>&-) || STATUS=$?
		ERR=$(<"$T/err")
	fi
	return "$STATUS"
}

# end_it: ends the container and whatever it left.
end_it() {
	if [[ $HOW == run ]]; then
		ok delete --force "$ID"
	else
		kill -KILL "$CPID"
		wait "$SCRIPT" || true
	fi
	nothing_left
}

# own_dev NAMES: the words are the default devices and links of a /dev, no others.
own_dev() {
	is "$(tr -s '\n\t ' '   ' <<<"$1" | sed 's/^ //; s/ $//')" \
		'core fd full null ptmx pts random shm stderr stdin stdout tty urandom zero' /dev
}
