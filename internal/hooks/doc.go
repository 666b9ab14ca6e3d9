// Package hooks runs one hook of config.json (config.md, "POSIX-platform
// Hooks"), outside a container or inside its namespaces.
//
// A hook gets:
//
//   - the path and args of the config, args[0] included; without args, args[0] is
//     the path. Nothing is searched: a path must be absolute;
//   - the environment of the config, exactly. A hook whose env is absent inherits
//     the runtime's environment; one whose env is empty has none. The config says
//     "same semantics as environ", which leaves the choice; hooks in use rely on
//     PATH and HOME being there;
//   - the state document on standard input, then end-of-file;
//   - a working directory, descriptors 0 to 2 and no others, no blocked signal, and
//     the RLIMIT_NOFILE of the runtime's caller;
//   - a process group of its own, so that a time-out ends what it started, too.
//
// A hook has ended when its first process has. What that left behind may go on,
// and may keep standard error open: nobody waits for it.
//
// # Both kinds of place
//
// Every hook is a small program of [github.com/oci-mini/oci-mini/internal/program]:
// a process that joins namespaces has to be single-threaded, which rules out
// os/exec there, and with one mechanism an error names the failed call (chdir or
// execve?) for all hooks alike.
package hooks
