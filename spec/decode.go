package spec

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
)

// decode fills into, the address of a value, from a document that is known to be
// JSON, and returns every value whose JSON type does not fit the Go type that it
// would go to, in the order of the document.
//
// The rules are those of encoding/json (unknown properties and null are ignored, names
// match regardless of case, what comes twice counts the last time), which tests and a
// fuzzer compare. But Unmarshal tells only the first fault, and before the first value of a
// struct type it prepares for encoding every type that can be reached from it: ten times
// what it takes to decode a config. Its Decoder makes several things of each token.
func decode(text string, into any) Faults {
	w := walk{scanner: scanner{text: text}, fields: map[reflect.Type][]property{}}
	w.value(reflect.ValueOf(into).Elem(), nil)
	return w.faults
}

type walk struct {
	scanner
	fields map[reflect.Type][]property // of the struct types met so far
	faults Faults
	unread *Faults // nil if nobody wants to know: see Unread
}

// value reads the next value and stores it.
func (w *walk) value(v reflect.Value, at *pointer) {
	c := w.peek()
	if c == 'n' {
		w.literal()
		switch v.Kind() {
		case reflect.Pointer, reflect.Map, reflect.Slice, reflect.Interface:
			v.SetZero()
		}
		return
	}
	t := v.Type()
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t.Kind() == reflect.Interface {
		v.Set(reflect.ValueOf(w.anything()))
		return
	}
	if !w.fits(c, t) {
		w.faults = append(w.faults, Fault{at.String(), "must be " + wanted(t) + ", is " + w.given(c)})
		w.skip()
		return
	}
	for v.Kind() == reflect.Pointer {
		if v.IsNil() {
			v.Set(reflect.New(v.Type().Elem()))
		}
		v = v.Elem()
	}
	switch t.Kind() {
	case reflect.Bool:
		v.SetBool(w.literal() == "true")
	case reflect.String:
		v.SetString(w.string())
	case reflect.Struct:
		w.object(v, at)
	case reflect.Map:
		w.mapping(v, at)
	case reflect.Slice:
		w.items(v, at)
	default:
		setNumber(v, w.literal())
	}
}

// setNumber stores a number that is known to fit.
func setNumber(v reflect.Value, digits string) {
	switch kind, bits := v.Kind(), v.Type().Bits(); {
	case isInt(kind):
		n, _ := strconv.ParseInt(digits, 10, bits)
		v.SetInt(n)
	case isUint(kind):
		n, _ := strconv.ParseUint(digits, 10, bits)
		v.SetUint(n)
	default:
		f, _ := strconv.ParseFloat(digits, bits)
		v.SetFloat(f)
	}
}

// object stores the properties of an object in the fields of a struct.
func (w *walk) object(v reflect.Value, at *pointer) {
	w.pos++
	var seen map[string]bool
	for w.more('}') {
		name := w.name()
		f := w.fieldOf(v, name)
		if f.IsValid() {
			in := at.field(name)
			w.again(in, &seen, name)
			w.value(f, &in)
			continue
		}
		if w.unread != nil {
			w.stray(at.field(name), name, w.fields[v.Type()])
		}
		w.skip()
	}
}

// mapping stores the properties of an object in a map with strings as keys.
func (w *walk) mapping(v reflect.Value, at *pointer) {
	if v.IsNil() {
		v.Set(reflect.MakeMap(v.Type()))
	}
	w.pos++
	var seen map[string]bool
	for w.more('}') {
		name := w.name()
		in := at.field(name)
		w.again(in, &seen, name)
		item := reflect.New(v.Type().Elem()).Elem()
		w.value(item, &in)
		v.SetMapIndex(reflect.ValueOf(name).Convert(v.Type().Key()), item)
	}
}

// items stores the items of an array in a slice, in place of what it had.
func (w *walk) items(v reflect.Value, at *pointer) {
	w.pos++
	if list, ok := v.Addr().Interface().(*[]string); ok {
		w.texts(list, at)
		return
	}
	v.Set(reflect.MakeSlice(v.Type(), 0, 8))
	for i := 0; w.more(']'); i++ {
		if v.Cap() == i {
			v.Grow(i)
		}
		v.SetLen(i + 1)
		in := at.item(i)
		w.value(v.Index(i), &in)
	}
}

