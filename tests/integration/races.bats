#!/usr/bin/env bats
# Commands on one container at the same time: each succeeds or says clearly why
# not, none hangs, and nothing is left behind.

load helpers

# rounds is how often each race is run: its outcome is another one each time.
rounds=12

# at_once NAME COMMAND...: starts one of the contestants; its output and exit code
# are in $T/NAME.
at_once() {
	local name=$1
	shift
	(
		code=0
		OCI_TEST_MARK=$MARK timeout --foreground -k 1 $((20 * PATIENCE)) "$RUNTIME" --root "$ROOT" "$@" \
			</dev/null >"$T/$name.out" 2>"$T/$name.err" 3>&- || code=$?
		echo "$code" >"$T/$name.code"
	) 3>&- &
}

# settled NAME [REGEX]: the contestant succeeded in silence, or failed with one
# error, which matches REGEX.
settled() {
	local code err lines
	code=$(<"$T/$1.code")
	err=$(<"$T/$1.err")
	if ((code == 0)); then
		[[ -z $err ]] || fail "$1 succeeds and says: $err"
		return
	fi
	((code != 124 && code != 137)) || [[ $code == 137 && ${2:-} == *killed* ]] || fail "$1 hangs: exit $code" || return 1
	((code == 137)) && return
	lines=$(grep -vc '^  hint: ' <<<"$err") || true
	((lines == 1)) || fail "$1 exits $code with $lines lines of error: $err" || return 1
	like "$err" "^oci-mini: .*(${2:-.})"
}

# over: nothing of the container is there.
over() {
	rt delete --force "$ID"
	is "$STATUS:$ERR" 0: 'delete --force at the end' || return 1
	[[ ! -e $ROOT/$ID ]] || fail "$ROOT/$ID is left"
}

@test "race: exec and delete --force" {
	only_oci_mini "clear errors in a race"
	args sleep 60
	for ((n = 0; n < rounds; n++)); do
		ok run --detach --bundle "$BUNDLE" "$ID"
		at_once exec1 exec "$ID" true
		at_once exec2 exec "$ID" sleep 60
		((n % 3)) || sleep 0.005
		at_once delete delete --force "$ID"
		at_once exec3 exec "$ID" sleep 0.05
		wait
		settled delete
		is "$(<"$T/delete.code")" 0
		for name in exec1 exec2 exec3; do
			settled "$name" 'stopped container|does not exist|killed'
		done
		over
	done
	nothing_left
}

@test "race: start and delete, with and without --force" {
	only_oci_mini "clear errors in a race"
	args sleep 60
	for ((n = 0; n < rounds; n++)); do
		ok create --bundle "$BUNDLE" "$ID"
		at_once start start "$ID"
		((n % 4)) || sleep 0.004
		if ((n & 1)); then
			at_once delete delete "$ID"
		else
			at_once delete delete --force "$ID"
		fi
		wait
		settled start 'does not exist|cannot start'
		settled delete 'not stopped: running'
		# One of them was first, and the other one saw it.
		is "$(($(<"$T/start.code") + $(<"$T/delete.code") < 2))" 1 'one of both succeeds'
		over
	done
	nothing_left
}

@test "race: two starts" {
	only_oci_mini "clear errors in a race"
	args sleep 60
	for ((n = 0; n < rounds; n++)); do
		ok create --bundle "$BUNDLE" "$ID"
		at_once start1 start "$ID"
		at_once start2 start "$ID"
		wait
		settled start1 'cannot start an already running container'
		settled start2 'cannot start an already running container'
		is "$(($(<"$T/start1.code") + $(<"$T/start2.code")))" 1 'one of both succeeds'
		status_is "$ID" running
		over
	done
	nothing_left
}

@test "race: two deletes, and a delete --force among them" {
	only_oci_mini "clear errors in a race"
	args sleep 60
	for ((n = 0; n < rounds; n++)); do
		ok create --bundle "$BUNDLE" "$ID"
		at_once delete1 delete "$ID"
		at_once delete2 delete "$ID"
		at_once delete3 delete --force "$ID"
		wait
		settled delete1 'does not exist'
		settled delete2 'does not exist'
		settled delete3
		is "$(<"$T/delete3.code")" 0 'delete --force'
		(($(<"$T/delete1.code") == 1 || $(<"$T/delete2.code") == 1)) || fail 'two deletes deleted it'
		over
	done
	nothing_left
}

