// Package criu speaks to CRIU (Checkpoint/Restore In Userspace), which dumps the processes
// of a container into files and makes processes of such files again.
//
// CRIU is a program. Called as "criu swrk FD" it takes one request on a socket that it was
// given, answers, and ends; meanwhile it asks the caller to do its part ([Answer.Notice]).
// Requests and answers are protocol buffers (images/rpc.proto of CRIU, criu.org/RPC). Their
// wire format is varints and lengths, a hundred lines: google.golang.org/protobuf would make
// tables of all messages at every start of the runtime, whatever it is started for, and even
// its package protowire reads the program's own executable file then.
//
// What a mount, a path or a namespace of a container means for CRIU is for the caller to
// say: this package knows nothing of containers.
package criu
