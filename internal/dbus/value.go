package dbus

import (
	"math"
	"strconv"
	"strings"
)

// A Value has a D-Bus type and content of that type. Make one by the functions
// below or by [ParseText]; the zero Value is none.
type Value struct {
	sig  string  // one complete type
	num  uint64  // the bits of a number or boolean
	str  string  // a string, object path or signature
	list []Value // of an array or structure, or the one in a variant
}

// String, Bool, Uint32 and Uint64 make basic values.
func String(s string) Value { return Value{sig: "s", str: s} }

// ObjectPath is a string of type o.
func ObjectPath(s string) Value { return Value{sig: "o", str: s} }

// Bool makes a boolean.
func Bool(b bool) Value {
	v := Value{sig: "b"}
	if b {
		v.num = 1
	}
	return v
}

// Byte makes a y.
func Byte(n byte) Value { return Value{sig: "y", num: uint64(n)} }

// Uint32 makes a u.
func Uint32(n uint32) Value { return Value{sig: "u", num: uint64(n)} }

// Int32 makes an i.
func Int32(n int32) Value { return Value{sig: "i", num: uint64(uint32(n))} }

// Uint64 makes a t.
func Uint64(n uint64) Value { return Value{sig: "t", num: n} }

// Array makes an array of values that all have the type elem.
func Array(elem string, values ...Value) Value { return Value{sig: "a" + elem, list: values} }

// Struct makes a structure.
func Struct(values ...Value) Value {
	var sig strings.Builder
	for _, v := range values {
		sig.WriteString(v.sig)
	}
	return Value{sig: "(" + sig.String() + ")", list: values}
}

// Variant makes a value that carries its own type.
func Variant(v Value) Value { return Value{sig: "v", list: []Value{v}} }

// Strings makes an array of strings.
func Strings(list ...string) Value {
	v := Value{sig: "as", list: make([]Value, len(list))}
	for i, s := range list {
		v.list[i] = String(s)
	}
	return v
}

// Bytes makes an array of bytes.
func Bytes(b []byte) Value {
	v := Value{sig: "ay", list: make([]Value, len(b))}
	for i, n := range b {
		v.list[i] = Byte(n)
	}
	return v
}

// Signature is the type, as in the specification's "Type System".
func (v Value) Signature() string { return v.sig }

// Text is the content of a string, object path or signature, "" for others.
func (v Value) Text() string { return v.str }

// Number is the content of an unsigned number or a boolean, 0 for others.
func (v Value) Number() uint64 {
	switch v.sig {
	case "y", "b", "q", "u", "t":
		return v.num
	}
	return 0
}

// Items are the elements of an array or structure, or the one value of a variant.
func (v Value) Items() []Value { return v.list }

// size is the number of bytes of a number, which is its alignment too, or 0.
func size(kind byte) int {
	switch kind {
	case 'y':
		return 1
	case 'n', 'q':
		return 2
	case 'b', 'i', 'u':
		return 4
	case 'x', 't', 'd':
		return 8
	}
	return 0
}

// alignment is the boundary that a value of a type begins at in a message.
func alignment(kind byte) int {
	switch kind {
	case '(', '{':
		return 8
	case 'a', 's', 'o':
		return 4
	case 'g', 'v':
		return 1
	}
	return max(size(kind), 1)
}

// next cuts the first complete type off a signature; ok tells whether it begins
// with one. The specification's bounds of depth hold: 32 arrays, 32 structures.
func next(sig string) (first, rest string, ok bool) {
	n := complete(sig, 0)
	if n <= 0 {
		return "", sig, false
	}
	return sig[:n], sig[n:], true
}

// complete is the length of the type that a signature begins with, or 0.
func complete(sig string, depth int) int {
	if sig == "" || depth > 64 {
		return 0
	}
	switch sig[0] {
	case 'y', 'b', 'n', 'q', 'i', 'u', 'x', 't', 'd', 's', 'o', 'g', 'v', 'h':
		return 1
	case 'a':
		if n := complete(sig[1:], depth+1); n > 0 {
			return 1 + n
		}
	case '(', '{':
		end := byte(')')
		if sig[0] == '{' {
			end = '}'
		}
		at, fields := 1, 0
		for at < len(sig) && sig[at] != end {
			n := complete(sig[at:], depth+1)
			if n == 0 {
				return 0
			}
			at, fields = at+n, fields+1
		}
		if at < len(sig) && fields > 0 {
			return at + 1
		}
	}
	return 0
}

// Float is the content of any number; ok tells whether it is one.
func (v Value) Float() (f float64, ok bool) {
	switch v.sig {
	case "y", "q", "u", "t":
		return float64(v.num), true
	case "n", "i", "x":
		return float64(v.signed()), true
	case "d":
		return math.Float64frombits(v.num), true
	}
	return 0, false
}

// signed extends the sign of a number to 64 bits.
func (v Value) signed() int64 {
	unused := 64 - 8*size(v.sig[0])
	return int64(v.num<<unused) >> unused
}

// Words is the content as busctl(1) takes it on its command line.
func (v Value) Words() []string {
	switch v.sig[0] {
	case 'a', '(', 'v':
		var words []string
		switch v.sig[0] {
		case 'a':
			words = append(words, strconv.Itoa(len(v.list)))
		case 'v':
			words = append(words, v.list[0].sig)
		}
		for _, item := range v.list {
			words = append(words, item.Words()...)
		}
		return words
	case 's', 'o', 'g':
		return []string{v.str}
	case 'b':
		return []string{strconv.FormatBool(v.num != 0)}
	}
	f := v.Format()
	return []string{f[strings.LastIndexByte(f, ' ')+1:]}
}