@test "race: kill, state and list during create" {
	only_oci_mini "clear errors in a race"
	args sleep 60
	for ((n = 0; n < rounds; n++)); do
		at_once create create --bundle "$BUNDLE" "$ID"
		for ((i = 0; i < 5; i++)); do
			at_once "kill$i" kill "$ID" KILL
			at_once "state$i" state "$ID"
			at_once list list
		done
		wait
		settled create
		for ((i = 0; i < 5; i++)); do
			settled "kill$i" 'does not exist|still being created|not running'
			settled "state$i" 'does not exist'
		done
		settled list
		rt state "$ID"
		if (($(<"$T/create.code") == 0)); then
			like "$OUT" '"status": "(created|stopped)"'
		else # killed when it was on record and not yet waiting: nothing is left of it
			has "$ERR" 'does not exist'
		fi
		over
	done
	nothing_left
}

@test "race: delete --force during create leaves the one or the other" {
	only_oci_mini "clear errors in a race"
	args sleep 60
	for ((n = 0; n < rounds; n++)); do
		at_once create create --pid-file "$T/pid" --bundle "$BUNDLE" "$ID"
		((n % 2)) || sleep 0.006
		at_once delete delete --force "$ID"
		wait
		settled create
		settled delete
		over
	done
	nothing_left
}

@test "race: two creates with one id" {
	only_oci_mini "clear errors in a race"
	args sleep 60
	for ((n = 0; n < rounds; n++)); do
		at_once create1 create --bundle "$BUNDLE" "$ID"
		at_once create2 create --bundle "$BUNDLE" "$ID"
		wait
		settled create1 'already exists'
		settled create2 'already exists'
		is "$(($(<"$T/create1.code") + $(<"$T/create2.code")))" 1 'one of both succeeds'
		status_is "$ID" created
		over
	done
	nothing_left
}

@test "race: a hundred execs at once" {
	args sleep 60
	ok run --detach --bundle "$BUNDLE" "$ID"
	pids=()
	for ((n = 0; n < 100; n++)); do
		OCI_TEST_MARK=$MARK "$RUNTIME" --root "$ROOT" exec "$ID" sh -c "echo $n; exit $n" </dev/null >"$T/o$n" 2>&1 3>&- &
		pids+=($!)
	done
	for ((n = 0; n < 100; n++)); do
		code=0
		wait "${pids[n]}" || code=$?
		is "$code:$(<"$T/o$n")" "$n:$n" "exec number $n"
	done
	ok ps --format json "$ID"
	like "$OUT" '^\[[0-9]+\]$'
}

@test "soak: 500 execs, 20 at a time, leave no zombie and no descriptor" {
	args sleep $((60 * PATIENCE))
	ok run --detach --bundle "$BUNDLE" "$ID"
	pid=$(init_pid "$ID")
	cat >"$T/one" <<-'EOF'
		for n; do
			"$RUNTIME" --root "$ROOT" exec "$ID" sh -c '
				for f in /proc/$$/fd/*; do [ -L "$f" ] && set -- "$@" "${f##*/}"; done; echo "$@"' sh \
				</dev/null 2>&1 || echo "exit $?"
		done
	EOF
	export RUNTIME ROOT ID
	export OCI_TEST_MARK=$MARK
	seq 500 | xargs -P 20 -n 25 sh "$T/one" >"$T/o" 3>&-
	unset OCI_TEST_MARK
	is "$(sort "$T/o" | uniq -c | sed 's/^ *//')" '500 0 1 2' 'descriptors in the container'
	ok ps --format json "$ID"
	is "$OUT" "[$pid]" 'processes of the container'
	# A zombie is in no cgroup any more, but still a child of the first process or the caller.
	is "$(ps --no-headers -o stat --ppid "$pid,$$,$BASHPID" | awk '/Z/' | wc -l)" 0 zombies
	is "$(find "/proc/$pid/fd" -type l | wc -l)" 3 'descriptors of the first process'
	is "$(find "$ROOT" -mindepth 1 -maxdepth 1 | wc -l)" 1 entries
}

@test "exec --detach: its end leaves no zombie in the container" {
	# An init that collects orphans.
	# shellcheck disable=SC2016 # the container's shell
	args sh -c 'sleep 600; exit'
	ok run --detach --bundle "$BUNDLE" "$ID"
	pid=$(init_pid "$ID")
	for _ in 1 2 3 4 5; do ok exec --detach "$ID" true; done
	none() { [[ -z $(ps --no-headers -e -o stat,comm | awk '$1 ~ /^Z/ && $2 == "true"') ]]; }
	wait_for none
	# They were never the container's children: they fall to the caller's reaper.
	is "$(ps --no-headers -o comm --ppid "$pid" | sort -u)" sleep
}
