package dbus

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// A Conn is a connection to a bus or to one peer. It is not safe for use by
// several goroutines.
type Conn struct {
	fd       int
	serial   uint32
	in       []byte // received and not yet looked at
	signals  []*Signal
	deadline time.Time
}

// A Signal is what a service tells everybody.
type Signal struct {
	Interface string
	Member    string
	Args      []Value
}

// Dial connects to a server at an address of the D-Bus specification, such as
// unix:path=/run/dbus/system_bus_socket, of which several may stand in a list
// separated by semicolons: the first that answers is taken. Only Unix sockets are known.
// Everything until the server has let the caller in happens before the deadline.
func Dial(address string, deadline time.Time) (*Conn, error) {
	var errs []error
	for one := range strings.SplitSeq(address, ";") {
		if one == "" {
			continue
		}
		name, err := socketName(one)
		if err == nil {
			var c *Conn
			if c, err = dial(name, deadline); err == nil {
				return c, nil
			}
		}
		errs = append(errs, err)
	}
	if len(errs) == 0 {
		return nil, errors.New("the D-Bus address is empty")
	}
	return nil, errors.Join(errs...)
}

// socketName is the name of the Unix socket in an address, "@" first if it is an abstract one.
func socketName(address string) (string, error) {
	transport, list, _ := strings.Cut(address, ":")
	if transport != "unix" {
		return "", fmt.Errorf("D-Bus address %s: only unix: is known", address)
	}
	for pair := range strings.SplitSeq(list, ",") {
		key, value, _ := strings.Cut(pair, "=")
		if key != "path" && key != "abstract" {
			continue
		}
		name, err := unescape(value)
		if err != nil || name == "" {
			return "", fmt.Errorf("D-Bus address %s: the %s is malformed", address, key)
		}
		if key == "abstract" {
			name = "@" + name
		}
		return name, nil
	}
	return "", fmt.Errorf("D-Bus address %s: neither path= nor abstract= is given", address)
}

// unescape replaces %XX in the value of an address.
func unescape(s string) (string, error) {
	var out strings.Builder
	for {
		plain, rest, found := strings.Cut(s, "%")
		out.WriteString(plain)
		if !found {
			return out.String(), nil
		}
		var b byte
		if len(rest) < 2 {
			return "", errMalformed
		}
		if _, err := fmt.Sscanf(rest[:2], "%02x", &b); err != nil {
			return "", errMalformed
		}
		out.WriteByte(b)
		s = rest[2:]
	}
}

func dial(name string, deadline time.Time) (*Conn, error) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	c := &Conn{fd: fd, deadline: deadline}
	for {
		err = unix.Connect(fd, &unix.SockaddrUnix{Name: name})
		if err != unix.EAGAIN && err != unix.EINTR {
			break
		}
		// A Unix socket says so while its queue is full, and cannot be polled for it.
		if time.Now().After(deadline) {
			err = ErrDeadline
			break
		}
		time.Sleep(time.Millisecond)
	}
	if err != nil {
		err = &os.PathError{Op: "connect", Path: name, Err: err}
	} else if err = c.authenticate(); err != nil {
		err = fmt.Errorf("%s: %w", name, err)
	}
	if err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// Close ends the connection.
func (c *Conn) Close() {
	if c.fd >= 0 {
		unix.Close(c.fd)
		c.fd = -1
	}
}

// authenticate says who we are and begins the stream of messages. The user is
// left out, so that the server takes what the kernel tells of the socket: in a
// user namespace we would not know our user id outside. All lines go at once; the answers
// are a request for the data that we have sent already, and a welcome.
func (c *Conn) authenticate() error {
	if err := c.write([]byte("\x00AUTH EXTERNAL\r\nDATA\r\nBEGIN\r\n")); err != nil {
		return err
	}
	for {
		line, err := c.line()
		if err != nil {
			return fmt.Errorf("authentication: %w", err)
		}
		switch word, _, _ := strings.Cut(line, " "); word {
		case "DATA":
		case "OK":
			return nil
		default:
			return fmt.Errorf("authentication: the server says %q", line)
		}
	}
}

