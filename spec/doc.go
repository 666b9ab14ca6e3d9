// Package spec reads, checks and writes the configuration of a container: the
// config.json of the OCI runtime specification, version 1.3.
//
// Reading happens in two steps. [Load] and [Parse] turn text into the types of
// runtime-spec and report what is not JSON by line and column, and what is of the
// wrong type by JSON pointer. [Validate] then judges the values: everything that
// the specification demands and that can be decided from the file alone. Both
// report all that is wrong at once, as [Faults].
//
// What depends on the host (is SELinux on, does the path exist, is the joined
// network namespace the host's own, which controllers are there) is not judged
// here: the code that needs the answer asks the kernel and names the same field.
// Properties of other platforms are neither checked nor refused.
//
// The vocabularies of the configuration (resource limits, namespaces, scheduling
// policies and so on) are tables of this package: the checks, the messages and the
// code that applies the values all read the same one.
package spec
