package resctrl

import "testing"

func TestMountOf(t *testing.T) {
	const head = "22 1 0:20 / /proc rw - proc proc rw\n23 1 0:21 / /resctrl/not rw shared:1 - tmpfs resctrl rw\n"
	for _, c := range []struct{ text, want string }{
		{head, ""},
		{head + "31 23 0:28 / /sys/fs/resctrl rw,nosuid shared:14 master:2 - resctrl resctrl rw,mba_MBps\n", "/sys/fs/resctrl"},
		{head + "31 23 0:28 / /mnt/a\\040b rw - resctrl none rw\n32 23 0:28 / /mnt/c rw - resctrl none rw\n", "/mnt/a b"},
	} {
		if got, ok := mountOf(c.text); got != c.want || ok != (c.want != "") {
			t.Errorf("%q, %v, should be %q", got, ok, c.want)
		}
	}
}

// FuzzSchema: what the kernel prints is what it was given, padded.
func FuzzSchema(f *testing.F) {
	f.Add("L3:0=7ff;1=0f")
	f.Add("MB:0=100;1= 50")
	f.Add(":;=")
	f.Fuzz(func(t *testing.T, line string) {
		s, err := parseSchema(line)
		if err != nil {
			return
		}
		printed := "    " + s.resource + ":"
		for id, value := range s.values {
			printed += id + "=  00" + value + ";"
		}
		if err := matches(printed+"\n", line, 10); err != nil && len(s.values) > 0 {
			t.Errorf("%q does not match itself as %q: %v", line, printed, err)
		}
	})
}
