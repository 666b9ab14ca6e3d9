package state

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// stranger is a user who is neither root nor the caller of these tests.
const stranger = 54321

func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("gives files to another user")
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// uses are all ways into a store, by name.
var uses = map[string]func(*Store) error{
	"Load":       func(s *Store) error { d, err := s.Load("c"); closeDir(d); return err },
	"Lock":       func(s *Store) error { d, err := s.Lock("c", 0); closeDir(d); return err },
	"LockUnread": func(s *Store) error { d, err := s.LockUnread("c", time.Second); closeDir(d); return err },
	"List": func(s *Store) error {
		_, bad, err := s.List()
		return errors.Join(append(bad, err)...)
	},
}

func closeDir(d *Dir) {
	if d != nil {
		d.Close()
	}
}

func TestTrust(t *testing.T) {
	needRoot(t)
	const owner, written = "belongs to user 54321, who could have the state in it make user 0 do anything", "others than user 0 may write to it"
	tests := []struct {
		name    string
		root    os.FileMode
		rootIDs [2]int
		entry   os.FileMode
		ids     [2]int
		want    string // in the error, "" for none
	}{
		{"as they are made", 0o700, [2]int{}, 0o711, [2]int{}, ""},
		{"a root that others may read", 0o755, [2]int{}, 0o755, [2]int{}, ""},
		{"a root whose group may write", 0o770, [2]int{0, stranger}, 0o711, [2]int{}, written},
		{"a root whose own group may write", 0o775, [2]int{}, 0o775, [2]int{}, ""},
		{"a root that others may write", 0o777, [2]int{}, 0o711, [2]int{}, written},
		{"a shared root", 0o777 | os.ModeSticky, [2]int{}, 0o711, [2]int{}, ""},
		{"another's root", 0o700, [2]int{stranger, stranger}, 0o711, [2]int{}, owner},
		{"another's sticky root", 0o777 | os.ModeSticky, [2]int{stranger, stranger}, 0o711, [2]int{}, owner},
		{"another's entry", 0o777 | os.ModeSticky, [2]int{}, 0o711, [2]int{stranger, stranger}, owner},
		{"an entry of another's group", 0o700, [2]int{}, 0o775, [2]int{0, stranger}, written},
		{"an entry for all", 0o700, [2]int{}, 0o777, [2]int{}, written},
		{"a sticky entry", 0o700, [2]int{}, 0o777 | os.ModeSticky, [2]int{}, written},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := Open(filepath.Join(t.TempDir(), "root"))
			mustCreate(t, s, "c").Close()
			must(t, os.Chown(s.Path("c"), test.ids[0], test.ids[1]))
			must(t, os.Chmod(s.Path("c"), test.entry))
			must(t, os.Chown(s.root, test.rootIDs[0], test.rootIDs[1]))
			must(t, os.Chmod(s.root, test.root))
			for name, use := range uses {
				err := use(s)
				switch {
				case test.want == "" && err != nil:
					t.Errorf("%s: %v", name, err)
				case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), s.root)):
					t.Errorf("%s: error %v, want %q and the path", name, err, test.want)
				case errors.Is(err, ErrBroken) || errors.Is(err, ErrNotExist):
					t.Errorf("%s: %v is an error that delete --force would act on", name, err)
				}
			}
			// What is wrong with the root itself keeps new entries out of it too.
			wrong := test.want != "" && (test.rootIDs != [2]int{} || test.root&0o022 != 0 && test.root&os.ModeSticky == 0)
			d, err := s.Create(record("new"), nil)
			if closeDir(d); (err != nil) != wrong {
				t.Errorf("Create: %v", err)
			}
		})
	}
}

// TestTrustFiles: the files of an entry are the caller's too, and no links.
func TestTrustFiles(t *testing.T) {
	needRoot(t)
	s := Open(t.TempDir())
	mustCreate(t, s, "c").Close()
	file := filepath.Join(s.Path("c"), stateFile)
	must(t, os.Chown(file, stranger, stranger))
	if _, err := s.Load("c"); !errors.Is(err, ErrBroken) || !strings.Contains(err.Error(), "belongs to user 54321") {
		t.Errorf("another's state.json: %v", err)
	}
	must(t, os.Chown(file, 0, 0))
	must(t, os.Chmod(file, 0o666))
	if _, err := s.Load("c"); !errors.Is(err, ErrBroken) || !strings.Contains(err.Error(), "has mode 0666") {
		t.Errorf("a state.json for all to write: %v", err)
	}
	must(t, os.Rename(file, file+".there"))
	must(t, os.Symlink(file+".there", file))
	if _, err := s.Load("c"); !errors.Is(err, ErrBroken) || !strings.Contains(err.Error(), unix.ELOOP.Error()) {
		t.Errorf("a link in place of state.json: %v", err)
	}
}

// TestTrustLinks: a link to the root is followed to what must be the caller's, one in place
// of an entry is not followed.
func TestTrustLinks(t *testing.T) {
	needRoot(t)
	dir := t.TempDir()
	s := Open(filepath.Join(dir, "root"))
	mustCreate(t, s, "c").Close()
	must(t, os.Symlink("root", filepath.Join(dir, "link")))
	must(t, os.Lchown(filepath.Join(dir, "link"), stranger, stranger))
	if d, err := Open(filepath.Join(dir, "link")).Load("c"); err != nil {
		t.Errorf("by a link: %v", err)
	} else {
		d.Close()
	}
	other := Open(filepath.Join(dir, "other"))
	mustCreate(t, other, "d").Close()
	must(t, os.Symlink("../root/c", other.Path("c")))
	if _, err := other.Load("c"); !errors.Is(err, unix.ENOTDIR) && !errors.Is(err, unix.ELOOP) {
		t.Errorf("a link in place of an entry: %v", err)
	}
}

// TestSweepLeavesOthers: in a shared root, hidden directories of others stay.
func TestSweepLeavesOthers(t *testing.T) {
	needRoot(t)
	s := Open(t.TempDir())
	must(t, os.Chmod(s.root, 0o777|os.ModeSticky))
	theirs, own := filepath.Join(s.root, hiddenPrefix+"theirs"), filepath.Join(s.root, hiddenPrefix+"own")
	for _, dir := range []string{theirs, own} {
		must(t, os.Mkdir(dir, 0o711))
	}
	must(t, os.Chown(theirs, stranger, stranger))
	must(t, s.Sweep())
	if got := names(t, s.root); len(got) != 1 || got[0] != filepath.Base(theirs) {
		t.Errorf("left are %q", got)
	}
}
