package specschema

import (
	"slices"
	"testing"
)

// TestCheck: a fault of each kind is found, with its place, and a sound document has none.
func TestCheck(t *testing.T) {
	for _, c := range []struct {
		schema, document string
		want             []string
	}{
		{ConfigSchema, `{"ociVersion": "1.3.0", "linux": {"resources": {"memory": {"limit": -1}, "network": {"classID": 4294967295}}}}`, nil},
		{ConfigSchema, `[]`, []string{"/: is not of the type object"}},
		{ConfigSchema, `{"ociVersion": 1}`, []string{"/ociVersion: is not of the type string"}},
		{ConfigSchema, `{}`, []string{"/: ociVersion is missing"}},
		{ConfigSchema, `{"ociVersion": "1.3.0", "process": {"cwd": "/", "args": [1.5]}}`, []string{"/process/args/0: is not of the type string"}},
		{ConfigSchema, `{"ociVersion": "1.3.0", "linux": {"namespaces": [{"type": "net"}]}}`,
			[]string{"/linux/namespaces/0: fits 0 schemas of its anyOf"}},
		{ConfigSchema, `{"ociVersion": "1.3.0", "linux": {"resources": {"network": {"classID": 4294967296}}}}`,
			[]string{"/linux/resources/network/classID: 4294967296 is beyond the maximum 4.294967295e+09"}},
		{ConfigSchema, `{"ociVersion": "1.3.0", "linux": {"resources": {"unified": {"memory.high": 5}}}}`,
			[]string{"/linux/resources/unified/memory.high: is not of the type string"}},
		{FeaturesSchema, `{"ociVersionMin": "1.0.0", "ociVersionMax": "1.3.0", "linux": {"capabilities": ["CAP_KILL", "kill"]}}`,
			[]string{`/linux/capabilities/1: "kill" does not match ^CAP_[A-Z_]+$`}},
	} {
		got, err := Check(c.schema, []byte(c.document))
		if err != nil {
			t.Errorf("%s: %v", c.document, err)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, should be %q", c.document, got, c.want)
		}
	}
}