// line reads one line of the authentication.
func (c *Conn) line() (string, error) {
	for {
		if text, rest, found := strings.Cut(string(c.in), "\r\n"); found {
			c.in = []byte(rest)
			return text, nil
		}
		if len(c.in) > 1<<14 {
			return "", errMalformed
		}
		if err := c.fill(); err != nil {
			return "", err
		}
	}
}

// Hello asks a bus for a name, which it wants to be asked for first. A peer is not asked.
func (c *Conn) Hello(deadline time.Time) error {
	_, err := c.Call(&Call{Destination: "org.freedesktop.DBus", Path: "/org/freedesktop/DBus", Interface: "org.freedesktop.DBus", Member: "Hello"}, deadline)
	return err
}

// Call calls a method and returns the values of its answer. A failure that the
// service tells is an [*Error]; [ErrDeadline] means that it told nothing in time,
// after which the connection is of no use any more.
func (c *Conn) Call(call *Call, deadline time.Time) ([]Value, error) {
	c.deadline = deadline
	c.serial++
	serial := c.serial
	if err := c.write(call.encode(serial)); err != nil {
		return nil, err
	}
	for {
		m, err := c.receive()
		switch {
		case err != nil:
			return nil, err
		case m.replySerial != serial:
		case m.kind == methodReturn:
			return m.body, nil
		case m.kind == methodError:
			e := &Error{Name: m.errorName}
			if len(m.body) > 0 {
				e.Text = m.body[0].Text()
			}
			return nil, e
		}
	}
}

// Await returns the first signal that matches, be it that it came during a call
// or that it is yet to come. Others that came before it are forgotten.
func (c *Conn) Await(match func(*Signal) bool, deadline time.Time) (*Signal, error) {
	c.deadline = deadline
	for {
		for len(c.signals) > 0 {
			s := c.signals[0]
			c.signals = c.signals[1:]
			if match(s) {
				return s, nil
			}
		}
		if _, err := c.receive(); err != nil {
			return nil, err
		}
	}
}

// receive reads one message, and keeps it for Await if it is a signal.
func (c *Conn) receive() (*message, error) {
	for len(c.in) < fixed {
		if err := c.fill(); err != nil {
			return nil, err
		}
	}
	n, err := length(c.in)
	if err != nil {
		return nil, err
	}
	for len(c.in) < n {
		if err := c.fill(); err != nil {
			return nil, err
		}
	}
	m, err := parse(c.in[:n])
	if err != nil {
		return nil, err
	}
	c.in = c.in[n:]
	if m.kind == signal {
		c.signals = append(c.signals, &Signal{m.iface, m.member, m.body})
	}
	return m, nil
}

// fill reads what there is, and waits for something before.
func (c *Conn) fill() error {
	var buf [4096]byte
	for {
		n, err := unix.Read(c.fd, buf[:])
		switch {
		case err == unix.EINTR:
		case err == unix.EAGAIN:
			if err := c.wait(unix.POLLIN); err != nil {
				return err
			}
		case err != nil:
			return os.NewSyscallError("read", err)
		case n == 0:
			return errClosed
		default:
			c.in = append(c.in, buf[:n]...)
			return nil
		}
	}
}

// write sends all of it.
func (c *Conn) write(data []byte) error {
	for len(data) > 0 {
		n, err := unix.SendmsgN(c.fd, data, nil, nil, unix.MSG_NOSIGNAL)
		switch {
		case err == unix.EINTR:
		case err == unix.EAGAIN:
			if err := c.wait(unix.POLLOUT); err != nil {
				return err
			}
		case err != nil:
			return os.NewSyscallError("sendmsg", err)
		default:
			data = data[n:]
		}
	}
	return nil
}

// wait sleeps until the socket is ready, at most until the deadline.
func (c *Conn) wait(events int16) error {
	for {
		left := time.Until(c.deadline)
		if left <= 0 {
			return ErrDeadline
		}
		// Rounded up: a poll of no time at all would be repeated without pause.
		ms := int((left + time.Millisecond - 1) / time.Millisecond)
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(c.fd), Events: events}}, ms)
		switch {
		case err == unix.EINTR:
		case err != nil:
			return os.NewSyscallError("poll", err)
		case n > 0:
			return nil
		}
	}
}
