#!/usr/bin/env bats
# --log and how an error reads.

load helpers

@test "--log json: one record on failure, the same text on standard error" {
	rt --log "$T/log" --log-format json state "$ID"
	((STATUS == 1))
	has "$ERR" 'does not exist'
	is "$(wc -l <"$T/log")" 1 records
	is "$(jq -r .level "$T/log")" error
	has "$(jq -r .msg "$T/log")" 'does not exist'
	like "$(jq -r .time "$T/log")" '^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}(\.[0-9]+)?(Z|[+-][0-9:]+)$'
}

@test "--log text: one record on failure" {
	rt --log "$T/log" state "$ID"
	((STATUS == 1))
	is "$(wc -l <"$T/log")" 1 records
	has "$(<"$T/log")" 'level=error'
	has "$(<"$T/log")" 'does not exist'
}

@test "--log appends, creates with 0644, and stays empty on success" {
	echo before >"$T/log"
	rt --log "$T/log" --log-format json state "$ID"
	rt --log "$T/log" --log-format json state "$ID"
	is "$(head -n 1 "$T/log")" before
	is "$(wc -l <"$T/log")" 3 lines
	(umask 022; ok --log "$T/new" --log-format json run --bundle "$BUNDLE" "$ID")
	if [[ -e $T/new ]]; then
		is "$(<"$T/new")" ''
		is "$(stat -c %a "$T/new")" 644 mode
	fi
}

@test "a failing create writes exactly one JSON record" {
	only_oci_mini "no warning stands before the one record"
	mount_add /mnt tmpfs tmpfs size=nonsense
	rt --log "$T/log" --log-format json create --bundle "$BUNDLE" "$ID"
	((STATUS == 1))
	is "$(jq -s length "$T/log")" 1 records
	is "$(wc -l <"$T/log")" 1 lines
	has "$(jq -r .msg "$T/log")" 'Bad value'
	nothing_left
}

@test "a failing create: the last JSON record has the cause" {
	args /no/such/program
	rt --log "$T/log" --log-format json create --bundle "$BUNDLE" "$ID"
	((STATUS == 1))
	has "$(tail -n 1 "$T/log" | jq -r 'select(.level == "error").msg')" 'no such file or directory'
	nothing_left
}

@test "a log path that cannot be written: plain error, exit 1, nothing done" {
	rt --log "$T/no/such/dir/log" create --bundle "$BUNDLE" "$ID"
	((STATUS == 1))
	has "$ERR" 'no such file or directory'
	lacks "$ERR" '{"'
	refused 'does not exist' state "$ID"
	nothing_left
}

@test "an unknown log format is refused" {
	rt --log "$T/log" --log-format xml list
	((STATUS == 1))
	[[ -n $ERR ]]
}

@test "a state root that cannot be made is a plain error" {
	: >"$T/file"
	rt --root "$T/file/root" create --bundle "$BUNDLE" "$ID"
	((STATUS == 1))
	has "$ERR" 'not a directory'
}

@test "an error names command, field, step, system call, kernel's words, and a hint" {
	only_oci_mini "the form of its errors"
	config '.mounts |= map(if .destination == "/dev/shm" then .options |= map(if startswith("size=") then "size=65536q" else . end) else . end)'
	index=$(jq '.mounts | map(.destination) | index("/dev/shm")' "$BUNDLE/config.json")
	rt create --bundle "$BUNDLE" "$ID"
	((STATUS == 1))
	first=${ERR%%$'\n'*}
	like "$first" "^oci-mini: create $ID: /mounts/$index \\(tmpfs on /dev/shm\\): fsconfig size=65536q: tmpfs: Bad value for 'size' \\(EINVAL\\)$"
	like "$ERR" $'\n  hint: .*size=65536k'
	is "$(wc -l <<<"$ERR")" 2 lines
	nothing_left
}

@test "all faults of a config are told at once, each with its place" {
	only_oci_mini "faults are collected, each with its JSON pointer"
	config '.process.cwd = "relative" | .process.args = [] | .linux.namespaces += [{type: "nonsense"}]'
	rt create --bundle "$BUNDLE" "$ID"
	((STATUS == 1))
	has "$ERR" /process/cwd
	has "$ERR" /process/args
	has "$ERR" /linux/namespaces/
	nothing_left
}

@test "texts that engines look for" {
	args no-such-program
	refused 'executable file not found in $PATH' create --bundle "$BUNDLE" "$ID"
	args /no/such/program
	refused 'no such file or directory' create --bundle "$BUNDLE" "$ID"
	args /etc/passwd
	refused 'permission denied' create --bundle "$BUNDLE" "$ID"
	args /etc
	rt create --bundle "$BUNDLE" "$ID"
	((STATUS == 1))
	like "$ERR" 'permission denied|is a directory'
	nothing_left
}

@test "--debug: a record of each step that is done, none of what failed; in the log or on standard error" {
	only_oci_mini "the steps are its own"
	args sh -c 'echo out; echo err >&2'
	ok explain --bundle "$BUNDLE" --format json
	steps=$(jq '.steps | length' <<<"$OUT")
	for global in run create; do
		ok --debug --log "$T/$global" --log-format json "$global" --bundle "$BUNDLE" "$ID"
		is "$ERR" "$([[ $global == create ]] || echo err)" 'standard error'
		is "$(jq -rs 'map(.level) | unique[]' "$T/$global")" debug levels
		ok delete --force "$ID"
	done
	is "$(jq -s length "$T/run")" "$steps" 'records of run'
	has "$(jq -r .msg "$T/run")" 'init: mount proc on /proc (/mounts/'
	has "$(tail -n 1 "$T/run" | jq -r .msg)" 'init: execute sh -c'
	lacks "$(jq -r .msg "$T/create")" 'init: execute'

	ok --debug run --detach --bundle "$BUNDLE" "$ID" >/dev/null
	has "$ERR" 'level=debug msg="init: execute sh -c'
	ok delete --force "$ID"
	args sleep 60
	ok run --detach --bundle "$BUNDLE" "$ID"
	ok --debug exec "$ID" true
	has "$ERR" 'level=debug msg="init: execute true (/process/args)"'
	ok --debug state "$ID"
	is "$ERR" '' 'standard error of state'
	ok delete --force "$ID"

	mount_add /mnt tmpfs tmpfs size=nonsense
	rt --debug create --bundle "$BUNDLE" "$ID"
	((STATUS == 1))
	has "$(head -n -1 <<<"$ERR")" 'init: mount proc on /proc (/mounts/'
	lacks "$ERR" 'init: mount tmpfs on /mnt'
	is "$(grep -c 'Bad value' <<<"$ERR")" 1 'lines with the error'
	nothing_left
}
