package dbus

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// ParseText reads a value in the text format of GVariant, as people write it in
// configurations: 'text', true, 5, uint32 5, ['a', 'b'], [uint64 1, 2], ('a', 1),
// <'text'>, b'bytes', @as []. A number without a type is an int32, or a double if it
// has a point or an exponent. Dictionaries and maybe types have no use here.
func ParseText(text string) (Value, error) {
	p := &parser{rest: text}
	v, err := p.value("", 0)
	if err == nil && p.peek() != 0 {
		err = fmt.Errorf("%q stands behind the value", p.rest)
	}
	return v, err
}

// keywords are the names of types in front of a value.
var keywords = [...]struct {
	name string
	kind string
}{
	{"boolean", "b"}, {"byte", "y"}, {"int16", "n"}, {"uint16", "q"}, {"int32", "i"}, {"uint32", "u"},
	{"int64", "x"}, {"uint64", "t"}, {"double", "d"}, {"string", "s"}, {"objectpath", "o"}, {"signature", "g"},
}

// parser reads text from its front.
type parser struct{ rest string }

// peek is the next character that is not a space, 0 at the end.
func (p *parser) peek() byte {
	p.rest = strings.TrimLeft(p.rest, " \t\r\n")
	if p.rest == "" {
		return 0
	}
	return p.rest[0]
}

// word takes letters, digits and the signs of numbers.
func (p *parser) word() string {
	p.peek()
	n := 0
	for n < len(p.rest) && (p.rest[n] >= 'a' && p.rest[n] <= 'z' || p.rest[n] >= 'A' && p.rest[n] <= 'Z' ||
		p.rest[n] >= '0' && p.rest[n] <= '9' || strings.IndexByte("+-._", p.rest[n]) >= 0) {
		n++
	}
	word := p.rest[:n]
	p.rest = p.rest[n:]
	return word
}

var errEnd = errors.New("the value ends too early")

// value reads one value. want is its type where one was given in front or by an
// earlier element, "" where the text decides.
func (p *parser) value(want string, depth int) (Value, error) {
	if depth > 32 {
		return Value{}, errors.New("it is nested too deep")
	}
	switch c := p.peek(); c {
	case 0:
		return Value{}, errEnd
	case '@':
		p.rest = p.rest[1:]
		sig, rest, ok := next(p.rest)
		if !ok || strings.ContainsAny(sig, "{h") {
			return Value{}, fmt.Errorf("no type that is known here stands behind @: %q", p.rest)
		}
		p.rest = rest
		return p.agree(want, sig, depth)
	case '[':
		return p.array(want, depth)
	case '(':
		return p.structure(want, depth)
	case '<':
		p.rest = p.rest[1:]
		v, err := p.value("", depth+1)
		if err == nil {
			err = p.expect('>')
		}
		if err == nil && want != "" && want != "v" {
			err = fmt.Errorf("a variant is not of type %s", want)
		}
		return Variant(v), err
	case '\'', '"':
		s, err := p.quoted(false)
		return stringOf(want, s, err)
	case '{':
		return Value{}, errors.New("dictionaries are not supported")
	}
	before := p.rest
	word := p.word()
	if word == "b" && p.rest != "" && (p.rest[0] == '\'' || p.rest[0] == '"') {
		s, err := p.quoted(true)
		if err == nil && want != "" && want != "ay" {
			err = fmt.Errorf("bytes are not of type %s", want)
		}
		return Bytes(append([]byte(s), 0)), err // they end with a zero, as GVariant has it
	}
	for _, k := range keywords {
		if k.name == word {
			return p.agree(want, k.kind, depth)
		}
	}
	if word == "" {
		return Value{}, fmt.Errorf("%q is not the beginning of a value", before)
	}
	return literal(want, word)
}

