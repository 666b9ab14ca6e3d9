// Package resctrltest makes a tree of ordinary files that looks like a resctrl file system,
// for tests on machines whose processor has none.
package resctrltest

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/oci-mini/oci-mini/internal/resctrl"
)

// Schemata is that of the tree's default group: two caches, two memory controllers.
const Schemata = "    MB:0=100;1=100\n    L3:0=7ff;1=7ff\n"

// New makes a tree with the files of the default group and those that describe the machine.
// What the kernel does behind mkdir(2) and rmdir(2), Mkdir and Rmdir of the Root do.
func New(t *testing.T) *resctrl.Root {
	t.Helper()
	r := &resctrl.Root{Path: t.TempDir()}
	Write(t, r.Path, map[string]string{
		"schemata": Schemata, "tasks": "1\n", "info/last_cmd_status": "ok\n",
		"info/L3/cbm_mask": "7ff\n", "info/L3/min_cbm_bits": "1\n", "info/L3/num_closids": "16\n",
		"info/MB/bandwidth_gran": "10\n", "info/MB/delay_linear": "1\n", "info/MB/min_bandwidth": "10\n", "info/MB/num_closids": "8\n",
		"info/L3_MON/mon_features": "llc_occupancy\nmbm_total_bytes\nmbm_local_bytes\n",
		"mon_data/.keep":           "", "mon_groups/.keep": "",
	})
	r.Mkdir = func(path string) error {
		if err := os.Mkdir(path, 0o755); err != nil {
			return err
		}
		files := map[string]string{"tasks": ""}
		if filepath.Base(filepath.Dir(path)) != "mon_groups" {
			files["schemata"], files["mon_groups/.keep"] = Schemata, ""
		}
		for cache, n := range map[string]string{"mon_L3_00": "1", "mon_L3_01": "2"} {
			files["mon_data/"+cache+"/llc_occupancy"] = n + "00\n"
			files["mon_data/"+cache+"/mbm_total_bytes"] = n + "000\n"
			files["mon_data/"+cache+"/mbm_local_bytes"] = "Unavailable\n"
		}
		Write(t, path, files)
		return nil
	}
	r.Rmdir = func(path string) error {
		if _, err := os.Lstat(path); err != nil {
			return err
		}
		return os.RemoveAll(path)
	}
	return r
}

// Write writes files below a directory.
func Write(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// Read reads a file of the tree.
func Read(t *testing.T, path ...string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(path...))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
