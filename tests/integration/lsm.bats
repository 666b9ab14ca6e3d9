#!/usr/bin/env bats
# Labels of Linux security modules, and the session keyring. What needs a module
# runs where the kernel has it, such as in a virtual machine.
# shellcheck disable=SC2016 # scripts for the container's shell

load helpers

SECURITY=/sys/kernel/security

# active NAME: the kernel runs with this security module.
active() {
	grep -qw "$1" "$SECURITY/lsm" 2>/dev/null
}

need_apparmor() {
	active apparmor || skip 'this kernel runs without AppArmor'
	command -v apparmor_parser >/dev/null || fail 'apparmor_parser is missing: see tests/install-deps'
}

need_selinux() {
	active selinux || skip 'this kernel runs without SELinux'
}

# profile NAME RULE...: loads a profile that allows all but what the rules deny.
profile() {
	local name=$1
	shift
	{
		echo "profile $name flags=(attach_disconnected, mediate_deleted) {"
		printf '%s,\n' file capability network mount umount remount pivot_root signal ptrace unix dbus change_profile "$@"
		echo '}'
	} | apparmor_parser -Kr
}

teardown_file() {
	local name
	[[ -e $SECURITY/apparmor/profiles ]] || return 0
	while read -r name _; do
		[[ $name != oci-mini-test* ]] || printf '%s' "$name" >"$SECURITY/apparmor/.remove"
	done <"$SECURITY/apparmor/profiles"
}

@test "a label of a module that the kernel lacks is refused by its field; unconfined is not" {
	count=0
	if ! active apparmor; then
		config '.process.apparmorProfile = "web"'
		refused '/process/apparmorProfile: web: AppArmor is not active in this kernel' create --bundle "$BUNDLE" "$ID"
		has "$ERR" '/sys/kernel/security/lsm'
		config '.process.apparmorProfile = "unconfined"'
		inside_ok 'echo fine'
		is "$OUT" fine
		config '.process.apparmorProfile = ""'
		args sleep 60
		ok run --detach --bundle "$BUNDLE" "$ID.b"
		rt exec --apparmor web "$ID.b" true
		is "$STATUS" 255
		has "$ERR" 'AppArmor is not active'
		ok delete --force "$ID.b"
		count=1
	fi
	if ! active selinux; then
		config '.process.selinuxLabel = "system_u:system_r:container_t:s0" | .linux.mountLabel = "system_u:object_r:container_file_t:s0"'
		refused '/process/selinuxLabel: system_u:system_r:container_t:s0: SELinux is not active in this kernel' create --bundle "$BUNDLE" "$ID"
		has "$ERR" '/linux/mountLabel: system_u:object_r:container_file_t:s0: SELinux is not active in this kernel'
		count=1
	fi
	((count)) || skip 'this kernel runs with both AppArmor and SELinux'
	nothing_left
}

@test "AppArmor: the profile confines run, create and start, and every exec" {
	need_apparmor
	profile oci-mini-test-one 'deny /tmp/one w'
	profile oci-mini-test-two 'deny /tmp/two w'
	mount_add /tmp tmpfs tmpfs
	config '.process.apparmorProfile = "oci-mini-test-one"'
	# By all three: attr/current as the process reads it, the denial, and what is not denied.
	script='cat /proc/self/attr/current; for f in one two; do echo x >/tmp/$f; done 2>/dev/null; ls /tmp; rm -f /tmp/*'
	inside_ok "$script"
	is "$OUT" $'oci-mini-test-one (enforce)\ntwo'
	config '.process.user = {uid: 1000, gid: 1000} | .process.noNewPrivileges = false'
	inside_ok "$script"
	is "$OUT" $'oci-mini-test-one (enforce)\ntwo'
	args sleep 60
	ok create --bundle "$BUNDLE" "$ID"
	ok start "$ID"
	is "$(cat "/proc/$(init_pid "$ID")/attr/current")" 'oci-mini-test-one (enforce)'
	ok exec "$ID" sh -c "$script"
	is "$OUT" $'oci-mini-test-one (enforce)\ntwo'
	ok exec --apparmor oci-mini-test-two "$ID" sh -c "$script"
	is "$OUT" $'oci-mini-test-two (enforce)\none'
	# A process that says nothing about it stays as confined as the container.
	jq -n '{cwd: "/", args: ["cat", "/proc/self/attr/current"], env: ["PATH=/bin"], user: {uid: 0, gid: 0}}' >"$T/process.json"
	ok exec --process "$T/process.json" "$ID"
	is "$OUT" 'oci-mini-test-one (enforce)'
	ok exec --apparmor unconfined "$ID" cat /proc/self/attr/current
	is "$OUT" unconfined
}

