package spec

import (
	"math"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
)

func TestValidateProcess(t *testing.T) {
	const policies = "SCHED_OTHER, SCHED_FIFO, SCHED_RR, SCHED_BATCH, SCHED_ISO, SCHED_IDLE, SCHED_DEADLINE"
	run(t, []faultCase{
		{"no args", func(s *specs.Spec) { s.Process.Args = nil },
			one(`/process/args: must have at least one entry: the program to run`)},
		{"empty program", func(s *specs.Spec) { s.Process.Args = []string{"", ""} },
			one(`/process/args/0: must not be empty: the program to run`)},
		{"args NUL", func(s *specs.Spec) { s.Process.Args[2] = "a\x00b" },
			one(`/process/args/2: must not contain a NUL byte, is "a\x00b"`)},
		{"env NUL", func(s *specs.Spec) { s.Process.Env[1] = "A=\x00" },
			one(`/process/env/1: must not contain a NUL byte, is "A=\x00"`)},
		{"env no value", func(s *specs.Spec) { s.Process.Env[1] = "A" },
			one(`/process/env/1: must have the form NAME=VALUE, is "A"`)},
		{"env empty", func(s *specs.Spec) { s.Process.Env[1] = "" },
			one(`/process/env/1: must have the form NAME=VALUE, is ""`)},
		{"env no name", func(s *specs.Spec) { s.Process.Env[0] = "=A" },
			one(`/process/env/0: must have a name before the equals sign, is "=A"`)},
		{"env newline", func(s *specs.Spec) { s.Process.Env[0] = "A=b\nc" }, nil},
		{"cwd relative", func(s *specs.Spec) { s.Process.Cwd = "x" },
			one(`/process/cwd: must be an absolute path, is "x"`)},
		{"cwd missing", func(s *specs.Spec) { s.Process.Cwd = "" },
			one(`/process/cwd: must be an absolute path, is empty`)},
		{"cwd NUL", func(s *specs.Spec) { s.Process.Cwd = "/\x00" },
			one(`/process/cwd: must not contain a NUL byte, is "/\x00"`)},
		{"no ids", func(s *specs.Spec) {
			s.Process.User = specs.User{UID: math.MaxUint32, GID: math.MaxUint32, AdditionalGids: []uint32{0, math.MaxUint32}}
		}, []string{
			`/process/user/uid: must be below 4294967295, which stands for no id`,
			`/process/user/gid: must be below 4294967295, which stands for no id`,
			`/process/user/additionalGids/1: must be below 4294967295, which stands for no id`}},
		{"umask", func(s *specs.Spec) { s.Process.User.Umask = ptr(uint32(0o1000)) },
			one(`/process/user/umask: must be at most 511 (octal 777), is 512 (octal 1000)`)},
		{"umask all", func(s *specs.Spec) { s.Process.User.Umask = ptr(uint32(0o777)) }, nil},
		{"unknown capabilities", func(s *specs.Spec) { s.Process.Capabilities.Effective = []string{"CAP_X"} }, nil},
		{"ambient alone", func(s *specs.Spec) { s.Process.Capabilities.Inheritable = nil }, nil},
		{"rlimit missing", func(s *specs.Spec) { s.Process.Rlimits = []specs.POSIXRlimit{{}} },
			one(`/process/rlimits/0/type: is required: one of RLIMIT_CPU, RLIMIT_FSIZE, RLIMIT_DATA, RLIMIT_STACK, RLIMIT_CORE, RLIMIT_RSS, RLIMIT_NPROC, RLIMIT_NOFILE, RLIMIT_MEMLOCK, RLIMIT_AS, RLIMIT_LOCKS, RLIMIT_SIGPENDING, RLIMIT_MSGQUEUE, RLIMIT_NICE, RLIMIT_RTPRIO, RLIMIT_RTTIME`)},
		{"rlimit twice", func(s *specs.Spec) { s.Process.Rlimits = append(s.Process.Rlimits, s.Process.Rlimits[0]) },
			one(`/process/rlimits/2/type: must not be given twice, is RLIMIT_CORE as in entry 0`)},
		{"rlimit soft above hard", func(s *specs.Spec) { s.Process.Rlimits[1].Hard = 10 },
			one(`/process/rlimits/1/soft: must be at most the hard limit 10, is 65536`)},
		{"apparmor NUL", func(s *specs.Spec) { s.Process.ApparmorProfile = "\x00" },
			one(`/process/apparmorProfile: must not contain a NUL byte, is "\x00"`)},
		{"selinux NUL", func(s *specs.Spec) { s.Process.SelinuxLabel = "\x00" },
			one(`/process/selinuxLabel: must not contain a NUL byte, is "\x00"`)},
		{"oom low", func(s *specs.Spec) { s.Process.OOMScoreAdj = ptr(-1001) },
			one(`/process/oomScoreAdj: must be from -1000 to 1000, is -1001`)},
		{"oom high", func(s *specs.Spec) { s.Process.OOMScoreAdj = ptr(1001) },
			one(`/process/oomScoreAdj: must be from -1000 to 1000, is 1001`)},
		{"oom limits", func(s *specs.Spec) { s.Process.OOMScoreAdj = ptr(-1000) }, nil},

		{"policy missing", func(s *specs.Spec) { s.Process.Scheduler = &specs.Scheduler{Priority: 1} },
			one(`/process/scheduler/policy: is required: one of ` + policies)},
		{"policy unknown", func(s *specs.Spec) { s.Process.Scheduler.Policy = "FIFO" },
			one(`/process/scheduler/policy: must be one of ` + policies + `, is "FIFO"`)},
		{"nice low", func(s *specs.Spec) { s.Process.Scheduler = &specs.Scheduler{Policy: "SCHED_OTHER", Nice: -21} },
			one(`/process/scheduler/nice: must be from -20 to 19, is -21`)},
		{"nice high", func(s *specs.Spec) { s.Process.Scheduler = &specs.Scheduler{Policy: "SCHED_BATCH", Nice: 20} },
			one(`/process/scheduler/nice: must be from -20 to 19, is 20`)},
		{"nice limits", func(s *specs.Spec) { s.Process.Scheduler = &specs.Scheduler{Policy: "SCHED_BATCH", Nice: 19} }, nil},
		{"priority elsewhere", func(s *specs.Spec) { s.Process.Scheduler.Priority = 1 },
			one(`/process/scheduler/priority: must be given with SCHED_FIFO and SCHED_RR alone, is 1 with SCHED_DEADLINE`)},
		{"priority missing", func(s *specs.Spec) { s.Process.Scheduler = &specs.Scheduler{Policy: "SCHED_FIFO"} },
			one(`/process/scheduler/priority: must be from 1 to 99 with SCHED_FIFO, is 0`)},
		{"priority high", func(s *specs.Spec) { s.Process.Scheduler = &specs.Scheduler{Policy: "SCHED_RR", Priority: 100} },
			one(`/process/scheduler/priority: must be from 1 to 99 with SCHED_RR, is 100`)},
		{"priority", func(s *specs.Spec) { s.Process.Scheduler = &specs.Scheduler{Policy: "SCHED_RR", Priority: 99} }, nil},
		{"scheduler flag", func(s *specs.Spec) { s.Process.Scheduler.Flags[1] = "RECLAIM" },
			one(`/process/scheduler/flags/1: must be one of SCHED_FLAG_RESET_ON_FORK, SCHED_FLAG_RECLAIM, SCHED_FLAG_DL_OVERRUN, SCHED_FLAG_KEEP_POLICY, SCHED_FLAG_KEEP_PARAMS, SCHED_FLAG_UTIL_CLAMP_MIN, SCHED_FLAG_UTIL_CLAMP_MAX, is "RECLAIM"`)},
		{"times elsewhere", func(s *specs.Spec) { s.Process.Scheduler.Policy = "SCHED_IDLE" }, []string{
			`/process/scheduler/runtime: must be given with SCHED_DEADLINE alone, is 10000 with SCHED_IDLE`,
			`/process/scheduler/deadline: must be given with SCHED_DEADLINE alone, is 20000 with SCHED_IDLE`,
			`/process/scheduler/period: must be given with SCHED_DEADLINE alone, is 30000 with SCHED_IDLE`}},
		{"deadline missing", func(s *specs.Spec) { s.Process.Scheduler = &specs.Scheduler{Policy: "SCHED_DEADLINE"} }, []string{
			`/process/scheduler/runtime: must be from 1024 to 9223372036854775807 ns with SCHED_DEADLINE, is 0`,
			`/process/scheduler/deadline: must be from 1024 to 9223372036854775807 ns with SCHED_DEADLINE, is 0`}},
		{"deadline before runtime", func(s *specs.Spec) { s.Process.Scheduler.Deadline = 9999 },
			one(`/process/scheduler/deadline: must be at least the runtime of 10000 ns, is 9999`)},
		{"period before deadline", func(s *specs.Spec) { s.Process.Scheduler.Period = 19999 },
			one(`/process/scheduler/period: must be at least the deadline of 20000 ns, is 19999`)},
		{"period huge", func(s *specs.Spec) { s.Process.Scheduler.Period = 1 << 63 },
			one(`/process/scheduler/period: must be from 1024 to 9223372036854775807 ns with SCHED_DEADLINE, is 9223372036854775808`)},
		{"period the deadline's", func(s *specs.Spec) { s.Process.Scheduler.Period = 0 }, nil},

		{"io class missing", func(s *specs.Spec) { s.Process.IOPriority.Class = "" },
			one(`/process/ioPriority/class: is required: one of IOPRIO_CLASS_RT, IOPRIO_CLASS_BE, IOPRIO_CLASS_IDLE`)},
		{"io class unknown", func(s *specs.Spec) { s.Process.IOPriority.Class = "BE" },
			one(`/process/ioPriority/class: must be one of IOPRIO_CLASS_RT, IOPRIO_CLASS_BE, IOPRIO_CLASS_IDLE, is "BE"`)},
		{"io priority high", func(s *specs.Spec) { s.Process.IOPriority.Priority = 8 },
			one(`/process/ioPriority/priority: must be from 0 to 7, is 8`)},
		{"io priority low", func(s *specs.Spec) { s.Process.IOPriority.Priority = -1 },
			one(`/process/ioPriority/priority: must be from 0 to 7, is -1`)},
		{"affinity", func(s *specs.Spec) {
			s.Process.ExecCPUAffinity = &specs.CPUAffinity{Initial: "0-x", Final: "3-1"}
		}, []string{
			`/process/execCPUAffinity/initial: must be a list such as 0-3,7: "x" is not a number`,
			`/process/execCPUAffinity/final: must be a list such as 0-3,7: 3-1 runs backwards`}},
	})
}
