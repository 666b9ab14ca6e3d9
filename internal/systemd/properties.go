package systemd

import (
	"errors"
	"fmt"
	"math"
	"math/bits"
	"slices"
	"strconv"
	"strings"

	"github.com/oci-mini/oci-mini/internal/dbus"
)

// A Property is one setting of a unit.
type Property struct {
	Name  string
	Value dbus.Value
}

// String is the property as it is written in a call, NAME=VALUE with the value as
// GVariant text.
func (p Property) String() string { return p.Name + "=" + p.Value.Format() }

// unlimited is what stands for no limit.
const unlimited = math.MaxUint64

// files are the cgroup files that systemd has properties for. What is written
// to one directly, systemd would overwrite when it applies the unit's settings
// again, as after a daemon-reload.
var files = [...]struct {
	unified bool
	name    string
	to      func(value string) []Property
}{
	{true, "memory.max", number("MemoryMax")},
	{true, "memory.high", number("MemoryHigh")},
	{true, "memory.low", number("MemoryLow")},
	{true, "memory.min", number("MemoryMin")},
	{true, "memory.swap.max", number("MemorySwapMax")},
	{true, "pids.max", tasks},
	{true, "cpu.weight", number("CPUWeight")},
	{true, "cpu.idle", idle},
	{true, "cpu.max", quota},
	{true, "cpuset.cpus", list("AllowedCPUs")},
	{true, "cpuset.mems", list("AllowedMemoryNodes")},
	{true, "io.weight", ioWeight},
	{true, "io.bfq.weight", bfqWeight},
	{false, "memory.limit_in_bytes", number("MemoryLimit")},
	{false, "pids.max", tasks},
	{false, "cpu.shares", number("CPUShares")},
	{false, "blkio.weight", number("BlockIOWeight")},
	{false, "blkio.bfq.weight", number("BlockIOWeight")},
}

// Files are the cgroup files that systemd may write when a property changes, or when it
// applies all of them.
func Files(unified bool) []string {
	var names []string
	if !unified {
		names = append(names, "cpu.cfs_period_us", "cpu.cfs_quota_us") // one property for both
	}
	for _, f := range files {
		if f.unified == unified {
			names = append(names, f.name)
		}
	}
	return names
}

// OfFile returns the properties that say what value says in a cgroup file; none
// where systemd does not know the file, or cannot express the value.
func OfFile(unified bool, name, value string) []Property {
	for _, f := range files {
		if f.unified == unified && f.name == name {
			return f.to(strings.TrimSpace(value))
		}
	}
	return nil
}

// number is a file with one number, or "max".
func number(property string) func(string) []Property {
	return func(value string) []Property {
		n := uint64(unlimited)
		if value != "max" && value != "-1" {
			var err error
			if n, err = strconv.ParseUint(value, 10, 64); err != nil {
				return nil
			}
		}
		return []Property{{property, dbus.Uint64(n)}}
	}
}

// tasks is a number of processes. systemd takes none below one, which is as much as zero for
// a container whose first process is there.
func tasks(value string) []Property {
	if value == "0" {
		value = "1"
	}
	return number("TasksMax")(value)
}

// idle is a weight of zero. A group that is not idle has its weight told by another
// file.
func idle(value string) []Property {
	if value != "1" {
		return nil
	}
	return []Property{{"CPUWeight", dbus.Uint64(0)}}
}

// quota is "QUOTA" or "QUOTA PERIOD" in microseconds, of which systemd keeps the
// quota for a second and rounds it to a hundredth of one per cent.
func quota(value string) []Property {
	text, rest, both := strings.Cut(value, " ")
	period, err := uint64(100000), error(nil)
	if both {
		if period, err = strconv.ParseUint(rest, 10, 64); err != nil || period == 0 {
			return nil
		}
	}
	perSecond := uint64(unlimited)
	if text != "max" {
		n, err := strconv.ParseUint(text, 10, 64)
		if err != nil || n > math.MaxUint64/1000000 {
			return nil
		}
		perSecond = n * 1000000 / period
		if perSecond%10000 != 0 {
			perSecond += 10000 - perSecond%10000
		}
	}
	properties := []Property{{"CPUQuotaPerSecUSec", dbus.Uint64(perSecond)}}
	if both {
		properties = append(properties, Property{"CPUQuotaPeriodUSec", dbus.Uint64(period)})
	}
	return properties
}

