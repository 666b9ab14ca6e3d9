package spec

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"strings"
)

// decode fills into, the address of a value, from a document that is known to be
// JSON, and returns every value whose JSON type does not fit the Go type that it
// would go to, in the order of the document.
//
// The tokens are those of encoding/json, and so are the rules (unknown
// properties and null are ignored, names match regardless of case, what comes
// twice counts the last time), which tests and a fuzzer compare. But Unmarshal
// tells only the first fault, and before the first value of a struct type it
// prepares for encoding every type that can be reached from it: ten times what
// it takes to decode a config.
func decode(data []byte, into any) Faults {
	w := walk{dec: json.NewDecoder(bytes.NewReader(data)), fields: map[reflect.Type][]property{}}
	w.dec.UseNumber() // so that a number keeps the digits it was written with
	if token, ok := w.next(); ok {
		w.value(token, reflect.ValueOf(into).Elem(), nil)
	}
	return w.faults
}

type walk struct {
	dec    *json.Decoder
	fields map[reflect.Type][]property // of the struct types met so far
	faults Faults
}

// next returns the next token, nil for null. There is none only at the end of the
// document, since an error of syntax was ruled out before.
func (w *walk) next() (token json.Token, ok bool) {
	token, err := w.dec.Token()
	return token, err == nil
}

// value stores the value that begins with a token, and reads all of it.
func (w *walk) value(token json.Token, v reflect.Value, at *pointer) {
	if token == nil {
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
		v.Set(reflect.ValueOf(w.anything(token)))
		return
	}
	if !fits(token, t) {
		w.faults = append(w.faults, Fault{at.String(), "must be " + wanted(t) + ", is " + given(token)})
		w.skip(token)
		return
	}
	for v.Kind() == reflect.Pointer {
		if v.IsNil() {
			v.Set(reflect.New(v.Type().Elem()))
		}
		v = v.Elem()
	}
	switch token := token.(type) {
	case bool:
		v.SetBool(token)
	case string:
		v.SetString(token)
	case json.Number:
		setNumber(v, token.String())
	default:
		switch t.Kind() {
		case reflect.Struct:
			w.object(v, at)
		case reflect.Map:
			w.mapping(v, at)
		case reflect.Slice:
			w.items(v, at)
		}
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

// property reads the name of the next property and the first token of its value;
// at the end of the object, its closing brace.
func (w *walk) property() (name string, value json.Token, ok bool) {
	if w.dec.More() {
		token, _ := w.next()
		if name, ok = token.(string); ok {
			value, ok = w.next()
			return name, value, ok
		}
	}
	w.next()
	return "", nil, false
}

// object stores the properties of an object in the fields of a struct.
func (w *walk) object(v reflect.Value, at *pointer) {
	for {
		name, token, ok := w.property()
		if !ok {
			return
		}
		if f := w.fieldOf(v, name); f.IsValid() {
			in := at.field(name)
			w.value(token, f, &in)
		} else {
			w.skip(token)
		}
	}
}

// mapping stores the properties of an object in a map with strings as keys.
func (w *walk) mapping(v reflect.Value, at *pointer) {
	if v.IsNil() {
		v.Set(reflect.MakeMap(v.Type()))
	}
	for {
		name, token, ok := w.property()
		if !ok {
			return
		}
		in := at.field(name)
		item := reflect.New(v.Type().Elem()).Elem()
		w.value(token, item, &in)
		v.SetMapIndex(reflect.ValueOf(name).Convert(v.Type().Key()), item)
	}
}

// items stores the items of an array in a slice, in place of what it had.
func (w *walk) items(v reflect.Value, at *pointer) {
	list := reflect.MakeSlice(v.Type(), 0, 8)
	for i := 0; w.dec.More(); i++ {
		token, ok := w.next()
		if !ok {
			break
		}
		in := at.item(i)
		item := reflect.New(v.Type().Elem()).Elem()
		w.value(token, item, &in)
		list = reflect.Append(list, item)
	}
	w.next()
	v.Set(list)
}

// anything returns a value as encoding/json gives it for an interface.
func (w *walk) anything(token json.Token) any {
	switch token := token.(type) {
	case json.Number:
		f, _ := token.Float64()
		return f
	case json.Delim:
		if token == '[' {
			list := []any{}
			for w.dec.More() {
				item, _ := w.next()
				list = append(list, w.anything(item))
			}
			w.next()
			return list
		}
		object := map[string]any{}
		for {
			name, value, ok := w.property()
			if !ok {
				return object
			}
			object[name] = w.anything(value)
		}
	}
	return token
}

// skip reads the rest of a value that begins with a token.
func (w *walk) skip(token json.Token) {
	ok := true
	for depth := 0; ok; token, ok = w.next() {
		switch token {
		case json.Delim('{'), json.Delim('['):
			depth++
		case json.Delim('}'), json.Delim(']'):
			depth--
		}
		if depth == 0 {
			return
		}
	}
}

// fits tells whether a value that begins with a token can be decoded into a type.
func fits(token json.Token, t reflect.Type) bool {
	kind := t.Kind()
	switch token := token.(type) {
	case bool:
		return kind == reflect.Bool
	case string:
		return kind == reflect.String
	case json.Delim:
		if token == '[' {
			return kind == reflect.Slice
		}
		return kind == reflect.Struct || kind == reflect.Map
	case json.Number:
		var err error
		switch {
		case isInt(kind):
			_, err = strconv.ParseInt(token.String(), 10, t.Bits())
		case isUint(kind):
			_, err = strconv.ParseUint(token.String(), 10, t.Bits())
		case isFloat(kind):
			_, err = strconv.ParseFloat(token.String(), t.Bits())
		default:
			return false
		}
		return err == nil
	}
	return false
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

// given says in words what a value is of which the first token is known.
func given(token json.Token) string {
	switch token := token.(type) {
	case bool:
		return strconv.FormatBool(token)
	case string:
		const most = 60
		if len(token) > most {
			return fmt.Sprintf("the string %q...", token[:most])
		}
		return fmt.Sprintf("the string %q", token)
	case json.Number:
		return token.String()
	case json.Delim:
		if token == '[' {
			return "an array"
		}
	}
	return "an object"
}
