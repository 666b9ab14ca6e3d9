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

# 1. make the cgroup /sys/fs/cgroup/devices/web, /sys/fs/cgroup/cpu,cpuacct/web, /sys/fs/cgroup/memory/web, /sys/fs/cgroup/pids/web, /sys/fs/cgroup/systemd/web
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
mkdir /sys/fs/cgroup/devices/web
set -- /sys/fs/cgroup/devices/web "$@"
mkdir /sys/fs/cgroup/cpu,cpuacct/web
set -- /sys/fs/cgroup/cpu,cpuacct/web "$@"
mkdir /sys/fs/cgroup/memory/web
set -- /sys/fs/cgroup/memory/web "$@"
mkdir /sys/fs/cgroup/pids/web
set -- /sys/fs/cgroup/pids/web "$@"
mkdir /sys/fs/cgroup/systemd/web
set -- /sys/fs/cgroup/systemd/web "$@"

# 2. write 512 to cpu.shares (/linux/resources/cpu/shares)
echo 512 >/sys/fs/cgroup/cpu,cpuacct/web/cpu.shares

# 3. write 100000 to cpu.cfs_period_us (/linux/resources/cpu/period)
echo 100000 >/sys/fs/cgroup/cpu,cpuacct/web/cpu.cfs_period_us

# 4. write 10000 to cpu.cfs_quota_us (/linux/resources/cpu/quota)
echo 10000 >/sys/fs/cgroup/cpu,cpuacct/web/cpu.cfs_quota_us

# 5. set the device filter of 10 rules (/linux/resources/devices)
echo a >/sys/fs/cgroup/devices/web/devices.deny
echo 'c *:* m' >/sys/fs/cgroup/devices/web/devices.allow
echo 'b *:* m' >/sys/fs/cgroup/devices/web/devices.allow
echo 'c 1:3 rwm' >/sys/fs/cgroup/devices/web/devices.allow
echo 'c 1:5 rwm' >/sys/fs/cgroup/devices/web/devices.allow
echo 'c 1:7 rwm' >/sys/fs/cgroup/devices/web/devices.allow
echo 'c 1:8 rwm' >/sys/fs/cgroup/devices/web/devices.allow
echo 'c 1:9 rwm' >/sys/fs/cgroup/devices/web/devices.allow
echo 'c 5:0 rwm' >/sys/fs/cgroup/devices/web/devices.allow
echo 'c 5:2 rwm' >/sys/fs/cgroup/devices/web/devices.allow
echo 'c 136:* rwm' >/sys/fs/cgroup/devices/web/devices.allow

# 6. open the root file system /bundle/rootfs (/root/path)
root=/bundle/rootfs
export root
test -d "$root"

# 7. open the host's /dev/null (/linux/maskedPaths)
test -c /dev/null

# 8. make a socket for the pty's master (/process/terminal)
# there is none

# 9. clone the first process; new namespaces: pid, network, ipc, uts, mount (/linux/namespaces)
(
echo 67108864 >/sys/fs/cgroup/memory/web/memory.limit_in_bytes # /linux/resources/memory/limit
echo 134217728 >/sys/fs/cgroup/memory/web/memory.memsw.limit_in_bytes # /linux/resources/memory/swap
echo 33554432 >/sys/fs/cgroup/memory/web/memory.soft_limit_in_bytes # /linux/resources/memory/reservation
exec 4>/sys/fs/cgroup/pids/web/pids.max
# 0 is the process that writes
echo 0 >/sys/fs/cgroup/devices/web/cgroup.procs
echo 0 >/sys/fs/cgroup/cpu,cpuacct/web/cgroup.procs
echo 0 >/sys/fs/cgroup/memory/web/cgroup.procs
echo 0 >/sys/fs/cgroup/pids/web/cgroup.procs
echo 0 >/sys/fs/cgroup/systemd/web/cgroup.procs
# the second shell is the first process in the new pid namespace; the first one waits for it
exec unshare --pid --net --ipc --uts --mount --propagation unchanged --cgroup sh -c "sh -eu -c 'eval \"\$(cat <&3)\"'; exit \$?"
) 3<<'CONTAINER'
tools='setpriv env umount rmdir hostname ip mount prlimit'
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

# 10. dissolve the mount of the runtime's own binary, while init works
# no binary of a runtime is in here

# 11. put the runtime's own binary out of the container's reach
# no binary of a runtime is in here

# 12. forget the environment and the arguments of the runtime
# a shell is what it was started as

