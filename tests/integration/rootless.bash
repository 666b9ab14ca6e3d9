# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154 # STATUS, OUT, ERR and what setup makes are of helpers.bash
# What tests of containers of a user without privileges share.

# What stands in front of the user's commands, if anything does; see named_user.
AS_USER=()
# What stands behind the change of user, such as nsenter.
IN_USER=()

needs() {
	own_config
}

# as_user COMMAND...: runs it as user and group 2001, with only that in its environment.
as_user() {
	"${AS_USER[@]}" setpriv --reuid 2001 --regid 2001 --clear-groups \
		env -i "PATH=$PATH" XDG_RUNTIME_DIR="$T/xdg" HOME="$BUNDLE" OCI_TEST_MARK="$MARK" "${USER_ENV[@]}" "${IN_USER[@]}" "$@"
}

# user_rt ARG...: rt as that user, with the state where users have it.
user_rt() {
	STATUS=0
	as_user timeout --foreground -k 2 $((30 * PATIENCE)) "$RUNTIME" "$@" </dev/null >"$T/out" 2>"$T/err" 3>&- || STATUS=$?
	slurp OUT "$T/out"
	slurp ERR "$T/err"
}

user_ok() {
	user_rt "$@"
	((STATUS == 0)) || fail "$* exits $STATUS" "  stdout: $OUT" "  stderr: $ERR"
}

# user_setup makes the bundle that `spec --rootless` makes for the user, with the shared
# root file system. What helpers.bash does before and after a test is plain_setup and
# plain_teardown.
eval "$(declare -f setup | sed '1s/setup/plain_setup/')"
user_setup() {
	plain_setup
	[[ ${T:-} ]] || return
	only_oci_mini "what it says and does for users"
	USER_ENV=()
	mkdir -m 700 "$T/xdg"
	chown 2001:2001 "$T/xdg" "$BUNDLE"
	rm "$BUNDLE/config.json"
	user_ok spec --rootless --bundle "$BUNDLE"
	config '.process.terminal = false | .process.args = ["true"] | .process.env += ["OCI_TEST_MARK=" + $m] | .root.path = $r' \
		--arg m "$MARK" --arg r "$SHARED/rootfs"
	UNCHANGED=$(<"$BUNDLE/config.json")
}

eval "$(declare -f teardown | sed '1s/teardown/plain_teardown/')"
user_teardown() {
	user_delete_all
	plain_teardown
}

user_delete_all() {
	local entry
	for entry in "${T:-/nonexistent}"/xdg/oci-mini/*/; do
		[[ -d $entry ]] || continue
		entry=${entry%/}
		user_rt delete --force "${entry##*/}"
	done
}

# reset_config: as user_setup has made it.
reset_config() {
	printf '%s\n' "$UNCHANGED" >"$BUNDLE/config.json"
}

# user_refused TEXT ARG...: user_rt must exit 1 and say TEXT on standard error.
user_refused() {
	local text=$1
	shift
	user_rt "$@"
	((STATUS == 1)) || fail "$* should exit 1, exits $STATUS" "  stdout: $OUT" "  stderr: $ERR" || return 1
	has "$ERR" "$text"
}

# user_stopped: the user's container is.
user_stopped() {
	user_rt state "$ID" && [[ $(jq -r .status <<<"$OUT") == stopped ]]
}

# named_user [LINE...]: the user has a name, ociuser, and these lines in /etc/subuid and
# /etc/subgid. All of it is in an /etc that only the user's commands see.
named_user() {
	mkdir -p "$T/etc/upper" "$T/etc/work"
	chmod 755 "$T/etc" "$T/etc/upper"
	{ grep -v '^ociuser:' /etc/passwd; echo "ociuser:x:2001:2001::$BUNDLE:/bin/sh"; } >"$T/etc/upper/passwd"
	{ grep -v '^ociuser:' /etc/group; echo 'ociuser:x:2001:'; } >"$T/etc/upper/group"
	printf '%s\n' "${@-}" | tee "$T/etc/upper/subuid" >"$T/etc/upper/subgid"
	# shellcheck disable=SC2016 # for the inner shell
	AS_USER=(unshare --mount sh -c 'mount -t overlay -o "$1" etc /etc && shift && exec "$@"' sh "lowerdir=/etc,upperdir=$T/etc/upper,workdir=$T/etc/work")
}

# ranges: there is a user who may map 65536 ids from 300000 on, and the config does.
ranges() {
	command -v newuidmap >/dev/null || skip 'newuidmap is missing'
	named_user ociuser:300000:65536
	config '.linux.uidMappings = $m | .linux.gidMappings = $m' --argjson m \
		'[{"containerID": 0, "hostID": 2001, "size": 1}, {"containerID": 1, "hostID": 300000, "size": 65536}]'
}
