package systemd

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"github.com/oci-mini/oci-mini/internal/dbus"
)

// Patience bounds every call with what it starts. It is longer than the 25 s after
// which other callers of D-Bus give up.
const Patience = 30 * time.Second

const (
	service    = "org.freedesktop.systemd1"
	objectPath = "/org/freedesktop/systemd1"
	managerOf  = service + ".Manager"
	unitOf     = service + ".Unit"
)

// Names of errors, org.freedesktop.systemd1(5) and D-Bus's own.
const (
	noSuchUnit = service + ".NoSuchUnit"
	unitExists = service + ".UnitExists" // another one has the name
)

// ErrNotRunning means that systemd is not the init of this machine, or that the
// user has none.
var ErrNotRunning = errors.New("no systemd answers")

// A Manager is a connection to a systemd.
type Manager struct {
	conn *dbus.Conn
	dest string // "" on systemd's own socket
	wait time.Duration
	unit string // for which somebody connected
}

// Connect connects to the system's systemd, or to that of the calling user, for the sake of
// a unit, which errors name.
//
// systemd's own socket is open to root alone, needs no bus that runs already,
// and spares each message the way through the bus. Where it is missing, and for
// users, the bus is asked: $DBUS_SYSTEM_BUS_ADDRESS or $DBUS_SESSION_BUS_ADDRESS
// or else its usual place.
func Connect(user bool, unit string) (*Manager, error) {
	private, address := "unix:path=/run/systemd/private", os.Getenv("DBUS_SYSTEM_BUS_ADDRESS")
	if address == "" {
		address = "unix:path=/run/dbus/system_bus_socket"
	}
	if user {
		address = os.Getenv("DBUS_SESSION_BUS_ADDRESS")
		dir := os.Getenv("XDG_RUNTIME_DIR")
		switch {
		case address == "" && dir == "":
			return nil, fmt.Errorf("%w: neither DBUS_SESSION_BUS_ADDRESS nor XDG_RUNTIME_DIR is set", ErrNotRunning)
		case address == "":
			address = "unix:path=" + dir + "/bus"
		}
		private = "" // the order matters: what the environment names comes first
	}
	end := time.Now().Add(Patience)
	if private != "" {
		if conn, err := dbus.Dial(private, end); err == nil {
			return &Manager{conn: conn, wait: Patience, unit: unit}, nil
		} else if errors.Is(err, dbus.ErrDeadline) {
			return nil, failure("connect to systemd for", unit, err)
		}
	}
	m, err := onBus(address, end)
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ECONNREFUSED) {
		err = fmt.Errorf("%w: %w", ErrNotRunning, err)
	}
	if err != nil {
		return nil, failure("connect to systemd for", unit, err)
	}
	m.unit = unit
	return m, nil
}

// Booted tells whether the system's systemd, or that of the calling user, is there, be it
// that it answers or not: sd_booted(3).
func Booted(user bool) bool {
	dir := "/run/systemd/system"
	if user {
		if dir = os.Getenv("XDG_RUNTIME_DIR"); dir == "" {
			dir = "/run/user/" + strconv.Itoa(os.Geteuid())
		}
		dir += "/systemd"
	}
	_, err := os.Lstat(dir)
	return err == nil
}

// onBus connects through a bus, and asks systemd for its signals.
func onBus(address string, end time.Time) (*Manager, error) {
	conn, err := dbus.Dial(address, end)
	if err != nil {
		return nil, err
	}
	m := &Manager{conn: conn, dest: service, wait: Patience}
	if err = conn.Hello(end); err == nil {
		_, err = conn.Call(&dbus.Call{
			Destination: "org.freedesktop.DBus", Path: "/org/freedesktop/DBus", Interface: "org.freedesktop.DBus", Member: "AddMatch",
			Args: []dbus.Value{dbus.String("type='signal',sender='" + service + "',interface='" + managerOf + "',member='JobRemoved'")},
		}, end)
	}
	if err == nil {
		_, err = m.manager(end, "Subscribe")
	}
	if err != nil {
		conn.Close()
		return nil, err
	}
	return m, nil
}

// Close ends the connection.
func (m *Manager) Close() { m.conn.Close() }

// manager calls a method of systemd's main object.
func (m *Manager) manager(end time.Time, member string, args ...dbus.Value) ([]dbus.Value, error) {
	return m.conn.Call(&dbus.Call{Destination: m.dest, Path: objectPath, Interface: managerOf, Member: member, Args: args}, end)
}

// get reads one property of an object.
func (m *Manager) get(end time.Time, path, iface, name string) (dbus.Value, error) {
	out, err := m.conn.Call(&dbus.Call{
		Destination: m.dest, Path: path, Interface: "org.freedesktop.DBus.Properties", Member: "Get",
		Args: []dbus.Value{dbus.String(iface), dbus.String(name)},
	}, end)
	if err != nil {
		return dbus.Value{}, err
	}
	if len(out) != 1 || len(out[0].Items()) != 1 {
		return dbus.Value{}, errors.New("the answer has no value")
	}
	return out[0].Items()[0], nil
}

// failure names the call and the unit.
func failure(call, unit string, err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, dbus.ErrDeadline) {
		err = fmt.Errorf("systemd gave no answer within %s: %w", Patience, err)
	}
	return fmt.Errorf("%s %s: %w", call, unit, err)
}

// Cgroup is the cgroup that the systemd keeps its units in, "/" for that of a
// whole machine.
func (m *Manager) Cgroup() (string, error) {
	v, err := m.get(time.Now().Add(m.wait), objectPath, managerOf, "ControlGroup")
	if err != nil {
		return "", failure("get ControlGroup of systemd for", m.unit, err)
	}
	if v.Text() == "" {
		return "/", nil
	}
	return v.Text(), nil
}

