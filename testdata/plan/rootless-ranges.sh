#!/bin/sh
# The container as the commands that a person would type, by oci-mini explain.
# Run it as user 1000: it needs no privileges. It stays until the container ends, and removes its cgroups.
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

# 1. open the root file system /bundle/rootfs (/root/path)
root=/bundle/rootfs
export root
test -d "$root"

# 2. open the bind source /sys (/mounts/5/source)
test -e /sys

# 3. open the host's /dev/null (/linux/maskedPaths)
test -c /dev/null

# 4. open the host's devices (/linux/devices)
# they have their names until the root changes

# 5. make a socket for the pty's master (/process/terminal)
# there is none

# 6. clone the first process; new namespaces: pid, ipc, uts, mount, user (/linux/namespaces)
(
unshare --user sleep 10 & users=$!
trap 'kill $users' EXIT
# a process that does not show its namespaces is not ready either
until ns=$(readlink /proc/$users/ns/user) && [ "$ns" != "$(readlink /proc/self/ns/user)" ]; do kill -0 $users && sleep 0.1; done
newuidmap $users 0 1000 1 1 100000 65536
newgidmap $users 0 1000 1 1 100000 65536
# the second shell is the first process in the new pid namespace; the first one waits for it
exec nsenter --user=/proc/$users/ns/user unshare --pid --ipc --uts --mount --propagation unchanged --cgroup sh -c "kill \$0; exec \"\$@\"" $users sh -c "sh -eu -c 'eval \"\$(cat <&3)\"'; exit \$?"
) 3<<'CONTAINER'
tools='setpriv env umount rmdir hostname mount prlimit'
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

# 7. dissolve the mount of the runtime's own binary, while init works
# no binary of a runtime is in here

# 8. put the runtime's own binary out of the container's reach
# no binary of a runtime is in here

# 9. forget the environment and the arguments of the runtime
# a shell is what it was started as

# 10. allow the runtime's user to write the maps
# the shell's own processes are

# 11. have newuidmap write uid_map (/linux/uidMappings)
# done before nsenter

# 12. have newgidmap write gid_map (/linux/gidMappings)
# done before nsenter

# 13. clone the mounts at /bundle/rootfs (/root/path)
# mount --bind does it, below

# 14. clone the mounts at /sys (/mounts/5/source)
# mount --bind does it, below

# 15. clone the mounts at /dev/null (/linux/maskedPaths)
# mount --bind does it, below

# 16. clone the mounts of the host's devices (/linux/devices)
# mount --bind does it, below

# 17. become root of the user namespace (/linux/namespaces)
# nsenter did it

# 18. unshare the cgroup namespace (/linux/namespaces)
# unshare did it, in the cgroup

# 19. start a new session
# not here: the caller's terminal stays, and Ctrl-C with it

# 20. join a new session keyring
# no command of a base system does it (keyctl session)

# 21. cut the propagation of mounts to the host
mount --make-rslave /

# 22. set the umask to 0 while the container is built
# the modes are given with the commands

# 23. attach the root file system (/root/path)
mount --rbind "$root" "$root"

# 24. mount proc on /proc (/mounts/0)
mkdir -p "$root"/proc
mount -t proc proc "$root"/proc

# 25. mount tmpfs on /dev (/mounts/1)
mkdir -p "$root"/dev
mount -t tmpfs -o nosuid,strictatime,mode=755,size=65536k tmpfs "$root"/dev

# 26. mount devpts on /dev/pts (/mounts/2)
mkdir -p "$root"/dev/pts
mount -t devpts -o nosuid,noexec,newinstance,ptmxmode=0666,mode=0620 devpts "$root"/dev/pts

# 27. mount tmpfs on /dev/shm (/mounts/3)
mkdir -p "$root"/dev/shm
mount -t tmpfs -o nosuid,noexec,nodev,mode=1777,size=65536k shm "$root"/dev/shm

# 28. mount mqueue on /dev/mqueue (/mounts/4)
mkdir -p "$root"/dev/mqueue
mount -t mqueue -o nosuid,noexec,nodev mqueue "$root"/dev/mqueue

# 29. bind /sys on /sys (/mounts/5)
if [ -d /sys ]; then mkdir -p "$root"/sys; else mkdir -p "$root"; [ -e "$root"/sys ] || : >"$root"/sys; fi
mount --rbind /sys "$root"/sys
mount --make-rslave "$root"/sys
mount -o remount,bind,nosuid,noexec,nodev "$root"/sys
awk -v at="$root"/sys '$5 == at || index($5, at "/") == 1 { print $5 }' /proc/self/mountinfo | while read -r mounted; do
	mount -o remount,bind,ro "$(printf %b "$mounted")"
done

# 30. mount cgroup on /sys/fs/cgroup (/mounts/6)
mkdir -p "$root"/sys/fs/cgroup
mount -t cgroup2 -o nosuid,noexec,nodev,relatime,ro cgroup "$root"/sys/fs/cgroup

