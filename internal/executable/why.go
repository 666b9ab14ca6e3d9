package executable

import (
	"bytes"
	"fmt"
	"io/fs"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

// headSize is how much of a file is looked at. The kernel reads 256 bytes for a #! line,
// and linkers put the name of the interpreter right behind the program headers.
const headSize = 4096

// file is a file below a root that has been looked at.
type file struct {
	mode   uint32 // st_mode
	noexec bool   // the file system is mounted so
	path   string // where it is, below the root
	head   []byte // how a regular file begins
}

// Why says why a file was not executed with this errno, or "" if the file does not tell.
// root is a descriptor of the directory that the name, an absolute path, begins at;
// links are followed inside of it. covered says which paths below the root are not what
// the process saw there: nothing is said of files below.
func Why(root int, name string, errno unix.Errno, covered func(path string) bool) string {
	return why{root, covered}.of(name, errno, 0)
}

type why struct {
	root    int
	covered func(string) bool
}

// of answers [Why] for a file, which depth others name as their interpreter.
func (w why) of(name string, errno unix.Errno, depth int) string {
	f, err := open(w.root, name)
	if err != nil || w.covered(f.path) {
		return ""
	}
	switch kind := f.mode & unix.S_IFMT; {
	case kind == unix.S_IFDIR:
		return name + " is a directory"
	case kind != unix.S_IFREG:
		return name + " is no regular file"
	case f.mode&0o111 == 0:
		return fmt.Sprintf("%s is not executable: its mode is %#o (chmod +x)", name, f.mode&0o7777)
	}
	if f.noexec && errno == unix.EACCES {
		return "the file system of " + name + " is mounted noexec"
	}
	line, script := bytes.CutPrefix(f.head, []byte("#!"))
	elf, isELF := parse(f.head)
	switch {
	case len(f.head) == 0:
		return name + " is an empty file"
	case script:
		line, _, _ = bytes.Cut(line, []byte{'\n'})
		return w.script(name, string(line), errno, depth)
	case isELF && !elf.runsHere():
		return fmt.Sprintf("%s is a program for %s, and this machine is %s", name, elf.machine(), runtime.GOARCH)
	case isELF && errno == unix.ENOENT && elf.interpreter != "" && w.missing(elf.interpreter):
		return fmt.Sprintf("the dynamic linker of %s, %q, is not in the container", name, elf.interpreter)
	case isELF && errno == unix.ENOEXEC:
		return name + " is a damaged program, or one that this kernel is not built for"
	case !isELF && errno == unix.ENOEXEC:
		return name + " is neither a program nor a script: a script begins with a line such as #!/bin/sh"
	}
	return ""
}

// script answers for a script by its first line, without #!.
func (w why) script(name, line string, errno unix.Errno, depth int) string {
	interpreter, _, _ := strings.Cut(strings.Trim(line, " \t"), " ")
	interpreter, _, _ = strings.Cut(interpreter, "\t")
	switch {
	case interpreter == "" || interpreter[0] != '/':
		return ""
	case errno == unix.ENOENT && strings.HasSuffix(line, "\r") && w.missing(interpreter):
		return fmt.Sprintf("the first line of %s ends with a carriage return, so that its interpreter is %q: the file has the line ends of Windows", name, interpreter)
	case errno == unix.ENOENT && w.missing(interpreter):
		return fmt.Sprintf("the interpreter of %s, %q, is not in the container", name, interpreter)
	case depth >= 4: // the kernel gives up at five (fs/exec.c)
		return ""
	}
	return w.of(interpreter, errno, depth+1)
}

// missing says whether it is certain that there is no such file.
func (w why) missing(name string) bool {
	f, err := open(w.root, name)
	// What is missing here may lie on a mount that covers a directory on the way.
	return err == unix.ENOENT && !w.covered(f.path)
}

// open looks at a file. If it is not there, the path of what comes back is where it
// would be, as far as the links on the way can be followed.
func open(root int, name string) (file, error) {
	f := file{path: name}
	how := unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC, Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS}
	fd, err := unix.Openat2(root, name, &how)
	if err != nil {
		if slash := strings.LastIndexByte(strings.TrimRight(name, "/"), '/'); err == unix.ENOENT && slash > 0 {
			dir, _ := open(root, name[:slash])
			f.path = dir.path + name[slash:]
		}
		return f, err
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return f, err
	}
	var fs unix.Statfs_t
	if err := unix.Fstatfs(fd, &fs); err != nil {
		return f, err
	}
	f.mode, f.noexec = st.Mode, fs.Flags&unix.ST_NOEXEC != 0
	if f.path, err = below(root, fd); err != nil || !safe(&st, &fs) {
		return f, err
	}
	// The same file, not one that has taken its name.
	reading, err := unix.Open(fmt.Sprintf("/proc/self/fd/%d", fd), unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return f, err
	}
	defer unix.Close(reading)
	var head [headSize]byte
	n, err := unix.Pread(reading, head[:], 0)
	f.head = head[:max(n, 0)]
	return f, err
}

// safe says whether a file can be read without harm: a program that keeps what was written
// to it. What the kernel makes up while it is read may wait, or be there once only.
func safe(st *unix.Stat_t, fs *unix.Statfs_t) bool {
	return st.Mode&unix.S_IFMT == unix.S_IFREG && st.Mode&0o111 != 0 &&
		fs.Type != unix.PROC_SUPER_MAGIC && fs.Type != unix.SYSFS_MAGIC
}

// below is the path of an open file from an open directory above it.
func below(root, fd int) (string, error) {
	top, err := link(root)
	if err != nil {
		return "", err
	}
	path, err := link(fd)
	if err != nil {
		return "", err
	}
	rest, ok := strings.CutPrefix(path, strings.TrimSuffix(top, "/"))
	if !ok || rest != "" && rest[0] != '/' {
		return "", fs.ErrNotExist // moved away meanwhile
	}
	return "/" + strings.TrimPrefix(rest, "/"), nil
}

func link(fd int) (string, error) {
	var buf [unix.PathMax]byte
	n, err := unix.Readlink(fmt.Sprintf("/proc/self/fd/%d", fd), buf[:])
	return string(buf[:max(n, 0)]), err
}

// Resolve is where a name leads below a root, and the name itself if it leads nowhere.
func Resolve(root int, name string) string {
	f, _ := open(root, name)
	return f.path
}
