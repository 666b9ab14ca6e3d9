package specschema

import (
	"fmt"
	"strings"
)

// Row is the place on the page of conformance that tells about a field.
type Row struct {
	Chapter, Cell string // the row's chapter, and its first cell
}

// ParseRows reads docs/conformance.fields: POINTER | CHAPTER | CELL, a field a line.
func ParseRows(text string) (map[string]Row, error) {
	rows := map[string]Row{}
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		parts := strings.Split(line, " | ")
		if len(parts) != 3 {
			return nil, fmt.Errorf("%q is not of the form POINTER | CHAPTER | CELL", line)
		}
		if _, twice := rows[parts[0]]; twice {
			return nil, fmt.Errorf("%s is there twice", parts[0])
		}
		rows[parts[0]] = Row{parts[1], parts[2]}
	}
	return rows, nil
}

// The lines between which the page's index stands.
const (
	indexBegin = "<!-- the index: made by make conformance -->\n"
	indexEnd   = "<!-- the end of the index -->\n"
)

// hole stands in the index where no row is about a field.
const hole = "**no row**"

// Index returns the page with its index of all fields made anew, and what is wrong with it:
// fields that no row is about, rows that are not there, and lines of the data file for fields
// that the schema does not have.
func Index(page string, fields []Field, rows map[string]Row) (made string, faults []string) {
	there := tableRows(page)
	known := map[string]bool{}
	var b strings.Builder
	b.WriteString("| field | type | row |\n|---|---|---|\n")
	for _, f := range fields {
		known[f.Pointer] = true
		row, ok := rows[f.Pointer]
		text := hole
		switch {
		case !ok:
			faults = append(faults, f.Pointer+": no row of docs/conformance.md is about it: see the top of docs/conformance.fields")
		case !there[row]:
			faults = append(faults, fmt.Sprintf("%s: docs/conformance.md has no row %q in its chapter %q: mend docs/conformance.fields", f.Pointer, row.Cell, row.Chapter))
		default:
			text = fmt.Sprintf("[%s](#%s): %s", row.Chapter, anchor(row.Chapter), row.Cell)
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", f.Pointer, strings.ReplaceAll(f.Type, ",", ", "), text)
	}
	for pointer := range rows {
		if !known[pointer] {
			faults = append(faults, pointer+": docs/conformance.fields has it, the schema has not")
		}
	}
	before, rest, ok := strings.Cut(page, indexBegin)
	_, after, ok2 := strings.Cut(rest, indexEnd)
	if !ok || !ok2 {
		return page, append(faults, "docs/conformance.md lacks the lines between which its index stands")
	}
	return before + indexBegin + b.String() + indexEnd + after, faults
}

// tableRows are the rows of the page's tables, without the index.
func tableRows(page string) map[Row]bool {
	page, _, _ = strings.Cut(page, indexBegin)
	list := map[Row]bool{}
	chapter := ""
	for line := range strings.Lines(page) {
		if title, ok := strings.CutPrefix(line, "## "); ok {
			chapter = strings.TrimSpace(title)
		}
		if row, ok := strings.CutPrefix(line, "| "); ok {
			cell, _, _ := strings.Cut(row, " | ")
			list[Row{chapter, cell}] = true
		}
	}
	return list
}

// anchor is the name by which a chapter can be linked to.
func anchor(title string) string {
	return strings.NewReplacer(" ", "-", ".", "").Replace(strings.ToLower(title))
}
