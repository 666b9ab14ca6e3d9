#!/usr/bin/env bats
# info: what the machine offers to containers, and what to do about what is missing.

load helpers

@test "info: text names the kernel, cgroups and what is missing with its remedy" {
	only_oci_mini 'info is its command'
	ok info
	[[ -z $ERR ]] || fail "stderr: $ERR"
	has "$OUT" "Linux $(uname -r)"
	like "$OUT" $'\n(ok|limited|missing) +cgroups '
	has "$OUT" 'containers can run here'
	# Whatever is not ok says what for, and what to do.
	is "$(grep -cE '^(limited|missing) ' <<<"$OUT")" "$(grep -c '^ *remedy: .' <<<"$OUT")" 'remedies'
}

@test "info --format json: every check has a name, a status, what it is for, and a remedy unless it is ok" {
	only_oci_mini 'info is its command'
	ok info --format json
	jq -e '.ready and (.kernel == $k) and (.checks | length > 10)
		and all(.checks[]; (.name | length > 0) and (.found | length > 0) and (.for | length > 0)
			and (.status == "ok" or ((.status == "limited" or .status == "missing") and (.remedy | length > 0))))' \
		--arg k "$(uname -r)" <<<"$OUT" >/dev/null || fail "the document: $OUT"
	local modes='^(v1|hybrid), '
	if cgroup2; then modes='^v2, '; fi
	like "$(jq -r '.checks[] | select(.name == "cgroups").found' <<<"$OUT")" "$modes"
	# What it says about this machine is what the machine says.
	is "$(jq -r '.checks[] | select(.name == "resctrl").status == "missing"' <<<"$OUT")" \
		"$(if grep -qw resctrl /proc/filesystems; then echo false; else echo true; fi)" resctrl
	is "$(jq -r '.checks[] | select(.name == "criu").status == "ok"' <<<"$OUT")" "$(if command -v criu >/dev/null; then echo true; else echo false; fi)" criu
}

@test "info as an ordinary user looks at user namespaces and subordinate ids" {
	needs_root 'becomes another user'
	only_oci_mini 'info is its command'
	OUT=$(setpriv --reuid=65534 --regid=65534 --clear-groups "$RUNTIME" info --format json)
	jq -e '.rootless and ([.checks[].name] | index("subuid") and index("subgid"))' <<<"$OUT" >/dev/null || fail "the document: $OUT"
}

@test "info: an unknown format and arguments are refused" {
	only_oci_mini 'info is its command'
	refused '--format: "xml" is not text or json' info --format xml
	refused 'at most 0 argument' info extra
}
