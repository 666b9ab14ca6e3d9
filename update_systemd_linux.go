package main

import (
	"errors"
	"strings"

	"github.com/oci-mini/oci-mini/internal/cgroup"
	"github.com/oci-mini/oci-mini/internal/state"
	"github.com/oci-mini/oci-mini/internal/systemd"
)

// keepLimits tells systemd what an update has written to the cgroup's files, so
// that it does not set them back when it next applies the unit's settings. What systemd
// refuses, and what fails after that, takes the whole update back.
func keepLimits(r *state.Record, cg *cgroup.Cgroup, writes []cgroup.Write, before []systemd.Property, back func(error) error) error {
	properties := presentProperties(cg.Present, writes)
	if len(properties) == 0 {
		return nil
	}
	m, err := systemd.Connect(r.Cgroup.Manager == byUserSystemd, r.Cgroup.Unit)
	if err != nil {
		return back(err)
	}
	defer m.Close()
	// With one property systemd writes all of the same controller, and some rounded.
	exact, err := cg.Hold(writtenBySystemd())
	if err != nil {
		return back(err)
	}
	if err := m.Set(r.Cgroup.Unit, properties); err != nil {
		return back(err)
	}
	if err := exact(); err != nil {
		return back(errors.Join(err, m.Set(r.Cgroup.Unit, before)))
	}
	return nil
}

// writtenBySystemd are the cgroup files that it has properties for.
func writtenBySystemd() []cgroup.Write {
	var files []cgroup.Write
	for _, unified := range []bool{true, false} {
		for _, name := range systemd.Files(unified) {
			controller, _, _ := strings.Cut(name, ".")
			files = append(files, cgroup.Write{Controller: controller, Unified: unified, File: name})
		}
	}
	return files
}

// presentProperties are those of what the files of the writes say now, as present reads them
// ([cgroup.Cgroup.Present]). That is more than the writes tell: one may leave a part of its
// file as it is. A file that cannot be read has none: what a write asks of it is not there.
func presentProperties(present func(cgroup.Write) (file, text string, ok bool), writes []cgroup.Write) []systemd.Property {
	found := make([]cgroup.Write, 0, len(writes)+2)
	add := func(w cgroup.Write) (value string) {
		file, text, ok := present(w)
		if !ok {
			return ""
		}
		w.File = file
		w.Value, _, _ = strings.Cut(text, "\n")
		found = append(found, w)
		return w.Value
	}
	for _, w := range writes {
		value := add(w)
		switch {
		case w.File == "cpu.cfs_quota_us" || w.File == "cpu.cfs_period_us":
			// Two files of v1 are one pair for systemd.
			add(cgroup.Write{Controller: w.Controller, File: "cpu.cfs_period_us"})
			add(cgroup.Write{Controller: w.Controller, File: "cpu.cfs_quota_us"})
		case w.File == "cpu.idle" && w.Unified && value == "0":
			// A group that is idle no more has a weight again.
			add(cgroup.Write{Controller: w.Controller, Unified: true, File: "cpu.weight"})
		}
	}
	var properties []systemd.Property
	for _, w := range found {
		properties = systemd.Merge(properties, propertiesOf(w, found))
	}
	return properties
}