// agree reads a value of a type that was named, and that must be the wanted one.
func (p *parser) agree(want, sig string, depth int) (Value, error) {
	if want != "" && want != sig {
		return Value{}, fmt.Errorf("it is of type %s where type %s must be", sig, want)
	}
	return p.value(sig, depth+1)
}

// expect takes one character.
func (p *parser) expect(c byte) error {
	switch got := p.peek(); got {
	case c:
		p.rest = p.rest[1:]
		return nil
	case 0:
		return errEnd
	}
	return fmt.Errorf("%q stands where %q is expected", p.rest, string(c))
}

// list reads values up to the closing character, with commas between.
func (p *parser) list(end byte, read func(i int) error) error {
	p.rest = p.rest[1:]
	for i := 0; ; i++ {
		if p.peek() == end {
			p.rest = p.rest[1:]
			return nil
		}
		if i > 0 {
			if err := p.expect(','); err != nil {
				return err
			}
			if p.peek() == end { // a comma may end the list: ('a',)
				continue
			}
		}
		if err := read(i); err != nil {
			return err
		}
	}
}

func (p *parser) array(want string, depth int) (Value, error) {
	elem := ""
	if want != "" {
		if want[0] != 'a' {
			return Value{}, fmt.Errorf("an array is not of type %s", want)
		}
		elem = want[1:]
	}
	var items []Value
	err := p.list(']', func(int) error {
		v, err := p.value(elem, depth+1)
		if err == nil {
			elem = v.sig
			items = append(items, v)
		}
		return err
	})
	if err == nil && elem == "" {
		err = errors.New("an empty array needs its type in front: @as []")
	}
	return Array(elem, items...), err
}

func (p *parser) structure(want string, depth int) (Value, error) {
	fields := ""
	if want != "" {
		if want[0] != '(' {
			return Value{}, fmt.Errorf("a structure is not of type %s", want)
		}
		fields = want[1 : len(want)-1]
	}
	var items []Value
	err := p.list(')', func(int) error {
		var one string
		if want != "" {
			var ok bool
			if one, fields, ok = next(fields); !ok {
				return fmt.Errorf("the structure has more fields than its type %s", want)
			}
		}
		v, err := p.value(one, depth+1)
		items = append(items, v)
		return err
	})
	switch {
	case err != nil:
		return Value{}, err
	case len(items) == 0:
		return Value{}, errors.New("an empty structure is no value")
	case fields != "":
		return Value{}, fmt.Errorf("the structure has fewer fields than its type %s", want)
	}
	return Struct(items...), nil
}

// quoted reads a string in quotation marks with the escapes of C: of characters (\u20ac) in
// strings, of bytes (\001, one to three octal digits) in bytes.
func (p *parser) quoted(bytes bool) (string, error) {
	mark := p.rest[0]
	var out strings.Builder
	for i := 1; i < len(p.rest); i++ {
		switch c := p.rest[i]; {
		case c == mark:
			p.rest = p.rest[i+1:]
			return out.String(), nil
		case c != '\\':
			out.WriteByte(c)
		case bytes && i+1 < len(p.rest) && isOctal(p.rest[i+1]):
			n := 1
			for n < 3 && i+1+n < len(p.rest) && isOctal(p.rest[i+1+n]) {
				n++
			}
			b, err := strconv.ParseUint(p.rest[i+1:i+1+n], 8, 8)
			if err != nil {
				return "", fmt.Errorf("%q is not a byte", p.rest[i:i+1+n])
			}
			out.WriteByte(byte(b))
			i += n
		case !bytes && i+1 < len(p.rest) && (p.rest[i+1] == 'u' || p.rest[i+1] == 'U'):
			n := 4
			if p.rest[i+1] == 'U' {
				n = 8
			}
			if i+2+n > len(p.rest) {
				return "", errEnd
			}
			r, err := strconv.ParseUint(p.rest[i+2:i+2+n], 16, 31)
			if err != nil {
				return "", fmt.Errorf("%q is not a character", p.rest[i:i+2+n])
			}
			out.WriteRune(rune(r))
			i += 1 + n
		case i+1 < len(p.rest):
			i++
			if at := strings.IndexByte("abfnrtv", p.rest[i]); at >= 0 {
				out.WriteByte("\a\b\f\n\r\t\v"[at])
			} else {
				out.WriteByte(p.rest[i])
			}
		}
	}
	return "", errors.New("a quotation mark is not closed")
}

