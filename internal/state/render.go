package state

import (
	"maps"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"
)

// render is the opposite of parse. Package json prepares for every type before it
// encodes the first value, which would be a fiftieth of a whole run; a test holds the
// two to each other.
func (rec *Record) render() []byte {
	rec.Version = Version
	var w jsonWriter
	w.open("")
	w.number("version", uint64(rec.Version))
	w.text("ociVersion", rec.OCIVersion)
	w.text("id", rec.ID)
	w.text("bundle", rec.Bundle)
	w.text("rootfs", rec.Rootfs)
	w.text("created", rec.Created.Format(time.RFC3339Nano))
	w.number("owner", uint64(rec.Owner))
	if len(rec.Annotations) > 0 {
		w.open("annotations")
		for _, key := range slices.Sorted(maps.Keys(rec.Annotations)) {
			w.text(key, rec.Annotations[key])
		}
		w.close()
	}
	w.text("phase", string(rec.Phase))
	w.process("creator", rec.Creator)
	w.process("init", rec.Init)
	w.cgroup("cgroup", &rec.Cgroup)
	if rec.Rdt != nil {
		w.rdt("rdt", rec.Rdt)
	}
	w.flag("ownPids", rec.OwnPids)
	w.flag("noPivot", rec.NoPivot)
	if rec.RootMount != 0 {
		w.number("rootMount", rec.RootMount)
	}
	w.flag("hasProcess", rec.HasProcess)
	w.flag("terminal", rec.Terminal)
	w.set("oldKeyring", rec.OldKeyring)
	w.texts("streams", rec.Streams)
	w.set("criuTime", rec.CriuTime)
	w.optional("seccompAgent", rec.SeccompAgent)
	w.optional("seccompMetadata", rec.SeccompMetadata)
	w.set("noHooks", rec.NoHooks)
	w.close()
	return append(w.out, '\n')
}

// optional is text that is left out when it is empty.
func (w *jsonWriter) optional(name, value string) {
	if value != "" {
		w.text(name, value)
	}
}

func (w *jsonWriter) process(name string, p Process) {
	w.open(name)
	w.out = strconv.AppendInt(w.key("pid"), int64(p.Pid), 10)
	w.number("startTime", p.StartTime)
	w.close()
}

func (w *jsonWriter) cgroup(name string, c *Cgroup) {
	w.open(name)
	if c.Manager != "" {
		w.text("manager", c.Manager)
	}
	if c.Path != "" {
		w.text("path", c.Path)
	}
	w.texts("dirs", c.Dirs)
	if len(c.Inodes) > 0 {
		w.out = append(w.key("inodes"), '[')
		for i, inode := range c.Inodes {
			w.separate(i)
			w.out = strconv.AppendUint(w.out, inode, 10)
		}
		w.out = append(w.out, ']')
	}
	if c.Unit != "" {
		w.text("unit", c.Unit)
	}
	w.close()
}

func (w *jsonWriter) rdt(name string, r *Rdt) {
	w.open(name)
	w.text("root", r.Root)
	w.text("group", r.Group)
	if r.Monitor != "" {
		w.text("monitor", r.Monitor)
	}
	w.texts("remove", r.Remove)
	w.close()
}

// jsonWriter appends the members of objects.
type jsonWriter struct{ out []byte }

// key begins a member.
func (w *jsonWriter) key(name string) []byte {
	if n := len(w.out); n > 0 && w.out[n-1] != '{' {
		w.out = append(w.out, ',')
	}
	return append(appendQuoted(w.out, name), ':')
}

func (w *jsonWriter) separate(index int) {
	if index > 0 {
		w.out = append(w.out, ',')
	}
}

// open begins an object, which is a member unless it has no name.
func (w *jsonWriter) open(name string) {
	if name != "" {
		w.out = w.key(name)
	}
	w.out = append(w.out, '{')
}

func (w *jsonWriter) close()                       { w.out = append(w.out, '}') }
func (w *jsonWriter) text(name, value string)      { w.out = appendQuoted(w.key(name), value) }
func (w *jsonWriter) number(name string, n uint64) { w.out = strconv.AppendUint(w.key(name), n, 10) }
func (w *jsonWriter) flag(name string, value bool) { w.out = strconv.AppendBool(w.key(name), value) }

// texts is a list that is there only if it is not empty.
func (w *jsonWriter) texts(name string, list []string) {
	if len(list) == 0 {
		return
	}
	w.out = append(w.key(name), '[')
	for i, s := range list {
		w.separate(i)
		w.out = appendQuoted(w.out, s)
	}
	w.out = append(w.out, ']')
}

// set is a flag that is there only if it is true.
func (w *jsonWriter) set(name string, value bool) {
	if value {
		w.flag(name, true)
	}
}

// appendQuoted appends a string as RFC 8259 has it. What is not UTF-8 becomes U+FFFD,
// as in package json.
func appendQuoted(out []byte, s string) []byte {
	const hex = "0123456789abcdef"
	out = append(out, '"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			out = append(out, '\\', byte(r))
		case r < 0x20:
			out = append(out, '\\', 'u', '0', '0', hex[r>>4], hex[r&0xf])
		default:
			out = utf8.AppendRune(out, r)
		}
	}
	return append(out, '"')
}
