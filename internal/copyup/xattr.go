package copyup

import (
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// xattrMax is the most that a value or a list of names takes, in bytes
// (XATTR_SIZE_MAX, XATTR_LIST_MAX in linux/limits.h).
const xattrMax = 64 << 10

// xattrBuffers are made when the first attribute is met.
type xattrBuffers struct{ names, value []byte }

// attributed is a file whose attributes are wanted: an open one, or an O_PATH
// descriptor by its magic link, which is not followed further, so that a symbolic
// link's own attributes are meant.
type attributed struct {
	fd   int
	path string
}

func byFd(fd int) attributed   { return attributed{fd: fd} }
func byPath(fd int) attributed { return attributed{path: "/proc/self/fd/" + strconv.Itoa(fd)} }

func (f attributed) list(buf []byte) (int, error) {
	if f.path != "" {
		return unix.Listxattr(f.path, buf)
	}
	return unix.Flistxattr(f.fd, buf)
}

func (f attributed) get(name string, buf []byte) (int, error) {
	if f.path != "" {
		return unix.Getxattr(f.path, name, buf)
	}
	return unix.Fgetxattr(f.fd, name, buf)
}

func (f attributed) set(name string, value []byte) error {
	if f.path != "" {
		return unix.Setxattr(f.path, name, value, 0)
	}
	return unix.Fsetxattr(f.fd, name, value, 0)
}

// copyXattrs gives dst the extended attributes of src, the entry of this name.
func (c *copier) copyXattrs(src, dst attributed, name string) error {
	switch n, err := src.list(nil); {
	case err == unix.EOPNOTSUPP || err == nil && n == 0:
		return nil
	case err != nil:
		return c.fault("listxattr", name, err)
	}
	b := &c.xattrs
	if b.names == nil {
		b.names, b.value = make([]byte, xattrMax), make([]byte, xattrMax)
	}
	n, err := src.list(b.names)
	if err != nil {
		return c.fault("listxattr", name, err)
	}
	for attr := range strings.SplitSeq(string(b.names[:n]), "\x00") {
		if attr == "" {
			continue
		}
		n, err := src.get(attr, b.value)
		if err == unix.ENODATA {
			continue // removed meanwhile
		}
		if err != nil {
			return c.fault("getxattr "+strconv.Quote(attr), name, err)
		}
		err = dst.set(attr, b.value[:n])
		if err == unix.EOPNOTSUPP && (strings.HasPrefix(attr, "user.") || attr == "security.selinux") {
			continue
		}
		if err != nil {
			return c.fault("setxattr "+strconv.Quote(attr), name, err)
		}
	}
	return nil
}
