package main

import (
	"encoding/json"
	"fmt"
	"os"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/oci-mini/oci-mini/internal/hooks"
	"github.com/oci-mini/oci-mini/internal/plan"
	"github.com/oci-mini/oci-mini/internal/process"
	"github.com/oci-mini/oci-mini/internal/program"
	"github.com/oci-mini/oci-mini/internal/seal"
	"github.com/oci-mini/oci-mini/internal/state"
)

// hookKind is one of the lists in /hooks (config.md, "POSIX-platform Hooks").
type hookKind struct {
	name   string
	status specs.ContainerState // what the hooks are told
	of     func(*specs.Hooks) []specs.Hook
}

// The kinds in the order of a container's life. Those of create are told creating: created
// is a container whose create operation has finished (runtime.md, "State"). The official
// validation, and crun, have created for prestart, which was a hook of start once.
var (
	hookPrestart        = hookKind{"prestart", specs.StateCreating, func(h *specs.Hooks) []specs.Hook { return h.Prestart }} //nolint:staticcheck // deprecated, and what Docker's network uses
	hookCreateRuntime   = hookKind{"createRuntime", specs.StateCreating, func(h *specs.Hooks) []specs.Hook { return h.CreateRuntime }}
	hookCreateContainer = hookKind{"createContainer", specs.StateCreating, func(h *specs.Hooks) []specs.Hook { return h.CreateContainer }}
	hookStartContainer  = hookKind{"startContainer", specs.StateCreated, func(h *specs.Hooks) []specs.Hook { return h.StartContainer }}
	hookPoststart       = hookKind{"poststart", specs.StateRunning, func(h *specs.Hooks) []specs.Hook { return h.Poststart }}
	hookPoststop        = hookKind{"poststop", specs.StateStopped, func(h *specs.Hooks) []specs.Hook { return h.Poststop }}
)

// hookKinds are the names of all kinds, for features.
func hookKinds() []string {
	var names []string
	for _, k := range []hookKind{hookPrestart, hookCreateRuntime, hookCreateContainer, hookStartContainer, hookPoststart, hookPoststop} {
		names = append(names, k.name)
	}
	return names
}

// hooksOf are the hooks of a kind that a config has.
func hooksOf(s *specs.Spec, kind hookKind) []specs.Hook {
	if s.Hooks == nil {
		return nil
	}
	return kind.of(s.Hooks)
}

// hookRun is what the hooks of a container have in common.
type hookRun struct {
	record *state.Record
	spec   *specs.Spec
	pid    int      // of the container's process, as the runtime sees it
	env    []string // of the container's process, for hooks out of its image
	runner hooks.Runner
}

