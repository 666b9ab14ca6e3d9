package state

import (
	"fmt"
	"strconv"
)

// maxID bounds the length of an ID in bytes. File systems have their own, lower
// bound (255), which the kernel reports.
const maxID = 1024

// ValidID tells whether id may name a container: letters, digits and any of
// _ + . - but neither "." nor "..", 1 to 1024 bytes. This is what makes it safe
// to use as the name of a directory.
func ValidID(id string) error {
	if id == "" {
		return fmt.Errorf("invalid container ID format: the ID is empty")
	}
	if len(id) > maxID {
		return fmt.Errorf("invalid container ID format: %d bytes are too long, the limit is %d", len(id), maxID)
	}
	if id == "." || id == ".." {
		return fmt.Errorf("invalid container ID format: %q", id)
	}
	for i := 0; i < len(id); i++ {
		switch c := id[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case c == '_', c == '+', c == '.', c == '-':
		default:
			return fmt.Errorf("invalid container ID format: %s: only letters, digits and _+.- are allowed", strconv.Quote(id))
		}
	}
	return nil
}