// Start makes a transient unit and waits until it is there. A unit of that name
// that has failed or ended is put away before; one that is alive is an error.
//
// After an error begun says that the unit may be there all the same: systemd was asked for
// it, and did not say that another has the name.
func (m *Manager) Start(unit string, properties []Property) (begun bool, err error) {
	end := time.Now().Add(m.wait)
	properties, err = m.fit(end, properties)
	if err == nil {
		start := func() error {
			return m.job(end, "StartTransientUnit", dbus.String(unit), dbus.String("replace"), values(properties), dbus.Array("(sa(sv))"))
		}
		err = start()
		if dbus.Is(err, unitExists) && m.putAway(end, unit) {
			err = start()
		}
		begun = !dbus.Is(err, unitExists)
	}
	return begun, failure("StartTransientUnit", unit, err)
}

// fit leaves out what this systemd is too old for.
func (m *Manager) fit(end time.Time, properties []Property) ([]Property, error) {
	if !slices.ContainsFunc(properties, Property.idle) {
		return properties, nil // which spares the question
	}
	v, err := m.get(end, objectPath, managerOf, "Version")
	if err != nil {
		return nil, fmt.Errorf("get Version of systemd: %w", err)
	}
	return ForVersion(properties, v.Text()), nil
}

func values(properties []Property) dbus.Value {
	list := make([]dbus.Value, len(properties))
	for i, p := range properties {
		list[i] = dbus.Struct(dbus.String(p.Name), dbus.Variant(p.Value))
	}
	return dbus.Array("(sv)", list...)
}

// putAway unloads a unit that is over; it tells whether it did.
func (m *Manager) putAway(end time.Time, unit string) bool {
	out, err := m.manager(end, "GetUnit", dbus.String(unit))
	if dbus.Is(err, noSuchUnit) {
		return true
	}
	if err != nil || len(out) != 1 {
		return false
	}
	state, err := m.get(end, out[0].Text(), unitOf, "ActiveState")
	if err != nil {
		return false
	}
	switch state.Text() {
	case "failed", "inactive":
		_, err := m.manager(end, "ResetFailedUnit", dbus.String(unit))
		return err == nil || dbus.Is(err, noSuchUnit)
	case "deactivating": // what is dying may take the time that it needs
		err := m.job(end, "StopUnit", dbus.String(unit), dbus.String("replace"))
		if err == nil || dbus.Is(err, noSuchUnit) {
			_, _ = m.manager(end, "ResetFailedUnit", dbus.String(unit))
			return true
		}
	}
	return false
}

// job calls a method that queues a job, and waits for the end of that.
func (m *Manager) job(end time.Time, member string, args ...dbus.Value) error {
	out, err := m.manager(end, member, args...)
	if err != nil {
		return err
	}
	if len(out) != 1 {
		return errors.New("the answer names no job")
	}
	path := out[0].Text()
	// JobRemoved has the job's number and path, the unit and the result.
	s, err := m.conn.Await(func(s *dbus.Signal) bool {
		return s.Interface == managerOf && s.Member == "JobRemoved" && len(s.Args) == 4 && s.Args[1].Text() == path
	}, end)
	if err != nil {
		return fmt.Errorf("wait for JobRemoved: %w", err)
	}
	if result := s.Args[3].Text(); result != "done" {
		return fmt.Errorf("the job ended with %q", result)
	}
	return nil
}

// Stop ends a unit with all of its processes and forgets it; one that does not exist
// is no error.
func (m *Manager) Stop(unit string) error {
	end := time.Now().Add(m.wait)
	err := m.job(end, "StopUnit", dbus.String(unit), dbus.String("replace"))
	if dbus.Is(err, noSuchUnit) {
		return nil
	}
	if err != nil {
		return failure("StopUnit", unit, err)
	}
	// It is there only if the unit failed, and its collection was not asked for.
	_, err = m.manager(end, "ResetFailedUnit", dbus.String(unit))
	if dbus.Is(err, noSuchUnit) {
		return nil
	}
	return failure("ResetFailedUnit", unit, err)
}

// Set changes properties of a unit until the machine's next start: all of them, or none.
// systemd keeps them when it loads its configuration again.
func (m *Manager) Set(unit string, properties []Property) error {
	end := time.Now().Add(m.wait)
	properties, err := m.fit(end, properties)
	if err == nil && len(properties) > 0 {
		_, err = m.manager(end, "SetUnitProperties", dbus.String(unit), dbus.Bool(true), values(properties))
	}
	return failure("SetUnitProperties", unit, err)
}

// Description is that property of a unit, "" for a unit that does not exist.
func (m *Manager) Description(unit string) (string, error) {
	end := time.Now().Add(m.wait)
	out, err := m.manager(end, "GetUnit", dbus.String(unit))
	if dbus.Is(err, noSuchUnit) {
		return "", nil
	}
	if err != nil || len(out) != 1 {
		return "", failure("GetUnit", unit, err)
	}
	v, err := m.get(end, out[0].Text(), unitOf, "Description")
	return v.Text(), failure("get Description of", unit, err)
}

// Kill sends a signal to all processes of a unit; one that does not exist is no error.
func (m *Manager) Kill(unit string, signal int32) error {
	_, err := m.manager(time.Now().Add(m.wait), "KillUnit", dbus.String(unit), dbus.String("all"), dbus.Int32(signal))
	if dbus.Is(err, noSuchUnit) {
		return nil
	}
	return failure("KillUnit", unit, err)
}
