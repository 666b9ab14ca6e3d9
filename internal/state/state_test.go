package state

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// churnEnv makes the test binary use a store until it is killed.
const churnEnv = "STATE_TEST_CHURN"

func TestMain(m *testing.M) {
	if root := os.Getenv(churnEnv); root != "" {
		churn(Open(root))
	}
	os.Exit(m.Run())
}

func record(id string) *Record {
	return &Record{
		OCIVersion: "1.3.0", ID: id, Bundle: "/b", Rootfs: "/b/rootfs",
		Created: time.Date(2026, 1, 2, 3, 4, 5, 678901234, time.UTC), Owner: 1000,
		Annotations: map[string]string{"a.b": "c"}, Phase: Creating,
		Creator: Process{42, 1234567890123456789},
		Cgroup:  Cgroup{Manager: "systemd", Path: "/x", Dirs: []string{"/sys/fs/cgroup/x"}, Unit: "x.scope"},
	}
}

func mustCreate(t *testing.T, s *Store, id string) *Dir {
	t.Helper()
	d, err := s.Create(record(id), []byte(`{"config":true}`))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	list := []string{}
	for _, e := range entries {
		list = append(list, e.Name())
	}
	return list
}

func expectNames(t *testing.T, dir string, want ...string) {
	t.Helper()
	if got := names(t, dir); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%s holds %q, want %q", dir, got, want)
	}
}

func TestValidID(t *testing.T) {
	for _, id := range []string{
		"a", "web", "A-Z_0.9+x", ".hidden", "...", "-", "-rf", "+", "_", "0", ".~"[:1] + "x", strings.Repeat("a", 1024),
	} {
		if err := ValidID(id); err != nil {
			t.Errorf("%q: %v", id, err)
		}
	}
	for _, id := range []string{
		"", ".", "..", "a/b", "/", "../x", "a b", "a\n", "a\x00", "\x7f", "ä", "a:b", "a~", ".~x", "a\\b", "a*", strings.Repeat("a", 1025),
	} {
		err := ValidID(id)
		if err == nil || !strings.Contains(err.Error(), "invalid container ID format") || strings.Contains(err.Error(), "\n") {
			t.Errorf("%.20q: %v", id, err)
		}
		s := Open(t.TempDir())
		for what, err := range map[string]error{
			"Load":   second(s.Load(id)),
			"Lock":   second(s.Lock(id, 0)),
			"Create": second(s.Create(record(id), nil)),
		} {
			if err == nil || !strings.Contains(err.Error(), "invalid container ID format") {
				t.Errorf("%s(%.20q): %v", what, id, err)
			}
		}
		expectNames(t, s.root)
	}
}

func second(_ *Dir, err error) error { return err }

func TestCreateLoad(t *testing.T) {
	base := t.TempDir()
	s := Open(filepath.Join(base, "parent", "root"))
	old := unix.Umask(0o077)
	d := mustCreate(t, s, "web")
	unix.Umask(old)

	for path, want := range map[string]fs.FileMode{
		s.root: 0o700, d.Path: 0o711, d.Path + "/state.json": 0o600, d.Path + "/config.json": 0o600,
	} {
		fi, err := os.Stat(path)
		if err != nil || fi.Mode().Perm() != want {
			t.Errorf("%s: %v %v, want %v", path, fi.Mode(), err, want)
		}
	}
	expectNames(t, s.root, "web")
	expectNames(t, d.Path, "config.json", "state.json")

	got, err := s.Load("web")
	if err != nil {
		t.Fatal(err)
	}
	defer got.Close()
	want := record("web")
	want.Version = Version
	if !reflect.DeepEqual(got.Record, want) {
		t.Errorf("got %+v, want %+v", got.Record, want)
	}
	if config, err := got.Config(); err != nil || string(config) != `{"config":true}` {
		t.Errorf("config %q, %v", config, err)
	}
	if got.Path != filepath.Join(s.root, "web") {
		t.Errorf("path %q", got.Path)
	}
	if err := got.Save(); !errors.Is(err, errUnlocked) {
		t.Errorf("Save without the lock: %v", err)
	}
	if err := got.Remove(); !errors.Is(err, errUnlocked) {
		t.Errorf("Remove without the lock: %v", err)
	}
	for _, fd := range []int{d.Fd, got.Fd} {
		if flags, _ := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); flags&unix.FD_CLOEXEC == 0 {
			t.Error("descriptor is not close-on-exec")
		}
	}
}

