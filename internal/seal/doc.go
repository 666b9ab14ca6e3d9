// Package seal keeps containers from ever getting a writable handle on the
// runtime's own binary (CVE-2019-5736).
//
// A process of a container can reach the binary by which it was started, or
// joined, as /proc/PID/exe: of the runtime's child before that executes the
// container's program, or of itself if the program to execute was
// "#!/proc/self/exe". While the binary runs the kernel refuses to open it for
// writing (ETXTBSY), but an O_PATH handle outlives it and can be reopened. So
// what the handle leads to must never be writable: either it is not by itself
// ([OutOfReach]), or the runtime executes a sealed copy ([Reexec]). [Ensure]
// does both and is what a command that starts a process in a container calls
// first.
//
// There are two kinds of sealed copy:
//   - a read-only clone of the binary's mount that is attached nowhere, so that
//     nobody can take the read-only flag off again: needs CAP_SYS_ADMIN over
//     the mount namespace, copies nothing;
//   - a memfd with all write seals: needs no privilege, copies the binary.
//
// Measured with a 5 MB static Go binary that does nothing else, as multiples of
// its own run time: the check alone 1.0, the mount 1.9, the memfd 4. The
// greater part of the mount's cost is the second start of the Go runtime, so
// putting the binary out of reach for good (a read-only or fs-verity file
// system, or the immutable flag for containers without CAP_LINUX_IMMUTABLE) is
// the way to pay nothing.
//
// A re-executed process finds "/NAME" or "/memfd:..." in /proc/self/exe, and so
// in [os.Executable]: do not look for files beside the binary.
//
// Not defended: a container with CAP_DAC_READ_SEARCH in the initial user
// namespace can open every file of the host's file systems by handle
// (open_by_handle_at(2)), one that shares the host's mount namespace has the
// binary by name, and one that shares the host's pid namespace with
// CAP_SYS_PTRACE has every other binary of the host in the same way.
package seal
