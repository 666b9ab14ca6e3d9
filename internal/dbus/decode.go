package dbus

import (
	"encoding/binary"
	"errors"
)

// errMalformed is a message that breaks the protocol.
var errMalformed = errors.New("malformed D-Bus message")

// maxArray is the specification's bound of an array, in bytes.
const maxArray = 1 << 26

// decoder reads values from a message that begins where buf does.
type decoder struct {
	buf   []byte
	at    int
	order binary.ByteOrder
	bad   bool
}

// take returns the next n bytes, or nil and remembers that there are too few.
func (d *decoder) take(n int) []byte {
	if d.bad || n < 0 || len(d.buf)-d.at < n {
		d.bad = true
		return nil
	}
	b := d.buf[d.at : d.at+n]
	d.at += n
	return b
}

func (d *decoder) align(n int) { d.take((n - d.at%n) % n) }

func (d *decoder) number(size int) uint64 {
	d.align(size)
	b := d.take(size)
	switch {
	case b == nil:
		return 0
	case size == 1:
		return uint64(b[0])
	case size == 2:
		return uint64(d.order.Uint16(b))
	case size == 4:
		return uint64(d.order.Uint32(b))
	}
	return d.order.Uint64(b)
}

// text reads n bytes and the zero byte behind them.
func (d *decoder) text(n uint64) string {
	if n > uint64(len(d.buf)) {
		d.bad = true
		return ""
	}
	b := d.take(int(n) + 1)
	if b == nil || b[n] != 0 {
		d.bad = true
		return ""
	}
	return string(b[:n])
}

// all reads one value of each type in the signature.
func (d *decoder) all(sig string) []Value {
	var values []Value
	for sig != "" && !d.bad {
		first, rest, ok := next(sig)
		if !ok {
			d.bad = true
			break
		}
		values = append(values, d.value(first, 0))
		sig = rest
	}
	return values
}

// value reads one value of a type. depth counts what it is nested in: variants
// do that without their type telling.
func (d *decoder) value(sig string, depth int) Value {
	v := Value{sig: sig}
	if depth > 64 {
		d.bad = true
	}
	if d.bad {
		return v
	}
	switch kind := sig[0]; kind {
	case 's', 'o':
		v.str = d.text(d.number(4))
	case 'g':
		v.str = d.text(d.number(1))
	case 'v':
		inner := d.text(d.number(1))
		one, rest, ok := next(inner)
		if !ok || rest != "" {
			d.bad = true
			return v
		}
		v.list = []Value{d.value(one, depth+1)}
	case '(', '{':
		d.align(8)
		for fields := sig[1 : len(sig)-1]; fields != "" && !d.bad; {
			first, rest, ok := next(fields)
			if !ok {
				d.bad = true
				break
			}
			v.list = append(v.list, d.value(first, depth+1))
			fields = rest
		}
	case 'a':
		length := d.number(4)
		d.align(alignment(sig[1]))
		if length > maxArray || length > uint64(len(d.buf)-d.at) {
			d.bad = true
			return v
		}
		for end := d.at + int(length); d.at < end && !d.bad; {
			v.list = append(v.list, d.value(sig[1:], depth+1))
		}
	case 'h':
		v.num = d.number(4)
	default:
		v.num = d.number(size(kind))
	}
	return v
}
