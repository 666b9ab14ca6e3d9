package spec

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"os"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// Write writes a configuration as JSON, indented with tabs, to a new file, whose
// mode is 0666 less the umask. It never overwrites: if the file is there, the
// error says to remove it first and is [fs.ErrExist]. A file that could not be
// written to the end is removed.
func Write(path string, s *specs.Spec) error {
	var text bytes.Buffer
	enc := json.NewEncoder(&text)
	enc.SetEscapeHTML(false) // the file is for people to read
	enc.SetIndent("", "\t")
	if err := enc.Encode(s); err != nil {
		return err
	}
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if errors.Is(err, fs.ErrExist) {
		return &existsError{path, err}
	}
	if err != nil {
		return err
	}
	_, err = file.Write(text.Bytes())
	if err := errors.Join(err, file.Close()); err != nil {
		_ = os.Remove(path) // the failed write is what the user must hear of
		return err
	}
	return nil
}

// existsError says what to do about a file in the way, where the words of the
// kernel would only state that it is there.
type existsError struct {
	path string
	err  error
}

func (e *existsError) Error() string { return e.path + " exists: remove it first" }

func (e *existsError) Unwrap() error { return e.err }