// texts stores the items of an array of strings, of which a config has most.
func (w *walk) texts(list *[]string, at *pointer) {
	texts := make([]string, 0, w.room())
	for i := 0; w.more(']'); i++ {
		if w.peek() == '"' {
			texts = append(texts, w.string())
			continue
		}
		var text string
		in := at.item(i)
		w.value(reflect.ValueOf(&text).Elem(), &in)
		texts = append(texts, text)
	}
	*list = texts
}

// anything reads a value as encoding/json gives it for an interface.
func (w *walk) anything() any {
	switch w.peek() {
	case '"':
		return w.string()
	case '[':
		list := []any{}
		for w.pos++; w.more(']'); {
			list = append(list, w.anything())
		}
		return list
	case '{':
		object := map[string]any{}
		for w.pos++; w.more('}'); {
			name := w.name()
			object[name] = w.anything()
		}
		return object
	}
	switch text := w.literal(); text {
	case "null":
		return nil
	case "true", "false":
		return text == "true"
	default:
		f, _ := strconv.ParseFloat(text, 64)
		return f
	}
}

// fits tells whether the next value, which begins with a byte, can be decoded into a type.
func (w *walk) fits(c byte, t reflect.Type) bool {
	kind := t.Kind()
	switch c {
	case 't', 'f':
		return kind == reflect.Bool
	case '"':
		return kind == reflect.String
	case '[':
		return kind == reflect.Slice
	case '{':
		return kind == reflect.Struct || kind == reflect.Map
	}
	start := w.pos
	digits := w.literal()
	w.pos = start
	var err error
	switch {
	case isInt(kind):
		_, err = strconv.ParseInt(digits, 10, t.Bits())
	case isUint(kind):
		_, err = strconv.ParseUint(digits, 10, t.Bits())
	case isFloat(kind):
		_, err = strconv.ParseFloat(digits, t.Bits())
	default:
		return false
	}
	return err == nil
}

func isInt(k reflect.Kind) bool   { return k >= reflect.Int && k <= reflect.Int64 }
func isUint(k reflect.Kind) bool  { return k >= reflect.Uint && k <= reflect.Uint64 }
func isFloat(k reflect.Kind) bool { return k == reflect.Float32 || k == reflect.Float64 }

// property is a field of a struct type by its name in JSON. The fields of an
// embedded struct are the object's own; index leads to them.
type property struct {
	name  string
	index []int
}

// fieldOf returns the field of a struct for the property called name, or no value.
// An exact match wins over one that differs in case.
func (w *walk) fieldOf(v reflect.Value, name string) reflect.Value {
	t := v.Type()
	list, ok := w.fields[t]
	if !ok {
		list = properties(t, nil)
		w.fields[t] = list
	}
	var folded *property
	for i := range list {
		switch p := &list[i]; {
		case p.name == name:
			return v.FieldByIndex(p.index)
		case folded == nil && strings.EqualFold(p.name, name):
			folded = p
		}
	}
	if folded == nil {
		return reflect.Value{}
	}
	return v.FieldByIndex(folded.index)
}

// properties lists the fields of a struct type; above leads to it.
func properties(t reflect.Type, above []int) []property {
	list := make([]property, 0, t.NumField())
	for i := range t.NumField() {
		field := t.Field(i)
		index := append(above[:len(above):len(above)], i)
		if field.Anonymous {
			list = append(list, properties(field.Type, index)...)
			continue
		}
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		if name == "" {
			name = field.Name
		}
		list = append(list, property{name, index})
	}
	return list
}

// wanted says in words what a type takes, given in the words of given.
func wanted(t reflect.Type) string {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	kind := t.Kind()
	switch {
	case kind == reflect.Bool:
		return "true or false"
	case kind == reflect.String:
		return "a string"
	case isInt(kind):
		return fmt.Sprintf("a whole %d-bit number", t.Bits())
	case isUint(kind):
		return fmt.Sprintf("an unsigned %d-bit number", t.Bits())
	case isFloat(kind):
		return "a number"
	case kind == reflect.Slice:
		item := wanted(t.Elem())
		return "an array of " + item[strings.IndexByte(item, ' ')+1:] + "s"
	}
	return "an object"
}

// given says in words what the next value is, which begins with a byte.
func (w *walk) given(c byte) string {
	start := w.pos
	defer func() { w.pos = start }()
	switch c {
	case '"':
		const most = 60
		text := w.string()
		if len(text) > most {
			return fmt.Sprintf("the string %q...", text[:most])
		}
		return fmt.Sprintf("the string %q", text)
	case '[':
		return "an array"
	case '{':
		return "an object"
	}
	return w.literal()
}
