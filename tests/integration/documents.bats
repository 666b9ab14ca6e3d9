#!/usr/bin/env bats
# What README.md tells a person to type works as it is printed.

load helpers

# commands HEADING: the lines of the first block below a line of README.md, without remarks.
commands() {
	awk -v heading="$1" '
		index($0, heading) == 1 { found = 1; next }
		found && /^    / { shown = 1; sub(/^    /, ""); sub(/ +# .*/, ""); print; next }
		shown && !/^$/ { exit }
		shown && /^$/ { exit }' "$REPO/README.md"
}

# typed LINE: a shell executes it, in which oci-mini is the runtime with this test's state.
typed() {
	STATUS=0
	(
		# shellcheck disable=SC2317 # the line calls it
		oci-mini() { timeout "$((30 * PATIENCE))" "$RUNTIME" "${STATE[@]}" "${MANAGER[@]}" "$@" 3>&-; }
		set -e
		eval "$1"
	) >"$T/out" 2>"$T/err" </dev/null || STATUS=$?
	((STATUS == 0)) || fail "\$ $1" "exits $STATUS" "$(cat "$T/out" "$T/err")"
}

@test "README: the commands of Use, in their order" {
	only_oci_mini "its README"
	needs_host_users 'the config that it writes has no user namespace'
	local line count=0 id=$ID
	mkdir "$T/here"
	cd "$T/here"
	# shellcheck disable=SC2016 # a pattern
	while IFS= read -r line; do
		# The host's cgroups are others' too: the id is one that no other test uses.
		line=$(sed -E "s/\\bweb\\b/$id/g" <<<"$line")
		if [[ $line == *' pause '* ]] && ! { has_controller memory && pausable "$id"; }; then
			continue
		fi
		typed "$line" || return 1
		count=$((count + 1))
	done < <(commands 'A bundle is a directory with')
	((count >= 9)) || fail "only $count commands"
	nothing_left
}

# pausable ID: the container has a cgroup that can be frozen.
pausable() {
	rt pause "$1"
	((STATUS == 0)) && ok resume "$1"
}

@test "README: the other commands of Use are there, with their flags" {
	only_oci_mini "its README"
	local line count=0 command flag
	while read -r line; do
		[[ $line == oci-mini* ]] || continue
		while read -r command flag; do
			ok "$command" --help
			[[ -z $flag ]] || has "$OUT" "$flag"
			count=$((count + 1))
		done < <(tr ';' '\n' <<<"$line" | sed -nE 's/^ *oci-mini ([a-z]+)( (--?[a-z-]+))?.*/\1 \3/p')
	done < <(commands 'And besides:')
	((count >= 8)) || fail "only $count commands"
}
