package netdev

import (
	"encoding/binary"
	"errors"

	"golang.org/x/sys/unix"
)

// native is the byte order of all but the addresses themselves.
var native = binary.NativeEndian

// errMalformed is an answer that is not made as netlink(7) says.
var errMalformed = errors.New("malformed netlink message")

// attribute is one of the type-length-value triples behind a message's fixed part.
type attribute struct {
	kind uint16
	data []byte
}

// request starts a message of a kind, with its fixed part. Attributes follow by add.
func request(kind, flags uint16, fixed []byte) []byte {
	m := make([]byte, unix.NLMSG_HDRLEN, 128)
	native.PutUint16(m[4:], kind)
	native.PutUint16(m[6:], flags|unix.NLM_F_REQUEST)
	return append(m, fixed...)
}

// add appends an attribute, padded to the next multiple of four bytes.
func add(m []byte, kind uint16, data []byte) []byte {
	m = native.AppendUint16(m, uint16(unix.SizeofRtAttr+len(data)))
	m = native.AppendUint16(m, kind)
	m = append(m, data...)
	for len(m)%unix.NLMSG_ALIGNTO != 0 {
		m = append(m, 0)
	}
	return m
}

// addString appends a string with its closing NUL.
func addString(m []byte, kind uint16, s string) []byte {
	return add(m, kind, append([]byte(s), 0))
}

// addUint32 appends a number of 32 bits.
func addUint32(m []byte, kind uint16, n uint32) []byte {
	return add(m, kind, native.AppendUint32(nil, n))
}

// finish fills in the length and the number by which the answer is known.
func finish(m []byte, seq uint32) []byte {
	native.PutUint32(m[0:], uint32(len(m)))
	native.PutUint32(m[8:], seq)
	return m
}

// message is one that was received.
type message struct {
	kind, flags uint16
	seq         uint32
	body        []byte
}

// parse cuts what one read returned into its messages.
func parse(b []byte) ([]message, error) {
	var list []message
	for len(b) > 0 {
		if len(b) < unix.NLMSG_HDRLEN {
			return nil, errMalformed
		}
		size := native.Uint32(b)
		if size < unix.NLMSG_HDRLEN || uint64(size) > uint64(len(b)) {
			return nil, errMalformed
		}
		list = append(list, message{
			kind: native.Uint16(b[4:]), flags: native.Uint16(b[6:]), seq: native.Uint32(b[8:]),
			body: b[unix.NLMSG_HDRLEN:size],
		})
		b = b[min(align(int(size)), len(b)):]
	}
	return list, nil
}

// attributes cuts what lies behind a message's fixed part into attributes. Their kinds
// are without the two bits that say how nested ones are encoded.
func attributes(b []byte) ([]attribute, error) {
	var list []attribute
	for len(b) > 0 {
		if len(b) < unix.SizeofRtAttr {
			return nil, errMalformed
		}
		size := int(native.Uint16(b))
		if size < unix.SizeofRtAttr || size > len(b) {
			return nil, errMalformed
		}
		list = append(list, attribute{native.Uint16(b[2:]) &^ (unix.NLA_F_NESTED | unix.NLA_F_NET_BYTEORDER), b[unix.SizeofRtAttr:size]})
		b = b[min(align(size), len(b)):]
	}
	return list, nil
}

// align rounds up to the next multiple of four.
func align(n int) int { return (n + unix.NLMSG_ALIGNTO - 1) &^ (unix.NLMSG_ALIGNTO - 1) }

// text is a string attribute without its closing NUL.
func (a attribute) text() string {
	for i, c := range a.data {
		if c == 0 {
			return string(a.data[:i])
		}
	}
	return string(a.data)
}

// failure reads an NLMSG_ERROR: the errno, 0 for success, and the kernel's own words
// where it has some (NETLINK_EXT_ACK).
func (m message) failure() (errno unix.Errno, words string, err error) {
	const code, header = 4, unix.NLMSG_HDRLEN
	if len(m.body) < code+header {
		return 0, "", errMalformed
	}
	errno = unix.Errno(-int32(native.Uint32(m.body)))
	if m.flags&unix.NLM_F_ACK_TLVS == 0 {
		return errno, "", nil
	}
	rest := m.body[code:]
	skip := header // the request's header, and all of it unless the answer is capped
	if m.flags&unix.NLM_F_CAPPED == 0 {
		if size := native.Uint32(rest); size >= header && uint64(size) <= uint64(len(rest)) {
			skip = min(align(int(size)), len(rest))
		} else {
			return 0, "", errMalformed
		}
	}
	list, err := attributes(rest[skip:])
	if err != nil {
		return 0, "", err
	}
	for _, a := range list {
		if a.kind == unix.NLMSGERR_ATTR_MSG {
			words = a.text()
		}
	}
	return errno, words, nil
}
