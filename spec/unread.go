package spec

import (
	"fmt"
	"reflect"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// Unread returns what a configuration says and no runtime reads: properties that the
// specification does not have, which must be ignored (config.md, "Extensibility"), and
// those that the same object has once more further down. Most of them are slips of the
// pen. The text must be that of a configuration that [Parse] takes.
func Unread(data []byte) Faults { return UnreadOf(data, new(specs.Spec)) }

// UnreadOf is Unread for a document that [Decode] takes for a value of this type. The value
// is not to be used.
func UnreadOf(data []byte, into any) Faults {
	w := walk{scanner: scanner{text: string(data)}, fields: map[reflect.Type][]property{}, unread: &Faults{}}
	w.value(reflect.ValueOf(into).Elem(), nil)
	return *w.unread
}

// stray notes a property that goes nowhere. list are those that there are.
func (w *walk) stray(at pointer, name string, list []property) {
	problem := "is not in the specification, and ignored"
	if best := nearest(name, list); best != "" {
		problem += "; there is " + best
	}
	*w.unread = append(*w.unread, Fault{at.String(), problem})
}

// again notes a property that an object has had before.
func (w *walk) again(at pointer, seen *map[string]bool, name string) {
	if w.unread == nil {
		return
	}
	if *seen == nil {
		*seen = map[string]bool{}
	}
	if (*seen)[name] {
		*w.unread = append(*w.unread, Fault{at.String(), fmt.Sprintf("is there more than once: the last one, in line %d, counts", 1+strings.Count(w.text[:w.pos], "\n"))})
	}
	(*seen)[name] = true
}

// nearest is the property whose name is at most two changes away: letters that are
// missing, too many, or others.
func nearest(name string, list []property) string {
	best, least := "", 3
	for _, p := range list {
		if d := distance(strings.ToLower(name), strings.ToLower(p.name)); d < least && d <= len(name)/2 {
			best, least = p.name, d
		}
	}
	return best
}

// distance is the Levenshtein distance of two words.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		left := i // of the row above
		row[0] = i + 1
		for j := range len(b) {
			change := left
			if a[i] != b[j] {
				change++
			}
			left = row[j+1]
			row[j+1] = min(change, row[j]+1, left+1)
		}
	}
	return row[len(b)]
}
