package spec

import (
	"encoding/json"
	"strings"
)

// A scanner reads a text that is known to be JSON, from its start to its end. Strings
// that are written plainly are parts of the text, so that reading them makes nothing.
type scanner struct {
	text string
	pos  int
}

// peek returns the first byte of the next thing that is no white space, or 0 at the end.
func (s *scanner) peek() byte {
	for ; s.pos < len(s.text); s.pos++ {
		switch c := s.text[s.pos]; c {
		case ' ', '\t', '\r', '\n':
		default:
			return c
		}
	}
	return 0
}

// more steps to the next item of the array or object that ends with a bracket, whose
// opening or last item was read. At its end it steps behind it, and there is none.
func (s *scanner) more(bracket byte) bool {
	c := s.peek()
	if c == ',' {
		s.pos++
		c = s.peek()
	}
	if c == bracket {
		s.pos++
		return false
	}
	return c != 0
}

// room returns how many items an array has whose opening bracket was read, if no bracket
// and no comma is in a string of it.
func (s *scanner) room() int {
	end := strings.IndexByte(s.text[s.pos:], ']')
	return 1 + strings.Count(s.text[s.pos:s.pos+max(end, 0)], ",")
}

// name reads the name of a property, and the colon.
func (s *scanner) name() string {
	name := s.string()
	s.peek()
	s.pos++
	return name
}

// string reads a string, from its opening quote.
func (s *scanner) string() string {
	start := s.pos + 1
	for i := start; i < len(s.text); i++ {
		switch c := s.text[i]; {
		case c == '"':
			s.pos = i + 1
			return s.text[start:i]
		case c == '\\' || c >= 0x80:
			return s.quoted(start - 1)
		}
	}
	s.pos = len(s.text)
	return ""
}

// quoted reads a string in which encoding/json finds escapes to resolve, or bytes that
// may be no UTF-8.
func (s *scanner) quoted(start int) (value string) {
	s.pos = start
	s.skipString()
	_ = json.Unmarshal([]byte(s.text[start:s.pos]), &value)
	return value
}

func (s *scanner) skipString() {
	for s.pos++; s.pos < len(s.text); s.pos++ {
		switch s.text[s.pos] {
		case '\\':
			s.pos++
		case '"':
			s.pos++
			return
		}
	}
}

// literal reads a number, true, false or null.
func (s *scanner) literal() string {
	rest := s.text[s.pos:]
	if end := strings.IndexAny(rest, ",]} \t\r\n"); end >= 0 {
		rest = rest[:end]
	}
	s.pos += len(rest)
	return rest
}

// skip reads a value.
func (s *scanner) skip() {
	for depth := 0; ; {
		switch s.peek() {
		case '{', '[':
			depth++
			s.pos++
		case '}', ']':
			depth--
			s.pos++
		case ',', ':':
			s.pos++
		case '"':
			s.skipString()
		case 0:
			return
		default:
			s.literal()
		}
		if depth == 0 {
			return
		}
	}
}
