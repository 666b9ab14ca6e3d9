package spec

import (
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/oci-mini/oci-mini/internal/rawfile"
)

// ConfigName is the name of the configuration in a bundle (runtime-spec,
// bundle.md).
const ConfigName = "config.json"

// MaxSize is how many bytes a configuration may have. It keeps the memory of a runtime that
// is given a device or another file without an end.
const MaxSize = 64 << 20

// Load reads the configuration of a bundle. An empty configName and [ConfigName]
// itself mean the bundle's own; any other name is the file to read instead, and a
// relative one starts from the current directory, not from the bundle, as a path
// typed on a command line does (and as crun's --config has it). It returns the
// file's bytes as well: a container is governed by the configuration it was
// created with, whatever happens to the file later (runtime-spec, runtime.md,
// "create"), so the caller keeps them.
//
// A file that cannot be read is an [os.PathError]; for the rest see [Parse]. The
// values are not judged: that is [Validate].
func Load(bundle, configName string) (*specs.Spec, []byte, error) {
	name := configName
	if name == "" || name == ConfigName {
		name = filepath.Join(bundle, ConfigName)
	}
	raw, err := rawfile.ReadSmall(name, MaxSize)
	if err != nil {
		return nil, nil, err
	}
	s, err := Parse(name, raw)
	if err != nil {
		return nil, nil, err
	}
	return s, raw, nil
}

// Parse decodes the text of a configuration, whose file is called name in
// messages. Its errors are those of [Decode].
func Parse(name string, data []byte) (*specs.Spec, error) {
	s := new(specs.Spec)
	if err := Decode(name, data, s); err != nil {
		return nil, err
	}
	return s, nil
}

// Decode decodes a JSON object into a value of a type of runtime-spec, such as
// the *specs.Process of a process file or the *specs.LinuxResources of an update.
// Text that is not JSON is a [*SyntaxError]. Values of the wrong type are
// [Faults], all of them at once. In both cases the content of into is undefined.
//
// Unknown properties are ignored, as the specification demands. Names match
// regardless of case, and a name that comes twice counts the last time, as
// encoding/json has it and as other runtimes written in Go do: a document that
// relies on either is read by all of them in the same way.
func Decode(name string, data []byte, into any) error {
	text := string(data)
	if !valid(text) && !json.Valid(data) {
		var syntax *json.SyntaxError
		if err := json.Unmarshal(data, new(any)); !errors.As(err, &syntax) {
			return fmt.Errorf("%s: %w", name, err) // nested deeper than any config
		}
		return newSyntaxError(name, data, syntax)
	}
	if isNull(data) {
		return Faults{{"", "must be an object, is null"}}
	}
	if faults := decode(text, into); len(faults) > 0 {
		return faults
	}
	return nil
}

func isNull(data []byte) bool {
	for _, b := range data {
		switch b {
		case ' ', '\t', '\r', '\n':
			continue
		}
		return b == 'n'
	}
	return false
}
