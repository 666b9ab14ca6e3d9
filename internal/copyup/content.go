package copyup

import (
	"io"

	"golang.org/x/sys/unix"
)

// chunk is the most that is copied with one call, so that a huge file does not keep
// the process in the kernel for long.
const chunk = 64 << 20

// content copies what a file holds, up to the size that it had when it was opened.
// It returns the system call that failed.
func (c *copier) content(src, dst int, st *unix.Stat_t) (op string, err error) {
	if st.Blocks*512 >= st.Size {
		return c.extent(src, dst, 0, st.Size)
	}
	// The file has holes, or is compressed.
	for at := int64(0); at < st.Size; {
		data, err := unix.Seek(src, at, unix.SEEK_DATA)
		if err == unix.ENXIO {
			break // holes until its end
		}
		if err != nil {
			return "lseek SEEK_DATA", err
		}
		if data >= st.Size {
			break
		}
		end, err := unix.Seek(src, data, unix.SEEK_HOLE)
		if err == unix.ENXIO {
			break // made shorter meanwhile
		}
		if err != nil {
			return "lseek SEEK_HOLE", err
		}
		at = min(end, st.Size)
		if op, err := c.extent(src, dst, data, at); err != nil {
			return op, err
		}
	}
	return "ftruncate", unix.Ftruncate(dst, st.Size)
}

// extent copies the bytes from offset at to end, or to the end of the file.
func (c *copier) extent(src, dst int, at, end int64) (op string, err error) {
	if at >= end {
		return "", nil
	}
	if !c.noRange {
		to := at
		for at < end {
			n, err := unix.CopyFileRange(src, &at, dst, &to, int(min(end-at, chunk)), 0)
			switch {
			case err == unix.EINTR:
				continue
			case err == unix.EXDEV || err == unix.EINVAL || err == unix.EOPNOTSUPP || err == unix.ENOSYS:
				// Since Linux 5.19, only within one kind of file system.
				c.noRange = true
			case err != nil:
				return "copy_file_range", err
			case n > 0:
				continue
			}
			// It says 0 at the end of the file, and also for files whose size is a
			// pretence: sendfile knows better.
			break
		}
	}
	if at >= end {
		return "", nil
	}
	if _, err := unix.Seek(dst, at, io.SeekStart); err != nil {
		return "lseek", err
	}
	for at < end {
		n, err := unix.Sendfile(dst, src, &at, int(min(end-at, chunk)))
		switch {
		case err == unix.EINTR || err == unix.EAGAIN:
		case err == unix.EINVAL:
			return c.readWrite(src, dst, at, end) // the file system can't splice
		case err != nil:
			return "sendfile", err
		case n == 0:
			return "", nil
		}
	}
	return "", nil
}

// readWrite copies as extent does, from any file that can be read. The target's
// offset is at.
func (c *copier) readWrite(src, dst int, at, end int64) (op string, err error) {
	buf := make([]byte, min(end-at, 256<<10))
	for at < end {
		n, err := unix.Pread(src, buf[:min(end-at, int64(len(buf)))], at)
		switch {
		case err == unix.EINTR:
			continue
		case err != nil:
			return "pread64", err
		case n == 0:
			return "", nil
		}
		for part := buf[:n]; len(part) > 0; {
			n, err := unix.Write(dst, part)
			if err == unix.EINTR {
				continue
			}
			if err != nil {
				return "write", err
			}
			part = part[n:]
		}
		at += int64(n)
	}
	return "", nil
}
