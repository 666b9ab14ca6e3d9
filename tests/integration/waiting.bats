#!/usr/bin/env bats
# What a process in the container can find out about, and do to, the first process while
# that waits for start: it is the runtime's still.
# shellcheck disable=SC2034,SC2154 # STATUS, OUT, ERR and what setup makes are of helpers.bash

load helpers

setup_file() {
	command -v python3 >/dev/null || { echo 'python3 is missing: see tests/install-deps' >&2 && return 1; }
}

# waiting: a container that waits for start, made by a caller with a secret in its
# environment and in an open descriptor, in which /probe.py WHAT looks at process 1.
waiting() {
	own_rootfs
	local dir
	for dir in /usr /lib /lib64; do
		[[ ! -d $dir ]] || mount_add "$dir" none "$(readlink -f "$dir")" rbind ro
	done
	cat >"$ROOTFS/probe.py" <<-'PYTHON'
		import ctypes, errno, os, re, sys
		libc = ctypes.CDLL(None, use_errno=True)
		libc.ptrace.restype = libc.syscall.restype = ctypes.c_long
		SYS_pidfd_open, SYS_pidfd_getfd = 434, 438
		PTRACE_ATTACH, PTRACE_SEIZE = 16, 0x4206

		def call(result):
		    if result < 0:
		        raise OSError(ctypes.get_errno(), "")
		    return result

		class iovec(ctypes.Structure):
		    _fields_ = [("base", ctypes.c_void_p), ("length", ctypes.c_size_t)]

		def vm_read():
		    here = ctypes.create_string_buffer(8)
		    call(libc.process_vm_readv(1, ctypes.byref(iovec(ctypes.addressof(here), 8)), 1, ctypes.byref(iovec(0x10000, 8)), 1, 0))

		def take_descriptor():
		    pidfd = call(libc.syscall(SYS_pidfd_open, 1, 0))
		    call(libc.syscall(SYS_pidfd_getfd, pidfd, 0, 0))

		attempts = {
		    "attach": lambda: call(libc.ptrace(PTRACE_ATTACH, 1, None, None)),
		    "seize": lambda: call(libc.ptrace(PTRACE_SEIZE, 1, None, None)),
		    "mem": lambda: open("/proc/1/mem", "r+b"),
		    "environ": lambda: open("/proc/1/environ", "rb"),
		    "maps": lambda: open("/proc/1/maps", "rb"),
		    "exe": lambda: os.readlink("/proc/1/exe"),
		    "cwd": lambda: os.readlink("/proc/1/cwd"),
		    "root": lambda: os.listdir("/proc/1/root/"),
		    "fd": lambda: os.readlink("/proc/1/fd/0"),
		    "fd of": lambda: os.open("/proc/1/fd/0", os.O_RDONLY),
		    "namespace": lambda: os.readlink("/proc/1/ns/mnt"),
		    "process_vm_readv": vm_read,
		    "pidfd_getfd": take_descriptor,
		}

		def attempt():
		    for name, do in attempts.items():
		        try:
		            do()
		            print(name, "succeeds")
		        except OSError as e:
		            if e.errno not in (errno.EPERM, errno.EACCES):
		                print(name, "fails with", errno.errorcode[e.errno])

		def memory():
		    found, read = set(), 0
		    with open("/proc/1/mem", "rb", 0) as mem:
		        for line in open("/proc/1/maps"):
		            start, end = (int(x, 16) for x in line.split()[0].split("-"))
		            if line.split()[1][0] != "r":
		                continue
		            for at in range(start, end, 1 << 16):
		                try:
		                    mem.seek(at)
		                    page = mem.read(min(1 << 16, end - at))
		                except (OSError, ValueError, OverflowError):
		                    break # [vvar]
		                read += len(page)
		                found.update(m.decode() for m in re.findall(rb"SECRET_[a-z]+", page))
		    print("read", read >= 1 << 16)
		    print("found", *sorted(found))
		    print("environ", len(open("/proc/1/environ", "rb").read().strip(b"\0")))
		    print("cmdline", open("/proc/1/cmdline").read().strip("\0"))

		def descriptors():
		    for fd in os.listdir("/proc/1/fd"):
		        print(fd, re.sub(r"\[\d+\]", "", os.readlink("/proc/1/fd/" + fd)))
		    print("exe writable", os.access("/proc/1/exe", os.W_OK))
		    print("same root", os.path.samefile("/proc/1/root/probe.py", "/probe.py"))

		globals()[sys.argv[1]]()
	PYTHON
	export CALLERS_OWN=SECRET_environment
	args sh -c 'sleep 100' SECRET_argument
	ok create --bundle "$BUNDLE" "$ID" 9</etc
	unset CALLERS_OWN
	status_is "$ID" created
}

@test "exec before start: the first process can be neither traced nor looked into" {
	waiting
	ok exec "$ID" /usr/bin/python3 /probe.py attempt
	is "$OUT" ''
	# The one whose user it is, and nobody else's capabilities.
	[[ $WORLD == rootless ]] || {
		config '.process.user = {uid: 1000, gid: 1000}'
		ok delete --force "$ID"
		ok create --bundle "$BUNDLE" "$ID"
		ok exec "$ID" /usr/bin/python3 /probe.py attempt
		is "$OUT" ''
	}
	ok start "$ID"
	status_is "$ID" running
	ok exec "$ID" /usr/bin/python3 -c 'import os; print(os.readlink("/proc/1/cwd"))'
	is "$OUT" / 'of a process that has started'
}

@test "exec before start: whoever may trace all processes finds nothing of the host in the first" {
	waiting
	ok exec --cap CAP_SYS_PTRACE "$ID" /usr/bin/python3 /probe.py attempt
	if [[ $WORLD == userns ]]; then
		is "$OUT" '' 'with CAP_SYS_PTRACE in the user namespace of the container'
		return
	fi
	has "$OUT" 'environ succeeds'
	has "$OUT" 'mem succeeds'
	ok exec --cap CAP_SYS_PTRACE "$ID" /usr/bin/python3 /probe.py memory
	is "$OUT" $'read True\nfound SECRET_argument\nenviron 0\ncmdline oci-mini init '"$ID"
	ok exec --cap CAP_SYS_PTRACE "$ID" /usr/bin/python3 /probe.py descriptors
	# The streams, the socket of start and the memory in which it reports to that.
	is "$(grep -vE '^[012] (/dev/null|pipe:|socket:|/.*/(out|err))$' <<<"$OUT" | sed -E 's/^[0-9]+ //' | sort)" \
		$'/memfd:oci-mini-report (deleted)\nexe writable False\nsame root True\nsocket:'
}
