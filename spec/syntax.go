package spec

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf8"
)

// SyntaxError says where a text stops being JSON, and what was expected there.
type SyntaxError struct {
	Name    string // the file
	Line    int    // the line, from 1
	Column  int    // the character in the line, from 1
	Problem string // what was expected, and what was found

	err error
}

// Error returns the error in the form of a compiler: name:line:column: problem.
func (e *SyntaxError) Error() string {
	return fmt.Sprintf("%s:%d:%d: %s", e.Name, e.Line, e.Column, e.Problem)
}

// Unwrap returns the error of encoding/json.
func (e *SyntaxError) Unwrap() error { return e.err }

// expectations translates what encoding/json was doing when it met a character
// that it could not use. The first entry found in the message counts, so what
// contains another's words comes before it.
var expectations = []struct{ context, expected string }{
	{"looking for beginning of object key string", "a property name in double quotes"},
	{"looking for beginning of value", "a value"},
	{"after object key:value pair", "',' or '}'"},
	{"after object key", "':'"},
	{"after array element", "',' or ']'"},
	{"after top-level value", "the end of the file"},
	{`in \u hexadecimal character escape`, `four hexadecimal digits after \u`},
	{"in string escape code", `one of " \ / b f n r t u after a backslash`},
	{"in string literal", "no control character in a string"},
	{"in numeric literal", "a digit"},
	{"in exponent of numeric literal", "a digit"},
	{"in literal true", "true"},
	{"in literal false", "false"},
	{"in literal null", "null"},
}

// newSyntaxError gives an error of encoding/json a place and an expectation.
func newSyntaxError(name string, data []byte, err *json.SyntaxError) *SyntaxError {
	message := err.Error()
	// The offset counts the offending character too, if there is one.
	at := min(max(int(err.Offset)-1, 0), len(data))
	// Inside a word, a number or an escape, encoding/json meets the end of the
	// text as a space that is not there.
	truncated := strings.HasPrefix(message, "unexpected end") ||
		strings.HasPrefix(message, "invalid character ' '") && !bytes.HasPrefix(data[at:], []byte{' '})
	if truncated {
		at = len(data)
	}
	e := &SyntaxError{Name: name, Problem: message, err: err}
	e.Line, e.Column = position(data, at)

	if truncated {
		e.Problem = "expected " + missing(data) + ", found the end of the file"
		return e
	}
	for _, x := range expectations {
		if strings.Contains(message, x.context) {
			e.Problem = "expected " + x.expected + ", found " + found(data[at:])
			break
		}
	}
	return e
}

// position returns line and column, both from 1, of an offset.
func position(data []byte, at int) (line, column int) {
	before := data[:at]
	line = 1 + bytes.Count(before, []byte{'\n'})
	column = 1 + utf8.RuneCount(before[bytes.LastIndexByte(before, '\n')+1:])
	return line, column
}

func found(rest []byte) string {
	if len(rest) == 0 {
		return "the end of the file"
	}
	r, size := utf8.DecodeRune(rest)
	switch {
	case r == '\uFEFF':
		return "a byte order mark"
	case r == utf8.RuneError && size == 1:
		return fmt.Sprintf("byte %#x", rest[0])
	}
	return fmt.Sprintf("%q", r)
}

// missing says what the end of the file cut off.
func missing(data []byte) string {
	if len(bytes.TrimSpace(data)) == 0 {
		return "an object"
	}
	var open []int // offsets of the brackets that are open
	quote := -1    // offset of the quote that is open
	for i := 0; i < len(data); i++ {
		if quote >= 0 {
			switch data[i] {
			case '\\':
				i++
			case '"':
				quote = -1
			}
			continue
		}
		switch data[i] {
		case '"':
			quote = i
		case '{', '[':
			open = append(open, i)
		case '}', ']':
			open = open[:len(open)-1]
		}
	}
	what, at := "a value", -1
	if len(open) > 0 {
		at = open[len(open)-1]
		what = "the rest of the object"
		if data[at] == '[' {
			what = "the rest of the array"
		}
	}
	if quote >= 0 {
		what, at = "the rest of the string", quote
	}
	if at < 0 {
		return what
	}
	line, _ := position(data, at)
	return fmt.Sprintf("%s that begins in line %d", what, line)
}
