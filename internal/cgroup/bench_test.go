package cgroup

import (
	"runtime"
	"slices"
	"testing"
	"time"
)

// BenchmarkEnter and BenchmarkJoin compare the two ways into the version 1
// hierarchies on an otherwise idle host; the pause lets the kernel forget that
// cgroups were written, as it has when a container is made.
func BenchmarkEnter(b *testing.B) {
	c := create(b, layout(b, Legacy, Hybrid), name())
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var in, out times
	for range b.N {
		time.Sleep(70 * time.Millisecond)
		begin := time.Now()
		restore, err := c.EnterThread()
		in.since(begin)
		if err != nil {
			b.Fatal(err)
		}
		begin = time.Now()
		err = restore()
		out.since(begin)
		if err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(in.median(), "us-enter")
	b.ReportMetric(out.median(), "us-restore")
}

func BenchmarkJoin(b *testing.B) {
	c := create(b, layout(b, Legacy, Hybrid), name())
	var join times
	for range b.N {
		proc := start(b, nil)
		time.Sleep(70 * time.Millisecond)
		begin := time.Now()
		err := c.Join(proc.Process.Pid)
		join.since(begin)
		if err != nil {
			b.Fatal(err)
		}
		proc.stop()
	}
	b.ReportMetric(join.median(), "us-join")
}

func BenchmarkCreateRemove(b *testing.B) {
	l := layout(b, Legacy, Hybrid, Unified)
	var create, remove times
	for range b.N {
		d, _ := l.Dirs(name(), "")
		begin := time.Now()
		c, err := d.Create(nil, nil)
		create.since(begin)
		if err != nil {
			b.Fatal(err)
		}
		begin = time.Now()
		err = c.Remove()
		remove.since(begin)
		if err != nil {
			b.Fatal(err)
		}
		c.Close()
	}
	b.ReportMetric(create.median(), "us-create")
	b.ReportMetric(remove.median(), "us-remove")
}

// times are durations in microseconds.
type times []float64

func (t *times) since(begin time.Time) {
	*t = append(*t, float64(time.Since(begin).Nanoseconds())/1000)
}

func (t times) median() float64 {
	slices.Sort(t)
	return t[len(t)/2]
}
