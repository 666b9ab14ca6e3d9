"""A seccomp agent: agent.py DIRECTORY MODE listens at DIRECTORY/agent.sock.

It writes each message's document to a line of "documents" there, with the number of
descriptors, and appends the numbers of the calls that it has decided about to "calls". MODE

answer   lets every call go on
nospace  has every call fail with ENOSPC
keep     keeps all listeners and decides nothing; "kept" has a line for each
gone     ends when it has a listener
"""
import array, errno, fcntl, os, select, socket, struct, sys, threading

here, mode = sys.argv[1:]
RECV, SEND = 0xC0502100, 0xC0182101  # SECCOMP_IOCTL_NOTIF_RECV, _SEND
CONTINUE = 1  # SECCOMP_USER_NOTIF_FLAG_CONTINUE


def verdict():
    """The error and the flags of the response to a call."""
    if mode == "nospace":
        return -errno.ENOSPC, 0
    return 0, CONTINUE


def serve(fd):
    while True:
        poll = select.poll()
        poll.register(fd, select.POLLIN)
        if not poll.poll()[0][1] & select.POLLIN:
            return os.close(fd)
        request = bytearray(80)
        try:
            fcntl.ioctl(fd, RECV, request)
        except OSError:
            continue
        call, nr = struct.unpack_from("QIIi", request)[::3]
        with open(here + "/calls", "a") as f:
            f.write("%d\n" % nr)
        error, flags = verdict()
        try:
            fcntl.ioctl(fd, SEND, bytearray(struct.pack("QqiI", call, 0, error, flags)))
        except OSError:
            pass


listener = socket.socket(socket.AF_UNIX)
listener.bind(here + "/agent.sock")
listener.listen(64)
open(here + "/calls", "a").close()
print("ready", flush=True)
while True:
    conn, _ = listener.accept()
    data, control, _, _ = conn.recvmsg(65536, socket.CMSG_SPACE(64))
    fds = array.array("i")
    for level, kind, payload in control:
        fds.frombytes(payload[: len(payload) - len(payload) % 4])
    with open(here + "/documents", "ab") as f:
        f.write(b"%d " % len(fds) + data + b"\n")
    if mode == "gone":
        os._exit(0)
    for fd in fds:
        os.set_inheritable(fd, False)
        if mode == "keep":
            with open(here + "/kept", "a") as f:
                f.write(os.readlink("/proc/self/fd/%d" % fd) + "\n")
        else:
            threading.Thread(target=serve, args=(fd,), daemon=True).start()
    conn.close()
