//go:build !amd64 && !arm64 && !riscv64

package terminal

import (
	"os"
	"os/signal"

	"golang.org/x/sys/unix"
)

// action is the channel of a signal that package os/signal catches.
type action chan os.Signal

// golangs is of no use here.
func golangs() (own action, err error) { return nil, nil }

// install has the number of a signal written into a pipe whenever it comes.
func install(sig unix.Signal, writing int, _ action) (action, error) {
	c := make(chan os.Signal, 128)
	signal.Notify(c, sig)
	go func() {
		for range c {
			_, _ = unix.Write(writing, []byte{byte(sig)})
		}
	}()
	return c, nil
}

// restore undoes install.
func restore(_ unix.Signal, c action) {
	signal.Stop(c)
	close(c)
}
