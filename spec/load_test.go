package spec

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
)

func TestLoad(t *testing.T) {
	dir := t.TempDir()
	text := []byte(`{"ociVersion": "1.3.0"}`)
	for name, data := range map[string][]byte{"config.json": text, "other.json": []byte(`{"hostname": "other"}`)} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"", "config.json"} {
		s, raw, err := Load(dir, name)
		if err != nil || s.Version != "1.3.0" || !bytes.Equal(raw, text) {
			t.Errorf("Load(%q): %+v, %q, %v", name, s, raw, err)
		}
	}
	if s, _, err := Load("/nowhere", filepath.Join(dir, "other.json")); err != nil || s.Hostname != "other" {
		t.Errorf("absolute name: %+v, %v", s, err)
	}
	t.Chdir(dir)
	if s, _, err := Load("/nowhere", "other.json"); err != nil || s.Hostname != "other" {
		t.Errorf("relative name: %+v, %v", s, err)
	}
}

func TestLoadMissing(t *testing.T) {
	dir := t.TempDir()
	_, _, err := Load(dir, "")
	if want := "open " + dir + "/config.json: no such file or directory"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	var pathError *os.PathError
	if !errors.Is(err, fs.ErrNotExist) || !errors.As(err, &pathError) {
		t.Errorf("%T is no PathError that says so", err)
	}
}

