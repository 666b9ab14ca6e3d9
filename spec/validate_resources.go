package spec

import (
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// resources checks the limits of the cgroup. Their ranges are the kernel's to
// judge, and differ between its versions; what is checked here is what the
// specification states, and the form of what becomes part of a file's name.
func (c *checker) resources(at *pointer, r *specs.LinuxResources) {
	c.deviceRules(at.field("devices"), r.Devices)
	if r.Memory != nil {
		in := at.field("memory")
		c.memory(&in, r.Memory)
	}
	if r.CPU != nil {
		in := at.field("cpu")
		c.cpu(&in, r.CPU)
	}
	if r.Pids != nil {
		in := at.field("pids")
		c.limit(in.field("limit"), r.Pids.Limit)
	}
	if r.BlockIO != nil {
		in := at.field("blockIO")
		c.blockIO(&in, r.BlockIO)
	}
	list := at.field("hugepageLimits")
	for i := range r.HugepageLimits {
		entry := list.item(i)
		if size := r.HugepageLimits[i].Pagesize; !isPageSize(size) {
			c.bad(entry.field("pageSize"), "must be a number of KB, MB or GB, such as 2MB, is %q", size)
		}
	}
	if r.Network != nil {
		in := at.field("network")
		list := in.field("priorities")
		for i := range r.Network.Priorities {
			entry := list.item(i)
			c.interfaceName(entry.field("name"), r.Network.Priorities[i].Name)
		}
	}
	object := at.field("rdma")
	for _, device := range sortedKeys(r.Rdma) {
		if limit := r.Rdma[device]; limit.HcaHandles == nil && limit.HcaObjects == nil {
			c.bad(object.field(device), "must have hcaHandles or hcaObjects")
		}
	}
	object = at.field("unified")
	for _, file := range sortedKeys(r.Unified) {
		if file == "" || file == "." || file == ".." || strings.Contains(file, "/") || strings.IndexByte(file, 0) >= 0 {
			c.bad(object.field(file), "must be the name of a file in the cgroup, such as memory.high")
		}
	}
}

// deviceRules checks the entries of the device controller. An entry without access
// would be one that says nothing, or everything: it is refused, as by runc.
func (c *checker) deviceRules(list pointer, rules []specs.LinuxDeviceCgroup) {
	for i := range rules {
		at, rule := list.item(i), &rules[i]
		switch rule.Type {
		case "", "a", "b", "c":
		default:
			c.bad(at.field("type"), "must be one of a, b, c, is %q", rule.Type)
		}
		// A number of -1 is not in the specification, but means "all" to
		// every runtime, and engines write it.
		if n := rule.Major; n != nil && *n < -1 {
			c.bad(at.field("major"), "must be at least -1, which stands for all, is %d", *n)
		}
		if n := rule.Minor; n != nil && *n < -1 {
			c.bad(at.field("minor"), "must be at least -1, which stands for all, is %d", *n)
		}
		switch {
		case rule.Access == "":
			c.bad(at.field("access"), "is required: some of r, w and m")
		case strings.Trim(rule.Access, "rwm") != "":
			c.bad(at.field("access"), "must be made of r, w and m, is %q", rule.Access)
		}
	}
}

// limit checks a number for which -1 means that there is no limit.
func (c *checker) limit(at pointer, limit *int64) {
	if limit != nil && *limit < -1 {
		c.bad(at, "must not be negative, unless -1 for unlimited, is %d", *limit)
	}
}

func (c *checker) memory(at *pointer, m *specs.LinuxMemory) {
	c.limit(at.field("limit"), m.Limit)
	c.limit(at.field("reservation"), m.Reservation)
	c.limit(at.field("swap"), m.Swap)
	if m.Limit != nil && m.Swap != nil && *m.Limit > 0 && *m.Swap > 0 && *m.Swap < *m.Limit {
		c.bad(at.field("swap"), "must be at least the memory limit %d, since it is memory and swap together, is %d", *m.Limit, *m.Swap)
	}
	if m.Swappiness != nil && *m.Swappiness > 100 {
		c.bad(at.field("swappiness"), "must be from 0 to 100, is %d", *m.Swappiness)
	}
}

func (c *checker) cpu(at *pointer, cpu *specs.LinuxCPU) {
	if q, b := cpu.Quota, cpu.Burst; q != nil && b != nil && *q > 0 && *b > uint64(*q) {
		c.bad(at.field("burst"), "must be at most the quota %d, is %d", *q, *b)
	}
	c.ranges(at.field("cpus"), cpu.Cpus)
	c.ranges(at.field("mems"), cpu.Mems)
	if cpu.Idle != nil && *cpu.Idle != 0 && *cpu.Idle != 1 {
		c.bad(at.field("idle"), "must be 0 or 1, is %d", *cpu.Idle)
	}
}

func (c *checker) blockIO(at *pointer, b *specs.LinuxBlockIO) {
	list := at.field("weightDevice")
	for i := range b.WeightDevice {
		entry, d := list.item(i), &b.WeightDevice[i]
		c.deviceNumber(entry.field("major"), d.Major, 1<<12-1)
		c.deviceNumber(entry.field("minor"), d.Minor, 1<<20-1)
		if d.Weight == nil && d.LeafWeight == nil {
			c.bad(entry, "must have weight or leafWeight")
		}
	}
	for _, x := range [...]struct {
		name    string
		devices []specs.LinuxThrottleDevice
	}{
		{"throttleReadBpsDevice", b.ThrottleReadBpsDevice},
		{"throttleWriteBpsDevice", b.ThrottleWriteBpsDevice},
		{"throttleReadIOPSDevice", b.ThrottleReadIOPSDevice},
		{"throttleWriteIOPSDevice", b.ThrottleWriteIOPSDevice},
	} {
		list := at.field(x.name)
		for i := range x.devices {
			entry := list.item(i)
			c.deviceNumber(entry.field("major"), x.devices[i].Major, 1<<12-1)
			c.deviceNumber(entry.field("minor"), x.devices[i].Minor, 1<<20-1)
		}
	}
}

// isPageSize tells whether a text is the size of a huge page as it stands in the
// names of the hugetlb controller's files: a number without a leading zero, and
// KB, MB or GB.
func isPageSize(size string) bool {
	number := strings.TrimRight(size, "GKMB")
	switch size[len(number):] {
	case "KB", "MB", "GB":
		return number != "" && number[0] != '0' && strings.Trim(number, "0123456789") == ""
	}
	return false
}
