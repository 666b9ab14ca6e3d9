#!/bin/sh
# The container as the commands that a person would type, by oci-mini explain.
# Run it as root. It stays until the container ends, and removes its cgroups.
#
# What the runtime does and a shell cannot do in the same way:
# - A shell goes by names. The runtime makes every mount detached and attaches it
#   to an open directory; here a symbolic link in the image may lead outside.
#   Use the script for images that you trust.
# - Commands run between the steps as processes, and are counted and limited as
#   parts of the container. A shell stays as its parent.
# - Changing a mount's attributes with mount(8) resets those that are not named.
# - The runtime's binary needs no protection: it is not in the container. The
#   script's shell and the host's tools are, until the last exec.
# - The caller's terminal is the container's, without a pty in between.
# - Without its program on PATH the container fails at its end, not before.
set -eu
umask 022
PATH=$PATH:/usr/sbin:/sbin
export PATH
trap 'exit 130' INT
trap 'exit 143' TERM

# 1. make the cgroup /sys/fs/cgroup/user.slice/web
clean_up() {
	for dir; do
		tries=50
		while [ -e "$dir" ] && [ $((tries -= 1)) -gt 0 ]; do
			grep -vx 0 "$dir"/cgroup.procs | xargs -r kill -KILL 2>/dev/null || :
			find "$dir" -depth -type d -exec rmdir {} \; 2>/dev/null || :
			[ ! -e "$dir" ] || sleep 0.1
		done
	done
}
trap 'clean_up "$@"' EXIT
mkdir -p /sys/fs/cgroup/user.slice
mkdir /sys/fs/cgroup/user.slice/web
set -- /sys/fs/cgroup/user.slice/web "$@"
{ echo +cpu >/sys/fs/cgroup/cgroup.subtree_control; } 2>/dev/null || :
{ echo +cpuset >/sys/fs/cgroup/cgroup.subtree_control; } 2>/dev/null || :
{ echo +io >/sys/fs/cgroup/cgroup.subtree_control; } 2>/dev/null || :
{ echo +memory >/sys/fs/cgroup/cgroup.subtree_control; } 2>/dev/null || :
{ echo +pids >/sys/fs/cgroup/cgroup.subtree_control; } 2>/dev/null || :
{ echo +cpu >/sys/fs/cgroup/user.slice/cgroup.subtree_control; } 2>/dev/null || :
{ echo +cpuset >/sys/fs/cgroup/user.slice/cgroup.subtree_control; } 2>/dev/null || :
{ echo +io >/sys/fs/cgroup/user.slice/cgroup.subtree_control; } 2>/dev/null || :
{ echo +memory >/sys/fs/cgroup/user.slice/cgroup.subtree_control; } 2>/dev/null || :
{ echo +pids >/sys/fs/cgroup/user.slice/cgroup.subtree_control; } 2>/dev/null || :

# 2. open the root file system /bundle/rootfs (/root/path)
root=/bundle/rootfs
export root
test -d "$root"

# 3. open the host's /dev/null (/linux/maskedPaths)
test -c /dev/null

# 4. make a socket for the pty's master (/process/terminal)
# there is none

# 5. clone the first process; new namespaces: pid, network, ipc, uts, mount, born in its cgroup (/linux/namespaces)
(
# 0 is the process that writes
echo 0 >/sys/fs/cgroup/user.slice/web/cgroup.procs
# the second shell is the first process in the new pid namespace; the first one waits for it
exec unshare --pid --net --ipc --uts --mount --propagation unchanged --cgroup sh -c "sh -eu -c 'eval \"\$(cat <&3)\"'; exit \$?"
) 3<<'CONTAINER'
tools='setpriv env umount rmdir hostname ip mount chrt renice ionice setarch prlimit'
# Programs of the host for the time behind pivot_root. They lie in a memory file
# system that is no longer mounted then: only the current directory holds it.
ld= arch=
host() {
	tool=$1
	shift
	$ld "./$tool" "$@"
}
fetch_tools() {
	for tool; do
		file=$(command -v "$tool")
		cp -L "$file" .
		for library in $(ldd "$file" 2>/dev/null | tr ' \t' '\n\n' | grep '^/' || :); do
			cp -L "$library" .
			case $library in
			*/ld-* | */ld[0-9]* | */ld.so*) ld="./${library##*/} --library-path ." ;;
			esac
		done
	done
}

