package netdev

import (
	"bytes"
	"errors"
	"testing"

	"golang.org/x/sys/unix"
)

// TestRequestReadsBack: what is sent is made as what is received.
func TestRequestReadsBack(t *testing.T) {
	m := request(unix.RTM_NEWLINK, unix.NLM_F_ACK, linkHeader(7, unix.IFF_UP, unix.IFF_UP))
	m = addString(m, unix.IFLA_IFNAME, "eth%d")
	m = addUint32(m, unix.IFLA_NEW_IFINDEX, 1<<31-1)
	m = add(m, unix.IFLA_ALT_IFNAME, nil)
	m = finish(m, 9)
	if len(m)%4 != 0 {
		t.Errorf("a message of %d bytes", len(m))
	}
	list, err := parse(append(m, m...))
	if err != nil || len(list) != 2 {
		t.Fatalf("%d messages, %v", len(list), err)
	}
	got := list[1]
	if got.kind != unix.RTM_NEWLINK || got.flags != unix.NLM_F_ACK|unix.NLM_F_REQUEST || got.seq != 9 {
		t.Errorf("read back as %+v", got)
	}
	l, err := parseLink(got.body)
	if err != nil || l != (Link{7, "eth%d", true}) {
		t.Errorf("the link is %+v, %v", l, err)
	}
	attrs, err := attributes(got.body[unix.SizeofIfInfomsg:])
	if err != nil || len(attrs) != 3 {
		t.Fatalf("%d attributes, %v", len(attrs), err)
	}
	if attrs[0].kind != unix.IFLA_IFNAME || attrs[0].text() != "eth%d" || native.Uint32(attrs[1].data) != 1<<31-1 || len(attrs[2].data) != 0 {
		t.Errorf("the attributes are %v", attrs)
	}
}

// TestFailure reads answers as the kernel makes them: with and without the request in
// them, with and without words.
func TestFailure(t *testing.T) {
	original := finish(addString(request(unix.RTM_NEWLINK, 0, linkHeader(1, 0, 0)), unix.IFLA_IFNAME, "eth0"), 3)
	code := func(errno unix.Errno) []byte { return native.AppendUint32(nil, uint32(-int32(errno))) }
	words := add(add(nil, 2, []byte{1, 2, 3, 4}), unix.NLMSGERR_ATTR_MSG, []byte("no such thing\x00"))
	for _, c := range []struct {
		name  string
		flags uint16
		body  []byte
		errno unix.Errno
		words string
		bad   bool
	}{
		{"acknowledged", unix.NLM_F_CAPPED, append(code(0), original[:16]...), 0, "", false},
		{"refused", 0, append(code(unix.EPERM), original...), unix.EPERM, "", false},
		{"with words", unix.NLM_F_ACK_TLVS, bytes.Join([][]byte{code(unix.EINVAL), original, words}, nil), unix.EINVAL, "no such thing", false},
		{"with words, capped", unix.NLM_F_ACK_TLVS | unix.NLM_F_CAPPED, bytes.Join([][]byte{code(unix.EINVAL), original[:16], words}, nil), unix.EINVAL, "no such thing", false},
		{"words cut off", unix.NLM_F_ACK_TLVS | unix.NLM_F_CAPPED, bytes.Join([][]byte{code(unix.EINVAL), original[:16], words[:12]}, nil), 0, "", true},
		{"request cut off", unix.NLM_F_ACK_TLVS, append(code(unix.EINVAL), original[:20]...), 0, "", true},
		{"empty", 0, nil, 0, "", true},
	} {
		errno, text, err := message{kind: unix.NLMSG_ERROR, flags: c.flags, body: c.body}.failure()
		if (err != nil) != c.bad || errno != c.errno || text != c.words {
			t.Errorf("%s: %v, %q, %v", c.name, errno, text, err)
		}
	}
}

func TestMalformed(t *testing.T) {
	whole := finish(addString(request(unix.RTM_NEWLINK, 0, linkHeader(1, 0, 0)), unix.IFLA_IFNAME, "eth0"), 3)
	for n := 1; n < len(whole); n++ {
		if _, err := parse(whole[:n]); !errors.Is(err, errMalformed) {
			t.Errorf("the first %d bytes of a message: %v", n, err)
		}
	}
	for _, b := range [][]byte{{1}, {3, 0, 0, 0}, {0, 0, 0, 0}, {9, 0, 1, 0, 1, 2, 3, 4}} {
		if _, err := attributes(b); !errors.Is(err, errMalformed) {
			t.Errorf("attributes % x: %v", b, err)
		}
	}
	if _, err := parseLink(make([]byte, 15)); !errors.Is(err, errMalformed) {
		t.Errorf("a short link: %v", err)
	}
	if _, _, err := parseAddress(make([]byte, 7), 1); !errors.Is(err, errMalformed) {
		t.Errorf("a short address: %v", err)
	}
}

// FuzzParse feeds everything that reads with anything: no answer may end the runtime,
// and no part of one may lie outside of it.
func FuzzParse(f *testing.F) {
	f.Add(finish(addString(request(unix.RTM_NEWLINK, 0, linkHeader(1, 0, 0)), unix.IFLA_IFNAME, "eth0"), 3))
	f.Add(finish(add(request(unix.RTM_NEWADDR, 0, addressHeader(unix.AF_INET, 24, 0x80, 0, 1)), unix.IFA_LOCAL, []byte{10, 0, 0, 1}), 3))
	f.Add(finish(append(request(unix.NLMSG_ERROR, unix.NLM_F_ACK_TLVS, []byte{0xff, 0xff, 0xff, 0xff}), finish(request(16, 0, nil), 1)...), 4))
	f.Fuzz(func(t *testing.T, b []byte) {
		list, err := parse(b)
		if err != nil && !errors.Is(err, errMalformed) {
			t.Fatal(err)
		}
		for _, m := range list {
			_, _, _ = m.failure()
			_, _ = parseLink(m.body)
			if a, _, err := parseAddress(m.body, 1); err == nil {
				for _, attr := range a.attributes {
					if len(attr.data) > len(m.body) {
						t.Fatalf("an attribute of %d bytes in a body of %d", len(attr.data), len(m.body))
					}
					_ = a.lifetime(attr.data)
				}
			}
		}
	})
}

func TestRelabel(t *testing.T) {
	for _, c := range []struct{ label, was, now, want string }{
		{"eth0", "eth0", "net1", "net1"},
		{"eth0:web", "eth0", "net1", "net1:web"},
		{"eth0:web", "eth0", "eth0", "eth0:web"},
		{"eth01", "eth0", "net1", "eth01"},
		{"other", "eth0", "net1", "other"},
		{"eth0:0123456789", "eth0", "container0", "cont:0123456789"},
		{"e:0123456789abc", "e", "container0", "c:0123456789abc"},
	} {
		if got := relabel(c.label, c.was, c.now); got != c.want || len(got) >= unix.IFNAMSIZ {
			t.Errorf("%s of %s, which becomes %s: %q, should be %q", c.label, c.was, c.now, got, c.want)
		}
	}
}
