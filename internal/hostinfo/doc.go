// Package hostinfo looks at what a machine offers to containers, says what each thing is for
// and what to do where it is missing. It reads files and changes nothing.
package hostinfo
