package netdev

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// ifaProto is IFA_PROTO (Linux 5.18): who has set the address.
const ifaProto = 0xb

// Address is a network address of a device: the kernel's own description of it.
type Address struct {
	family, prefix byte
	flags          uint32
	attributes     []attribute // without flags
}

// settable are the flags of an address that come from whoever set it. The others say
// what became of it (linux/if_addr.h).
const settable = unix.IFA_F_NODAD | unix.IFA_F_OPTIMISTIC | unix.IFA_F_HOMEADDRESS | unix.IFA_F_MANAGETEMPADDR |
	unix.IFA_F_NOPREFIXROUTE | unix.IFA_F_MCAUTOJOIN

// carried are the attributes of an address that are its own.
var carried = []uint16{
	unix.IFA_ADDRESS, unix.IFA_LOCAL, unix.IFA_LABEL, unix.IFA_BROADCAST, unix.IFA_ANYCAST, unix.IFA_CACHEINFO,
	unix.IFA_RT_PRIORITY, ifaProto,
}

// addressHeader is a struct ifaddrmsg.
func addressHeader(family, prefix, flags, scope byte, index int) []byte {
	return native.AppendUint32([]byte{family, prefix, flags, scope}, uint32(index))
}

// Addresses are those of a device that move with it: permanent ones of global scope, in
// the order in which the kernel has them.
func (s *Socket) Addresses(index int) ([]Address, error) {
	const op = "RTM_GETADDR"
	var answer []message
	var err error
	// A dump that others disturb is taken again.
	for range 8 {
		answer, err = s.ask(op, request(unix.RTM_GETADDR, unix.NLM_F_DUMP, addressHeader(unix.AF_UNSPEC, 0, 0, 0, index)))
		if !errors.Is(err, unix.EINTR) {
			break
		}
	}
	if err != nil {
		return nil, err
	}
	var list []Address
	for _, got := range answer {
		if got.kind != unix.RTM_NEWADDR {
			continue
		}
		a, ok, err := parseAddress(got.body, index)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", op, err)
		}
		if ok {
			list = append(list, a)
		}
	}
	return list, nil
}

// parseAddress reads the body of an RTM_NEWADDR, and says whether the address is one
// that moves with the device.
func parseAddress(body []byte, index int) (a Address, moves bool, err error) {
	if len(body) < unix.SizeofIfAddrmsg {
		return a, false, errMalformed
	}
	a = Address{family: body[0], prefix: body[1], flags: uint32(body[2])}
	scope, owner := body[3], int(native.Uint32(body[4:]))
	list, err := attributes(body[unix.SizeofIfAddrmsg:])
	if err != nil {
		return a, false, err
	}
	for _, attr := range list {
		switch {
		case attr.kind == unix.IFA_FLAGS && len(attr.data) == 4:
			a.flags = native.Uint32(attr.data)
		case slices.Contains(carried, attr.kind):
			a.attributes = append(a.attributes, attr)
		}
	}
	return a, owner == index && scope == unix.RT_SCOPE_UNIVERSE && a.flags&unix.IFA_F_PERMANENT != 0, nil
}

// Add gives an address to a device whose name was another when the address was read.
func (s *Socket) Add(index int, a Address, was, now string) error {
	m := request(unix.RTM_NEWADDR, unix.NLM_F_CREATE|unix.NLM_F_REPLACE, addressHeader(a.family, a.prefix, 0, unix.RT_SCOPE_UNIVERSE, index))
	for _, attr := range a.attributes {
		switch attr.kind {
		case unix.IFA_LABEL:
			m = addString(m, attr.kind, relabel(attr.text(), was, now))
		case unix.IFA_CACHEINFO:
			m = add(m, attr.kind, a.lifetime(attr.data))
		default:
			m = add(m, attr.kind, attr.data)
		}
	}
	m = addUint32(m, unix.IFA_FLAGS, a.flags&settable)
	return s.do("RTM_NEWADDR", m)
}

// lifetime is a struct ifa_cacheinfo with what is set in it: the preferred and the valid
// lifetime in seconds. For a deprecated IPv4 address that is permanent the kernel
// tells an unlimited one, and nothing else but the flag.
func (a Address) lifetime(info []byte) []byte {
	b := make([]byte, unix.SizeofIfaCacheinfo)
	copy(b[:8], info)
	if a.family == unix.AF_INET && a.flags&unix.IFA_F_DEPRECATED != 0 {
		native.PutUint32(b, 0)
	}
	return b
}

// relabel changes a label as a change of the device's name does: the device's name in
// front becomes the new one. What does not fit in behind it takes the room of the name.
func relabel(label, was, now string) string {
	suffix, own := strings.CutPrefix(label, was)
	if !own || suffix != "" && suffix[0] != ':' {
		return label
	}
	if most := unix.IFNAMSIZ - 1; len(now)+len(suffix) > most {
		return now[:max(0, most-len(suffix))] + suffix
	}
	return now + suffix
}
