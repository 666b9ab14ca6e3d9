# shellcheck shell=bash
# What the scripts check of systemd's units, and of AppArmor: where MANAGER is systemd. See
# lib.bash.
#
# shellcheck disable=SC2034,SC2317,SC2329 # variables and functions of the scripts

# systemd ARG...: systemctl of the systemd that keeps the engine's units.
systemd() { if ((EUID == 0)); then systemctl "$@"; else systemctl --user "$@"; fi; }

# cgroup_of PID, and unit_of PID: the innermost scope that it is in.
cgroup_of() { sed -n 's/^0:://p' "/proc/$1/cgroup"; }
unit_of() { cgroup_of "$1" | grep -o '[^/]*\.scope' | tail -n 1; }

# property UNIT NAME: its value.
property() { systemd show --value --property "$2" -- "$1"; }

# file PID NAME: a file of the scope's cgroup, whose processes may be in one below it.
file() { cat "/sys/fs/cgroup$(property "$(unit_of "$1")" ControlGroup)/$2"; }

# scope_is PID NAME: that it runs in this unit, which is what it should be, below CGROUP.
scope_is() {
	is "$(unit_of "$1")" "$2" unit
	is "$(property "$2" ActiveState)" active
	is "$(property "$2" Slice)" "$CGROUP"
	is "$(property "$2" Delegate)" yes
	has "$(cgroup_of "$1")/" "/$CGROUP/$2/"
}

# units: scopes, slices and services of containers, whatever their state is.
units() { systemd list-units --all --plain --no-legend --type scope,slice | awk '$1 !~ /^(podman-pause-|run-|user)/ { print $1 }' | sort; }
UNITS_BEFORE=$(units)
# units_left: those that came since the script began, but for the slice of all.
units_left() { comm -13 <(echo "$UNITS_BEFORE") <(units) | grep -vxF "$CGROUP"; }
no_units_left() { [[ ! $(units_left) ]]; }

# limits_are PID: what LIMITS lists, "FILE VALUE" a line, is in the files of its scope, and
# stays there when systemd reads its configuration anew and writes what it knows.
limits_are() {
	local name value round
	for round in 'as it was made' 'after daemon-reload'; do
		while read -r name value; do is "$(file "$1" "$name")" "$value" "$name $round"; done <<<"$LIMITS"
		[[ $round == after* ]] || systemd daemon-reload
	done
}

# confined PID PROFILE: by this profile of AppArmor.
confined() {
	[[ $(</sys/module/apparmor/parameters/enabled) == Y ]] || skip 'the kernel has no AppArmor'
	like "$(tr -d '\0' <"/proc/$1/attr/current")" "^$2 \\(enforce\\)\$"
}
