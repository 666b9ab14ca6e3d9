//go:build amd64 || arm64 || riscv64

package entry

// entry is the process's first code. It is no function to be called.
func entry()

var _ = entry // only the linker's -E names it
