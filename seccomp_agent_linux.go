package main

import (
	"encoding/json"
	"os"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/oci-mini/oci-mini/internal/process"
	"github.com/oci-mini/oci-mini/internal/program"
	"github.com/oci-mini/oci-mini/internal/state"
	"github.com/oci-mini/oci-mini/internal/terminal"
)

// processState is what an agent is told about the process whose calls it decides about.
type processState struct {
	record   *state.Record
	metadata string
	pid      int
	status   specs.ContainerState
}

// send sends the listener in one message with the document (config-linux.md, "The
// Container Process State").
func (p processState) send(conn int, agent string, listener int) error {
	r := p.record
	document, err := json.Marshal(specs.ContainerProcessState{
		Version: specs.Version, Fds: []string{specs.SeccompFdName}, Pid: p.pid, Metadata: p.metadata,
		State: specs.State{
			Version: r.OCIVersion, ID: r.ID, Status: p.status, Pid: r.Init.Pid, Bundle: r.Bundle, Annotations: r.Annotations,
		},
	})
	if err != nil {
		return err
	}
	return terminal.Send(conn, agent, listener, document)
}

// giveListener hands over the listener of a container that start has let go on.
func giveListener(peer *program.Peer, conn int, r *state.Record) error {
	pidfd, err := process.ID(r.Init).Open()
	if err != nil {
		return err
	}
	defer unix.Close(pidfd)
	document := processState{r, r.SeccompMetadata, r.Init.Pid, specs.StateCreated}
	err = peer.Listener().Take(pidfd, func(fd int) error { return document.send(conn, r.SeccompAgent, fd) })
	if err == os.ErrProcessDone {
		return nil // what ended it is reported by itself
	}
	return err
}