# 6. set the device filter of 11 rules, while init works (/linux/resources/devices)
# on cgroup v2 this is a BPF program, which no command of a base system loads: no filter

# 7. dissolve the mount of the runtime's own binary, while init works
# no binary of a runtime is in here

# 8. put the runtime's own binary out of the container's reach
# no binary of a runtime is in here

# 9. forget the environment and the arguments of the runtime
# a shell is what it was started as

# 10. forbid being traced
# a shell cannot (prctl PR_SET_DUMPABLE)

# 11. unshare the cgroup namespace (/linux/namespaces)
# unshare did it, in the cgroup

# 12. start a new session
# not here: the caller's terminal stays, and Ctrl-C with it

# 13. join a new session keyring
# no command of a base system does it (keyctl session)

# 14. cut the propagation of mounts to the host
mount --make-rslave /

# 15. set the umask to 0 while the container is built
# the modes are given with the commands

# 16. attach the root file system (/root/path)
mount --rbind "$root" "$root"

# 17. mount proc on /proc (/mounts/0)
mkdir -p "$root"/proc
mount -t proc proc "$root"/proc

# 18. mount tmpfs on /dev (/mounts/1)
mkdir -p "$root"/dev
mount -t tmpfs -o nosuid,strictatime,mode=755,size=65536k tmpfs "$root"/dev

# 19. mount devpts on /dev/pts (/mounts/2)
mkdir -p "$root"/dev/pts
mount -t devpts -o nosuid,noexec,newinstance,ptmxmode=0666,mode=0620,gid=5 devpts "$root"/dev/pts

# 20. mount tmpfs on /dev/shm (/mounts/3)
mkdir -p "$root"/dev/shm
mount -t tmpfs -o nosuid,noexec,nodev,mode=1777,size=65536k shm "$root"/dev/shm

# 21. mount mqueue on /dev/mqueue (/mounts/4)
mkdir -p "$root"/dev/mqueue
mount -t mqueue -o nosuid,noexec,nodev mqueue "$root"/dev/mqueue

# 22. mount sysfs on /sys (/mounts/5)
mkdir -p "$root"/sys
mount -t sysfs -o nosuid,noexec,nodev,ro sysfs "$root"/sys

# 23. mount cgroup on /sys/fs/cgroup (/mounts/6)
mkdir -p "$root"/sys/fs/cgroup
mount -t cgroup2 -o nosuid,noexec,nodev,relatime,ro cgroup "$root"/sys/fs/cgroup

# 24. make the default devices null, zero, full, random, urandom and tty in /dev
mkdir -p "$root"/dev
[ -e "$root"/dev/null ] || mknod -m 666 "$root"/dev/null c 1 3
[ -e "$root"/dev/zero ] || mknod -m 666 "$root"/dev/zero c 1 5
[ -e "$root"/dev/full ] || mknod -m 666 "$root"/dev/full c 1 7
[ -e "$root"/dev/random ] || mknod -m 666 "$root"/dev/random c 1 8
[ -e "$root"/dev/urandom ] || mknod -m 666 "$root"/dev/urandom c 1 9
[ -e "$root"/dev/tty ] || mknod -m 666 "$root"/dev/tty c 5 0

# 25. make the links fd, stdin, stdout, stderr, core and ptmx in /dev
[ -e "$root"/dev/fd ] || [ -L "$root"/dev/fd ] || ln -s /proc/self/fd "$root"/dev/fd
[ -e "$root"/dev/stdin ] || [ -L "$root"/dev/stdin ] || ln -s /proc/self/fd/0 "$root"/dev/stdin
[ -e "$root"/dev/stdout ] || [ -L "$root"/dev/stdout ] || ln -s /proc/self/fd/1 "$root"/dev/stdout
[ -e "$root"/dev/stderr ] || [ -L "$root"/dev/stderr ] || ln -s /proc/self/fd/2 "$root"/dev/stderr
[ -e "$root"/dev/core ] || [ -L "$root"/dev/core ] || ln -s /proc/kcore "$root"/dev/core
ln -sf pts/ptmx "$root"/dev/ptmx

# 26. open a pty of the container's devpts and bind it on /dev/console (/process/terminal)
# a shell cannot: the caller's terminal is used