# 13. forbid being traced
# a shell cannot (prctl PR_SET_DUMPABLE)

# 14. unshare the cgroup namespace (/linux/namespaces)
# unshare did it, in the cgroup

# 15. start a new session
# not here: the caller's terminal stays, and Ctrl-C with it

# 16. join a new session keyring
# no command of a base system does it (keyctl session)

# 17. cut the propagation of mounts to the host
mount --make-rslave /

# 18. set the umask to 0 while the container is built
# the modes are given with the commands

# 19. attach the root file system (/root/path)
mount --rbind "$root" "$root"

# 20. mount proc on /proc (/mounts/0)
mkdir -p "$root"/proc
mount -t proc proc "$root"/proc

# 21. mount tmpfs on /dev (/mounts/1)
mkdir -p "$root"/dev
mount -t tmpfs -o nosuid,strictatime,mode=755,size=65536k tmpfs "$root"/dev

# 22. mount devpts on /dev/pts (/mounts/2)
mkdir -p "$root"/dev/pts
mount -t devpts -o nosuid,noexec,newinstance,ptmxmode=0666,mode=0620,gid=5 devpts "$root"/dev/pts

# 23. mount tmpfs on /dev/shm (/mounts/3)
mkdir -p "$root"/dev/shm
mount -t tmpfs -o nosuid,noexec,nodev,mode=1777,size=65536k shm "$root"/dev/shm

# 24. mount mqueue on /dev/mqueue (/mounts/4)
mkdir -p "$root"/dev/mqueue
mount -t mqueue -o nosuid,noexec,nodev mqueue "$root"/dev/mqueue

# 25. mount sysfs on /sys (/mounts/5)
mkdir -p "$root"/sys
mount -t sysfs -o nosuid,noexec,nodev,ro sysfs "$root"/sys

# 26. mount cgroup on /sys/fs/cgroup (/mounts/6)
mkdir -p "$root"/sys/fs/cgroup
mount -t tmpfs -o mode=755 cgroup "$root"/sys/fs/cgroup
mkdir "$root"/sys/fs/cgroup/devices
mount -t cgroup -o nosuid,noexec,nodev,relatime,ro,devices cgroup "$root"/sys/fs/cgroup/devices
mkdir "$root"/sys/fs/cgroup/cpu,cpuacct
mount -t cgroup -o nosuid,noexec,nodev,relatime,ro,cpu,cpuacct cgroup "$root"/sys/fs/cgroup/cpu,cpuacct
ln -s cpu,cpuacct "$root"/sys/fs/cgroup/cpu
ln -s cpu,cpuacct "$root"/sys/fs/cgroup/cpuacct
mkdir "$root"/sys/fs/cgroup/memory
mount -t cgroup -o nosuid,noexec,nodev,relatime,ro,memory cgroup "$root"/sys/fs/cgroup/memory
mkdir "$root"/sys/fs/cgroup/pids
mount -t cgroup -o nosuid,noexec,nodev,relatime,ro,pids cgroup "$root"/sys/fs/cgroup/pids
mkdir "$root"/sys/fs/cgroup/systemd
mount -t cgroup -o nosuid,noexec,nodev,relatime,ro,none,name=systemd cgroup "$root"/sys/fs/cgroup/systemd
mount -o remount,bind,ro "$root"/sys/fs/cgroup

# 27. make the default devices null, zero, full, random, urandom and tty in /dev
mkdir -p "$root"/dev
[ -e "$root"/dev/null ] || mknod -m 666 "$root"/dev/null c 1 3
[ -e "$root"/dev/zero ] || mknod -m 666 "$root"/dev/zero c 1 5
[ -e "$root"/dev/full ] || mknod -m 666 "$root"/dev/full c 1 7
[ -e "$root"/dev/random ] || mknod -m 666 "$root"/dev/random c 1 8
[ -e "$root"/dev/urandom ] || mknod -m 666 "$root"/dev/urandom c 1 9
[ -e "$root"/dev/tty ] || mknod -m 666 "$root"/dev/tty c 5 0

