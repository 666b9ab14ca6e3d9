// Package stack makes main's stack as large as a whole run takes while there is nothing on it
// yet. Otherwise it doubles five times: each time all frames are looked up and moved, and each
// size is had from the Go runtime in a span of stacks, all of which it touches.
//
// A package that imports nothing is among the first to be initialised (the language's
// specification, "Package initialization": by import path, those that are ready).
package stack

// Size is that of the frame that is asked for. The stack is the next power of two.
const Size = 28 << 10

func init() { grow(false, 0) }

// grow needs its frame's size when it is entered, and fills nothing of it.
//
//go:noinline
func grow(fill bool, at int) byte {
	if !fill {
		return 0
	}
	var frame [Size]byte
	frame[at] = 1
	return frame[Size-1-at]
}
