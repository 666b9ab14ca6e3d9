package state

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// churn creates, saves and deletes for ever.
func churn(s *Store) {
	for i := 0; ; i++ {
		id := fmt.Sprintf("c%d", i%3)
		d, err := s.Create(record(id), []byte(`{"config":true}`))
		if errors.Is(err, ErrExist) {
			d, err = s.Lock(id, time.Second)
		}
		for range 3 {
			if err == nil {
				err = d.Save()
			}
		}
		if err == nil && i%2 == 0 {
			err = d.Remove()
		}
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		d.Close()
	}
}

// Killed at any point, a runtime leaves nothing that hinders the next.
func TestKilled(t *testing.T) {
	root := filepath.Join(t.TempDir(), "root")
	s := Open(root)
	orphans := 0
	for i := range 40 {
		cmd := exec.Command("/proc/self/exe")
		cmd.Env = append(os.Environ(), churnEnv+"="+root)
		out := new(bytes.Buffer)
		cmd.Stdout = out
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(15000+i*331) * time.Microsecond)
		cmd.Process.Kill()
		cmd.Wait()
		if out.Len() != 0 {
			t.Fatalf("it failed before it was killed: %s", out)
		}
		records, bad, err := s.List()
		if len(bad) != 0 || err != nil {
			t.Fatalf("after a kill: %v %v", bad, err)
		}
		for _, rec := range records {
			d, err := s.Lock(rec.ID, 0)
			if err != nil {
				t.Fatal(err)
			}
			if config, err := d.Config(); err != nil || !json.Valid(config) {
				t.Errorf("config %q, %v", config, err)
			}
			d.Close()
		}
		if _, err := os.Stat(root); errors.Is(err, os.ErrNotExist) {
			continue // killed before it had made anything
		}
		for _, name := range names(t, root) {
			if isHidden(name) {
				orphans++
			}
		}
		if i%4 == 3 {
			if err := s.Sweep(); err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(names(t, root), " "); strings.Contains(got, hiddenPrefix) {
				t.Errorf("Sweep left %s", got)
			}
		}
	}
	t.Logf("%d times a hidden directory was left", orphans)
}
