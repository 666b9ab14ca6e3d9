// Package dbustest has a service for tests of what calls one over D-Bus.
package dbustest

import (
	"bytes"
	"encoding/binary"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
)

// An Answer is what the service says to a call.
type Answer struct {
	Error string // name of the error that it is; the others do not count then
	Path  string // an object path
	Text  string // a variant that holds a string, as Get of a property gives
}

// A Service answers on a socket of its own.
type Service struct {
	Address string // as of a bus

	mu    sync.Mutex
	calls []string
}

// Calls are those that have come, with the name of the property behind Get.
func (s *Service) Calls() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.calls)
}

// Serve starts a service for one caller until that leaves. answer gets each call as
// [Service.Calls] has it.
func Serve(t testing.TB, answer func(call string) Answer) *Service {
	t.Helper()
	s := new(Service)
	s.Address = ServeRaw(t, func(message []byte, serial uint32) []byte {
		call := callOf(message)
		s.mu.Lock()
		s.calls = append(s.calls, call)
		s.mu.Unlock()
		return render(serial, answer(call))
	})
	return s
}

// ServeRaw is Serve for answers byte by byte, of any number of messages. It returns the
// address.
func ServeRaw(t testing.TB, answer func(message []byte, serial uint32) []byte) string {
	t.Helper()
	// A test's own directory has its name: too long for a socket's, and with commas.
	dir, err := os.MkdirTemp("", "dbus")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	name := filepath.Join(dir, "bus")
	l, err := net.Listen("unix", name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		talk(conn, answer)
	}()
	return "unix:path=" + name
}

// talk lets the caller in and answers until it leaves.
func talk(conn net.Conn, answer func([]byte, uint32) []byte) {
	var in []byte
	need := func(whole func() bool) bool {
		for buf := make([]byte, 4096); !whole(); {
			n, err := conn.Read(buf)
			if err != nil {
				return false
			}
			in = append(in, buf[:n]...)
		}
		return true
	}
	const begin = "BEGIN\r\n"
	if !need(func() bool { return bytes.Contains(in, []byte(begin)) }) {
		return
	}
	_, in, _ = bytes.Cut(in, []byte(begin))
	out := []byte("DATA\r\nOK 0123456789abcdef\r\n")
	for {
		if _, err := conn.Write(out); err != nil {
			return
		}
		size := func() int { return body(in) + int(binary.LittleEndian.Uint32(in[4:])) }
		if !need(func() bool { return len(in) >= 16 && len(in) >= size() }) {
			return
		}
		message := in[:size()]
		out = answer(message, binary.LittleEndian.Uint32(message[8:]))
		in = in[len(message):]
	}
}

// body is where the body of a message begins, behind the fields of its header.
func body(message []byte) int { return 16 + (int(binary.LittleEndian.Uint32(message[12:]))+7)&^7 }

// callOf is the member that a message calls, and the property that it gets.
func callOf(message []byte) string {
	text := func(at int) string { return string(message[at+4 : at+4+int(binary.LittleEndian.Uint32(message[at:]))]) }
	// The header's field 3 is a variant that holds a string.
	member := text(bytes.Index(message, []byte{3, 1, 's', 0}) + 4)
	if member != "Get" {
		return member
	}
	at := body(message)
	at += 4 + len(text(at)) + 1 // the interface
	return member + " " + text((at+3)&^3)
}

// render is the message of an answer to a call.
func render(serial uint32, a Answer) []byte {
	o := binary.LittleEndian
	str := func(b []byte, s string) []byte { return append(append(o.AppendUint32(b, uint32(len(s))), s...), 0) }
	align := func(b []byte, n int) []byte { return append(b, make([]byte, -len(b)&(n-1))...) }

	kind, signature := byte(2), ""
	fields := o.AppendUint32([]byte{5, 1, 'u', 0}, serial)
	var body []byte
	switch {
	case a.Error != "":
		kind = 3
		fields = str(append(fields, 4, 1, 's', 0), a.Error)
	case a.Path != "":
		signature, body = "o", str(nil, a.Path)
	default:
		signature, body = "v", str([]byte{1, 's', 0, 0}, a.Text)
	}
	if signature != "" {
		fields = append(align(fields, 8), 8, 1, 'g', 0, 1, signature[0], 0)
	}
	message := []byte{'l', kind, 0, 1}
	for _, n := range []int{len(body), 1, len(fields)} {
		message = o.AppendUint32(message, uint32(n))
	}
	return append(align(append(message, fields...), 8), body...)
}
