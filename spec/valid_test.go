package spec

import (
	"encoding/json"
	"strings"
	"testing"
)

// TestValid has texts about which a reader of JSON may be wrong.
func TestValid(t *testing.T) {
	for _, text := range []string{
		"", " ", "{}", "[]", " {\t} ", "[ ]", "[1,]", "[,1]", "{,}", `{"a":1,}`, `{"a" : 1 , "b":[]}`, `{"a"}`, `{a:1}`, `{1:1}`, `{"a":}`, `{"a":1 "b":2}`,
		"0", "-0", "-", "01", "1.", ".1", "1.5", "1e", "1e5", "1E+5", "1e-05", "1e+", "+1", "--1", "0x1", "1 2", "NaN", "1,", "[1 2]",
		"true", "tru", "truex", "True", "nul", "null", "falsee", "[true,false,null]",
		`"`, `"a`, `""`, `"\n"`, `"\x"`, `"\u12"`, `"\u12aF"`, `"\u12ag"`, `"\`, "\"\x01\"", "\"\x7f\"", "\"\xff\"", `"\ud800"`, "\"a\nb\"", "\ufeff{}", "{}\x00", "{}}", "[}", "{]",
		strings.Repeat("[", 99) + strings.Repeat("]", 99),
	} {
		if got, want := valid(text), json.Valid([]byte(text)); got != want {
			t.Errorf("%q: %v, encoding/json says %v", text, got, want)
		}
	}
	// What is nested deeper is for encoding/json to judge.
	deep := strings.Repeat("[", 500) + strings.Repeat("]", 500)
	if valid(deep) || !json.Valid([]byte(deep)) {
		t.Error("500 brackets")
	}
	if _, err := Parse("c", []byte(`{"annotations": {"a": "b"}, "x": `+deep+"}")); err != nil {
		t.Error(err)
	}
}

func FuzzValid(f *testing.F) {
	for _, text := range []string{`{"a": [1.5e3, "\u0041\\", true, null]}`, `[{}, -0]`} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if got, want := valid(text), json.Valid([]byte(text)); got && !want || !got && want && strings.Count(text, "[")+strings.Count(text, "{") < 100 {
			t.Errorf("%q: %v, encoding/json says %v", text, got, want)
		}
	})
}