# 31. bind the host's /dev/null
mkdir -p "$root"/dev
[ -e "$root"/dev/null ] || : >"$root"/dev/null
mount --bind /dev/null "$root"/dev/null
mount -o remount,bind,ro,nosuid,noexec "$root"/dev/null

# 32. bind the host's /dev/zero
mkdir -p "$root"/dev
[ -e "$root"/dev/zero ] || : >"$root"/dev/zero
mount --bind /dev/zero "$root"/dev/zero
mount -o remount,bind,ro,nosuid,noexec "$root"/dev/zero

# 33. bind the host's /dev/full
mkdir -p "$root"/dev
[ -e "$root"/dev/full ] || : >"$root"/dev/full
mount --bind /dev/full "$root"/dev/full
mount -o remount,bind,ro,nosuid,noexec "$root"/dev/full

# 34. bind the host's /dev/random
mkdir -p "$root"/dev
[ -e "$root"/dev/random ] || : >"$root"/dev/random
mount --bind /dev/random "$root"/dev/random
mount -o remount,bind,ro,nosuid,noexec "$root"/dev/random

# 35. bind the host's /dev/urandom
mkdir -p "$root"/dev
[ -e "$root"/dev/urandom ] || : >"$root"/dev/urandom
mount --bind /dev/urandom "$root"/dev/urandom
mount -o remount,bind,ro,nosuid,noexec "$root"/dev/urandom

# 36. bind the host's /dev/tty
mkdir -p "$root"/dev
[ -e "$root"/dev/tty ] || : >"$root"/dev/tty
mount --bind /dev/tty "$root"/dev/tty
mount -o remount,bind,ro,nosuid,noexec "$root"/dev/tty

# 37. make the links fd, stdin, stdout, stderr, core and ptmx in /dev
[ -e "$root"/dev/fd ] || [ -L "$root"/dev/fd ] || ln -s /proc/self/fd "$root"/dev/fd
[ -e "$root"/dev/stdin ] || [ -L "$root"/dev/stdin ] || ln -s /proc/self/fd/0 "$root"/dev/stdin
[ -e "$root"/dev/stdout ] || [ -L "$root"/dev/stdout ] || ln -s /proc/self/fd/1 "$root"/dev/stdout
[ -e "$root"/dev/stderr ] || [ -L "$root"/dev/stderr ] || ln -s /proc/self/fd/2 "$root"/dev/stderr
[ -e "$root"/dev/core ] || [ -L "$root"/dev/core ] || ln -s /proc/kcore "$root"/dev/core
ln -sf pts/ptmx "$root"/dev/ptmx

# 38. open a pty of the container's devpts and bind it on /dev/console (/process/terminal)
# a shell cannot: the caller's terminal is used

# 39. take the pty's master (/process/terminal)
# there is none

# 40. make the pty the controlling terminal and the standard streams (/process/terminal)
# the caller's streams are kept

# 41. pivot to the root file system and detach the host's (/root/path)
mkdir -p "$root"/.old_root
mount -t tmpfs -o mode=755 tools "$root"/.old_root
cd "$root"/.old_root
fetch_tools $tools
pivot_root "$root" "$root"/.old_root
# first the host's root, then the tools below it
host umount -n -l /.old_root
host umount -n -l /.old_root
host rmdir /.old_root

# 42. set the hostname to oci-mini (/hostname)
host hostname oci-mini

# 43. make /proc/bus read-only (/linux/readonlyPaths/0)
if [ -e /proc/bus ]; then
	host mount -n --rbind /proc/bus /proc/bus
	host mount -n -o remount,bind,ro /proc/bus
fi

# 44. make /proc/fs read-only (/linux/readonlyPaths/1)
if [ -e /proc/fs ]; then
	host mount -n --rbind /proc/fs /proc/fs
	host mount -n -o remount,bind,ro /proc/fs
fi

# 45. make /proc/irq read-only (/linux/readonlyPaths/2)
if [ -e /proc/irq ]; then
	host mount -n --rbind /proc/irq /proc/irq
	host mount -n -o remount,bind,ro /proc/irq
fi

# 46. make /proc/sys read-only (/linux/readonlyPaths/3)
if [ -e /proc/sys ]; then
	host mount -n --rbind /proc/sys /proc/sys
	host mount -n -o remount,bind,ro /proc/sys
fi

# 47. make /proc/sysrq-trigger read-only (/linux/readonlyPaths/4)
if [ -e /proc/sysrq-trigger ]; then
	host mount -n --rbind /proc/sysrq-trigger /proc/sysrq-trigger
	host mount -n -o remount,bind,ro /proc/sysrq-trigger
fi

# 48. make an empty read-only tmpfs (/linux/maskedPaths)
# each gets its own below

# 49. mask /proc/acpi (/linux/maskedPaths/0)
if [ -d /proc/acpi ]; then
	host mount -n -t tmpfs -o ro,nosuid,nodev,noexec,nr_blocks=1,nr_inodes=1 tmpfs /proc/acpi
elif [ -e /proc/acpi ]; then
	host mount -n --bind /dev/null /proc/acpi
fi

