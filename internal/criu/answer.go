package criu

import "fmt"

// Answer is what CRIU says to a request (criu_resp).
type Answer struct {
	Kind    Kind
	Success bool
	// Pid is that of the restored process.
	Pid int
	// Notice is what CRIU is about to do, or has done, "" if this is the end: it waits until
	// the caller has done its part. NoticePid is the process that it is about, or 0.
	Notice    string
	NoticePid int
	// Fd came along with a notice, or is -1.
	Fd       int
	Errno    int
	Message  string // the first error of its log
	Features Features
	Version  int // 31700 is 3.17
}

// Heeds says whether it makes a difference for CRIU what has come of a notice: what it tells at the
// end of a restore it only tells.
func (a *Answer) Heeds() bool { return a.Notice != "pre-resume" && a.Notice != "post-resume" }

// decode reads a criu_resp.
func decode(text []byte) (*Answer, error) {
	fields, err := fieldsOf(text)
	if err != nil {
		return nil, err
	}
	a := &Answer{Fd: -1}
	for _, f := range fields {
		var inner []field
		switch f.field {
		case 4, 5, 8, 10:
			if inner, err = fieldsOf(f.bytes); err != nil {
				return nil, err
			}
		}
		switch f.field {
		case 1:
			a.Kind = Kind(f.value)
		case 2:
			a.Success = f.value != 0
		case 4:
			for _, g := range inner {
				if g.field == 1 {
					a.Pid = int(int32(g.value))
				}
			}
		case 5:
			for _, g := range inner {
				switch g.field {
				case 1:
					a.Notice = string(g.bytes)
				case 2:
					a.NoticePid = int(int32(g.value))
				}
			}
		case 7:
			a.Errno = int(int32(f.value))
		case 8:
			for _, g := range inner {
				switch g.field {
				case 1:
					a.Features.MemTrack = g.value != 0
				case 2:
					a.Features.LazyPages = g.value != 0
				}
			}
		case 9:
			a.Message = string(f.bytes)
		case 10:
			a.Version = versionOf(inner)
		}
	}
	return a, nil
}

// versionOf is a criu_version as one number. A development version counts as the minor
// version to come, as CRIU itself has it.
func versionOf(fields []field) int {
	var major, minor, sublevel int
	git := false
	for _, f := range fields {
		switch f.field {
		case 1:
			major = int(f.value)
		case 2:
			minor = int(f.value)
		case 3:
			git = len(f.bytes) > 0
		case 4:
			sublevel = int(f.value)
		}
	}
	if git {
		minor, sublevel = minor+1, 0
	}
	return major*10000 + minor*100 + sublevel
}

// VersionText is a version as people write it.
func VersionText(version int) string {
	text := fmt.Sprintf("%d.%d", version/10000, version/100%100)
	if sub := version % 100; sub != 0 {
		text += fmt.Sprintf(".%d", sub)
	}
	return text
}
