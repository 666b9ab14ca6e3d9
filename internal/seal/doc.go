// Package seal keeps containers from ever getting a writable handle on the
// runtime's own binary (CVE-2019-5736).
//
// A process of a container can reach the binary by which it was started, or
// joined, as /proc/PID/exe: of the runtime's child before that executes the
// container's program, or of itself if the program to execute was
// "#!/proc/self/exe". While the binary runs the kernel refuses to open it for
// writing (ETXTBSY), but an O_PATH handle outlives it and can be reopened. So
// what the handle leads to must never be writable. [Ensure] is what a command
// that starts a process in a container calls first; it takes the first of these
// that can be had:
//   - the binary is not writable by itself ([OutOfReach]);
//   - the forked child swaps its executable file for the same file seen through a
//     read-only mount that is attached nowhere ([View]), so that nobody can take
//     the read-only flag off again: needs CAP_SYS_ADMIN over the mount
//     namespace and CONFIG_CHECKPOINT_RESTORE;
//   - the runtime executes itself again from such a mount ([Reexec]);
//   - or from a memfd with all write seals, which needs no privilege, but copies.
//
// The runtime process itself may keep the writable binary while its child has the
// view: a container that can open /proc/PID/exe of a process outside its pid
// namespace can take the host's files from /proc/PID/root as well.
//
// Measured with a 5 MB static Go binary that does nothing else, as multiples of
// its own run time: the check alone 1.0, the view 1.05, the mount 1.9, the memfd
// 4. What the view saves is the second start of the Go runtime.
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
