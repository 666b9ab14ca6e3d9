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
	[[ -e /sys/fs/selinux/enforce ]] || skip 'no policy is loaded'
	# Other domains begin with a program, and not with any file of a test.
	chcon -R -t bin_t "$SHARED/rootfs/bin"
}

# profile NAME RULE...: loads a profile that allows all but what the rules deny.
profile() {
	local name=$1
	shift
	needs_root 'loads a profile into the kernel'
	{
		echo "profile $name flags=(attach_disconnected, mediate_deleted) {"
		printf '%s,\n' file capability network mount umount remount pivot_root signal ptrace unix dbus change_profile "$@"
		echo '}'
	} | apparmor_parser -Kr
}

teardown_file() {
	local name
	[[ $EUID == 0 && -e $SECURITY/apparmor/profiles ]] || return 0
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

# What a process and files may be labelled by Debian's and by Fedora's policy.
ONE=unconfined_u:unconfined_r:unconfined_t:s0:c1,c2
TWO=unconfined_u:unconfined_r:unconfined_t:s0:c3,c4
FILES=system_u:object_r:tmp_t:s0:c1,c2

# labelled NAME [JQ-FILTER ARG...]: a container of that name that stays, of a process
# labelled ONE.
labelled() {
	config '.process.selinuxLabel = $l' --arg l "$ONE"
	args sleep 60
	ok create --bundle "$BUNDLE" "$1"
	ok start "$1"
}

# label_of PID: the label of a process, as the kernel tells it.
label_of() {
	tr -d '\0' <"/proc/$1/attr/current"
}

@test "SELinux: the label of run, of create and start, of another user, and in a user namespace" {
	need_selinux
	config '.process.selinuxLabel = $l' --arg l "$ONE"
	inside_ok 'cat /proc/self/attr/current'
	is "$OUT" "$ONE"
	config '.process.user = {uid: 1000, gid: 1000}'
	inside_ok 'cat /proc/self/attr/current'
	is "$OUT" "$ONE"
	labelled "$ID"
	is "$(label_of "$(init_pid "$ID")")" "$ONE"
	ok delete --force "$ID"
	config '.process.user = {uid: 0, gid: 0} | .linux.namespaces += [{type: "user"}]
		| .linux.uidMappings = [{containerID: 0, hostID: 100000, size: 65536}] | .linux.gidMappings = .linux.uidMappings'
	inside_ok 'cat /proc/self/attr/current'
	is "$OUT" "$ONE"
}

@test "SELinux: an exec has the container's label, or the one of --process-label or --process" {
	need_selinux
	labelled "$ID"
	ok exec "$ID" cat /proc/self/attr/current
	is "$OUT" "$ONE"
	ok exec --process-label "$TWO" "$ID" cat /proc/self/attr/current
	is "$OUT" "$TWO"
	jq -n '{cwd: "/", args: ["cat", "/proc/self/attr/current"], env: ["PATH=/bin"], user: {uid: 0, gid: 0}}' >"$T/process.json"
	ok exec --process "$T/process.json" "$ID"
	is "$OUT" "$ONE"
	jq --arg l "$TWO" '.selinuxLabel = $l' "$T/process.json" >"$T/labelled.json"
	ok exec --process "$T/labelled.json" "$ID"
	is "$OUT" "$TWO"
	is "$(label_of "$(init_pid "$ID")")" "$ONE"
}

@test "SELinux: the mounts' label on tmpfs, devpts and mqueue, and on what is made in them; not on proc" {
	need_selinux
	config '.linux.mountLabel = $l' --arg l "$FILES"
	mount_add /mnt/full tmpfs tmpfs
	mount_add /tmp tmpfs tmpfs context=system_u:object_r:tmp_t:s0:c7
	args sh -c 'echo x >/mnt/full/file; sleep 60'
	ok run --detach --bundle "$BUNDLE" "$ID"
	root=/proc/$(init_pid "$ID")/root
	wait_for test -s "$root/mnt/full/file"
	for file in mnt/full mnt/full/file dev dev/null dev/shm dev/pts dev/pts/ptmx dev/mqueue; do
		is "$(stat -c %C "$root/$file")" "$FILES" "$file"
	done
	is "$(stat -c %C "$root/tmp")" system_u:object_r:tmp_t:s0:c7 'a label of its own'
	like "$(stat -c %C "$root/proc/self")" ':proc_t:|:unconfined_t:|:initrc_t:|:init_t:'
	ok exec "$ID" grep -E ' /(mnt/full|proc) ' /proc/mounts
	like "$OUT" '/mnt/full [^ ]* [^ ]*,context='
	lacks "$(grep ' /proc ' <<<"$OUT")" context=
	# The root directory of the mount alone, by the annotation. The policy knows what may be
	# one on a devpts.
	ok delete --force "$ID"
	config '.annotations = {"run.oci.mount_context_type": "rootcontext"} | .mounts |= map(select(.type != "devpts"))'
	inside_ok 'grep " /mnt/full " /proc/mounts'
	has "$OUT" rootcontext=
}

@test "SELinux: a container's session keyring has its label, and so has that of an exec" {
	need_selinux
	# The keys of an id that nobody else has are the container's alone.
	config '.linux.maskedPaths = [] | .linux.namespaces += [{type: "user"}]
		| .linux.uidMappings = [{containerID: 0, hostID: 100000, size: 65536}] | .linux.gidMappings = .linux.uidMappings'
	labelled "$ID"
	ok exec --detach "$ID" sleep 60
	ok exec "$ID" cat /proc/keys
	is "$(key_labels)" "$ONE"$'\n'"$ONE" 'of init and of an exec without a word'
	ok exec --detach --process-label "$TWO" "$ID" sleep 60
	ok exec "$ID" cat /proc/keys
	is "$(key_labels | sort)" "$ONE"$'\n'"$ONE"$'\n'"$TWO" 'with that of an exec with a word'
}

# key_labels: the labels of the session keyrings in OUT, which user 100000 has
# (keyctl(2), KEYCTL_GET_SECURITY). That of the process that listed them is gone with it.
key_labels() {
	local key
	awk '$8 == "keyring" && $9 ~ /^_ses/ { print $1 }' <<<"$OUT" | while read -r key; do
		setpriv --reuid 100000 --clear-groups python3 -c '
import ctypes, errno, os, platform, sys
nr = {"x86_64": 250, "aarch64": 219, "riscv64": 219}[platform.machine()]
libc = ctypes.CDLL(None, use_errno=True)
text = ctypes.create_string_buffer(256)
if libc.syscall(nr, 17, int(sys.argv[1], 16), text, len(text)) >= 0:
    print(text.value.decode())
elif ctypes.get_errno() != errno.ENOKEY:
    sys.exit(os.strerror(ctypes.get_errno()))' "$key" </dev/null
	done
}

@test "SELinux: a label that the policy does not know is refused by its field, for init, exec and mounts" {
	need_selinux
	for flags in '' --no-new-keyring; do
		config '.process.selinuxLabel = "no:such:label:s0"'
		# shellcheck disable=SC2086
		refused '/process/selinuxLabel' create $flags --bundle "$BUNDLE" "$ID"
		has "$ERR" no:such:label:s0
		has "$ERR" EINVAL
		has "$ERR" 'the loaded policy does not know this context'
	done
	config 'del(.process.selinuxLabel) | .linux.mountLabel = "no:such:label:s0"'
	for kind in context rootcontext; do
		config '.annotations["run.oci.mount_context_type"] = $k' --arg k "$kind"
		refused '/mounts/' create --bundle "$BUNDLE" "$ID"
		has "$ERR" no:such:label:s0
		has "$ERR" 'the loaded policy does not know this context'
	done
	nothing_left
	config 'del(.linux.mountLabel, .annotations)'
	labelled "$ID"
	rt exec --process-label no:such:label:s0 "$ID" true
	is "$STATUS" 255
	has "$ERR" /process/selinuxLabel
	has "$ERR" 'the loaded policy does not know this context'
}

@test "SELinux: a program that the policy keeps the label from says where to look, by run and by start" {
	local before hint='hint: where the file'"'"'s mode lets the user execute it, SELinux does not let its label'
	need_selinux
	own_rootfs
	chcon -R -t tmp_t "$ROOTFS"
	printf '#!/bin/sh\nexec runcon unconfined_u:unconfined_r:unconfined_t:s0-s0:c0.c1023 "%s" "$@"\n' "$RUNTIME" >"$T/runtime"
	chmod 755 "$T/runtime"
	chcon -t bin_t "$T/runtime" "$RUNTIME"
	RUNTIME=$T/runtime
	config '.process.selinuxLabel = $l' --arg l "$ONE"
	before=$(getenforce)
	setenforce 1
	rt run --bundle "$BUNDLE" "$ID"
	local run=$STATUS:$ERR
	rt create --bundle "$BUNDLE" "$ID"
	local create=$STATUS:$ERR
	rt start "$ID"
	setenforce "$before"
	has "$run" 'permission denied (EACCES)'
	has "$run" "$hint"
	is "$create" 0:
	has "$ERR" 'permission denied (EACCES)'
	has "$ERR" "$hint"
}

@test "features and info tell of the security modules: what the runtime can do, and what this kernel has" {
	only_oci_mini info
	ok features
	is "$(jq -c '[.linux.apparmor.enabled, .linux.selinux.enabled]' <<<"$OUT")" '[true,true]'
	ok info --format json
	for name in apparmor selinux; do
		want=missing
		! active "$name" || want=ok
		is "$(jq -r --arg n "$name" '.checks[] | select(.name == $n).status' <<<"$OUT")" "$want" "$name"
	done
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
