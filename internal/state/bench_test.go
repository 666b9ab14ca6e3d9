package state

import (
	"bytes"
	"os"
	"testing"
)

func BenchmarkCreateRemove(b *testing.B) {
	for _, base := range []string{os.TempDir(), "/dev/shm"} {
		b.Run(base, func(b *testing.B) {
			root, err := os.MkdirTemp(base, "state")
			if err != nil {
				b.Skip(err)
			}
			defer os.RemoveAll(root)
			s := Open(root)
			config := bytes.Repeat([]byte("x"), 10000)
			for b.Loop() {
				d, err := s.Create(record("web"), config)
				if err != nil {
					b.Fatal(err)
				}
				if err := d.Remove(); err != nil {
					b.Fatal(err)
				}
				d.Close()
			}
		})
	}
}

func BenchmarkLoad(b *testing.B) {
	s := Open(b.TempDir())
	d, err := s.Create(record("web"), nil)
	if err != nil {
		b.Fatal(err)
	}
	defer d.Close()
	for b.Loop() {
		d, err := s.Load("web")
		if err != nil {
			b.Fatal(err)
		}
		d.Close()
	}
}

func BenchmarkSave(b *testing.B) {
	for _, base := range []string{os.TempDir(), "/dev/shm"} {
		b.Run(base, func(b *testing.B) {
			root, err := os.MkdirTemp(base, "state")
			if err != nil {
				b.Skip(err)
			}
			defer os.RemoveAll(root)
			d, err := Open(root).Create(record("web"), nil)
			if err != nil {
				b.Fatal(err)
			}
			defer d.Close()
			for b.Loop() {
				if err := d.Save(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
