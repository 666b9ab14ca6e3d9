#!/usr/bin/env bats
# state and list, as engines and people read them.

load helpers

OWNER=$(getent passwd "$EUID" | cut -d: -f1)
OWNER=${OWNER:-#$EUID}

@test "state: every field of a created container" {
	config '.annotations = {"org.example.key": "value"}'
	ok create --bundle "$BUNDLE" "$ID"
	ok state "$ID"
	is "$ERR" ''
	is "$(jq -r .id <<<"$OUT")" "$ID"
	is "$(jq -r .status <<<"$OUT")" created
	is "$(jq -r .bundle <<<"$OUT")" "$BUNDLE"
	is "$(jq -r .rootfs <<<"$OUT")" "$ROOTFS"
	if is_oci_mini; then
		is "$(jq -r .owner <<<"$OUT")" "$OWNER"
	fi
	is "$(jq -r '.annotations["org.example.key"]' <<<"$OUT")" value
	like "$(jq -r .ociVersion <<<"$OUT")" '^1\.[0-9]+\.[0-9]+'
	like "$(jq -r .created <<<"$OUT")" '^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}(\.[0-9]+)?(Z|[+-][0-9:]+)$'
	pid=$(jq .pid <<<"$OUT")
	kill -0 "$pid"
	(($(wc -l <<<"$OUT") > 5)) || fail "state is not indented: $OUT"
	has "$OUT" $'\n  "id": "'
}

@test "state: pid is 0 once stopped, bundle is absolute for a relative --bundle" {
	cd "$T"
	ok create --bundle bundle "$ID"
	ok start "$ID"
	wait_for status_is "$ID" stopped
	is "$(jq .pid <<<"$OUT")" 0 pid
	is "$(jq -r .bundle <<<"$OUT")" "$BUNDLE" bundle
}

@test "list: a table with its header and one row a container" {
	ok list
	like "$OUT" '^ID +PID +STATUS +BUNDLE +CREATED +OWNER$'
	args sleep 60
	ok create --bundle "$BUNDLE" "$ID"
	ok create --bundle "$BUNDLE" "$ID.b"
	ok start "$ID.b"
	ok list
	is "$(wc -l <<<"$OUT")" 3 lines
	like "$OUT" $'\n'"$ID +[0-9]+ +created +$BUNDLE +[0-9T:.-]+Z? +$OWNER"
	like "$OUT" $'\n'"$ID\\.b +[0-9]+ +running +$BUNDLE +"
}

@test "list -q, --quiet and --format json" {
	ok list --format json
	like "$OUT" '^(null|\[\])$'
	ok create --bundle "$BUNDLE" "$ID"
	ok create --bundle "$BUNDLE" "$ID.b"
	ok list -q
	is "$OUT" "$ID"$'\n'"$ID.b"
	ok list --quiet
	is "$OUT" "$ID"$'\n'"$ID.b"
	ok list --format json
	is "$(jq -r '.[].id' <<<"$OUT")" "$ID"$'\n'"$ID.b"
	is "$(jq -r '.[0] | .status + " " + .bundle + " " + .owner' <<<"$OUT")" "created $BUNDLE $OWNER"
	ok list -f json
	rt list --format nonsense
	((STATUS == 1))
}

@test "list without a state root is empty and exits 0" {
	only_oci_mini "a root that no container has made yet holds no containers"
	rmdir "$ROOT"
	ok list
	is "$(wc -l <<<"$OUT")" 1 lines
	ok list -q
	is "$OUT" ''
	ok list --format json
	like "$OUT" '^(null|\[\])$'
	[[ ! -e $ROOT ]] || fail 'list made the state root'
	mkdir "$ROOT"
}

@test "list skips what it cannot read" {
	ok create --bundle "$BUNDLE" "$ID"
	mkdir "$ROOT/empty" "$ROOT/half" "$ROOT/nonsense"
	echo '{"id": "half", "st' >"$ROOT/half/state.json"
	echo '[1, 2]' >"$ROOT/nonsense/state.json"
	: >"$ROOT/file"
	rt list -q
	((STATUS == 0))
	has "$OUT" "$ID"
	lacks "$OUT" nonsense
	rt list --format json
	((STATUS == 0))
	is "$(jq -r 'map(.id) | index("'"$ID"'") != null' <<<"$OUT")" true
	rm -rf "$ROOT/empty" "$ROOT/half" "$ROOT/nonsense" "$ROOT/file"
}

@test "delete --force cleans a half-written container" {
	only_oci_mini "a half-written state does not stand in the way"
	mkdir "$ROOT/half" "$ROOT/empty"
	echo '{"id": "half", "st' >"$ROOT/half/state.json"
	silent delete --force half
	silent delete --force empty
	[[ ! -e $ROOT/half && ! -e $ROOT/empty ]]
}

@test "ps: the container's processes as a table and as JSON" {
	args sh -c 'sleep 60 & sleep 60 & wait'
	ok run --detach --bundle "$BUNDLE" "$ID"
	pid=$(init_pid "$ID")
	count() { rt ps --format json "$ID" && [[ $(jq length <<<"$OUT") == 3 ]]; }
	wait_for count || fail "ps: $OUT"
	is "$(jq "index($pid) != null" <<<"$OUT")" true
	is "$ERR" ''
	ok ps "$ID"
	has "$OUT" PID
	has "$OUT" 'sleep 60'
	is "$(wc -l <<<"$OUT")" 4 lines
	# Without -e it has the processes of its own user.
	if [[ $WORLD == userns ]]; then
		ok ps "$ID" -e -o pid,comm
	else
		ok ps "$ID" -o pid,comm
	fi
	like "$OUT" "$pid +sh"
}
