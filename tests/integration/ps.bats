#!/usr/bin/env bats
# ps: whose rows, whatever ps is asked to print.

load helpers

# three: a container of a shell and two sleeps.
three() {
	args sh -c 'sleep 61 & sleep 62 & wait'
	ok run --detach --bundle "$BUNDLE" "$ID"
	PIDS=$(init_pid "$ID")
	wait_for counted 3
}

counted() {
	rt ps --format json "$ID" && [[ $(jq length <<<"$OUT") == "$1" ]]
}

@test "ps: options as words, as one string, and none of them" {
	three
	ok ps "$ID"
	like "$OUT" '^UID +PID +PPID'
	table=$OUT
	is "$(wc -l <<<"$OUT")" 4 lines
	ok ps "$ID" ''
	is "$(wc -l <<<"$OUT")" 4 lines
	is "$(head -n 1 <<<"$OUT")" "$(head -n 1 <<<"$table")"
	ok ps "$ID" '-e -o pid,args'
	like "$OUT" "^ +PID COMMAND"
	is "$(grep -cE '^ *[0-9]+ sleep 6[12]$' <<<"$OUT")" 2 rows
	ok ps "$ID" -e -o comm,pid
	is "$(wc -l <<<"$OUT")" 4 lines
	like "$OUT" "sh +$PIDS"
	ok ps "$ID" aux
	like "$OUT" '^USER +PID'
	is "$(wc -l <<<"$OUT")" 4 lines
	ok ps --format table "$ID" -ef
	is "$(wc -l <<<"$OUT")" 4 lines
}

@test "ps: a process in a cgroup below counts" {
	three
	# On a hybrid host the unified hierarchy says who is in the container.
	dir=$(cgroup_of "$PIDS" freezer)
	if [[ -d /sys/fs/cgroup/unified ]]; then
		dir=/sys/fs/cgroup/unified$(sed -n 's/^0:://p' "/proc/$PIDS/cgroup")
	fi
	mkdir "$dir/below"
	pgrep -P "$PIDS" | head -n 1 >"$dir/below/cgroup.procs"
	is "$(wc -l <"$dir/cgroup.procs")" 2 'processes above'
	counted 3
}

@test "ps: options without a PID column are refused, so is an unknown format" {
	three
	refused 'PID column' ps "$ID" -e -o comm
	is "$OUT" ''
	refused neither ps --format xml "$ID"
	rt ps "$ID" --no-such-option
	((STATUS == 1))
	is "$OUT" ''
	[[ -n $ERR ]]
}

@test "ps: works without PATH, and says what it misses" {
	three
	STATUS=0
	OUT=$(env -i "$RUNTIME" --root "$ROOT" ps "$ID" -e -o pid,comm)
	like "$OUT" "$PIDS +sh"
	OUT=$(PATH=. "$RUNTIME" --root "$ROOT" ps "$ID" -e -o pid,comm)
	like "$OUT" "$PIDS +sh"
}

@test "ps: an empty list for a stopped container, an error for a missing one" {
	ok run --keep --bundle "$BUNDLE" "$ID"
	ok ps --format json "$ID"
	is "$OUT" '[]'
	ok ps "$ID"
	is "$(wc -l <<<"$OUT")" 1 lines
	ok delete "$ID"
	refused 'does not exist' ps "$ID"
	refused 'does not exist' ps --format json "$ID"
}

@test "ps: created and paused containers" {
	args sleep 60
	ok create --bundle "$BUNDLE" "$ID"
	ok ps -f json "$ID"
	is "$OUT" "[$(init_pid "$ID")]"
	ok start "$ID"
	ok pause "$ID"
	ok ps -f json "$ID"
	is "$OUT" "[$(init_pid "$ID")]"
}
