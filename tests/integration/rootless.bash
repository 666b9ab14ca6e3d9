# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154 # STATUS, OUT, ERR and what setup makes are of helpers.bash
# What tests of containers of a user without privileges share.

# as_user COMMAND...: runs it as user and group 2001, with only that in its environment.
as_user() {
	setpriv --reuid 2001 --regid 2001 --clear-groups \
		env -i "PATH=$PATH" XDG_RUNTIME_DIR="$T/xdg" HOME="$BUNDLE" OCI_TEST_MARK="$MARK" "${USER_ENV[@]}" "$@"
}

# user_rt ARG...: rt as that user, with the state where users have it.
user_rt() {
	STATUS=0
	as_user timeout --foreground -k 2 30 "$RUNTIME" "$@" </dev/null >"$T/out" 2>"$T/err" 3>&- || STATUS=$?
	OUT=$(tr -d '\0' <"$T/out")
	ERR=$(<"$T/err")
}

user_ok() {
	user_rt "$@"
	((STATUS == 0)) || fail "$* exits $STATUS" "  stdout: $OUT" "  stderr: $ERR"
}
