package spec

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"strings"
)

// typeFaults returns every value of a document whose JSON type does not fit the
// Go type that it would be decoded into, in the order of the document. The
// document is known to be JSON. It follows the rules of encoding/json, which
// itself tells only the first fault: null fits anything and is ignored, so are
// unknown properties, and names match regardless of case.
func typeFaults(data []byte, t reflect.Type) Faults {
	w := typeWalk{dec: json.NewDecoder(bytes.NewReader(data))}
	w.dec.UseNumber() // so that a number keeps the digits it was written with
	if token, ok := w.next(); ok {
		w.value(token, t, nil)
	}
	return w.faults
}

type typeWalk struct {
	dec    *json.Decoder
	faults Faults
}

// next returns the next token, nil for null. There is none only at the end of the
// document, since an error of syntax was ruled out before.
func (w *typeWalk) next() (token json.Token, ok bool) {
	token, err := w.dec.Token()
	return token, err == nil
}

// value checks the value that begins with a token, and reads all of it.
func (w *typeWalk) value(token json.Token, t reflect.Type, at *pointer) {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if token == nil || t.Kind() == reflect.Interface {
		w.skip(token)
		return
	}
	if !fits(token, t) {
		w.faults = append(w.faults, Fault{at.String(), "must be " + wanted(t) + ", is " + given(token)})
		w.skip(token)
		return
	}
	switch t.Kind() {
	case reflect.Struct:
		w.properties(at, func(name string) reflect.Type { return fieldType(t, name) })
	case reflect.Map:
		w.properties(at, func(string) reflect.Type { return t.Elem() })
	case reflect.Slice:
		w.items(t.Elem(), at)
	}
}

// properties checks the properties of an object up to its closing brace. A
// property that has no type is unknown.
func (w *typeWalk) properties(at *pointer, typeOf func(name string) reflect.Type) {
	for w.dec.More() {
		token, ok := w.next()
		name, isName := token.(string)
		if !ok || !isName {
			return
		}
		if token, ok = w.next(); !ok {
			return
		}
		if t := typeOf(name); t != nil {
			in := at.field(name)
			w.value(token, t, &in)
		} else {
			w.skip(token)
		}
	}
	w.next()
}

// items checks the items of an array up to its closing bracket.
func (w *typeWalk) items(t reflect.Type, at *pointer) {
	for i := 0; w.dec.More(); i++ {
		token, ok := w.next()
		if !ok {
			return
		}
		in := at.item(i)
		w.value(token, t, &in)
	}
	w.next()
}

// skip reads the rest of a value that begins with a token.
func (w *typeWalk) skip(token json.Token) {
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

// fieldType returns the type of the property called name in objects of a struct
// type, or nil. An exact match wins over one that differs in case.
func fieldType(t reflect.Type, name string) reflect.Type {
	var folded reflect.Type
	for i := range t.NumField() {
		field := t.Field(i)
		tag, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		if tag == "" {
			tag = field.Name
		}
		switch {
		case field.Anonymous:
			// The fields of an embedded struct are the object's own.
			if inner := fieldType(field.Type, name); inner != nil {
				return inner
			}
		case tag == name:
			return field.Type
		case folded == nil && strings.EqualFold(tag, name):
			folded = field.Type
		}
	}
	return folded
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
