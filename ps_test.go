package main

import (
	"slices"
	"strings"
	"testing"
)

func TestPsOptions(t *testing.T) {
	for _, test := range []struct{ args, want []string }{
		{nil, []string{"-ef"}},
		{[]string{""}, []string{"-ef"}},
		{[]string{"-o pid,comm"}, []string{"-o", "pid,comm"}},
		{[]string{"aux"}, []string{"aux"}},
		{[]string{"-o", "pid args"}, []string{"-o", "pid args"}},
	} {
		if got := psOptions(test.args); !slices.Equal(got, test.want) {
			t.Errorf("psOptions(%q) = %q, want %q", test.args, got, test.want)
		}
	}
}

func TestOfProcesses(t *testing.T) {
	for _, test := range []struct {
		name, table, want string
		pids              []int
		err               string
	}{
		{
			name: "ps -ef, a pid that only stands in another column",
			table: "UID          PID    PPID  C STIME TTY          TIME CMD\n" +
				"root           1       0  0 07:00 ?        00:00:01 /sbin/init\n" +
				"root        4711       1  0 07:00 ?        00:00:00 sleep 12\n" +
				"root          12    4711  0 07:00 ?        00:00:00 sh\n",
			pids: []int{4711, 12},
			want: "UID          PID    PPID  C STIME TTY          TIME CMD\n" +
				"root        4711       1  0 07:00 ?        00:00:00 sleep 12\n" +
				"root          12    4711  0 07:00 ?        00:00:00 sh\n",
		},
		{
			name:  "no process",
			table: "    PID CMD\n   4711 sh\n",
			want:  "    PID CMD\n",
		},
		{
			name:  "a column before it has spaces, one with a number",
			table: "COMMAND             PID\ntmux: server       4711\nx 12                 12\na 4711               13\n",
			pids:  []int{4711},
			want:  "COMMAND             PID\ntmux: server       4711\n",
		},
		{
			name:  "PPID is not PID",
			table: "   PPID     PID\n      1    4711\n   4711      12\n",
			pids:  []int{4711},
			want:  "   PPID     PID\n      1    4711\n",
		},
		{
			name:  "busybox, adjusted to the left",
			table: "PID   USER     TIME  COMMAND\n    1 root      0:00 init\n 4711 root      0:00 sleep 60\n",
			pids:  []int{4711},
			want:  "PID   USER     TIME  COMMAND\n 4711 root      0:00 sleep 60\n",
		},
		{
			name:  "a column that is too narrow pushes the others",
			table: "USER     PID CMD\nroot       1 init\nlongname   4711 sh\n",
			pids:  []int{4711},
			want:  "USER     PID CMD\nlongname   4711 sh\n",
		},
		{name: "no PID column", table: "CMD\nsh\n", err: "no PID column"},
		{name: "only PPID", table: "   PPID CMD\n   1 sh\n", err: "no PID column"},
		{name: "nothing", err: "no PID column"},
		{name: "a row without a number", table: "    PID CMD\n      - sh\n", err: `no pid in the row "      - sh"`},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := ofProcesses(test.table, test.pids)
			if test.err != "" {
				if err == nil || !strings.Contains(err.Error(), test.err) {
					t.Errorf("error %v, want %q", err, test.err)
				}
				return
			}
			if err != nil || got != test.want {
				t.Errorf("%v\n%s\nwant\n%s", err, got, test.want)
			}
		})
	}
}