func TestLoadNamesFile(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "config.json")
	if err := os.WriteFile(file, []byte("{\n]"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, raw, err := Load(dir, "")
	if want := file + `:2:1: expected a property name in double quotes, found ']'`; err == nil || err.Error() != want || raw != nil {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestParseSyntax(t *testing.T) {
	for _, tc := range []struct{ name, text, want string }{
		{"empty", "", "1:1: expected an object, found the end of the file"},
		{"blank", " \n\n ", "3:2: expected an object, found the end of the file"},
		{"trailing comma", "{\n\t\"a\": 1,\n}", `3:1: expected a property name in double quotes, found '}'`},
		{"missing comma", "{\"a\": 1\n \"b\": 2}", `2:2: expected ',' or '}', found '"'`},
		{"missing colon", `{"a" 1}`, `1:6: expected ':', found '1'`},
		{"array comma", `[1,]`, `1:4: expected a value, found ']'`},
		{"array", `{"a": [1 2]}`, `1:10: expected ',' or ']', found '2'`},
		{"trailing garbage", "{}\n{}", `2:1: expected the end of the file, found '{'`},
		{"bare word", `{"a": yes}`, `1:7: expected a value, found 'y'`},
		{"true", `{"a": trub}`, `1:10: expected true, found 'b'`},
		{"false", `{"a": fake}`, `1:9: expected false, found 'k'`},
		{"null", `{"a": nil}`, `1:8: expected null, found 'i'`},
		{"minus", `{"a": -}`, `1:8: expected a digit, found '}'`},
		{"leading zero", `{"a": 01}`, `1:8: expected ',' or '}', found '1'`},
		{"fraction", `{"a": 1.}`, `1:9: expected a digit, found '}'`},
		{"exponent", `{"a": 1e}`, `1:9: expected a digit, found '}'`},
		{"escape", `{"a": "\x"}`, `1:9: expected one of " \ / b f n r t u after a backslash, found 'x'`},
		{"hex", `{"a": "\u12z"}`, `1:12: expected four hexadecimal digits after \u, found 'z'`},
		{"line break in string", "{\"a\": \"b\n\"}", `1:9: expected no control character in a string, found '\n'`},
		{"single quotes", `{'a': 1}`, `1:2: expected a property name in double quotes, found '\''`},
		{"comment", "{ // x\n}", `1:3: expected a property name in double quotes, found '/'`},
		{"byte order mark", "\uFEFF{}", `1:1: expected a value, found a byte order mark`},
		{"not UTF-8", "\xff", `1:1: expected a value, found byte 0xff`},
		{"columns are characters", "{\"äöü\": x}", `1:9: expected a value, found 'x'`},
		{"truncated object", "{\n \"a\": {\n  \"b\": 1", `3:9: expected the rest of the object that begins in line 2, found the end of the file`},
		{"truncated array", "{\n \"a\": [1,\n", `3:1: expected the rest of the array that begins in line 2, found the end of the file`},
		{"truncated string", "{\n \"a\\\"{", `2:7: expected the rest of the string that begins in line 2, found the end of the file`},
		{"truncated escape", `{"a": "\`, `1:9: expected the rest of the string that begins in line 1, found the end of the file`},
		{"truncated number", `{"a": -`, `1:8: expected the rest of the object that begins in line 1, found the end of the file`},
		{"broken word before a space", `tr `, `1:3: expected true, found ' '`},
		{"truncated word", "tru", `1:4: expected a value, found the end of the file`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s, err := Parse("c.json", []byte(tc.text))
			var syntax *SyntaxError
			var inner *json.SyntaxError
			if s != nil || !errors.As(err, &syntax) || !errors.As(err, &inner) {
				t.Fatalf("got %v, %T (%v)", s, err, err)
			}
			if got := err.Error(); got != "c.json:"+tc.want {
				t.Errorf("got  %s\nwant c.json:%s", got, tc.want)
			}
		})
	}
}

func TestParseTypes(t *testing.T) {
	for _, tc := range []struct {
		name, text string
		want       []string
	}{
		{"null", " null\n", one(`the document: must be an object, is null`)},
		{"array", `[]`, one(`the document: must be an object, is an array`)},
		{"string", `"x"`, one(`the document: must be an object, is the string "x"`)},
		{"all at once, in the order of the document", `{
			"mounts": [{}, {"destination": 1, "options": ["ro", null, {"a": [1, null]}, false]}, 7],
			"hostname": ["x"],
			"process": {
				"user": {"uid": -1, "gid": 4294967296, "additionalGids": [1, 1.5, "0"]},
				"args": "sh",
				"env": {"A": "b"},
				"terminal": 1,
				"rlimits": [{"hard": 18446744073709551616}],
				"oomScoreAdj": "1",
				"consoleSize": [],
				"scheduler": {"nice": 2147483648}
			},
			"annotations": {"a/b~": 1, "c": "d"},
			"linux": {
				"resources": {
					"memory": {"limit": 1e3},
					"blockIO": {"weight": 65536, "weightDevice": [{"major": "8", "weight": true}]},
					"rdma": {"x": {"hcaHandles": "y"}},
					"unified": []
				},
				"namespaces": {},
				"devices": [{"fileMode": "0666"}]
			},
			"root": true
		}`, []string{
			`/mounts/1/destination: must be a string, is 1`,
			`/mounts/1/options/2: must be a string, is an object`,
			`/mounts/1/options/3: must be a string, is false`,
			`/mounts/2: must be an object, is 7`,
			`/hostname: must be a string, is an array`,
			`/process/user/uid: must be an unsigned 32-bit number, is -1`,
			`/process/user/gid: must be an unsigned 32-bit number, is 4294967296`,
			`/process/user/additionalGids/1: must be an unsigned 32-bit number, is 1.5`,
			`/process/user/additionalGids/2: must be an unsigned 32-bit number, is the string "0"`,
			`/process/args: must be an array of strings, is the string "sh"`,
			`/process/env: must be an array of strings, is an object`,
			`/process/terminal: must be true or false, is 1`,
			`/process/rlimits/0/hard: must be an unsigned 64-bit number, is 18446744073709551616`,
			`/process/oomScoreAdj: must be a whole 64-bit number, is the string "1"`,
			`/process/consoleSize: must be an object, is an array`,
			`/process/scheduler/nice: must be a whole 32-bit number, is 2147483648`,
			`/annotations/a~1b~0: must be a string, is 1`,
			`/linux/resources/memory/limit: must be a whole 64-bit number, is 1e3`,
			`/linux/resources/blockIO/weight: must be an unsigned 16-bit number, is 65536`,
			`/linux/resources/blockIO/weightDevice/0/major: must be a whole 64-bit number, is the string "8"`,
			`/linux/resources/blockIO/weightDevice/0/weight: must be an unsigned 16-bit number, is true`,
			`/linux/resources/rdma/x/hcaHandles: must be an unsigned 32-bit number, is the string "y"`,
			`/linux/resources/unified: must be an object, is an array`,
			`/linux/namespaces: must be an array of objects, is an object`,
			`/linux/devices/0/fileMode: must be an unsigned 32-bit number, is the string "0666"`,
			`/root: must be an object, is true`}},
		{"names regardless of case", `{"HostName": 1, "hostname": 2}`, []string{
			`/HostName: must be a string, is 1`, `/hostname: must be a string, is 2`}},
		{"unknown is ignored", `{"x": [null, {"y": null}, [[]]], "hostname": 1, "z": null}`,
			one(`/hostname: must be a string, is 1`)},
		{"long", `{"root": "` + strings.Repeat("a", 100) + `"}`,
			one(`/root: must be an object, is the string "` + strings.Repeat("a", 60) + `"...`)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s, err := Parse("c.json", []byte(tc.text))
			if s != nil {
				t.Error("got a configuration")
			}
			check(t, err, tc.want...)
		})
	}
}

func TestDecodeParts(t *testing.T) {
	var p specs.Process
	check(t, Decode("p.json", []byte(`{"cwd": 1}`), &p), `/cwd: must be a string, is 1`)
	if err := Decode("p.json", []byte(`{"cwd": "/x", "unknown": 1}`), &p); err != nil || p.Cwd != "/x" {
		t.Errorf("%v, %v", p, err)
	}
}

// The type walk follows the rules of encoding/json for every field there is: a
// value that fits no field is found in each one by both.
func TestTypeWalkKnowsEveryField(t *testing.T) {
	var walk func(typ reflect.Type, prefix, suffix string, depth int)
	fields := 0
	walk = func(typ reflect.Type, prefix, suffix string, depth int) {
		switch typ.Kind() {
		case reflect.Pointer:
			walk(typ.Elem(), prefix, suffix, depth)
			return
		case reflect.Slice:
			walk(typ.Elem(), prefix+"[", "]"+suffix, depth+1)
		case reflect.Map:
			walk(typ.Elem(), prefix+`{"k":`, "}"+suffix, depth+1)
		case reflect.Struct:
			for i := range typ.NumField() {
				f := typ.Field(i)
				if f.Anonymous {
					walk(f.Type, prefix, suffix, depth)
					continue
				}
				tag, _, _ := strings.Cut(f.Tag.Get("json"), ",")
				walk(f.Type, prefix+`{"`+tag+`":`, "}"+suffix, depth+1)
			}
		case reflect.Interface:
			return
		}
		for _, bad := range []string{`"s"`, `true`, `[]`, `{}`, `0.5`, `-1`, `1e99`} {
			text := []byte(prefix + bad + suffix)
			got, want := new(specs.Spec), new(specs.Spec)
			fault := decode(string(text), got)
			err := json.Unmarshal(text, want)
			if err == nil && !reflect.DeepEqual(got, want) {
				t.Errorf("%s: got %+v, encoding/json has %+v", text, got, want)
			}
			if (err != nil) != (len(fault) > 0) {
				t.Errorf("%s: encoding/json says %v, the walk %v", text, err, fault)
			}
			if len(fault) > 0 && strings.Count(fault[0].Pointer, "/") != depth {
				t.Errorf("%s: wrong place %s", text, fault[0].Pointer)
			}
		}
		fields++
	}
	walk(reflect.TypeFor[specs.Spec](), "", "", 0)
	if fields < 300 {
		t.Errorf("only %d types walked", fields)
	}
}

// The examples that come with the specification are judged as their directories
// say, but for what a schema cannot tell.
func TestSpecificationExamples(t *testing.T) {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/opencontainers/runtime-spec").Output()
	dir := filepath.Join(strings.TrimSpace(string(out)), "schema/test/config")
	if err != nil {
		t.Skip("no module cache at hand:", err)
	}
	if _, err := os.Stat(dir); err != nil {
		t.Skip("the module cache has no examples:", err)
	}
	const needsNetwork = "/linux/netDevices: needs a network namespace in /linux/namespaces"
	want := map[string]string{
		"good/spec-example.json":    `/ociVersion: must be a version 1 of the runtime specification, is "0.5.0-dev"`,
		"good/linux-netdevice.json": needsNetwork,
		"bad/invalid-json.json":     `:1:2: expected a property name in double quotes, found ']'`,
		"bad/linux-hugepage.json":   `/linux/resources/hugepageLimits/0/pageSize: must be a number of KB, MB or GB, such as 2MB, is "64kB"`,
		"bad/linux-netdevice.json":  `/linux/netDevices/eth0/name: must be a string, is 23`,
		"bad/linux-rdma.json":       `/linux/resources/rdma/mlx5_1/hcaHandles: must be an unsigned 32-bit number, is the string "not a uint32"`,
	}
	files, err := filepath.Glob(dir + "/*/*.json")
	if err != nil || len(files) < 5 {
		t.Fatalf("%d examples, %v", len(files), err)
	}
	for _, file := range files {
		name, _ := filepath.Rel(dir, file)
		// Other platforms have version 0.x or properties that are not ours.
		if strings.Contains(name, "zos") || strings.Contains(name, "freebsd") {
			continue
		}
		s, _, err := Load("", file)
		if err == nil {
			err = Validate(s)
		}
		got := ""
		if err != nil {
			got = strings.TrimPrefix(err.Error(), file)
		}
		if got != want[name] {
			t.Errorf("%s:\n got %s\nwant %s", name, got, want[name])
		}
	}
}

func FuzzParse(f *testing.F) {
	data, err := os.ReadFile("testdata/full.json")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	for _, text := range []string{"", "{", "null", `{"process": {"args": 1}}`, `{"linux": {"resources": {"blockIO": {"weightDevice": [{"Major": 1}]}}}}`, `{"windows": {"credentialSpec": {"a": [1]}}}`,
		`{"linux": {"seccomp": {"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [{"names": ["read", null, "a\u0062\n", "\ud800,]"], "args": [{"index": 1, "value": 18446744073709551615, "op": "SCMP_CMP_EQ"}, null]}, {}]}}}`,
		"{\"hostname\": \"\xff\u00e9\", \"process\": {\"args\": [ ] , \"env\":[\"A=]\",\"B=,\"]}, \"annotations\": {\"a,b]\": null}}"} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := Parse("f", data)
		var (
			syntax *SyntaxError
			faults Faults
		)
		switch {
		case err == nil:
			if err := Validate(s); err != nil && err.Error() == "" {
				t.Error("faults that say nothing")
			}
		case errors.As(err, &syntax):
			if syntax.Line < 1 || syntax.Column < 1 || !strings.HasPrefix(syntax.Problem, "expected ") &&
				!strings.Contains(syntax.Problem, "max depth") {
				t.Errorf("%v", err)
			}
		case errors.As(err, &faults):
			// encoding/json found a fault, so the walk must have.
			for _, fault := range faults {
				if !strings.HasPrefix(fault.Problem, "must be ") {
					t.Errorf("the walk found nothing, encoding/json did: %v", err)
				}
			}
		default:
			t.Errorf("%T: %v", err, err)
		}
		// encoding/json must have found a fault exactly if we did, and the same
		// values if not. Where a property comes twice it mixes old items of a
		// list into the new ones, which is not worth repeating.
		want := new(specs.Spec)
		uerr := json.Unmarshal(data, want)
		switch {
		case isNull(data):
		case (err == nil) != (uerr == nil):
			t.Errorf("encoding/json says %v, we say %v", uerr, err)
		case err == nil && !reflect.DeepEqual(s, want) && !repeats(data):
			t.Errorf("got %+v, encoding/json has %+v", s, want)
		}
	})
}

// repeats says whether an object of the document has two properties of one name,
// regardless of case.
func repeats(data []byte) bool {
	dec := json.NewDecoder(bytes.NewReader(data))
	var objects []map[string]bool // nil for an array
	isName := false
	for {
		token, err := dec.Token()
		if err != nil {
			return false
		}
		switch token {
		case json.Delim('{'):
			objects, isName = append(objects, map[string]bool{}), true
			continue
		case json.Delim('['):
			objects, isName = append(objects, nil), false
			continue
		case json.Delim('}'), json.Delim(']'):
			objects = objects[:len(objects)-1]
			isName = len(objects) > 0 && objects[len(objects)-1] != nil
			continue
		}
		if len(objects) == 0 || objects[len(objects)-1] == nil {
			continue
		}
		if isName {
			name := strings.ToLower(token.(string))
			if objects[len(objects)-1][name] {
				return true
			}
			objects[len(objects)-1][name] = true
		}
		isName = !isName
	}
}

// TestDecodeFull compares with encoding/json over a config that has every field.
func TestDecodeFull(t *testing.T) {
	data, err := os.ReadFile("testdata/full.json")
	if err != nil {
		t.Fatal(err)
	}
	got, want := new(specs.Spec), new(specs.Spec)
	if faults := decode(string(data), got); len(faults) > 0 {
		t.Fatal(faults)
	}
	if err := json.Unmarshal(data, want); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, encoding/json has %+v", got, want)
	}
}

func BenchmarkParseDefault(b *testing.B) {
	data, err := json.Marshal(Default())
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := Parse("c", data); err != nil {
			b.Fatal(err)
		}
	}
}
