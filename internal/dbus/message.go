package dbus

import "encoding/binary"

// Kinds of message; "Message Format" of the specification.
const (
	methodCall   = 1
	methodReturn = 2
	methodError  = 3
	signal       = 4
)

// Codes of header fields.
const (
	fieldPath        = 1
	fieldInterface   = 2
	fieldMember      = 3
	fieldErrorName   = 4
	fieldReplySerial = 5
	fieldDestination = 6
	fieldSignature   = 8
)

// noAutoStart asks the bus not to start the service that a call is for.
const noAutoStart = 2

// maxMessage is the specification's bound of a whole message, in bytes.
const maxMessage = 1 << 27

// message is one that was received.
type message struct {
	kind        byte
	replySerial uint32
	iface       string
	member      string
	errorName   string
	body        []Value
}

// A Call is a method to be called.
type Call struct {
	// Destination is the bus name of the service; it is left out where there
	// is no bus but one peer.
	Destination string
	Path        string
	Interface   string
	Member      string
	Args        []Value
}

// encode renders the call as a message.
func (c *Call) encode(serial uint32) []byte {
	var sig string
	var body encoder
	for _, v := range c.Args {
		sig += v.sig
		body.put(v)
	}
	field := func(code byte, v Value) Value { return Struct(Byte(code), Variant(v)) }
	fields := []Value{
		field(fieldPath, ObjectPath(c.Path)),
		field(fieldInterface, String(c.Interface)),
		field(fieldMember, String(c.Member)),
	}
	if c.Destination != "" {
		fields = append(fields, field(fieldDestination, String(c.Destination)))
	}
	if sig != "" {
		fields = append(fields, field(fieldSignature, Value{sig: "g", str: sig}))
	}
	e := encoder{make([]byte, 0, 256+len(body.buf))}
	e.buf = append(e.buf, 'l', methodCall, noAutoStart, 1)
	e.number(uint64(len(body.buf)), 4)
	e.number(uint64(serial), 4)
	e.put(Array("(yv)", fields...))
	e.align(8)
	return append(e.buf, body.buf...)
}

// fixed is the length of the part of a header that every message has: it ends with
// the length of the header's fields.
const fixed = 16

// length tells how long the message is that begins with these [fixed] bytes.
func length(head []byte) (int, error) {
	var o binary.ByteOrder
	switch head[0] {
	case 'l':
		o = binary.LittleEndian
	case 'B':
		o = binary.BigEndian
	default:
		return 0, errMalformed
	}
	body, fields := uint64(o.Uint32(head[4:])), uint64(o.Uint32(head[12:]))
	n := fixed + (fields+7)&^7 + body
	if head[3] != 1 || n > maxMessage {
		return 0, errMalformed
	}
	return int(n), nil
}

// parse reads a whole message, as long as [length] says.
func parse(data []byte) (*message, error) {
	d := decoder{buf: data, order: binary.LittleEndian}
	if data[0] == 'B' {
		d.order = binary.BigEndian
	}
	m := &message{kind: data[1]}
	d.at = 12
	fields := d.value("a(yv)", 0)
	d.align(8)
	var sig string
	for _, f := range fields.list {
		if d.bad || len(f.list) != 2 {
			break
		}
		v := f.list[1].list[0]
		switch f.list[0].num {
		case fieldInterface:
			m.iface = v.str
		case fieldMember:
			m.member = v.str
		case fieldErrorName:
			m.errorName = v.str
		case fieldReplySerial:
			m.replySerial = uint32(v.num)
		case fieldSignature:
			sig = v.str
		}
	}
	if d.bad {
		return nil, errMalformed
	}
	m.body = d.all(sig)
	if d.bad {
		return nil, errMalformed
	}
	return m, nil
}