// one runs one hook, with the state as its input and the bundle as its directory.
func (r *hookRun) one(kind hookKind, i int) (err error) {
	pid := r.pid
	if r.runner.In != nil {
		// It means nothing where the hook is (runtime.md, "State").
		if pid, err = process.Inner(pid); err != nil {
			return err
		}
	}
	document, err := json.Marshal(specs.State{
		Version: r.record.OCIVersion, ID: r.record.ID, Status: kind.status, Pid: pid,
		Bundle: r.record.Bundle, Annotations: r.record.Annotations,
	})
	if err != nil {
		return err
	}
	runner := r.runner
	if runner.In == nil || kind.name != hookStartContainer.name {
		runner.Dir = r.record.Bundle
	}
	for _, to := range []struct {
		annotation string
		file       **os.File
	}{{annotationHookStdout, &runner.Stdout}, {annotationHookStderr, &runner.Stderr}} {
		name := annotatedPath(r.spec, r.record.Bundle, to.annotation)
		if name == "" {
			continue
		}
		f, err := os.OpenFile(name, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
		if err != nil {
			return fmt.Errorf("annotation %s: %w", to.annotation, err)
		}
		defer f.Close()
		*to.file = f
	}
	hook := hooksOf(r.spec, kind)[i]
	if kind.name == hookStartContainer.name && hook.Env == nil {
		// The runtime's own is the host's, and nothing for a program out of an image.
		hook.Env = append([]string{}, r.env...)
	}
	return runner.Run(hook, document)
}

// hookRun prepares hooks while the container is being created.
func (b *birth) hookRun(in *hooks.Namespaces) *hookRun {
	b.hooked = true
	runner := hooks.Runner{FileLimit: &b.host.fileLimit, In: in}
	if b.signals != nil {
		runner.Interrupt = b.signals.C()
	}
	return &hookRun{b.dir.Record, b.spec, b.child.Pid, b.env, runner}
}

// namespacesOfInit are those of the container's first process.
func (b *birth) namespacesOfInit(pidfd int) *hooks.Namespaces {
	var flags uint64
	for _, ns := range b.ns.list {
		flags |= cloneFlag(ns.Type)
	}
	in := &hooks.Namespaces{Pidfd: pidfd, Flags: flags, Users: b.userEntry(), Before: func(a *program.Assembler) {
		if b.view != nil {
			b.view.Assemble(a)
		}
	}}
	if b.cgroup != nil {
		in.Clone = &program.Options{CgroupFd: b.home(), Prepare: b.enterCgroup, Restore: b.leaveCgroup}
	}
	return in
}

// runtimeHooks run in the runtime's namespaces, while init waits with everything mounted
// and the host's root still in place.
func (b *birth) runtimeHooks() []plan.Step {
	return append(b.hookSteps(hookPrestart, nil), b.hookSteps(hookCreateRuntime, nil)...)
}

// containerHooks run in the container's namespaces, before its root is.
func (b *birth) containerHooks() []plan.Step {
	return b.hookSteps(hookCreateContainer, func() (*hooks.Namespaces, error) {
		pidfd, err := b.builder()
		in := b.namespacesOfInit(pidfd)
		in.Clone = nil // a program of the host's: the container's limits are not its
		return in, err
	})
}

// startHooks run in the finished container, confined as its process will be.
func (b *birth) startHooks() []plan.Step {
	return b.hookSteps(hookStartContainer, func() (_ *hooks.Namespaces, err error) {
		in := b.namespacesOfInit(b.child.Pidfd)
		in.Confine = b.confine
		if b.mountsByPath() >= 0 {
			in.Root, err = b.rootOfInit()
		}
		return in, err
	})
}

// confine takes a hook the privileges that the container's process does not have.
func (b *birth) confine(a *program.Assembler) {
	for _, s := range b.privileges() {
		s.Assemble(a)
	}
	b.confineByFilter(a)
}

// hookSteps are the steps of the hooks of a kind, each at its place in the Plan.
func (b *birth) hookSteps(kind hookKind, in func() (*hooks.Namespaces, error)) []plan.Step {
	var steps []plan.Step
	for i, h := range hooksOf(b.spec, kind) {
		steps = append(steps, plan.Step{
			Field: fmt.Sprintf("/hooks/%s/%d", kind.name, i), By: plan.Runtime, Words: "run the hook " + h.Path, Name: kind.name,
			Do: func() (_ func() error, err error) {
				var where *hooks.Namespaces
				if in != nil {
					if where, err = in(); err != nil {
						return nil, err
					}
					defer where.Root.Close() // which may be nil
				}
				return nil, b.hookRun(where).one(kind, i)
			},
		})
	}
	return steps
}

// poststop runs the poststop hooks of a container that was not finished.
func (b *birth) poststop() { runPoststop(b.dir.Record, b.spec) }

// runPoststop runs the poststop hooks. A failing one is a warning, and the others
// run all the same (runtime.md, "Lifecycle", step 13).
func runPoststop(r *state.Record, s *specs.Spec) {
	for i := range hooksOf(s, hookPoststop) {
		run := hookRun{record: r, spec: s}
		if err := run.one(hookPoststop, i); err != nil {
			sayWarning(false, fmt.Sprintf("/hooks/poststop/%d: %v", i, err))
		}
	}
}

// poststart runs the poststart hooks. If one fails, the caller is to end the
// container.
func poststart(dir *state.Dir, s *specs.Spec) error {
	run := hookRun{record: dir.Record, spec: s, pid: dir.Record.Init.Pid}
	for i := range hooksOf(s, hookPoststart) {
		if err := run.one(hookPoststart, i); err != nil {
			return fmt.Errorf("/hooks/poststart/%d: %w", i, err)
		}
	}
	return nil
}

// runStartHooks runs the startContainer hooks for start, which is another process
// than the one that created the container.
func runStartHooks(dir *state.Dir, s *specs.Spec) error {
	if len(hooksOf(s, hookStartContainer)) == 0 {
		return nil
	}
	view, err := seal.Ensure(seal.Container{})
	if err != nil {
		return err
	}
	h, err := thisHost("disabled", "auto")
	if err != nil {
		return err
	}
	var opt birthOptions
	if err := opt.inside(dir.Record); err != nil {
		return err
	}
	b, err := newBirth(dir.Record.ID, dir.Record.Bundle, dir.Record.Rootfs, s, h, opt)
	if err != nil {
		return err
	}
	b.dir, b.view = dir, view
	defer b.closeOpened()
	if view != nil {
		b.opened = append(b.opened, view.Fd())
	}
	if _, err := b.openContainer(); err != nil {
		return err
	}
	for _, s := range b.openContainerCgroup(nil) {
		if _, err := s.Do(); err != nil {
			return err
		}
	}
	in := b.namespacesOfInit(b.containerFd)
	in.Confine = b.confine
	if dir.Record.NoPivot {
		root, err := unix.FcntlInt(uintptr(b.containerRoot), unix.F_DUPFD_CLOEXEC, 0)
		if err != nil {
			return os.NewSyscallError("fcntl F_DUPFD_CLOEXEC", err)
		}
		in.Root = os.NewFile(uintptr(root), "root")
		defer in.Root.Close()
	}
	run := hookRun{dir.Record, s, dir.Record.Init.Pid, b.env, hooks.Runner{FileLimit: &h.fileLimit, In: in}}
	for i := range hooksOf(s, hookStartContainer) {
		if err := run.one(hookStartContainer, i); err != nil {
			return fmt.Errorf("/hooks/startContainer/%d: %w", i, err)
		}
	}
	return nil
}
