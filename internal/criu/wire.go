package criu

import (
	"encoding/binary"
	"errors"
)

// message is a protocol buffer being written: fields in the order of their numbers
// (protobuf.dev, "Encoding").
type message []byte

// The types of fields on the wire.
const (
	wireVarint  = 0
	wireFixed64 = 1
	wireBytes   = 2
	wireFixed32 = 5
)

func (m *message) key(field, wire int) {
	*m = binary.AppendUvarint(*m, uint64(field)<<3|uint64(wire))
}

// number appends an integer; a negative one has ten bytes, whatever its type is.
func (m *message) number(field int, value int64) {
	m.key(field, wireVarint)
	*m = binary.AppendUvarint(*m, uint64(value))
}

// flag appends a bool that is true. Every one of CRIU's is false where it is missing.
func (m *message) flag(field int, value bool) {
	if value {
		m.number(field, 1)
	}
}

// text appends a string, or nothing for an empty one.
func (m *message) text(field int, value string) {
	if value != "" {
		m.sub(field, message(value))
	}
}

// texts appends a repeated string.
func (m *message) texts(field int, values []string) {
	for _, v := range values {
		m.sub(field, message(v))
	}
}

// sub appends a message within this one.
func (m *message) sub(field int, value message) {
	m.key(field, wireBytes)
	*m = append(binary.AppendUvarint(*m, uint64(len(value))), value...)
}

// errWire is an answer that is no protocol buffer.
var errWire = errors.New("the message is no protocol buffer")

// field is one of a message that was read: a number, or bytes.
type field struct {
	field int
	value uint64
	bytes []byte
}

// fieldsOf takes a message apart. Fields of fixed width, of which CRIU's answers have none,
// are passed over.
func fieldsOf(m []byte) ([]field, error) {
	var list []field
	for len(m) > 0 {
		key, n := binary.Uvarint(m)
		if n <= 0 {
			return nil, errWire
		}
		m = m[n:]
		f := field{field: int(key >> 3)}
		size := uint64(0)
		switch key & 7 {
		case wireVarint:
			if f.value, n = binary.Uvarint(m); n <= 0 {
				return nil, errWire
			}
			size = uint64(n)
		case wireBytes:
			length, n := binary.Uvarint(m)
			if n <= 0 || length > uint64(len(m)-n) {
				return nil, errWire
			}
			f.bytes = m[n : n+int(length)]
			size = uint64(n) + length
		case wireFixed64:
			size = 8
		case wireFixed32:
			size = 4
		default:
			return nil, errWire
		}
		if size > uint64(len(m)) {
			return nil, errWire
		}
		m = m[size:]
		list = append(list, f)
	}
	return list, nil
}
