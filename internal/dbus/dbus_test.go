package dbus

import (
	"encoding/binary"
	"errors"
	"net"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/oci-mini/oci-mini/internal/dbus/dbustest"
)

// bus is a server that answers each message by what answer returns.
func bus(t *testing.T, answer func(serial uint32) []byte) string {
	t.Helper()
	return dbustest.ServeRaw(t, func(_ []byte, serial uint32) []byte { return answer(serial) })
}

// reply renders a message to the caller; kind and fields as given.
func reply(kind byte, fields []Value, body ...Value) []byte {
	var sig string
	var b encoder
	for _, v := range body {
		sig += v.sig
		b.put(v)
	}
	if sig != "" {
		fields = append(fields, Struct(Byte(fieldSignature), Variant(Value{sig: "g", str: sig})))
	}
	e := encoder{[]byte{'l', kind, 0, 1}}
	e.number(uint64(len(b.buf)), 4)
	e.number(77, 4)
	e.put(Array("(yv)", fields...))
	e.align(8)
	return append(e.buf, b.buf...)
}

func to(serial uint32) Value { return Struct(Byte(fieldReplySerial), Variant(Uint32(serial))) }

var call = &Call{Path: "/", Interface: "a.b", Member: "C", Args: []Value{String("x"), Array("(sv)", Struct(String("k"), Variant(Bool(true))))}}