@test "AppArmor: a profile that is not loaded is an error of create and of exec" {
	need_apparmor
	config '.process.apparmorProfile = "oci-mini-test-missing"'
	refused '/process/apparmorProfile' create --bundle "$BUNDLE" "$ID"
	has "$ERR" 'the profile oci-mini-test-missing is not loaded'
	has "$ERR" apparmor_parser
	nothing_left
	config 'del(.process.apparmorProfile)'
	args sleep 60
	ok run --detach --bundle "$BUNDLE" "$ID"
	rt exec --apparmor oci-mini-test-missing "$ID" true
	is "$STATUS" 255
	has "$ERR" 'the profile oci-mini-test-missing is not loaded'
	# Names that begin like "unconfined" are names like any other.
	rt exec --apparmor unconfined_oci-mini-test "$ID" true
	is "$STATUS" 255
	has "$ERR" 'is not loaded'
}

@test "AppArmor: in a user namespace too" {
	need_apparmor
	profile oci-mini-test-user 'deny /tmp/one w'
	config '.process.apparmorProfile = "oci-mini-test-user" | .linux.namespaces += [{type: "user"}]
		| .linux.uidMappings = [{containerID: 0, hostID: 100000, size: 65536}] | .linux.gidMappings = .linux.uidMappings'
	mount_add /tmp tmpfs tmpfs
	inside_ok 'cat /proc/self/attr/current; echo x >/tmp/one || echo denied'
	is "$OUT" $'oci-mini-test-user (enforce)\ndenied'
}

@test "AppArmor: the label goes to the real procfs, whatever the image has at /proc" {
	need_apparmor
	profile oci-mini-test-real 'deny /tmp/one w'
	own_rootfs
	mkdir -p "$T/proc/self/attr/apparmor"
	: >"$T/proc/self/attr/apparmor/exec"
	config '.mounts |= map(select(.destination != "/proc")) | .process.apparmorProfile = "oci-mini-test-real"
		| .linux.maskedPaths = [] | .linux.readonlyPaths = []'
	args sleep 60
	for how in bind tmpfs; do
		config '.mounts |= map(select(.destination != "/proc"))'
		case $how in
		bind) mount_add /proc bind "$T/proc" bind ;;
		tmpfs) mount_add /proc tmpfs tmpfs ;;
		esac
		rt run --detach --bundle "$BUNDLE" "$ID"
		is "$(<"$T/proc/self/attr/apparmor/exec")" '' 'the fake file'
		if ((STATUS == 0)); then
			is "$(cat "/proc/$(init_pid "$ID")/attr/current")" 'oci-mini-test-real (enforce)'
			ok delete --force "$ID"
		fi
	done
	nothing_left
}

@test "AppArmor: a runtime that is confined itself says which profile stands in the way" {
	need_apparmor
	command -v aa-exec >/dev/null || skip 'no aa-exec to confine the runtime with'
	# As the profiles of system containers have it: they mean /sys, and hit what they
	# take for it.
	profile oci-mini-test-nested 'deny /**/sys/net/** wklx' 'deny /sys/net/** wklx'
	config '.linux.sysctl = {"net.ipv4.ip_unprivileged_port_start": "80"}'
	printf '#!/bin/sh\nexec aa-exec -p oci-mini-test-nested -- "%s" "$@"\n' "$RUNTIME" >"$T/confined"
	chmod +x "$T/confined"
	RUNTIME=$T/confined
	rt run --bundle "$BUNDLE" "$ID"
	is "$STATUS" 1
	has "$ERR" '/linux/sysctl/net.ipv4.ip_unprivileged_port_start'
	has "$ERR" 'confined by the AppArmor profile oci-mini-test-nested'
}