# 28. make the links fd, stdin, stdout, stderr, core and ptmx in /dev
[ -e "$root"/dev/fd ] || [ -L "$root"/dev/fd ] || ln -s /proc/self/fd "$root"/dev/fd
[ -e "$root"/dev/stdin ] || [ -L "$root"/dev/stdin ] || ln -s /proc/self/fd/0 "$root"/dev/stdin
[ -e "$root"/dev/stdout ] || [ -L "$root"/dev/stdout ] || ln -s /proc/self/fd/1 "$root"/dev/stdout
[ -e "$root"/dev/stderr ] || [ -L "$root"/dev/stderr ] || ln -s /proc/self/fd/2 "$root"/dev/stderr
[ -e "$root"/dev/core ] || [ -L "$root"/dev/core ] || ln -s /proc/kcore "$root"/dev/core
ln -sf pts/ptmx "$root"/dev/ptmx

# 29. open a pty of the container's devpts and bind it on /dev/console (/process/terminal)
# a shell cannot: the caller's terminal is used

# 30. take the pty's master (/process/terminal)
# there is none

# 31. make the pty the controlling terminal and the standard streams (/process/terminal)
# the caller's streams are kept

# 32. pivot to the root file system and detach the host's (/root/path)
mkdir -p "$root"/.old_root
mount -t tmpfs -o mode=755 tools "$root"/.old_root
cd "$root"/.old_root
fetch_tools $tools
pivot_root "$root" "$root"/.old_root
# first the host's root, then the tools below it
host umount -n -l /.old_root
host umount -n -l /.old_root
host rmdir /.old_root

# 33. set the hostname to oci-mini (/hostname)
host hostname oci-mini

# 34. bring the loopback interface up (/linux/namespaces)
host ip link set lo up

# 35. make /proc/bus read-only (/linux/readonlyPaths/0)
if [ -e /proc/bus ]; then
	host mount -n --rbind /proc/bus /proc/bus
	host mount -n -o remount,bind,ro /proc/bus
fi

# 36. make /proc/fs read-only (/linux/readonlyPaths/1)
if [ -e /proc/fs ]; then
	host mount -n --rbind /proc/fs /proc/fs
	host mount -n -o remount,bind,ro /proc/fs
fi

# 37. make /proc/irq read-only (/linux/readonlyPaths/2)
if [ -e /proc/irq ]; then
	host mount -n --rbind /proc/irq /proc/irq
	host mount -n -o remount,bind,ro /proc/irq
fi

# 38. make /proc/sys read-only (/linux/readonlyPaths/3)
if [ -e /proc/sys ]; then
	host mount -n --rbind /proc/sys /proc/sys
	host mount -n -o remount,bind,ro /proc/sys
fi

# 39. make /proc/sysrq-trigger read-only (/linux/readonlyPaths/4)
if [ -e /proc/sysrq-trigger ]; then
	host mount -n --rbind /proc/sysrq-trigger /proc/sysrq-trigger
	host mount -n -o remount,bind,ro /proc/sysrq-trigger
fi

# 40. make an empty read-only tmpfs (/linux/maskedPaths)
# each gets its own below

# 41. mask /proc/acpi (/linux/maskedPaths/0)
if [ -d /proc/acpi ]; then
	host mount -n -t tmpfs -o ro,nosuid,nodev,noexec,nr_blocks=1,nr_inodes=1 tmpfs /proc/acpi
elif [ -e /proc/acpi ]; then
	host mount -n --bind /dev/null /proc/acpi
fi

# 42. mask /proc/asound (/linux/maskedPaths/1)
if [ -d /proc/asound ]; then
	host mount -n -t tmpfs -o ro,nosuid,nodev,noexec,nr_blocks=1,nr_inodes=1 tmpfs /proc/asound
elif [ -e /proc/asound ]; then
	host mount -n --bind /dev/null /proc/asound
fi

# 43. mask /proc/kcore (/linux/maskedPaths/2)
if [ -d /proc/kcore ]; then
	host mount -n -t tmpfs -o ro,nosuid,nodev,noexec,nr_blocks=1,nr_inodes=1 tmpfs /proc/kcore
elif [ -e /proc/kcore ]; then
	host mount -n --bind /dev/null /proc/kcore
fi

# 44. mask /proc/keys (/linux/maskedPaths/3)
if [ -d /proc/keys ]; then
	host mount -n -t tmpfs -o ro,nosuid,nodev,noexec,nr_blocks=1,nr_inodes=1 tmpfs /proc/keys
elif [ -e /proc/keys ]; then
	host mount -n --bind /dev/null /proc/keys
fi

# 45. mask /proc/latency_stats (/linux/maskedPaths/4)
if [ -d /proc/latency_stats ]; then
	host mount -n -t tmpfs -o ro,nosuid,nodev,noexec,nr_blocks=1,nr_inodes=1 tmpfs /proc/latency_stats
