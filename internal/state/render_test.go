package state

import (
	"encoding/json"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"
)

// fill sets every field of a value to something that is not zero, and grows with each
// call, so that no two fields agree.
func fill(v reflect.Value, n *int, text string) {
	*n++
	switch v.Kind() {
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			v.Set(reflect.ValueOf(time.Unix(int64(*n), 123456000).UTC()))
			return
		}
		for i := range v.NumField() {
			fill(v.Field(i), n, text)
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), n, text)
	case reflect.Map:
		v.Set(reflect.ValueOf(map[string]string{"b" + text: text, "a": "", "": "x"}))
	case reflect.Slice:
		s := reflect.MakeSlice(v.Type(), 3, 3)
		for i := range s.Len() {
			fill(s.Index(i), n, text)
		}
		v.Set(s)
	case reflect.String:
		v.SetString(text + strings.Repeat("x", *n))
	case reflect.Int:
		v.SetInt(-int64(*n))
	case reflect.Uint32, reflect.Uint64:
		v.SetUint(math.MaxUint32 - uint64(*n))
	case reflect.Bool:
		v.SetBool(true)
	default:
		panic("a field of kind " + v.Kind().String() + ": teach render and this test")
	}
}

// TestRender compares with package json over every field, full and empty.
func TestRender(t *testing.T) {
	check := func(rec Record) {
		t.Helper()
		got := rec.render()
		want, err := json.Marshal(rec)
		if err != nil {
			t.Fatal(err)
		}
		var g, w any
		if err := json.Unmarshal(got, &g); err != nil {
			t.Fatalf("%v in\n%s", err, got)
		}
		if err := json.Unmarshal(want, &w); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(g, w) {
			t.Errorf("got\n%s\nwant\n%s", got, want)
		}
		if got[len(got)-1] != '\n' {
			t.Error("no newline at the end")
		}
		readsAs(t, string(got))
	}
	check(Record{})
	for _, text := range []string{"", "plain", "\"quoted\\\" <&> \x00\x1f\x7f\n\t", "é世界\U0001F600\u2028", "broken \xff\xc3 utf-8"} {
		var rec Record
		n := 0
		fill(reflect.ValueOf(&rec).Elem(), &n, text)
		check(rec)
	}
}

// readsAs holds read, if it takes a text, to package json's reading of it.
func readsAs(t *testing.T, text string) (taken bool) {
	t.Helper()
	var got, want Record
	if !got.read(text) {
		return false
	}
	if err := json.Unmarshal([]byte(text), &want); err != nil {
		t.Fatalf("%v in what was taken:\n%s", err, text)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("\n%s\nis read as\n%+v\nwant\n%+v", text, got, want)
	}
	return true
}

// TestRead: what a runtime writes in practice is taken, with every field and with few.
func TestRead(t *testing.T) {
	var full Record
	n := 0
	fill(reflect.ValueOf(&full).Elem(), &n, "plain <&>")
	full.Creator.Pid, full.Init.Pid = 1, 1<<22 // a pid is no negative number
	for _, rec := range []Record{{}, full} {
		text := string(rec.render())
		if !readsAs(t, text) {
			t.Errorf("not taken:\n%s", text)
		}
		for _, other := range []string{text + " ", strings.TrimSuffix(text, "\n"), strings.Replace(text, ":", ": ", 1),
			strings.Replace(text, "false", "null", 1) + "x", strings.Replace(text, `"id"`, `"Id"`, 1), ""} {
			if readsAs(t, other) {
				t.Errorf("taken:\n%s", other)
			}
		}
	}
}

// FuzzRead holds read to package json for texts that are nearly as render has them.
func FuzzRead(f *testing.F) {
	var full Record
	n := 0
	fill(reflect.ValueOf(&full).Elem(), &n, "x")
	full.Creator.Pid, full.Init.Pid = 1, 2
	for _, rec := range []Record{{}, full} {
		f.Add(string(rec.render()))
	}
	f.Fuzz(func(t *testing.T, text string) { readsAs(t, text) })
}

// FuzzQuoted holds the strings to package json's reading of them.
func FuzzQuoted(f *testing.F) {
	f.Add("a\"b\\c\x00")
	f.Add("\xff")
	f.Fuzz(func(t *testing.T, s string) {
		var got string
		if err := json.Unmarshal(appendQuoted(nil, s), &got); err != nil {
			t.Fatal(err)
		}
		if want := strings.ToValidUTF8(s, "\uFFFD"); got != want && got != string([]rune(s)) {
			t.Errorf("%q becomes %q", s, got)
		}
	})
}
