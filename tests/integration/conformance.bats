#!/usr/bin/env bats
# docs/conformance.md says what is handled where and which test shows it. Here it
# is held to that.

load helpers

PAGE=$REPO/docs/conformance.md

# rows: the page's tables.
rows() {
	grep '^| ' "$PAGE"
}

@test "every bats test that the page names exists" {
	local count=0 suite title
	while IFS=$'\t' read -r suite title; do
		grep -qxF "@test \"$title\" {" "$REPO/tests/integration/$suite" || fail "$suite has no test \"$title\""
		count=$((count + 1))
	done < <(rows | grep -oE '`[a-z_]+\.bats "[^"]+"`' | sed -E 's/^`([a-z_]+\.bats) "(.*)"`$/\1\t\2/')
	((count > 80)) || fail "only $count tests are named: the page's notation has changed"
}

@test "every row of docs/rootless.md names tests, and they exist" {
	local page=$REPO/docs/rootless.md count=0 suite title line
	while IFS= read -r line; do
		[[ $line == *.bats\ \"* || $line == '| what '* || $line == '| missing '* ]] || fail "a row without a test: $line"
	done < <(grep '^| ' "$page")
	while IFS=$'\t' read -r suite title; do
		grep -qxF "@test \"$title\" {" "$REPO/tests/integration/$suite" || fail "$suite has no test \"$title\""
		count=$((count + 1))
	done < <(grep -oE '`[a-z_]+\.bats "[^"]+"`' "$page" | sed -E 's/^`([a-z_]+\.bats) "(.*)"`$/\1\t\2/')
	((count > 30)) || fail "only $count tests are named: the page's notation has changed"
}

@test "every go test and every function that the page names exists" {
	local count=0 package name dir file
	while IFS=. read -r package name; do
		case $package in
		main) dir=$REPO ;;
		spec) dir=$REPO/spec ;;
		*) dir=$REPO/internal/$package ;;
		esac
		grep -qE "^func $name\(t \*testing\.T\)" "$dir"/*_test.go || fail "package $package has no $name"
		count=$((count + 1))
	done < <(rows | grep -oE '`[a-z]+\.Test[A-Za-z0-9]+`' | tr -d '`' | sort -u)
	((count > 10)) || fail "only $count go tests are named: the page's notation has changed"
	count=0
	while read -r file name; do
		[[ -e $REPO/$file ]] || fail "no file $file"
		[[ -z $name ]] || grep -qE "^func (\([^)]*\) )?${name}[([]" "$REPO/$file" || fail "$file has no function $name"
		count=$((count + 1))
	done < <(rows | grep -oE '`[a-z0-9_/]+\.go( [A-Za-z]+)?`' | tr -d '`' | sort -u)
	((count > 40)) || fail "only $count functions are named: the page's notation has changed"
}

@test "what the page calls refused is refused" {
	only_oci_mini 'the page is about it'
	# A config that asks for each, by the row's first words.
	declare -A ask=(
		['`scheduler`']='.process.scheduler = {policy: "SCHED_OTHER", nice: 1}'
		['`ioPriority`']='.process.ioPriority = {class: "IOPRIO_CLASS_BE", priority: 4}'
		['`execCPUAffinity`']='.process.execCPUAffinity = {initial: "0"}'
		['`memoryPolicy`']='.linux.memoryPolicy = {mode: "MPOL_BIND", nodes: "0"}'
	)
	local field count=0
	while IFS= read -r field; do
		[[ ${ask[$field]:-} ]] || fail "this test has no config that asks for $field"
		new_bundle "$BUNDLE"
		config "${ask[$field]}"
		refused 'not supported yet' create --bundle "$BUNDLE" "$ID"
		count=$((count + 1))
	done < <(sed -nE 's/^\| (.*[^ ]) \| .* \| .* \| \*\*refused\*\*.*$/\1/p' "$PAGE")
	is "$count" "$(grep -c '| \*\*refused\*\*' "$PAGE")" 'refused rows'
	nothing_left
}
