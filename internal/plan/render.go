package plan

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
)

// Text writes the Plan for people: a line a step, numbered, with the executor,
// the words and the field; details and reasons stand indented below.
func (p *Plan) Text(w io.Writer) error {
	width := 0
	for _, s := range p.Steps {
		if len(s.Words) <= maxColumn {
			width = max(width, len(s.Words))
		}
	}
	var b strings.Builder
	for i, s := range p.Steps {
		line := fmt.Sprintf("%3d  %-7s  %-*s  %s", i+1, s.By, width, s.Words, s.Field)
		b.WriteString(strings.TrimRight(line, " ") + "\n")
		if s.Detail != "" {
			fmt.Fprintf(&b, "%14s%s\n", "", s.Detail)
		}
		if s.Reason != "" {
			fmt.Fprintf(&b, "%14sbecause %s\n", "", s.Reason)
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// maxColumn bounds the column of words, so that one long step does not push all
// fields off the screen.
const maxColumn = 72

// JSON writes the Plan for programs, indented, with a final newline.
func (p *Plan) JSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(p)
}