# 27. take the pty's master (/process/terminal)
# there is none

# 28. make the pty the controlling terminal and the standard streams (/process/terminal)
# the caller's streams are kept

# 29. pivot to the root file system and detach the host's (/root/path)
mkdir -p "$root"/.old_root
mount -t tmpfs -o mode=755 tools "$root"/.old_root
cd "$root"/.old_root
fetch_tools $tools
pivot_root "$root" "$root"/.old_root
# first the host's root, then the tools below it
host umount -n -l /.old_root
host umount -n -l /.old_root
host rmdir /.old_root

# 30. set the hostname to oci-mini (/hostname)
host hostname oci-mini

# 31. bring the loopback interface up (/linux/namespaces)
host ip link set lo up

# 32. make /proc/bus read-only (/linux/readonlyPaths/0)
if [ -e /proc/bus ]; then
	host mount -n --rbind /proc/bus /proc/bus
	host mount -n -o remount,bind,ro /proc/bus
fi

# 33. make /proc/fs read-only (/linux/readonlyPaths/1)
if [ -e /proc/fs ]; then
	host mount -n --rbind /proc/fs /proc/fs
	host mount -n -o remount,bind,ro /proc/fs
fi

# 34. make /proc/irq read-only (/linux/readonlyPaths/2)
if [ -e /proc/irq ]; then
	host mount -n --rbind /proc/irq /proc/irq
	host mount -n -o remount,bind,ro /proc/irq
fi

# 35. make /proc/sys read-only (/linux/readonlyPaths/3)
if [ -e /proc/sys ]; then
	host mount -n --rbind /proc/sys /proc/sys
	host mount -n -o remount,bind,ro /proc/sys
fi

# 36. make /proc/sysrq-trigger read-only (/linux/readonlyPaths/4)
if [ -e /proc/sysrq-trigger ]; then
	host mount -n --rbind /proc/sysrq-trigger /proc/sysrq-trigger
	host mount -n -o remount,bind,ro /proc/sysrq-trigger
fi

# 37. make an empty read-only tmpfs (/linux/maskedPaths)
# each gets its own below

# 38. mask /proc/acpi (/linux/maskedPaths/0)
if [ -d /proc/acpi ]; then
	host mount -n -t tmpfs -o ro,nosuid,nodev,noexec,nr_blocks=1,nr_inodes=1 tmpfs /proc/acpi
elif [ -e /proc/acpi ]; then
	host mount -n --bind /dev/null /proc/acpi
fi

# 39. mask /proc/asound (/linux/maskedPaths/1)
if [ -d /proc/asound ]; then
	host mount -n -t tmpfs -o ro,nosuid,nodev,noexec,nr_blocks=1,nr_inodes=1 tmpfs /proc/asound
elif [ -e /proc/asound ]; then
	host mount -n --bind /dev/null /proc/asound
fi

# 40. mask /proc/kcore (/linux/maskedPaths/2)
if [ -d /proc/kcore ]; then
	host mount -n -t tmpfs -o ro,nosuid,nodev,noexec,nr_blocks=1,nr_inodes=1 tmpfs /proc/kcore
elif [ -e /proc/kcore ]; then
	host mount -n --bind /dev/null /proc/kcore
fi

# 41. mask /proc/keys (/linux/maskedPaths/3)
if [ -d /proc/keys ]; then
	host mount -n -t tmpfs -o ro,nosuid,nodev,noexec,nr_blocks=1,nr_inodes=1 tmpfs /proc/keys
elif [ -e /proc/keys ]; then
	host mount -n --bind /dev/null /proc/keys
fi

# 42. mask /proc/latency_stats (/linux/maskedPaths/4)
if [ -d /proc/latency_stats ]; then
	host mount -n -t tmpfs -o ro,nosuid,nodev,noexec,nr_blocks=1,nr_inodes=1 tmpfs /proc/latency_stats
elif [ -e /proc/latency_stats ]; then
	host mount -n --bind /dev/null /proc/latency_stats
fi

# 43. mask /proc/timer_list (/linux/maskedPaths/5)
if [ -d /proc/timer_list ]; then
	host mount -n -t tmpfs -o ro,nosuid,nodev,noexec,nr_blocks=1,nr_inodes=1 tmpfs /proc/timer_list