@test "SELinux: the label of the process and of its mounts" {
	need_selinux
	label=$(tr -d '\0' </proc/self/attr/current)
	config '.process.selinuxLabel = $l | .linux.mountLabel = $l' --arg l "$label"
	mount_add /mnt/full tmpfs tmpfs
	inside_ok 'cat /proc/self/attr/current; grep " /mnt/full " /proc/mounts; grep " /proc " /proc/mounts'
	has "$OUT" "$label"
	like "$OUT" '/mnt/full [^ ]* [^ ]*context='
	lacks "$(grep ' /proc ' <<<"$OUT")" context=
	config '.annotations = {"run.oci.mount_context_type": "rootcontext"}'
	inside_ok 'grep " /mnt/full " /proc/mounts'
	has "$OUT" rootcontext=
	args sleep 60
	ok run --detach --bundle "$BUNDLE" "$ID"
	ok exec --process-label "$label" "$ID" cat /proc/self/attr/current
	has "$OUT" "$label"
}

@test "run.oci.mount_context_type takes the kernel's four names" {
	config '.annotations = {"run.oci.mount_context_type": "nonsense"}'
	refused '/annotations/run.oci.mount_context_type: must be one of context, fscontext, defcontext, rootcontext' create --bundle "$BUNDLE" "$ID"
	for name in context fscontext defcontext rootcontext; do
		config '.annotations["run.oci.mount_context_type"] = $n' --arg n "$name"
		inside_ok true
	done
}

# with_key COMMAND...: the command in a session whose keyring has a key that nobody
# sees but who possesses it.
with_key() {
	cat >"$T/with_key.py" <<-'PYTHON'
		import ctypes, os, platform, sys
		add_key, keyctl = {"x86_64": (248, 250), "aarch64": (217, 219), "riscv64": (217, 219)}[platform.machine()]
		libc = ctypes.CDLL(None, use_errno=True)
		def call(*args):
		    result = libc.syscall(*args)
		    if result < 0:
		        sys.exit(os.strerror(ctypes.get_errno()))
		    return result
		call(keyctl, 1, None)
		key = call(add_key, b"user", sys.argv[1].encode(), b"secret", 6, -3)
		call(keyctl, 5, key, 0x3f000000)
		os.execv(sys.argv[2], sys.argv[2:])
	PYTHON
	python3 "$T/with_key.py" "key.$ID" "$@"
}

@test "keyring: a new one for run and exec, the caller's with --no-new-keyring" {
	[[ -e /proc/keys ]] || skip 'this kernel has no keys'
	[[ $WORLD != userns ]] || skip 'a user namespace sees no key of a user whom it does not map'
	config '.linux.maskedPaths = []'
	printf '#!/bin/sh\nexec python3 "%s/with_key.py" "key.%s" "%s" "$@"\n' "$T" "$ID" "$RUNTIME" >"$T/runtime"
	chmod +x "$T/runtime"
	with_key /bin/grep -q "key.$ID" /proc/keys
	RUNTIME=$T/runtime
	args sleep 60
	for flags in '' --no-new-keyring; do
		# shellcheck disable=SC2086 # no flag at all is none
		ok create $flags --bundle "$BUNDLE" "$ID"
		ok start "$ID"
		ok exec "$ID" cat /proc/keys
		case $flags in
		'') lacks "$OUT" "key.$ID" ;;
		*) has "$OUT" "key.$ID" ;;
		esac
		ok delete --force "$ID"
		args cat /proc/keys
		# shellcheck disable=SC2086
		ok run $flags --bundle "$BUNDLE" "$ID"
		case $flags in
		'') lacks "$OUT" "key.$ID" ;;
		*) has "$OUT" "key.$ID" ;;
		esac
		args sleep 60
	done
}
