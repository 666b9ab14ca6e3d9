package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/oci-mini/oci-mini/internal/mountopt"
	"github.com/oci-mini/oci-mini/internal/program"
)

// overlay puts a writable layer over the rootfs, which stays as it is.
type overlay struct {
	// dir keeps the upper layer (in dir/upper) and overlayfs's working
	// directory; "" is a tmpfs that is gone with the container.
	dir string
}

// overlayFlag is --overlay, with or without a directory.
type overlayFlag struct {
	set bool
	dir string
}

// Set takes what stands behind the equals sign; without one the flag package
// gives "true" to a flag of this kind.
func (f *overlayFlag) Set(value string) error {
	f.set, f.dir = value != "false", value
	if value == "true" || value == "false" {
		f.dir = ""
	}
	return nil
}

func (f *overlayFlag) String() string { return f.dir }

// IsBoolFlag lets the flag stand alone.
func (f *overlayFlag) IsBoolFlag() bool { return true }

// newOverlay makes the directories of a layer that is kept.
func newOverlay(dir string) (*overlay, error) {
	if dir == "" {
		return &overlay{}, nil
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	for _, sub := range []string{"upper", "work"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o755); err != nil {
			return nil, err
		}
	}
	return &overlay{dir}, nil
}

// check says whether the overlay can be had with this config.
func (o *overlay) check(b *birth) error {
	if o == nil {
		return nil
	}
	if !b.ownMounts() {
		return errors.New("--overlay: needs a mount namespace")
	}
	for _, dir := range []string{b.rootfs, o.dir + "/upper"} {
		if len(dir) > mountopt.MaxValue {
			return fmt.Errorf("--overlay: %s: paths of more than %d bytes cannot be given to overlayfs", dir, mountopt.MaxValue)
		}
	}
	return nil
}

// overlay makes an overlay of the rootfs the container's root, if one was asked
// for. It is made by init, because overlayfs takes directories of the caller's
// mount namespace only, and a tmpfs for them must be attached to count as such.
// It is attached over the state directory, which init does not need any more.
func (b *birth) overlay(a *program.Assembler) {
	o := b.opt.overlay
	if o == nil {
		return
	}
	dir := o.dir
	if dir == "" {
		dir = b.dir.Path
		top := a.Reg()
		newMount(a, top, "tmpfs", "overlay", &mountopt.Options{Data: []mountopt.Datum{{Key: "mode", Value: "755"}}})
		attach(a, top.Arg(), program.Const(unix.AT_FDCWD), a.String(dir), unix.MOVE_MOUNT_F_EMPTY_PATH).Note("tmpfs for the upper layer")
		for _, sub := range []string{"upper", "work"} {
			a.Call(program.Discard, unix.SYS_MKDIRAT, top.Arg(), a.String(sub), program.Const(0o755)).Note(sub)
		}
		closeFd(a, top)
	}
	data := []mountopt.Datum{
		{Key: "lowerdir", Value: strings.NewReplacer(`\`, `\\`, `:`, `\:`).Replace(b.rootfs)},
		{Key: "upperdir", Value: dir + "/upper"},
		{Key: "workdir", Value: dir + "/work"},
	}
	if b.userOverlay() {
		data = append(data, mountopt.Datum{Key: "userxattr", Flag: true})
	}
	root := a.Reg() // stays until execve: it is the root
	newMount(a, root, "overlay", "overlay", b.labelled("overlay", mountopt.Options{Data: data}))
	b.root = root.Arg()
}

// userOverlay says whether overlayfs has to keep what it notes in attributes user.*: those
// it has else are only for root of the initial user namespace, and without any, a directory
// of the lower layer cannot be replaced (userxattr, Linux 5.11).
func (b *birth) userOverlay() bool { return b.inUsers() || !b.host.initial }
