package seccomp

import (
	"runtime"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// An arch is how the calls of one architecture reach a filter.
type arch struct {
	name  specs.Arch
	audit uint32   // AUDIT_ARCH_ number (linux/audit.h), seccomp_data.arch
	calls *numbers // system calls
	// wide says that arguments are compared as 64 bits. The others have 32, which
	// x32 and n32 do as well: their registers are wider than what a caller means.
	wide bool
	// big says that the high half of an argument comes first.
	big bool
	// muxed says that socketcall(2) and ipc(2) reach what other calls do.
	muxed bool
	// setup says that number 0 stands for a number that the kernel does not know.
	setup bool
}

// x32Bit is set in the number of every call of x32, whose AUDIT_ARCH_ number is
// that of amd64 (__X32_SYSCALL_BIT).
const x32Bit = 1 << 30

// arches are the architectures of the specification (config-linux.md, seccomp).
var arches = [...]arch{
	{name: specs.ArchX86, audit: unix.AUDIT_ARCH_I386, calls: &callsI386, muxed: true},
	{name: specs.ArchX86_64, audit: unix.AUDIT_ARCH_X86_64, calls: &callsAmd64, wide: true},
	{name: specs.ArchX32, audit: unix.AUDIT_ARCH_X86_64, calls: &callsX32},
	{name: specs.ArchARM, audit: unix.AUDIT_ARCH_ARM, calls: &callsArm},
	{name: specs.ArchAARCH64, audit: unix.AUDIT_ARCH_AARCH64, calls: &callsArm64, wide: true},
	{name: specs.ArchMIPS, audit: unix.AUDIT_ARCH_MIPS, calls: &callsMips, big: true, muxed: true},
	{name: specs.ArchMIPS64, audit: unix.AUDIT_ARCH_MIPS64, calls: &callsMips64, wide: true, big: true},
	{name: specs.ArchMIPS64N32, audit: unix.AUDIT_ARCH_MIPS64N32, calls: &callsMips64n32, big: true},
	{name: specs.ArchMIPSEL, audit: unix.AUDIT_ARCH_MIPSEL, calls: &callsMips, muxed: true},
	{name: specs.ArchMIPSEL64, audit: unix.AUDIT_ARCH_MIPSEL64, calls: &callsMips64, wide: true},
	{name: specs.ArchMIPSEL64N32, audit: unix.AUDIT_ARCH_MIPSEL64N32, calls: &callsMips64n32},
	{name: specs.ArchPPC, audit: unix.AUDIT_ARCH_PPC, calls: &callsPpc, big: true, muxed: true},
	{name: specs.ArchPPC64, audit: unix.AUDIT_ARCH_PPC64, calls: &callsPpc64, wide: true, big: true, muxed: true},
	{name: specs.ArchPPC64LE, audit: unix.AUDIT_ARCH_PPC64LE, calls: &callsPpc64, wide: true, muxed: true},
	{name: specs.ArchS390, audit: unix.AUDIT_ARCH_S390, calls: &callsS390, big: true, muxed: true, setup: true},
	{name: specs.ArchS390X, audit: unix.AUDIT_ARCH_S390X, calls: &callsS390x, wide: true, big: true, muxed: true, setup: true},
	{name: specs.ArchPARISC, audit: unix.AUDIT_ARCH_PARISC, calls: &callsParisc, big: true},
	{name: specs.ArchPARISC64, audit: unix.AUDIT_ARCH_PARISC64, calls: &callsParisc64, wide: true, big: true},
	{name: specs.ArchRISCV64, audit: unix.AUDIT_ARCH_RISCV64, calls: &callsRiscv64, wide: true},
	{name: specs.ArchLOONGARCH64, audit: unix.AUDIT_ARCH_LOONGARCH64, calls: &callsLoong64, wide: true},
	{name: specs.ArchM68K, audit: unix.AUDIT_ARCH_M68K, calls: &callsM68k, big: true, muxed: true},
	{name: specs.ArchSH, audit: unix.AUDIT_ARCH_SHEL, calls: &callsSh, muxed: true},
	{name: specs.ArchSHEB, audit: unix.AUDIT_ARCH_SH, calls: &callsSh, big: true, muxed: true},
}

// Arches returns the architectures that a filter can cover.
func Arches() []specs.Arch {
	names := make([]specs.Arch, len(arches))
	for i := range arches {
		names[i] = arches[i].name
	}
	return names
}

// Native returns the architecture of this program's own system calls.
func Native() specs.Arch {
	switch runtime.GOARCH {
	case "amd64":
		return specs.ArchX86_64
	case "386":
		return specs.ArchX86
	case "arm64":
		return specs.ArchAARCH64
	case "arm":
		return specs.ArchARM
	case "riscv64":
		return specs.ArchRISCV64
	case "loong64":
		return specs.ArchLOONGARCH64
	case "mips":
		return specs.ArchMIPS
	case "mipsle":
		return specs.ArchMIPSEL
	case "mips64":
		return specs.ArchMIPS64
	case "mips64le":
		return specs.ArchMIPSEL64
	case "ppc64":
		return specs.ArchPPC64
	case "ppc64le":
		return specs.ArchPPC64LE
	case "s390x":
		return specs.ArchS390X
	}
	return ""
}

func findArch(name specs.Arch) *arch {
	for i := range arches {
		if arches[i].name == name {
			return &arches[i]
		}
	}
	return nil
}

// x32 says that the calls of the architecture carry [x32Bit].
func (a *arch) x32() bool { return a.calls == &callsX32 }

// number returns the number that a caller uses for a name of the table.
func (a *arch) number(name int) (nr uint32, ok bool) {
	nr = uint32(a.calls[name])
	switch {
	case nr == absent:
		return 0, false
	case nr >= compactPrivate:
		return nr - compactPrivate + armPrivate, true
	case a.x32():
		return nr | x32Bit, true
	}
	return nr, true
}

// apart returns the block of numbers that is not in the row to which the kernel
// appends new calls: the private calls of ARM, which stand beyond it, and on x32 a
// block that will not grow (syscall_64.tbl of the kernel). It is empty elsewhere.
func (a *arch) apart() (first, last uint32) {
	switch a.calls {
	case &callsX32:
		return x32Bit | 512, x32Bit | 547
	case &callsArm:
		return armPrivate + 1, armPrivate + 6
	}
	return 1, 0
}

// armPrivate is __ARM_NR_BASE: the private calls of ARM follow it.
const armPrivate = 0x0f0000

// enosys is the answer of a kernel to a number that it does not know.
func (a *arch) enosys() uint32 {
	switch a.calls {
	case &callsMips, &callsMips64, &callsMips64n32:
		return unix.SECCOMP_RET_ERRNO | 89
	case &callsParisc, &callsParisc64:
		return unix.SECCOMP_RET_ERRNO | 251
	}
	return unix.SECCOMP_RET_ERRNO | 38
}