// The names in state.json are a format: other versions of this program read it.
func TestFormat(t *testing.T) {
	rec := record("web")
	rec.Init, rec.Phase = Process{43, 44}, Ready
	rec.OwnPids, rec.HasProcess, rec.Terminal = true, true, true
	data := rec.render()
	const want = `{"version":1,"ociVersion":"1.3.0","id":"web","bundle":"/b","rootfs":"/b/rootfs",` +
		`"created":"2026-01-02T03:04:05.678901234Z","owner":1000,"annotations":{"a.b":"c"},"phase":"ready",` +
		`"creator":{"pid":42,"startTime":1234567890123456789},"init":{"pid":43,"startTime":44},` +
		`"cgroup":{"manager":"systemd","path":"/x","dirs":["/sys/fs/cgroup/x"],"unit":"x.scope"},"ownPids":true,"noPivot":false,"hasProcess":true,"terminal":true}` + "\n"
	if string(data) != want {
		t.Errorf("got\n%swant\n%s", data, want)
	}
}

func TestCreateTwice(t *testing.T) {
	s := Open(t.TempDir())
	first := mustCreate(t, s, "web")
	_, err := s.Create(record("web"), []byte("other"))
	if err == nil || !errors.Is(err, ErrExist) || !errors.Is(err, fs.ErrExist) || err.Error() != `container with given ID already exists: "web"` {
		t.Errorf("second Create: %v", err)
	}
	expectNames(t, s.root, "web")
	if config, _ := first.Config(); string(config) != `{"config":true}` {
		t.Errorf("the first was touched: %q", config)
	}
	// Whatever else has the name counts as well.
	if err := os.WriteFile(filepath.Join(s.root, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/nowhere", filepath.Join(s.root, "link")); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"file", "link"} {
		if _, err := s.Create(record(id), nil); !errors.Is(err, ErrExist) {
			t.Errorf("%s: %v", id, err)
		}
	}
}

func TestCreateFailureLeavesNothing(t *testing.T) {
	s := Open(t.TempDir())
	_, err := s.Create(record(strings.Repeat("a", 300)), nil)
	if !errors.Is(err, unix.ENAMETOOLONG) {
		t.Errorf("name of 300 bytes: %v", err)
	}
	expectNames(t, s.root)
	if _, err := s.Load(strings.Repeat("a", 300)); !errors.Is(err, ErrNotExist) {
		t.Errorf("load it: %v", err)
	}
	file := filepath.Join(s.root, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(file).Create(record("x"), nil); !errors.Is(err, unix.ENOTDIR) {
		t.Errorf("root is a file: %v", err)
	}
}

func TestConcurrentCreate(t *testing.T) {
	s := Open(filepath.Join(t.TempDir(), "not", "yet"))
	var won, lost atomic.Int32
	var wg sync.WaitGroup
	start := make(chan struct{})
	for i := range 20 {
		wg.Go(func() {
			<-start
			rec := record("one")
			rec.Owner = uint32(i)
			d, err := s.Create(rec, fmt.Append(nil, i))
			switch {
			case err == nil:
				defer d.Close()
				won.Add(1)
				got, err := s.Load("one")
				if err != nil || got.Record.Owner != uint32(i) {
					t.Errorf("the winner is not what is there: %v", err)
					return
				}
				defer got.Close()
				if config, _ := got.Config(); string(config) != fmt.Sprint(i) {
					t.Errorf("config of %s, want %d", config, i)
				}
			case errors.Is(err, ErrExist):
				lost.Add(1)
			default:
				t.Error(err)
			}
		})
	}
	// A sweeper that runs meanwhile must not take anything from anybody.
	wg.Go(func() {
		<-start
		for range 50 {
			if err := s.Sweep(); err != nil {
				t.Error(err)
			}
		}
	})
	close(start)
	wg.Wait()
	if won.Load() != 1 || lost.Load() != 19 {
		t.Errorf("%d won, %d lost", won.Load(), lost.Load())
	}
	expectNames(t, s.root, "one")
}

func TestReadersNeverSeeGarbage(t *testing.T) {
	s := Open(t.TempDir())
	d := mustCreate(t, s, "web")
	stop := make(chan struct{})
	var wg sync.WaitGroup
	var reads atomic.Int32
	for range 2 {
		wg.Go(func() {
			last := -1
			for {
				select {
				case <-stop:
					return
				default:
				}
				got, err := s.Load("web")
				if err != nil {
					t.Error(err)
					return
				}
				if pid := got.Record.Init.Pid; pid < last || len(got.Record.Bundle) != 2+pid*10 {
					t.Errorf("init %d after %d, bundle of %d bytes", pid, last, len(got.Record.Bundle))
				} else {
					last = pid
				}
				got.Close()
				reads.Add(1)
			}
		})
	}
	for i := range 200 {
		// The file grows, so half of it would not parse.
		d.Record.Init.Pid = i
		d.Record.Bundle = "/b" + strings.Repeat("x", i*10)
		if err := d.Save(); err != nil {
			t.Fatal(err)
		}
	}
	close(stop)
	wg.Wait()
	if reads.Load() < 10 {
		t.Errorf("only %d reads", reads.Load())
	}
	expectNames(t, d.Path, "config.json", "state.json")
}

// A runtime killed in the middle of Save leaves the temporary file.
func TestSaveAfterCrash(t *testing.T) {
	s := Open(t.TempDir())
	d := mustCreate(t, s, "web")
	if err := os.WriteFile(filepath.Join(d.Path, stateTemp), []byte(`{"half`), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := s.Load("web"); err != nil {
		t.Error(err)
	} else {
		got.Close()
	}
	d.Record.Phase = Ready
	if err := d.Save(); err != nil {
		t.Fatal(err)
	}
	got, err := s.Load("web")
	if err != nil || got.Record.Phase != Ready {
		t.Fatal(err)
	}
	got.Close()
	expectNames(t, d.Path, "config.json", "state.json")
}

func TestNotExist(t *testing.T) {
	s := Open(filepath.Join(t.TempDir(), "missing"))
	for i := range 2 {
		for what, err := range map[string]error{"Load": second(s.Load("web")), "Lock": second(s.Lock("web", time.Second))} {
			if !errors.Is(err, ErrNotExist) || !errors.Is(err, fs.ErrNotExist) || err.Error() != `container does not exist: "web"` {
				t.Errorf("%s (root exists: %v): %v", what, i == 1, err)
			}
		}
		if i == 0 {
			if _, err := os.Stat(s.root); err == nil {
				t.Error("reading made the root")
			}
			if err := os.Mkdir(s.root, 0o700); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestBroken(t *testing.T) {
	s := Open(t.TempDir())
	good := record("x")
	valid := good.render()
	for name, tc := range map[string]struct {
		state *string
		want  string
	}{
		"missing":  {nil, "no such file or directory"},
		"empty":    {new(""), "unexpected end of JSON input"},
		"half":     {new(string(valid[:50])), "unexpected end of JSON input"},
		"zeros":    {new("\x00\x00\x00\x00"), `invalid character '\x00' looking for beginning of value`},
		"other":    {new(string(valid)), `it is that of container "x"`},
		"newer":    {new(`{"version":2,"id":"newer"}`), "format version 2 is newer than 1"},
		"noformat": {new(`{"id":"noformat"}`), "format version 0 is unknown"},
		"phase":    {new(`{"version":1,"id":"phase","phase":"?"}`), `unknown phase "?"`},
	} {
		dir := filepath.Join(s.root, name)
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if tc.state != nil {
			if err := os.WriteFile(dir+"/state.json", []byte(*tc.state), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		want := fmt.Sprintf("container %q: %s/state.json: %s", name, dir, tc.want)
		for what, err := range map[string]error{"Load": second(s.Load(name)), "Lock": second(s.Lock(name, 0))} {
			if err == nil || err.Error() != want || !errors.Is(err, ErrBroken) || errors.Is(err, ErrNotExist) || errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%s %s: %v, want %s", what, name, err, want)
			}
		}
		d, err := s.LockUnread(name, 0)
		if err != nil {
			t.Fatal(err)
		}
		if d.Record != nil {
			t.Error("LockUnread gave a record")
		}
		if err := d.Remove(); err != nil {
			t.Error(err)
		}
		d.Close()
		if _, err := s.Load(name); !errors.Is(err, ErrNotExist) {
			t.Errorf("after Remove: %v", err)
		}
	}
	expectNames(t, s.root)
}
