package spec

import (
	"encoding/json"
	"os"
	"testing"
)

func TestUnread(t *testing.T) {
	for _, test := range []struct{ text, want string }{
		{`{"ociVersion": "1.3.0", "root": {"path": "rootfs"}, "annotations": {"any": "thing"}}`, ""},
		{`{"proccess": {}}`, "/proccess: is not in the specification, and ignored; there is process"},
		{`{"mounts": [{}, {"optoins": []}]}`, "/mounts/1/optoins: is not in the specification, and ignored; there is options"},
		{`{"x-vendor": {"mounts": 1}}`, "/x-vendor: is not in the specification, and ignored"},
		{`{"linux": {"resources": {"memory": {"limits": 5}}}}`, "/linux/resources/memory/limits: is not in the specification, and ignored; there is limit"},
		{"{\"hostname\": \"a\",\n\"hostname\": \"b\"}", "/hostname: is there more than once: the last one, in line 2, counts"},
		{`{"annotations": {"a": "1", "a": "2"}}`, "/annotations/a: is there more than once: the last one, in line 1, counts"},
		{`{"Root": {"path": "rootfs"}}`, ""}, // read by every runtime in Go
	} {
		text := ""
		if faults := Unread([]byte(test.text)); len(faults) > 0 {
			text = faults.Error()
		}
		if text != test.want {
			t.Errorf("%s:\n  got:  %s\n  want: %s", test.text, text, test.want)
		}
	}
}

// What this program writes, and a config with every field, is read to the last property.
func TestUnreadOfOurOwn(t *testing.T) {
	every, err := os.ReadFile("../testdata/every-field.json")
	if err != nil {
		t.Fatal(err)
	}
	own, err := json.Marshal(Default())
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range [][]byte{every, own} {
		if faults := Unread(text); len(faults) > 0 {
			t.Error(faults)
		}
	}
}
