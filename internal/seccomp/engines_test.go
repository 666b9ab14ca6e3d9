package seccomp

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"testing"

	moby "github.com/moby/profiles/seccomp"
	"github.com/opencontainers/runtime-spec/specs-go"
)

// engineProfiles are what engines give every container by default, and the length
// of their programs. A change of the compiler changes it: for the better, or else
// with a reason.
var engineProfiles = []engineProfile{
	{"podman-amd64", podman, specs.ArchX86_64, 260},
	{"podman-arm64", podman, specs.ArchAARCH64, 192},
	{"docker-amd64", docker, specs.ArchX86_64, 284},
	{"docker-arm64", docker, specs.ArchAARCH64, 223},
	{"docker-s390x", docker, specs.ArchS390X, 265},
}

type engineProfile struct {
	name   string
	engine *engine
	native specs.Arch
	length int
}

// An engine has a default profile.
type engine struct {
	profile func(testing.TB) []byte
	caps    []string // that it gives a container by default
	sum     string   // SHA-256 of the profile whose programs have the known lengths
}

var defaultCaps = []string{
	"CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL", "CAP_NET_BIND_SERVICE",
	"CAP_SETFCAP", "CAP_SETGID", "CAP_SETPCAP", "CAP_SETUID", "CAP_SYS_CHROOT",
}

var podman = &engine{
	profile: podmanProfile,
	caps:    defaultCaps,
	sum:     "cc374cf23846ce1f62f4dc807a8e2b8673c783c6f56cb475467621035d281e6c",
}

// The version of docker's profile is that of go.mod, so its lengths always hold.
var docker = &engine{
	profile: dockerProfile,
	caps:    append([]string{"CAP_AUDIT_WRITE", "CAP_MKNOD", "CAP_NET_RAW"}, defaultCaps...),
}

// podmanProfile reads the file that podman reads.
func podmanProfile(t testing.TB) []byte {
	t.Helper()
	text, err := os.ReadFile("/usr/share/containers/seccomp.json")
	if errors.Is(err, fs.ErrNotExist) {
		t.Skip("podman's profile is not installed (golang-github-containers-common): " + err.Error())
	}
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// dockerProfile writes the profile that is built into docker.
func dockerProfile(t testing.TB) []byte {
	t.Helper()
	text, err := json.Marshal(moby.DefaultProfile())
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// load returns the profile as the engine writes it for a container. The test is
// skipped where the engine's file is missing.
func (p *engineProfile) load(t testing.TB) *specs.LinuxSeccomp {
	t.Helper()
	// The kernel is newer than any that the profiles ask about.
	profile, err := convert(p.engine.profile(t), target{p.native, p.engine.caps, [2]int{6, 1}})
	if err != nil {
		t.Fatal(err)
	}
	return profile
}

func TestEngineProfileLengths(t *testing.T) {
	for _, test := range engineProfiles {
		t.Run(test.name, func(t *testing.T) {
			f, err := Compile(test.load(t), test.native)
			if err != nil {
				t.Fatal(err)
			}
			sum := fmt.Sprintf("%x", sha256.Sum256(test.engine.profile(t)))
			if test.engine.sum != "" && test.engine.sum != sum {
				t.Skipf("%d instructions; what is right for this version of the profile (SHA-256 %s) is not known", len(f.Program), sum)
			}
			if len(f.Program) != test.length {
				t.Errorf("%d instructions, not %d", len(f.Program), test.length)
			}
			for _, name := range f.Unknown {
				t.Errorf("the tables lack %s", name)
			}
		})
	}
}

func BenchmarkCompile(b *testing.B) {
	for _, test := range engineProfiles {
		b.Run(test.name, func(b *testing.B) {
			p := test.load(b)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Compile(p, test.native); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkInstructions counts what the kernel executes for a call.
func BenchmarkInstructions(b *testing.B) {
	for _, test := range engineProfiles {
		b.Run(test.name, func(b *testing.B) {
			f, err := Compile(test.load(b), test.native)
			if err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
			}
			sum := 0
			for _, call := range hotCalls(f) {
				v, err := f.Judge(test.native, call.nr, [6]uint64{})
				if err != nil {
					b.Fatal(err)
				}
				b.ReportMetric(float64(v.Instructions), call.name+"-insns")
				sum += v.Instructions
			}
			b.ReportMetric(float64(sum)/5, "mean-insns")
			b.ReportMetric(0, "ns/op")
		})
	}
}

type hotCall struct {
	name string
	nr   uint32
}

// hotCalls are four calls that programs make most, and the last that is allowed.
func hotCalls(f *Filter) (calls []hotCall) {
	for _, name := range []string{"read", "write", "openat", "futex"} {
		nr, _ := Number(f.native, name)
		calls = append(calls, hotCall{name, nr})
	}
	for nr := uint32(600); nr > 0; nr-- {
		if v, err := f.Judge(f.native, nr, [6]uint64{}); err == nil && v.Action == specs.ActAllow {
			return append(calls, hotCall{"last", nr})
		}
	}
	return calls
}