func isOctal(c byte) bool { return c >= '0' && c <= '7' }

func stringOf(want, s string, err error) (Value, error) {
	v := Value{sig: "s", str: s}
	switch {
	case err != nil:
		return v, err
	case want == "s" || want == "o" || want == "g":
		v.sig = want
	case want != "":
		return v, fmt.Errorf("a string is not of type %s", want)
	}
	if strings.IndexByte(s, 0) >= 0 {
		return v, errors.New("a string cannot have a zero byte")
	}
	if v.sig == "g" && len(s) > 255 {
		return v, errors.New("a signature is not longer than 255 bytes")
	}
	return v, nil
}

// literal is a boolean or a number.
func literal(want, word string) (Value, error) {
	if word == "true" || word == "false" {
		if want != "" && want != "b" {
			return Value{}, fmt.Errorf("%s is not of type %s", word, want)
		}
		return Bool(word == "true"), nil
	}
	if want == "" {
		want = "i"
		if strings.IndexByte("+-.0123456789", word[0]) >= 0 && !strings.HasPrefix(strings.TrimLeft(word, "+-"), "0x") && strings.ContainsAny(word, ".eE") {
			want = "d"
		}
	}
	v := Value{sig: want}
	var err error
	switch want {
	case "y", "q", "u", "t":
		v.num, err = strconv.ParseUint(strings.TrimPrefix(word, "+"), 0, 8*size(want[0]))
	case "n", "i", "x":
		var n int64
		n, err = strconv.ParseInt(word, 0, 8*size(want[0]))
		v.num = uint64(n) & (1<<(8*size(want[0])) - 1)
	case "d":
		var f float64
		f, err = strconv.ParseFloat(word, 64)
		v.num = math.Float64bits(f)
	default:
		return v, fmt.Errorf("%s is not of type %s", word, want)
	}
	if err != nil {
		err = fmt.Errorf("%s is not a value of type %s", word, want)
	}
	return v, err
}

// Format is the opposite of [ParseText].
func (v Value) Format() string {
	if v.sig == "" {
		return ""
	}
	var items []string
	for _, i := range v.list {
		items = append(items, i.Format())
	}
	switch v.sig[0] {
	case 's':
		return quote(v.str)
	case 'o':
		return "objectpath " + quote(v.str)
	case 'g':
		return "signature " + quote(v.str)
	case 'v':
		return "<" + items[0] + ">"
	case 'b':
		return strconv.FormatBool(v.num != 0)
	case 'a':
		if len(items) == 0 {
			return "@" + v.sig + " []"
		}
		return "[" + strings.Join(items, ", ") + "]"
	case '(':
		if len(items) == 1 {
			return "(" + items[0] + ",)"
		}
		return "(" + strings.Join(items, ", ") + ")"
	case 'n', 'i', 'x':
		return number(v.sig, strconv.FormatInt(v.signed(), 10))
	case 'd':
		text := strconv.FormatFloat(math.Float64frombits(v.num), 'g', -1, 64)
		if !strings.ContainsAny(text, ".e") {
			return "double " + text
		}
		return text
	}
	return number(v.sig, strconv.FormatUint(v.num, 10))
}

// number puts the type in front of a number, but for the one that it has without.
func number(sig, text string) string {
	for _, k := range keywords {
		if k.kind == sig && sig != "i" {
			return k.name + " " + text
		}
	}
	return text
}

func quote(s string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, "'", `\'`, "\n", `\n`).Replace(s) + "'"
}
