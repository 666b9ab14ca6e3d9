package seccomp

import (
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// engineProfiles are what engines give every container by default, and the length
// of their programs. A change of the compiler changes it: for the better, or else
// with a reason.
var engineProfiles = []engineProfile{
	{"podman-amd64", specs.ArchX86_64, 308},
	{"podman-arm64", specs.ArchAARCH64, 221},
	{"docker-amd64", specs.ArchX86_64, 315},
	{"docker-arm64", specs.ArchAARCH64, 244},
	{"docker-s390x", specs.ArchS390X, 290},
}

type engineProfile struct {
	name   string
	native specs.Arch
	length int
}

func (p *engineProfile) load(t testing.TB) *specs.LinuxSeccomp {
	return loadProfile(t, "testdata/"+p.name+".json")
}

func TestEngineProfileLengths(t *testing.T) {
	for _, test := range engineProfiles {
		f, err := Compile(test.load(t), test.native)
		if err != nil {
			t.Fatal(err)
		}
		if len(f.Program) != test.length {
			t.Errorf("%s has %d instructions, not %d", test.name, len(f.Program), test.length)
		}
		for _, name := range f.Unknown {
			t.Errorf("%s: the tables lack %s", test.name, name)
		}
	}
}

func BenchmarkCompile(b *testing.B) {
	for _, test := range engineProfiles {
		p := test.load(b)
		b.Run(test.name, func(b *testing.B) {
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
		f, err := Compile(test.load(b), test.native)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(test.name, func(b *testing.B) {
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