elif [ -e /proc/latency_stats ]; then
	host mount -n --bind /dev/null /proc/latency_stats
fi

# 46. mask /proc/timer_list (/linux/maskedPaths/5)
if [ -d /proc/timer_list ]; then
	host mount -n -t tmpfs -o ro,nosuid,nodev,noexec,nr_blocks=1,nr_inodes=1 tmpfs /proc/timer_list
elif [ -e /proc/timer_list ]; then
	host mount -n --bind /dev/null /proc/timer_list
fi

# 47. mask /proc/timer_stats (/linux/maskedPaths/6)
if [ -d /proc/timer_stats ]; then
	host mount -n -t tmpfs -o ro,nosuid,nodev,noexec,nr_blocks=1,nr_inodes=1 tmpfs /proc/timer_stats
elif [ -e /proc/timer_stats ]; then
	host mount -n --bind /dev/null /proc/timer_stats
fi

# 48. mask /proc/sched_debug (/linux/maskedPaths/7)
if [ -d /proc/sched_debug ]; then
	host mount -n -t tmpfs -o ro,nosuid,nodev,noexec,nr_blocks=1,nr_inodes=1 tmpfs /proc/sched_debug
elif [ -e /proc/sched_debug ]; then
	host mount -n --bind /dev/null /proc/sched_debug
fi

# 49. mask /sys/firmware (/linux/maskedPaths/8)
if [ -d /sys/firmware ]; then
	host mount -n -t tmpfs -o ro,nosuid,nodev,noexec,nr_blocks=1,nr_inodes=1 tmpfs /sys/firmware
elif [ -e /sys/firmware ]; then
	host mount -n --bind /dev/null /sys/firmware
fi

# 50. mask /proc/scsi (/linux/maskedPaths/9)
if [ -d /proc/scsi ]; then
	host mount -n -t tmpfs -o ro,nosuid,nodev,noexec,nr_blocks=1,nr_inodes=1 tmpfs /proc/scsi
elif [ -e /proc/scsi ]; then
	host mount -n --bind /dev/null /proc/scsi
fi

# 51. make the root file system read-only (/root/readonly)
host mount -n -o remount,bind,ro /

# 52. use all CPUs of the cgroup
# the caller's affinity stays (taskset)

# 53. close all descriptors of the runtime, from 3 up
# a shell has none open

# 54. change to the directory / (/process/cwd)
# env does it at the end, as the user: until then the tools are in the current directory

# 55. drop all but 3 capabilities from the bounding set (/process/capabilities/bounding)
set -- "$@" --bounding-set=-all,+kill,+net_bind_service,+audit_write

# 56. become user 0, group 0, with 0 additional groups (/process/user)
set -- "$@" --reuid=0 --regid=0 --clear-groups

# 57. set the effective, permitted, inheritable and ambient capabilities (/process/capabilities)
# the effective and permitted sets come from these and the bounding set at execve
set -- "$@" --inh-caps=-all --ambient-caps=-all

# 58. forbid gaining privileges by execve (/process/noNewPrivileges)
set -- "$@" --no-new-privs

# 59. check that the working directory is inside the container (/process/cwd)
# a name is looked up inside

# 60. find the program sh (/process/args/0)
# env does it at the end

# 61. set the umask to 0022
umask 0022

# 62. close all descriptors from 3 up on execve
exec 3<&-
# others are the caller's own

# 63. reset signal dispositions and unblock all signals
# a shell sets none here

# 64. write 67108864 to memory.limit_in_bytes (/linux/resources/memory/limit)
# written before the cgroup was entered: the script's own commands are light

# 65. write 134217728 to memory.memsw.limit_in_bytes (/linux/resources/memory/swap)
# written before the cgroup was entered: the script's own commands are light

# 66. write 33554432 to memory.soft_limit_in_bytes (/linux/resources/memory/reservation)
# written before the cgroup was entered: the script's own commands are light

# 67. write 7 to pids.max (/linux/resources/pids/limit)
echo 7 >&4
exec 4>&-

# 68. record the container as running
# a script keeps no record; the cgroup has the pid

# 69. limit RLIMIT_NOFILE to 1024, at most 1024 (/process/rlimits/0)
host prlimit --pid $$ --nofile=1024:1024

# 70. execute sh (/process/args)
exec $ld ./setpriv "$@" $arch $ld ./env -i '--chdir=/' PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin TERM=xterm HOME=/root sh
CONTAINER