// list is a list such as 0-3,7, which systemd takes as a bitmap.
func list(property string) func(string) []Property {
	return func(value string) []Property {
		var bitmap []byte
		for part := range strings.SplitSeq(value, ",") {
			if part == "" {
				continue
			}
			first, last, isRange := strings.Cut(strings.TrimSpace(part), "-")
			if !isRange {
				last = first
			}
			from, err1 := strconv.ParseUint(first, 10, 16)
			to, err2 := strconv.ParseUint(last, 10, 16)
			if err1 != nil || err2 != nil || to < from {
				return nil
			}
			for i := from; i <= to; i++ {
				for int(i/8) >= len(bitmap) {
					bitmap = append(bitmap, 0)
				}
				bitmap[i/8] |= 1 << (i % 8)
			}
		}
		return []Property{{property, dbus.Bytes(bitmap)}}
	}
}

// ioWeight is the weight for all devices, without or behind the word "default". Those of single devices
// need a device's path, which the file does not tell.
func ioWeight(value string) []Property {
	return number("IOWeight")(strings.TrimPrefix(value, "default "))
}

// bfqWeight is the same for the file of the BFQ scheduler, for which systemd has no
// property: it makes the file's 1 to 1000 of the 1 to 10000 of IOWeight, with 100 at 100
// and a straight line on either side (BFQ_WEIGHT of its src/core/cgroup.c).
func bfqWeight(value string) []Property {
	n, err := strconv.ParseUint(strings.TrimPrefix(value, "default "), 10, 16)
	if err != nil {
		return nil
	}
	if n > 100 {
		n = 100 + (n-100)*11
	}
	return []Property{{"IOWeight", dbus.Uint64(n)}}
}

// idleSince is the first version of systemd that takes a CPUWeight of zero.
const idleSince = 252

// idle tells whether a property makes a group idle.
func (p Property) idle() bool { return p.Name == "CPUWeight" && p.Value.Number() == 0 }

// ForVersion leaves out what a systemd of that version would refuse. It then knows less than
// the cgroup's files say, and leaves them alone: an idle group takes no weight from it.
func ForVersion(properties []Property, version string) []Property {
	digits := strings.TrimPrefix(version, "v")
	if i := strings.IndexFunc(digits, func(r rune) bool { return r < '0' || r > '9' }); i >= 0 {
		digits = digits[:i]
	}
	if n, _ := strconv.Atoi(digits); n >= idleSince {
		return properties
	}
	return slices.DeleteFunc(slices.Clone(properties), Property.idle)
}

// Merge puts properties into a list, over those of the same name.
func Merge(into, from []Property) []Property {
	for _, p := range from {
		i := slices.IndexFunc(into, func(q Property) bool { return q.Name == p.Name })
		if i < 0 {
			into = append(into, p)
		} else {
			into[i] = p
		}
	}
	return into
}

// Reserved tells the properties that make a unit what its maker relies on.
func Reserved(name string) bool {
	switch name {
	case "Description", "Slice", "Delegate", "DefaultDependencies", "PIDs", "Wants", "DevicePolicy", "DeviceAllow",
		"CPUAccounting", "MemoryAccounting", "IOAccounting", "BlockIOAccounting", "TasksAccounting":
		return true
	}
	return false
}

var errName = errors.New("is not the name of a property: three letters or more, the first a capital")

// ParseProperty reads a property from a name and GVariant text. A name that ends in
// Sec takes a number of seconds, and becomes the one in USec that D-Bus has.
func ParseProperty(name, text string) (Property, error) {
	if len(name) < 3 || name[0] < 'A' || name[0] > 'Z' || strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") != "" {
		return Property{}, errName
	}
	v, err := dbus.ParseText(text)
	if err != nil {
		return Property{}, fmt.Errorf("%q is not a value in GVariant text: %w", text, err)
	}
	base, inSeconds := strings.CutSuffix(name, "Sec")
	if !inSeconds || strings.HasSuffix(name, "USec") {
		return Property{name, v}, nil
	}
	seconds, ok := v.Float()
	micro := math.Round(seconds * 1e6)
	if !ok || !(micro >= 0 && micro < math.MaxUint64) {
		return Property{}, fmt.Errorf("%q is not a number of seconds", text)
	}
	n := uint64(micro)
	if whole := uint64(seconds); float64(whole) == seconds {
		if hi, lo := bits.Mul64(whole, 1000000); hi == 0 {
			n = lo
		}
	}
	return Property{base + "USec", dbus.Uint64(n)}, nil
}
