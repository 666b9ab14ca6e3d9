package spec

// valid tells whether a text is JSON (RFC 8259). It says no to what is nested deeper
// than any config, too: encoding/json has the last word, and the words for what is wrong.
func valid(text string) bool {
	v := validator{text: text}
	return v.value(0) && v.next() == 0 && v.pos == len(text)
}

// A validator reads a text as far as it is JSON.
type validator struct {
	text string
	pos  int
}

// next returns the first byte that is no white space, or 0 at the end.
func (v *validator) next() byte {
	for v.pos < len(v.text) {
		switch c := v.text[v.pos]; c {
		case ' ', '\t', '\r', '\n':
			v.pos++
		default:
			return c
		}
	}
	return 0
}

func (v *validator) value(depth int) bool {
	const most = 100
	switch c := v.next(); c {
	case '"':
		return v.string()
	case '{', '[':
		return depth < most && v.list(c+2, depth+1) // '}' and ']' stand two behind them
	case 't':
		return v.word("true")
	case 'f':
		return v.word("false")
	case 'n':
		return v.word("null")
	}
	return v.number()
}

// list reads an array, or an object, from its opening bracket to its closing one.
func (v *validator) list(closing byte, depth int) bool {
	v.pos++
	if v.next() == closing {
		v.pos++
		return true
	}
	for {
		if closing == '}' {
			if v.next() != '"' || !v.string() || v.next() != ':' {
				return false
			}
			v.pos++
		}
		if !v.value(depth) {
			return false
		}
		switch v.next() {
		case closing:
			v.pos++
			return true
		case ',':
			v.pos++
		default:
			return false
		}
	}
}

func (v *validator) word(word string) bool {
	if len(v.text)-v.pos < len(word) || v.text[v.pos:v.pos+len(word)] != word {
		return false
	}
	v.pos += len(word)
	return true
}

func (v *validator) string() bool {
	for v.pos++; v.pos < len(v.text); v.pos++ {
		switch c := v.text[v.pos]; {
		case c == '"':
			v.pos++
			return true
		case c < ' ':
			return false
		case c == '\\':
			if !v.escape() {
				return false
			}
		}
	}
	return false
}

// escape reads what is behind a backslash, but for its last byte.
func (v *validator) escape() bool {
	v.pos++
	if v.pos >= len(v.text) {
		return false
	}
	switch v.text[v.pos] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return true
	case 'u':
		for range 4 {
			if v.pos++; v.pos >= len(v.text) || !isHex(v.text[v.pos]) {
				return false
			}
		}
		return true
	}
	return false
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}

func (v *validator) number() bool {
	v.one('-')
	if !v.one('0') && !v.digits() {
		return false
	}
	if v.one('.') && !v.digits() {
		return false
	}
	if v.one('e') || v.one('E') {
		if !v.one('+') {
			v.one('-')
		}
		return v.digits()
	}
	return true
}

// one reads a byte, if it comes next.
func (v *validator) one(c byte) bool {
	if v.pos < len(v.text) && v.text[v.pos] == c {
		v.pos++
		return true
	}
	return false
}

// digits reads one digit or more.
func (v *validator) digits() bool {
	start := v.pos
	for v.pos < len(v.text) && '0' <= v.text[v.pos] && v.text[v.pos] <= '9' {
		v.pos++
	}
	return v.pos > start
}
