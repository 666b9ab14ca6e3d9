// Package dbus speaks as much of the D-Bus protocol as a short-lived caller of
// systemd needs: it connects to a bus or to systemd's own socket over a Unix
// stream, proves who it is by the socket's credentials, makes method calls and
// waits for signals, all of it with a deadline. It serves no methods, passes no
// descriptors, and knows no service's interfaces.
//
// The protocol is that of the D-Bus specification 0.43: "Message Protocol" for
// the format, "Authentication Protocol" for the line of text before it. Values
// are printed, and those of configurations read, as GVariant text.
package dbus
