package terminal

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestSendFd(t *testing.T) {
	dir := t.TempDir()
	deep := filepath.Join(dir, strings.Repeat("d", 100), strings.Repeat("e", 100))
	if err := os.MkdirAll(deep, 0o755); err != nil {
		t.Fatal(err)
	}
	// The listener makes its address short by changing directory, as
	// the length of a name in a directory is limited by the same 108 bytes.
	exact := filepath.Join(dir, strings.Repeat("x", maxPath-len(dir)-1))
	tests := map[string]string{
		"short":         filepath.Join(dir, "s"),
		"107 bytes":     exact,
		"long path":     filepath.Join(deep, "sock"),
		"long name too": filepath.Join(deep, strings.Repeat("n", 100)),
		"abstract":      "@oci-mini-test-" + filepath.Base(filepath.Dir(dir)),
	}
	for name, path := range tests {
		t.Run(name, func(t *testing.T) {
			l := listen(t, path)
			defer l.Close()
			file, err := os.Open(dir)
			if err != nil {
				t.Fatal(err)
			}
			defer file.Close()
			const payload = "/dev/pts/ptmx"
			if err := SendFd(path, int(file.Fd()), payload); err != nil {
				t.Fatal(err)
			}
			receive(t, l, payload, file)
		})
	}
}

func listen(t *testing.T, path string) *net.UnixListener {
	t.Helper()
	address := path
	if len(path) > maxPath {
		d, err := os.Open(filepath.Dir(path))
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		t.Chdir(filepath.Dir(path))
		address = filepath.Base(path)
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: address, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// receive expects one message of payload with one descriptor for the file
// want, and then the end.
func receive(t *testing.T, l *net.UnixListener, payload string, want *os.File) {
	t.Helper()
	c, err := l.AcceptUnix()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	buf, oob := make([]byte, 8192), make([]byte, 1024)
	n, oobn, _, _, err := c.ReadMsgUnix(buf, oob)
	if err != nil || string(buf[:n]) != payload {
		t.Fatalf("message %q, %v", buf[:n], err)
	}
	messages, err := unix.ParseSocketControlMessage(oob[:oobn])
	if err != nil || len(messages) != 1 {
		t.Fatalf("%d control messages, %v", len(messages), err)
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil || len(fds) != 1 {
		t.Fatalf("%d descriptors, %v", len(fds), err)
	}
	defer unix.Close(fds[0])
	var a, b unix.Stat_t
	unix.Fstat(fds[0], &a)
	unix.Fstat(int(want.Fd()), &b)
	if a.Ino != b.Ino || a.Dev != b.Dev || a.Ino == 0 {
		t.Error("the descriptor is another file's")
	}
	if n, _, _, _, _ := c.ReadMsgUnix(buf, oob); n != 0 {
		t.Errorf("%d bytes after the message", n)
	}
}

func TestSendFdErrors(t *testing.T) {
	dir := t.TempDir()
	plain := filepath.Join(dir, "plain")
	if err := os.WriteFile(plain, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	long := dir + strings.Repeat("/.", 60) + "/none"
	tests := []struct{ path, name, want string }{
		{dir + "/none", "x", "connect " + dir + "/none: no such file or directory"},
		{plain, "x", "connect " + plain + ": connection refused"},
		{long, "x", "open " + long + ": no such file or directory"},
		{plain, "", "sendmsg " + plain + ": the name must have 1 to 4095 bytes"},
		{plain, strings.Repeat("n", 4096), "sendmsg " + plain + ": the name must have 1 to 4095 bytes"},
	}
	for _, tt := range tests {
		if err := SendFd(tt.path, 0, tt.name); err == nil || err.Error() != tt.want {
			t.Errorf("got %v\nwant %s", err, tt.want)
		}
	}
}
