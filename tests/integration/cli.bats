#!/usr/bin/env bats
# What callers read: ids, the bundle argument, versions, help, features, spec.

load helpers

@test "an id that is no plain name is refused by every command" {
	for id in '' . .. a/b /a a/ 'a b' $'a\nb' $'a\tb' 'ä' 'a:b' 'a*'; do
		for command in create run; do
			rt "$command" --bundle "$BUNDLE" "$id"
			((STATUS != 0)) || fail "$command '$id' is accepted"
			# To oci-mini a word with a slash, or a dot, names a bundle.
			if is_oci_mini && [[ $id == . || $id == .. || $id == */* ]]; then continue; fi
			[[ -z $id ]] || has "$ERR" 'invalid container ID format'
		done
		for command in state start kill delete; do
			rt "$command" "$id"
			((STATUS != 0)) || fail "$command '$id' is accepted"
		done
	done
	nothing_left
}

@test "ids of every allowed character, and names that look like files, work" {
	for id in 'a' '-x' 'A-z_0.9+' '...' '.hidden' "$(printf 'x%.0s' {1..60})"; do
		[[ $id != -* ]] || continue
		ok create --bundle "$BUNDLE" "$id.$ID"
		status_is "$id.$ID" created
		silent delete "$id.$ID"
	done
}

@test "kill and delete of an empty id fail" {
	rt kill '' KILL
	((STATUS != 0))
	rt delete --force ''
	((STATUS != 0))
	rt delete --force ..
	((STATUS != 0))
	[[ -d $ROOT && -d $T ]]
}

@test "a missing argument and one too many are refused" {
	for command in create run state start kill delete; do
		rt "$command"
		((STATUS != 0)) || fail "$command without an id is accepted"
		[[ -n $ERR ]] || fail "$command without an id says nothing"
	done
	rt state "$ID" extra
	((STATUS != 0))
	rt no-such-command
	((STATUS != 0))
	rt state --no-such-flag "$ID"
	((STATUS != 0))
}

@test "run DIR/: the directory is the bundle and its name the id" {
	only_oci_mini "an argument with a slash is a bundle"
	args sleep 60
	new_bundle "$T/by-$ID"
	cp "$BUNDLE/config.json" "$T/by-$ID/config.json"
	ok run --detach "$T/by-$ID/"
	status_is "by-$ID" running
	is "$(jq -r .bundle <<<"$OUT")" "$T/by-$ID" bundle
}

@test "run DIR/ ID: a second argument gives the id" {
	only_oci_mini "an argument with a slash is a bundle"
	args sleep 60
	ok create "$BUNDLE/" "$ID"
	status_is "$ID" created
	is "$(jq -r .bundle <<<"$OUT")" "$BUNDLE" bundle
	refused 'does not exist' state bundle
}

@test "run ., run ./DIR and run .. name bundles relative to here" {
	only_oci_mini "an argument with a slash, or ., is a bundle"
	new_bundle "$T/by-$ID"
	args sh -c 'echo here'
	cp "$BUNDLE/config.json" "$T/by-$ID/config.json"
	mkdir "$T/by-$ID/sub"
	cd "$T/by-$ID"
	ok run .
	is "$OUT" here
	ok run ./
	is "$OUT" here
	ok run . "$ID"
	is "$OUT" here
	ok run --keep ..//"by-$ID"
	is "$OUT" here
	status_is "by-$ID" stopped
	cd sub
	ok run ../ "$ID"
	is "$OUT" here
}

@test "a bare word is an id, with the bundle from --bundle or from here" {
	args sh -c 'echo here'
	mkdir "$T/elsewhere"
	cd "$T/elsewhere"
	mkdir "$ID"
	rt run "$ID"
	((STATUS == 1))
	has "$ERR" config.json
	ok run --bundle "$BUNDLE" "$ID"
	is "$OUT" here
	ok run -b ../bundle "$ID"
	is "$OUT" here
	cd "$BUNDLE"
	ok run "$ID"
	is "$OUT" here
}

@test "a bundle that is missing, has no config or a broken one: one clear line" {
	rt create --bundle "$T/nowhere" "$ID"
	((STATUS == 1))
	has "$ERR" 'no such file or directory'
	mkdir "$T/empty"
	rt create --bundle "$T/empty" "$ID"
	((STATUS == 1))
	has "$ERR" config.json
	echo '{ "ociVersion": ' >"$T/empty/config.json"
	rt create --bundle "$T/empty" "$ID"
	((STATUS == 1))
	[[ -n $ERR ]]
	nothing_left
}

@test "--version: the name, commit, spec and go, the word version once" {
	ok --version
	is "$ERR" ''
	like "$OUT" '^(oci-mini|runc) version [0-9]+\.[0-9]+'
	is "$(grep -c version <<<"$OUT")" 1 'lines with the word version'
	like "$OUT" $'\ncommit: [^\n]+'
	like "$OUT" $'\nspec: 1\\.[0-9]+\\.[0-9]+'
	like "$OUT" $'\ngo: go1\\.'
	text=$OUT
	ok -v
	is "$OUT" "$text"
}

@test "--help, -h and CMD --help exit 0 and print on standard output" {
	ok --help
	has "$OUT" create
	is "$ERR" ''
	ok -h
	for command in create start state kill delete run exec list ps spec features pause resume update events; do
		ok "$command" --help
		has "$OUT" "$command"
		is "$ERR" ''
	done
	nothing_left
}

@test "flags take --flag value and --flag=value, global ones in the callers' order" {
	ok --debug=false --log "$T/log" --log-format json --rootless=false list
	ok --log="$T/log" --log-format=json --rootless=auto list --format=json
	ok run --bundle="$BUNDLE" --no-subreaper --no-new-keyring --no-pivot=false "$ID"
	nothing_left
}

@test "features: JSON with the versions and what is handled" {
	ok features
	is "$ERR" ''
	like "$(jq -r .ociVersionMin <<<"$OUT")" '^1\.'
	like "$(jq -r .ociVersionMax <<<"$OUT")" '^1\.[2-9]'
	is "$(jq -r '.mountOptions | index("ro") != null and index("rbind") != null' <<<"$OUT")" true
	is "$(jq -r '.linux.namespaces - ["time", "user"] | sort | join(" ")' <<<"$OUT")" 'cgroup ipc mount network pid uts'
	is "$(jq -r '.linux.capabilities | index("CAP_SYS_ADMIN") != null' <<<"$OUT")" true
	is "$(jq -r '.linux.cgroup.v1 and .linux.cgroup.v2' <<<"$OUT")" true
	jq -e '(.hooks // []) | type == "array"' <<<"$OUT"
}

@test "spec: writes config.json once and refuses to overwrite it" {
	mkdir "$T/spec"
	cd "$T/spec"
	silent spec
	jq -e '.ociVersion and .process.args == ["sh"] and .root.path == "rootfs"' config.json
	echo mine >config.json
	rt spec
	((STATUS == 1))
	has "$ERR" config.json
	is "$(<config.json)" mine
	mkdir "$T/other"
	silent spec --bundle "$T/other"
	jq -e '.linux.namespaces | length >= 5' "$T/other/config.json"
	is "$(jq '[.process.capabilities.inheritable // empty | .[]] | length' "$T/other/config.json")" 0 inheritable
}

@test "spec --rootless: own user namespace, mapped to the caller" {
	mkdir "$T/spec"
	silent spec --rootless --bundle "$T/spec"
	jq -e '.linux.namespaces | map(.type) | index("user") != null' "$T/spec/config.json"
	jq -e '.linux.uidMappings[0].containerID == 0 and .linux.uidMappings[0].size == 1' "$T/spec/config.json"
}

@test "the caller's environment may be empty" {
	args sh -c 'echo here'
	STATUS=0
	out=$(env -i "$RUNTIME" --root "$ROOT" run --bundle "$BUNDLE" "$ID" </dev/null)
	is "$out" here
}

@test "flags may follow the id, as callers of runc and crun write them" {
	need_controller pids
	args sleep 1000
	ok run --detach --bundle "$BUNDLE" "$ID"
	ok update "$ID" --pids-limit 77
	ok kill "$ID" KILL --all
	ok delete "$ID" --force
	nothing_left
}

@test "without an id nothing is created, even if --bundle names a directory" {
	for command in create run; do
		rt "$command" --bundle "$BUNDLE"
		is "$STATUS" 1
		has "$ERR" 'needs a container id'
	done
	nothing_left
}

@test "flags that only runc or crun have a use for are taken" {
	only_oci_mini "takes the flags of both"
	ok --criu /usr/sbin/criu list
	is "$ERR" ''
	rt --log "$T/log" --criu /usr/sbin/criu list
	has "$(<"$T/log")" '--criu is ignored: criu is looked for along PATH'
	ok create --no-subreaper --bundle "$BUNDLE" "$ID"
	ok delete "$ID"
}