elif [ -e /proc/timer_list ]; then
	host mount -n --bind /dev/null /proc/timer_list
fi

# 44. mask /proc/timer_stats (/linux/maskedPaths/6)
if [ -d /proc/timer_stats ]; then
	host mount -n -t tmpfs -o ro,nosuid,nodev,noexec,nr_blocks=1,nr_inodes=1 tmpfs /proc/timer_stats
elif [ -e /proc/timer_stats ]; then
	host mount -n --bind /dev/null /proc/timer_stats
fi

# 45. mask /proc/sched_debug (/linux/maskedPaths/7)
if [ -d /proc/sched_debug ]; then
	host mount -n -t tmpfs -o ro,nosuid,nodev,noexec,nr_blocks=1,nr_inodes=1 tmpfs /proc/sched_debug
elif [ -e /proc/sched_debug ]; then
	host mount -n --bind /dev/null /proc/sched_debug
fi

# 46. mask /sys/firmware (/linux/maskedPaths/8)
if [ -d /sys/firmware ]; then
	host mount -n -t tmpfs -o ro,nosuid,nodev,noexec,nr_blocks=1,nr_inodes=1 tmpfs /sys/firmware
elif [ -e /sys/firmware ]; then
	host mount -n --bind /dev/null /sys/firmware
fi

# 47. mask /proc/scsi (/linux/maskedPaths/9)
if [ -d /proc/scsi ]; then
	host mount -n -t tmpfs -o ro,nosuid,nodev,noexec,nr_blocks=1,nr_inodes=1 tmpfs /proc/scsi
elif [ -e /proc/scsi ]; then
	host mount -n --bind /dev/null /proc/scsi
fi

# 48. make the root file system read-only (/root/readonly)
host mount -n -o remount,bind,ro /

# 49. use all CPUs of the cgroup
# the caller's affinity stays (taskset)

# 50. schedule by SCHED_BATCH with nice 5, SCHED_FLAG_RESET_ON_FORK (/process/scheduler)
host chrt --reset-on-fork --batch --pid 0 $$
host renice -n 5 -p $$

# 51. do block I/O by IOPRIO_CLASS_BE with priority 7 (/process/ioPriority)
host ionice -c 2 -n 7 -p $$

# 52. take memory by MPOL_INTERLEAVE of the nodes 0-1, MPOL_F_STATIC_NODES (/linux/memoryPolicy)
echo 'not in this script: take memory by MPOL_INTERLEAVE of the nodes 0-1, MPOL_F_STATIC_NODES (numactl)' >&2

# 53. set the execution domain to LINUX32 (/linux/personality/domain)
arch="$ld ./setarch linux32" # host setarch

# 54. close all descriptors of the runtime, from 3 up
# a shell has none open

# 55. change to the directory / (/process/cwd)
# env does it at the end, as the user: until then the tools are in the current directory

# 56. drop all but 3 capabilities from the bounding set (/process/capabilities/bounding)
set -- "$@" --bounding-set=-all,+kill,+net_bind_service,+audit_write

# 57. become user 0, group 0, with 0 additional groups (/process/user)
set -- "$@" --reuid=0 --regid=0 --clear-groups

# 58. set the effective, permitted, inheritable and ambient capabilities (/process/capabilities)
# the effective and permitted sets come from these and the bounding set at execve
set -- "$@" --inh-caps=-all --ambient-caps=-all

# 59. forbid gaining privileges by execve (/process/noNewPrivileges)
set -- "$@" --no-new-privs

# 60. check that the working directory is inside the container (/process/cwd)
# a name is looked up inside

# 61. find the program sh (/process/args/0)
# env does it at the end

# 62. set the umask to 0022
umask 0022

# 63. close all descriptors from 3 up on execve
exec 3<&-
# others are the caller's own

# 64. reset signal dispositions and unblock all signals
# a shell sets none here

# 65. record the container as running
# a script keeps no record; the cgroup has the pid

# 66. limit RLIMIT_NOFILE to 1024, at most 1024 (/process/rlimits/0)
host prlimit --pid $$ --nofile=1024:1024

# 67. execute sh (/process/args)
exec $ld ./setpriv "$@" $arch $ld ./env -i '--chdir=/' PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin TERM=xterm HOME=/root sh
CONTAINER
