package netdev

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// Link is what is asked about a network device.
type Link struct {
	Index int
	Name  string
	Up    bool
}

// skipStats leaves a device's counters out of an answer (RTEXT_FILTER_SKIP_STATS).
const skipStats = 8

// linkHeader is a struct ifinfomsg.
func linkHeader(index int, flags, change uint32) []byte {
	b := make([]byte, unix.SizeofIfInfomsg)
	native.PutUint32(b[4:], uint32(index))
	native.PutUint32(b[8:], flags)
	native.PutUint32(b[12:], change)
	return b
}

// ByName finds a device by its name or one of its alternative names. An error wraps
// ENODEV if there is none.
func (s *Socket) ByName(name string) (Link, error) {
	return s.link("RTM_GETLINK "+name, addString(request(unix.RTM_GETLINK, 0, linkHeader(0, 0, 0)), unix.IFLA_IFNAME, name))
}

// ByIndex finds a device by its index. An error wraps ENODEV if there is none.
func (s *Socket) ByIndex(index int) (Link, error) {
	return s.link(fmt.Sprintf("RTM_GETLINK %d", index), request(unix.RTM_GETLINK, 0, linkHeader(index, 0, 0)))
}

func (s *Socket) link(op string, m []byte) (Link, error) {
	answer, err := s.ask(op, addUint32(m, unix.IFLA_EXT_MASK, skipStats))
	if err != nil {
		return Link{}, err
	}
	for _, got := range answer {
		if got.kind != unix.RTM_NEWLINK {
			continue
		}
		l, err := parseLink(got.body)
		if err != nil {
			return Link{}, fmt.Errorf("%s: %w", op, err)
		}
		return l, nil
	}
	return Link{}, fmt.Errorf("%s: %w", op, errMalformed)
}

// parseLink reads the body of an RTM_NEWLINK.
func parseLink(body []byte) (Link, error) {
	if len(body) < unix.SizeofIfInfomsg {
		return Link{}, errMalformed
	}
	l := Link{Index: int(int32(native.Uint32(body[4:]))), Up: native.Uint32(body[8:])&unix.IFF_UP != 0}
	list, err := attributes(body[unix.SizeofIfInfomsg:])
	if err != nil {
		return Link{}, err
	}
	for _, a := range list {
		if a.kind == unix.IFLA_IFNAME {
			l.Name = a.text()
		}
	}
	return l, nil
}

// Up sets a device up.
func (s *Socket) Up(index int) error {
	return s.do("RTM_NEWLINK up", request(unix.RTM_NEWLINK, 0, linkHeader(index, unix.IFF_UP, unix.IFF_UP)))
}

// Rename gives a device that is down another name, which may be a pattern.
func (s *Socket) Rename(index int, name string) error {
	return s.do("RTM_NEWLINK IFLA_IFNAME "+name, addString(request(unix.RTM_NEWLINK, 0, linkHeader(index, 0, 0)), unix.IFLA_IFNAME, name))
}

// send moves a device into the namespace of an open descriptor, under a name and an
// index that are free there.
func (s *Socket) send(index, ns int, name string, as int) error {
	m := request(unix.RTM_NEWLINK, 0, linkHeader(index, 0, 0))
	m = addString(m, unix.IFLA_IFNAME, name)
	m = addUint32(m, unix.IFLA_NET_NS_FD, uint32(ns))
	m = addUint32(m, unix.IFLA_NEW_IFINDEX, uint32(as))
	return s.do("RTM_NEWLINK IFLA_NET_NS_FD", m)
}

// freeIndex is an index that no device has, the wanted one if possible.
func (s *Socket) freeIndex(wanted int) (int, error) {
	for index := wanted; index < wanted+1<<16; index++ {
		_, err := s.ByIndex(index)
		if errors.Is(err, unix.ENODEV) {
			return index, nil
		}
		if err != nil {
			return 0, err
		}
	}
	return 0, fmt.Errorf("no index from %d on is free", wanted)
}
