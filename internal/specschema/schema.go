// Package specschema reads the JSON schema of the runtime specification, from the module
// that the runtime is built with. It serves tests and the documentation; the runtime
// itself does not use it.
package specschema

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// Module is where the schema comes from.
const Module = "github.com/opencontainers/runtime-spec"

// Field is a place in a config.json.
type Field struct {
	// Pointer is its JSON pointer. An element of an array, and a value of an object whose
	// names are free, is called *.
	Pointer string
	// Type is the schema's: string, integer, boolean, array, object, or several with
	// commas.
	Type string
	// Enum are the values that the schema lists, if it does.
	Enum []string
}

// Dir is the directory of the schema in the module cache.
func Dir() (string, error) {
	// go test repeats an old result until a file of this module that the test has looked at
	// changes: go.mod names the schema's version, and the go command reads it unseen.
	mod, err := exec.Command("go", "env", "GOMOD").Output()
	if err != nil {
		return "", fmt.Errorf("go env GOMOD: %w", err)
	}
	if _, err := os.ReadFile(strings.TrimSpace(string(mod))); err != nil {
		return "", err
	}
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", Module).Output()
	if err != nil {
		return "", fmt.Errorf("go list -m %s: %w", Module, err)
	}
	return filepath.Join(strings.TrimSpace(string(out)), "schema"), nil
}

// platforms are the objects of config.json that are for other platforms than Linux.
var platforms = []string{"/freebsd", "/solaris", "/windows", "/zos"}

// Config lists all fields of a config.json for Linux, sorted.
func Config() ([]Field, error) {
	list, err := Fields(ConfigSchema)
	return slices.DeleteFunc(list, func(f Field) bool {
		return slices.ContainsFunc(platforms, func(p string) bool { return f.Pointer == p || strings.HasPrefix(f.Pointer, p+"/") })
	}), err
}

// walker goes through the schema, which is spread over several files.
type walker struct {
	dir   string
	files map[string]map[string]any
	found map[string]*Field
}

func (w *walker) file(name string) (map[string]any, error) {
	if f, ok := w.files[name]; ok {
		return f, nil
	}
	data, err := os.ReadFile(filepath.Join(w.dir, name))
	if err != nil {
		return nil, err
	}
	var f map[string]any
	if err := json.Unmarshal(data, &f); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	w.files[name] = f
	return f, nil
}

// resolve follows a reference such as defs.json#/definitions/uint32.
func (w *walker) resolve(in, ref string) (file string, node map[string]any, err error) {
	file, path, _ := strings.Cut(ref, "#")
	if file == "" {
		file = in
	}
	if node, err = w.file(file); err != nil {
		return "", nil, err
	}
	for name := range strings.SplitSeq(strings.Trim(path, "/"), "/") {
		next, ok := node[name].(map[string]any)
		if !ok {
			return "", nil, fmt.Errorf("%s: no %s", in, ref)
		}
		node = next
	}
	return file, node, nil
}

// walk notes the field at a pointer, and those below.
func (w *walker) walk(pointer, file string, node map[string]any) error {
	if len(pointer) > 400 {
		return fmt.Errorf("%s: the schema goes round in circles", pointer)
	}
	if pointer != "" {
		f := w.found[pointer]
		if f == nil {
			f = &Field{Pointer: pointer}
			w.found[pointer] = f
		}
		f.note(node)
	}
	if ref, ok := node["$ref"].(string); ok {
		in, to, err := w.resolve(file, ref)
		if err != nil {
			return err
		}
		if err := w.walk(pointer, in, to); err != nil {
			return err
		}
	}
	for _, word := range []string{"anyOf", "allOf", "oneOf"} {
		list, _ := node[word].([]any)
		for _, n := range list {
			if n, ok := n.(map[string]any); ok {
				if err := w.walk(pointer, file, n); err != nil {
					return err
				}
			}
		}
	}
	if properties, ok := node["properties"].(map[string]any); ok {
		for name, n := range properties {
			if n, ok := n.(map[string]any); ok {
				if err := w.walk(pointer+"/"+name, file, n); err != nil {
					return err
				}
			}
		}
	}
	below := []any{node["items"], node["additionalProperties"]}
	if list, ok := node["items"].([]any); ok { // a node for each place
		below = append(below, list...)
	}
	if patterns, ok := node["patternProperties"].(map[string]any); ok {
		for _, n := range patterns {
			below = append(below, n)
		}
	}
	for _, n := range below {
		if n, ok := n.(map[string]any); ok {
			if err := w.walk(pointer+"/*", file, n); err != nil {
				return err
			}
		}
	}
	return nil
}

// note adds what a node of the schema says about the field itself.
func (f *Field) note(node map[string]any) {
	var types []string
	switch t := node["type"].(type) {
	case string:
		types = []string{t}
	case []any:
		for _, t := range t {
			types = append(types, fmt.Sprint(t))
		}
	}
	for _, t := range types {
		if !strings.Contains(","+f.Type+",", ","+t+",") {
			f.Type = strings.Trim(f.Type+","+t, ",")
		}
	}
	values, _ := node["enum"].([]any)
	for _, v := range values {
		if s, ok := v.(string); ok && !slices.Contains(f.Enum, s) {
			f.Enum = append(f.Enum, s)
		}
	}
}
