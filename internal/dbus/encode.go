package dbus

import "encoding/binary"

// order is the byte order of what we send. That of what we receive is told by
// each message.
var order = binary.LittleEndian

// encoder appends values to a message, whose beginning is that of buf.
type encoder struct{ buf []byte }

func (e *encoder) align(n int) {
	for len(e.buf)%n != 0 {
		e.buf = append(e.buf, 0)
	}
}

func (e *encoder) number(n uint64, size int) {
	e.align(size)
	switch size {
	case 1:
		e.buf = append(e.buf, byte(n))
	case 2:
		e.buf = order.AppendUint16(e.buf, uint16(n))
	case 4:
		e.buf = order.AppendUint32(e.buf, uint32(n))
	case 8:
		e.buf = order.AppendUint64(e.buf, n)
	}
}

// put appends one value. Values are made by this package's functions only, so
// that content and type agree.
func (e *encoder) put(v Value) {
	switch kind := v.sig[0]; kind {
	case 's', 'o':
		e.number(uint64(len(v.str)), 4)
		e.buf = append(append(e.buf, v.str...), 0)
	case 'g':
		e.signature(v.str)
	case 'v':
		e.signature(v.list[0].sig)
		e.put(v.list[0])
	case '(', '{':
		e.align(8)
		for _, f := range v.list {
			e.put(f)
		}
	case 'a':
		e.array(v)
	default:
		e.number(v.num, size(kind))
	}
}

func (e *encoder) signature(sig string) {
	e.buf = append(append(append(e.buf, byte(len(sig))), sig...), 0)
}

// array writes the length in bytes, which does not count the padding in front of
// the first element.
func (e *encoder) array(v Value) {
	e.number(0, 4)
	at := len(e.buf)
	e.align(alignment(v.sig[1]))
	begin := len(e.buf)
	for _, item := range v.list {
		e.put(item)
	}
	order.PutUint32(e.buf[at-4:], uint32(len(e.buf)-begin))
}
