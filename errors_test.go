package main

import "testing"

// TestPrintable: whatever a file of an image is called, an error shows it and does nothing.
func TestPrintable(t *testing.T) {
	for text, want := range map[string]string{
		"plain: /a b/ü\nnext":          "plain: /a b/ü\nnext",
		"\x1b]0;title\a":               `\x1b]0;title\a`,
		"c1 \u009b31m, del \x7f, \xff": `c1 \u009b31m, del \x7f, \xff`,
		"right to left \u202e, \r":     `right to left \u202e, \r`,
		"a \"quote\" and a \\":         `a "quote" and a \`,
	} {
		if got := printable(text); got != want {
			t.Errorf("printable(%q) = %q, want %q", text, got, want)
		}
	}
}
