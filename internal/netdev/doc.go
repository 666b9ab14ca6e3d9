// Package netdev moves network devices between network namespaces, with the
// rtnetlink messages that it takes and no more (rtnetlink(7)).
//
// A [Socket] speaks for the network namespace that it was opened in, whoever uses it
// and wherever. It also keeps the namespace alive, so that a device can still be moved
// back when the last process of the namespace has gone.
//
// # What a device loses on its way
//
// The kernel keeps what belongs to the device itself: hardware address, MTU, queue
// lengths, alternative names. It closes the device and takes away all its addresses and
// routes. [Move] gives it back the addresses that are permanent and of global scope
// (runtime-spec, config-linux.md, "Network Devices"), each with all of its attributes.
//
// # How the resulting name is known
//
// A name such as eth%d is a pattern of the kernel's: it picks the first number that is
// free. The answer to the request does not tell which (before Linux 6.2 nothing does), and
// to look for the pattern itself finds nothing. So the device moves to an index of our
// choice (IFLA_NEW_IFINDEX, Linux 5.13), by which it is asked for its name.
//
// Moving and renaming in one message applies a pattern twice: once as the device arrives,
// if its old name is taken, and once more as a change of the name, where the device's own
// is one that is taken. So with a pattern it arrives under a name that cannot match,
// and is renamed by a second message.
package netdev
