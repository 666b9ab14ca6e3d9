package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/oci-mini/oci-mini/internal/dbus"
	"github.com/oci-mini/oci-mini/internal/dbus/dbustest"
	"github.com/oci-mini/oci-mini/internal/program"
	"github.com/oci-mini/oci-mini/internal/systemd"
)

// A start that failed ends the unit of the name only if that is the container's own.
func TestFailedStartEndsOnlyItsOwnUnit(t *testing.T) {
	const manager, noReply = "org.freedesktop.systemd1.", "org.freedesktop.DBus.Error.NoReply"
	const ours, theirs = "oci-mini container web in /run/oci-mini/web", "a database"
	idle := systemd.Property{Name: "CPUWeight", Value: dbus.Uint64(0)}
	for _, test := range []struct {
		name               string
		properties         []systemd.Property
		version, start, is string // error of Get Version, of StartTransientUnit; the description of the unit, or ""
		want               string
		ends               bool
	}{
		{"the version cannot be had", []systemd.Property{idle}, noReply, "", theirs, "get Version of systemd", false},
		{"the same, and there is one of ours", []systemd.Property{idle}, noReply, "", ours, "get Version of systemd", false},
		{"a unit exists", nil, "", manager + "UnitExists", theirs, "UnitExists", false},
		{"no answer, and the unit is somebody else's", nil, "", noReply, theirs, "NoReply", false},
		{"no answer, and there is no unit", nil, "", noReply, "", "NoReply", false},
		{"no answer, and the unit is ours", nil, "", noReply, ours, "NoReply", true},
	} {
		t.Run(test.name, func(t *testing.T) {
			service := dbustest.Serve(t, func(call string) dbustest.Answer {
				switch call {
				case "Get Version":
					return dbustest.Answer{Error: test.version, Text: "255"}
				case "StartTransientUnit":
					return dbustest.Answer{Error: test.start, Path: "/job/1"}
				case "GetUnit":
					if test.is == "" {
						return dbustest.Answer{Error: manager + "NoSuchUnit"}
					}
					return dbustest.Answer{Path: "/unit"}
				case "Get ActiveState":
					return dbustest.Answer{Text: "active"}
				case "Get Description":
					return dbustest.Answer{Text: test.is}
				case "StopUnit": // whose processes are killed: it is gone
					return dbustest.Answer{Error: manager + "NoSuchUnit"}
				}
				return dbustest.Answer{}
			})
			t.Setenv("DBUS_SESSION_BUS_ADDRESS", service.Address)
			m, err := systemd.Connect(true, "web.scope")
			if err != nil {
				t.Fatal(err)
			}
			defer m.Close()
			s := &scope{Unit: systemd.Unit{Name: "web.scope"}, description: ours, properties: test.properties, manager: m}
			b := &birth{cgroups: &cgroups{scope: s}, child: &program.Child{Pid: 1}}
			if _, err := b.doStartUnit(); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v", err)
			}
			calls := service.Calls()
			for _, call := range []string{"KillUnit", "StopUnit"} {
				if slices.Contains(calls, call) != test.ends {
					t.Errorf("%s: %v, of %q", call, !test.ends, calls)
				}
			}
		})
	}
}

// What systemd has against a property is told along with the annotations that have some.
func TestErrorOfAnnotations(t *testing.T) {
	refused := func(name, text string) error {
		return fmt.Errorf("StartTransientUnit web.scope: %w", &dbus.Error{Name: name, Text: text})
	}
	for _, test := range []struct {
		annotated []string
		err       error
		want      bool
	}{
		{[]string{"CPUWeight=77", "KillMode='mixed'"}, refused(wrongType, "Failed to set unit properties: Unexpected message contents"), true},
		{[]string{"Foo=1"}, refused("org.freedesktop.DBus.Error.PropertyReadOnly", "Cannot set property Foo, or unknown property."), true},
		{nil, refused(wrongType, ""), false},
		{[]string{"CPUWeight=77"}, refused("org.freedesktop.systemd1.UnitExists", "Unit web.scope already exists."), false},
		{[]string{"CPUWeight=77"}, dbus.ErrDeadline, false},
	} {
		err := (&scope{annotated: test.annotated}).ofAnnotations(test.err)
		if told := strings.HasSuffix(err.Error(), "; /annotations has "+strings.Join(test.annotated, ", ")); told != test.want || !errors.Is(err, test.err) {
			t.Errorf("%v", err)
		}
		if advised := strings.Contains(hint(err), "org.freedesktop.systemd1(5)"); advised != (test.want && strings.Contains(test.err.Error(), wrongType)) {
			t.Errorf("the hint of %v is %q", err, hint(err))
		}
	}
}