func TestCallAndAwait(t *testing.T) {
	done := Struct(Byte(fieldMember), Variant(String("Done")))
	address := bus(t, func(serial uint32) []byte {
		// A signal comes before the answer that it belongs to.
		return append(reply(signal, []Value{done}, Uint32(5)), reply(methodReturn, []Value{to(serial)}, ObjectPath("/job/1"))...)
	})
	c, err := Dial("unix:path=/nowhere;"+address, time.Now().Add(5*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	out, err := c.Call(call, time.Now().Add(5*time.Second))
	if err != nil || len(out) != 1 || out[0].Text() != "/job/1" {
		t.Fatalf("got %v, %v", out, err)
	}
	s, err := c.Await(func(s *Signal) bool { return s.Member == "Done" }, time.Now().Add(5*time.Second))
	if err != nil || s.Args[0].Number() != 5 {
		t.Fatalf("got %v, %v", s, err)
	}
}

func TestErrorsOfTheService(t *testing.T) {
	name := Struct(Byte(fieldErrorName), Variant(String("a.b.Refused")))
	c, err := Dial(bus(t, func(serial uint32) []byte {
		return reply(methodError, []Value{name, to(serial)}, String("not today"))
	}), time.Now().Add(5*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_, err = c.Call(call, time.Now().Add(5*time.Second))
	if !Is(err, "a.b.Refused") || err.Error() != "not today (a.b.Refused)" {
		t.Errorf("got %v", err)
	}
}

func TestDeadline(t *testing.T) {
	c, err := Dial(bus(t, func(uint32) []byte { return nil }), time.Now().Add(5*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	begin := time.Now()
	_, err = c.Call(call, begin.Add(50*time.Millisecond))
	if took := time.Since(begin); !errors.Is(err, ErrDeadline) || took < 50*time.Millisecond || took > 4*time.Second {
		t.Errorf("got %v after %v", err, took)
	}

	// A server that accepts and says nothing.
	name := filepath.Join(t.TempDir(), "mute")
	l, err := net.Listen("unix", name)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if _, err := Dial("unix:path="+name, time.Now().Add(50*time.Millisecond)); !errors.Is(err, ErrDeadline) || !strings.Contains(err.Error(), name) {
		t.Errorf("got %v", err)
	}
}

func TestClosed(t *testing.T) {
	c, err := Dial(bus(t, func(uint32) []byte { return []byte("rubbish that is no message") }), time.Now().Add(5*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Call(call, time.Now().Add(5*time.Second)); !errors.Is(err, errMalformed) {
		t.Errorf("got %v", err)
	}
}

func TestSocketName(t *testing.T) {
	for _, test := range []struct{ address, want, fault string }{
		{"unix:path=/run/bus", "/run/bus", ""},
		{"unix:guid=1,path=/run/a%20b", "/run/a b", ""},
		{"unix:abstract=/tmp/x,guid=1", "@/tmp/x", ""},
		{"tcp:host=localhost", "", "only unix: is known"},
		{"unix:path=%2", "", "malformed"},
		{"unix:path=", "", "malformed"},
		{"unix:runtime=yes", "", "neither path= nor abstract="},
	} {
		got, err := socketName(test.address)
		if got != test.want || (err == nil) != (test.fault == "") || err != nil && !strings.Contains(err.Error(), test.fault) {
			t.Errorf("%s: got %q, %v", test.address, got, err)
		}
	}
	if _, err := Dial(";", time.Now()); err == nil {
		t.Error("an empty address should be refused")
	}
}

func TestText(t *testing.T) {
	for _, test := range []struct {
		text, sig, format string
	}{
		{"'a b'", "s", "'a b'"},
		{`"it's \"\u00e9\n\\"`, "s", `'it\'s "é\n\\'`},
		{"true", "b", "true"},
		{" false ", "b", "false"},
		{"5", "i", "5"},
		{"-5", "i", "-5"},
		{"0x10", "i", "16"},
		{"1.5", "d", "1.5"},
		{"double 2", "d", "double 2"},
		{"1e3", "d", "double 1000"},
		{"uint64 18446744073709551615", "t", "uint64 18446744073709551615"},
		{"int64 -1", "x", "int64 -1"},
		{"byte 0xff", "y", "byte 255"},
		{"@t 7", "t", "uint64 7"},
		{"['a', 'b']", "as", "['a', 'b']"},
		{"@as []", "as", "@as []"},
		{"[uint32 1, 2]", "au", "[uint32 1, uint32 2]"},
		{"@ay [1, 2]", "ay", "[byte 1, byte 2]"},
		{"b'ab'", "ay", "[byte 97, byte 98, byte 0]"},
		{`b'\001\1779\\'`, "ay", "[byte 1, byte 127, byte 57, byte 92, byte 0]"},
		{"[('a', uint64 1), ('b', 2)]", "a(st)", "[('a', uint64 1), ('b', uint64 2)]"},
		{"('a',)", "(s)", "('a',)"},
		{"<uint32 1>", "v", "<uint32 1>"},
		{"objectpath '/a'", "o", "objectpath '/a'"},
		{"signature 'as'", "g", "signature 'as'"},
	} {
		v, err := ParseText(test.text)
		if err != nil {
			t.Errorf("%s: %v", test.text, err)
			continue
		}
		if v.Signature() != test.sig || v.Format() != test.format {
			t.Errorf("%s: got type %s, %s", test.text, v.Signature(), v.Format())
		}
		// What we print we read, and what we send we receive.
		again, err := ParseText(v.Format())
		if err != nil || !reflect.DeepEqual(again.Format(), v.Format()) || again.sig != v.sig {
			t.Errorf("%s: printed as %s, which reads as %s %v", test.text, v.Format(), again.Format(), err)
		}
		var e encoder
		e.put(v)
		d := decoder{buf: e.buf, order: binary.LittleEndian}
		if back := d.value(v.sig, 0); d.bad || d.at != len(e.buf) || back.Format() != v.Format() {
			t.Errorf("%s: sent %s, received %s", test.text, v.Format(), back.Format())
		}
	}
}

func TestTextFaults(t *testing.T) {
	for text, want := range map[string]string{
		"":                        "ends too early",
		"'a":                      "not closed",
		`b'\400'`:                 `"\\400" is not a byte`,
		"hello":                   "hello is not a value of type i",
		"1 2":                     `"2" stands behind the value`,
		"[1, 'a']":                "a string is not of type i",
		"[]":                      "needs its type in front",
		"()":                      "no value",
		"uint32 -1":               "-1 is not a value of type u",
		"uint32 4294967296":       "is not a value of type u",
		"byte 'a'":                "a string is not of type y",
		"boolean 1":               "1 is not of type b",
		"{'a': 1}":                "dictionaries",
		"@a{sv} {}":               "no type that is known here",
		"@z 1":                    "no type that is known here",
		"[1, 2":                   "ends too early",
		"@(su) ('a', 1, 2)":       "more fields",
		"@(su) ('a',)":            "fewer fields",
		"'\x00'":                  "zero byte",
		strings.Repeat("<", 100):  "nested too deep",
		"int32 uint32 1":          "it is of type u where type i must be",
		"just 1":                  "just is not a value",
		"@as b'x'":                "bytes are not of type as",
		strings.Repeat("[", 1000): "nested too deep",
	} {
		if v, err := ParseText(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40s: got %s, %v, want %q", text, v.Format(), err, want)
		}
	}
}

func FuzzParseText(f *testing.F) {
	for _, s := range []string{"'a'", "[uint32 1, 2]", "('a', <b'x'>)", "@a(st) []", `"\u00e9"`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		v, err := ParseText(text)
		if err != nil {
			return
		}
		again, err := ParseText(v.Format())
		if err != nil || again.Format() != v.Format() || again.sig != v.sig {
			t.Errorf("%q is printed as %s, which reads as %s, %v", text, v.Format(), again.Format(), err)
		}
	})
}

func FuzzMessage(f *testing.F) {
	f.Add(reply(methodReturn, []Value{to(1)}, Strings("a"), Variant(Struct(Byte(1), Uint64(2)))))
	f.Add(call.encode(1))
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) < fixed {
			return
		}
		n, err := length(data)
		if err != nil || n > len(data) {
			return
		}
		_, _ = parse(data[:n])
	})
}