# 50. mask /proc/asound (/linux/maskedPaths/1)
if [ -d /proc/asound ]; then
	host mount -n -t tmpfs -o ro,nosuid,nodev,noexec,nr_blocks=1,nr_inodes=1 tmpfs /proc/asound
elif [ -e /proc/asound ]; then
	host mount -n --bind /dev/null /proc/asound
fi

# 51. mask /proc/kcore (/linux/maskedPaths/2)
if [ -d /proc/kcore ]; then
	host mount -n -t tmpfs -o ro,nosuid,nodev,noexec,nr_blocks=1,nr_inodes=1 tmpfs /proc/kcore
elif [ -e /proc/kcore ]; then
	host mount -n --bind /dev/null /proc/kcore
fi

# 52. mask /proc/keys (/linux/maskedPaths/3)
if [ -d /proc/keys ]; then
	host mount -n -t tmpfs -o ro,nosuid,nodev,noexec,nr_blocks=1,nr_inodes=1 tmpfs /proc/keys
elif [ -e /proc/keys ]; then
	host mount -n --bind /dev/null /proc/keys
fi

# 53. mask /proc/latency_stats (/linux/maskedPaths/4)
if [ -d /proc/latency_stats ]; then
	host mount -n -t tmpfs -o ro,nosuid,nodev,noexec,nr_blocks=1,nr_inodes=1 tmpfs /proc/latency_stats
elif [ -e /proc/latency_stats ]; then
	host mount -n --bind /dev/null /proc/latency_stats
fi

# 54. mask /proc/timer_list (/linux/maskedPaths/5)
if [ -d /proc/timer_list ]; then
	host mount -n -t tmpfs -o ro,nosuid,nodev,noexec,nr_blocks=1,nr_inodes=1 tmpfs /proc/timer_list
elif [ -e /proc/timer_list ]; then
	host mount -n --bind /dev/null /proc/timer_list
fi

# 55. mask /proc/timer_stats (/linux/maskedPaths/6)
if [ -d /proc/timer_stats ]; then
	host mount -n -t tmpfs -o ro,nosuid,nodev,noexec,nr_blocks=1,nr_inodes=1 tmpfs /proc/timer_stats
elif [ -e /proc/timer_stats ]; then
	host mount -n --bind /dev/null /proc/timer_stats
fi

# 56. mask /proc/sched_debug (/linux/maskedPaths/7)
if [ -d /proc/sched_debug ]; then
	host mount -n -t tmpfs -o ro,nosuid,nodev,noexec,nr_blocks=1,nr_inodes=1 tmpfs /proc/sched_debug
elif [ -e /proc/sched_debug ]; then
	host mount -n --bind /dev/null /proc/sched_debug
fi

# 57. mask /sys/firmware (/linux/maskedPaths/8)
if [ -d /sys/firmware ]; then
	host mount -n -t tmpfs -o ro,nosuid,nodev,noexec,nr_blocks=1,nr_inodes=1 tmpfs /sys/firmware
elif [ -e /sys/firmware ]; then
	host mount -n --bind /dev/null /sys/firmware
fi

# 58. mask /proc/scsi (/linux/maskedPaths/9)
if [ -d /proc/scsi ]; then
	host mount -n -t tmpfs -o ro,nosuid,nodev,noexec,nr_blocks=1,nr_inodes=1 tmpfs /proc/scsi
elif [ -e /proc/scsi ]; then
	host mount -n --bind /dev/null /proc/scsi
fi

# 59. make the root file system read-only (/root/readonly)
host mount -n -o remount,bind,ro /

# 60. close all descriptors of the runtime, from 3 up
# a shell has none open

# 61. change to the directory / (/process/cwd)
# env does it at the end, as the user: until then the tools are in the current directory

# 62. drop all but 3 capabilities from the bounding set (/process/capabilities/bounding)
set -- "$@" --bounding-set=-all,+kill,+net_bind_service,+audit_write

# 63. become user 0, group 0, with 1 additional groups (/process/user)
set -- "$@" --reuid=0 --regid=0 --groups=5

# 64. set the effective, permitted, inheritable and ambient capabilities (/process/capabilities)
# the effective and permitted sets come from these and the bounding set at execve
set -- "$@" --inh-caps=-all --ambient-caps=-all

# 65. forbid gaining privileges by execve (/process/noNewPrivileges)
set -- "$@" --no-new-privs

# 66. check that the working directory is inside the container (/process/cwd)
# a name is looked up inside

# 67. find the program sh (/process/args/0)
# env does it at the end

# 68. set the umask to 0022
umask 0022

# 69. close all descriptors from 3 up on execve
exec 3<&-
# others are the caller's own

# 70. reset signal dispositions and unblock all signals
# a shell sets none here

# 71. record the container as running
# a script keeps no record; the cgroup has the pid

# 72. limit RLIMIT_NOFILE to 1024, at most 1024 (/process/rlimits/0)
host prlimit --pid $$ --nofile=1024:1024

# 73. execute sh (/process/args)
exec $ld ./setpriv "$@" $arch $ld ./env -i '--chdir=/' PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin TERM=xterm HOME=/root sh
CONTAINER
