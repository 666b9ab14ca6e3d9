package state

import (
	"strconv"
	"strings"
)

// read is the opposite of render: it takes a text as render writes it, member by member,
// and nothing else. ok is false for any other text, such as one of another version of this
// program, or with escapes in a string: package json reads those. It would take a tenth of
// a whole command for each, most of it to prepare.
func (rec *Record) read(text string) (ok bool) {
	r := jsonReader{text: text}
	r.open()
	rec.Version = int(r.number("version", 32))
	rec.OCIVersion = r.string("ociVersion")
	rec.ID = r.string("id")
	rec.Bundle = r.string("bundle")
	rec.Rootfs = r.string("rootfs")
	if rec.Created.UnmarshalText([]byte(r.string("created"))) != nil {
		return false
	}
	rec.Owner = uint32(r.number("owner", 32))
	if r.has("annotations") {
		rec.Annotations = map[string]string{}
		for r.open(); !r.close(); {
			r.separate()
			name := r.quoted()
			r.take(":")
			rec.Annotations[name] = r.quoted()
			if r.failed {
				return false
			}
		}
	}
	rec.Phase = Phase(r.string("phase"))
	rec.Creator = r.process("creator")
	rec.Init = r.process("init")
	r.cgroup("cgroup", &rec.Cgroup)
	if r.has("rdt") {
		rec.Rdt = r.rdt()
	}
	rec.OwnPids = r.flag("ownPids")
	rec.NoPivot = r.flag("noPivot")
	if r.has("rootMount") {
		rec.RootMount = r.digits(64)
	}
	rec.HasProcess = r.flag("hasProcess")
	rec.Terminal = r.flag("terminal")
	rec.OldKeyring = r.set("oldKeyring")
	rec.Streams = r.strings("streams")
	rec.CriuTime = r.set("criuTime")
	rec.SeccompAgent = r.optional("seccompAgent")
	rec.SeccompMetadata = r.optional("seccompMetadata")
	rec.NoHooks = r.set("noHooks")
	r.end()
	return !r.failed && r.text == "\n"
}

func (r *jsonReader) process(name string) (p Process) {
	r.must(name)
	r.open()
	p.Pid = int(r.number("pid", 32))
	p.StartTime = r.number("startTime", 64)
	r.end()
	return p
}

func (r *jsonReader) cgroup(name string, c *Cgroup) {
	r.must(name)
	r.open()
	c.Manager = r.optional("manager")
	c.Path = r.optional("path")
	c.Dirs = r.strings("dirs")
	if r.has("inodes") {
		r.take("[")
		for more := true; more; more = r.skip(",") {
			c.Inodes = append(c.Inodes, r.digits(64))
		}
		r.take("]")
	}
	c.Unit = r.optional("unit")
	r.end()
}

func (r *jsonReader) rdt() *Rdt {
	r.open()
	rdt := &Rdt{Root: r.string("root"), Group: r.string("group"), Monitor: r.optional("monitor"), Remove: r.strings("remove")}
	r.end()
	return rdt
}

// jsonReader takes the members of objects off the front of a text. Once it has met
// something else than it was to take, it has failed, and what it returns means nothing.
type jsonReader struct {
	text   string
	inside bool // a member has been taken of the object around
	failed bool
}

// skip takes a part off the text, if it begins with that.
func (r *jsonReader) skip(part string) (skipped bool) {
	r.text, skipped = strings.CutPrefix(r.text, part)
	return skipped
}

// take takes a part off the text, which has to begin with it.
func (r *jsonReader) take(part string) {
	if !r.skip(part) {
		r.failed = true
	}
}

func (r *jsonReader) open() {
	r.take("{")
	r.inside = false
}

// close takes the end of an object, if it is there.
func (r *jsonReader) close() bool {
	closed := r.skip("}")
	r.inside = r.inside || closed // of the object around, a member ends
	return closed
}

// end takes the end of an object.
func (r *jsonReader) end() {
	if !r.close() {
		r.failed = true
	}
}

// separate takes what stands between two members.
func (r *jsonReader) separate() {
	if r.inside {
		r.take(",")
	}
	r.inside = true
}

// has takes a member's name, if it is the next one.
func (r *jsonReader) has(name string) bool {
	text := r.text
	if r.inside && !r.skip(",") || !r.skip(`"`) || !r.skip(name) || !r.skip(`":`) {
		r.text = text
		return false
	}
	r.inside = true
	return true
}

// must takes the name of the next member.
func (r *jsonReader) must(name string) {
	if !r.has(name) {
		r.failed = true
	}
}

// quoted takes a string of printable ASCII without escapes.
func (r *jsonReader) quoted() string {
	if r.skip(`"`) {
		for i := range len(r.text) {
			switch c := r.text[i]; {
			case c == '"':
				text := r.text[:i]
				r.text = r.text[i+1:]
				return text
			case c == '\\' || c < ' ' || c > '~':
				r.failed = true
				return ""
			}
		}
	}
	r.failed = true
	return ""
}

// digits takes a whole number that is not negative.
func (r *jsonReader) digits(bits int) uint64 {
	end := strings.IndexAny(r.text, ",]}")
	if end < 0 || end > 1 && r.text[0] == '0' {
		r.failed = true
		return 0
	}
	n, err := strconv.ParseUint(r.text[:end], 10, bits)
	r.failed = r.failed || err != nil
	r.text = r.text[end:]
	return n
}

func (r *jsonReader) string(name string) string {
	r.must(name)
	return r.quoted()
}

func (r *jsonReader) number(name string, bits int) uint64 {
	r.must(name)
	return r.digits(bits)
}

func (r *jsonReader) flag(name string) bool {
	r.must(name)
	if r.skip("true") {
		return true
	}
	r.take("false")
	return false
}

// optional is a string that may be missing.
func (r *jsonReader) optional(name string) string {
	if !r.has(name) {
		return ""
	}
	return r.quoted()
}

// set is a flag that may be missing.
func (r *jsonReader) set(name string) bool {
	if !r.has(name) {
		return false
	}
	r.take("true")
	return true
}

// strings is a list that may be missing, and is not empty.
func (r *jsonReader) strings(name string) (list []string) {
	if !r.has(name) {
		return nil
	}
	r.take("[")
	for more := true; more; more = r.skip(",") {
		list = append(list, r.quoted())
	}
	r.take("]")
	return list
}
