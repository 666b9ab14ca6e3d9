package cgroup

import (
	"strconv"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

func (t *translation) blockIO(r *specs.LinuxBlockIO) {
	const at = "/linux/resources/blockIO/"
	if r == nil {
		return
	}
	if n := value(r.Weight); n != 0 {
		t.ioWeight(at+"weight", "", n)
	}
	if n := value(r.LeafWeight); n != 0 {
		t.leafWeight(at+"leafWeight", "blkio.leaf_weight", "", n)
	}
	for i, d := range r.WeightDevice {
		field := at + "weightDevice/" + strconv.Itoa(i)
		if n := value(d.Weight); n != 0 {
			t.ioWeight(field+"/weight", number(d.LinuxBlockIODevice), n)
		}
		if n := value(d.LeafWeight); n != 0 {
			t.leafWeight(field+"/leafWeight", "blkio.leaf_weight_device", number(d.LinuxBlockIODevice), n)
		}
	}
	for _, list := range []struct {
		field, v1, v2 string
		devices       []specs.LinuxThrottleDevice
	}{
		{"throttleReadBpsDevice", "blkio.throttle.read_bps_device", "rbps", r.ThrottleReadBpsDevice},
		{"throttleWriteBpsDevice", "blkio.throttle.write_bps_device", "wbps", r.ThrottleWriteBpsDevice},
		{"throttleReadIOPSDevice", "blkio.throttle.read_iops_device", "riops", r.ThrottleReadIOPSDevice},
		{"throttleWriteIOPSDevice", "blkio.throttle.write_iops_device", "wiops", r.ThrottleWriteIOPSDevice},
	} {
		for i, d := range list.devices {
			field := at + list.field + "/" + strconv.Itoa(i)
			to, ok := t.target(field, "blkio")
			if !ok {
				continue
			}
			rate := strconv.FormatUint(d.Rate, 10)
			if to.unified {
				// Zero lifts the limit on version 1, and is ERANGE here.
				if d.Rate == 0 {
					rate = "max"
				}
				rate = list.v2 + "=" + rate
			}
			to.add(field, list.v1, "io.max", number(d.LinuxBlockIODevice)+" "+rate)
		}
	}
}

// ioWeight writes a weight, of one device unless device is empty. Which file
// takes it depends on the I/O scheduler: BFQ has files of its own with the
// range of version 1; on version 2 io.weight has another range.
func (t *translation) ioWeight(field, device string, weight uint16) {
	to, ok := t.target(field, "blkio")
	if !ok || !t.weightInRange(field, weight) {
		return
	}
	suffix, prefix := "", ""
	if device != "" {
		suffix, prefix = "_device", device+" "
	}
	bfq, other := "blkio.bfq.weight"+suffix, "blkio.weight"+suffix
	value := prefix + strconv.Itoa(int(weight))
	otherValue := value
	if to.unified {
		bfq, other = "io.bfq.weight", "io.weight"
		otherValue = prefix + strconv.FormatUint(IOWeight(weight), 10)
	}
	w := to.add(field, bfq, bfq, value)
	alternative := *w
	alternative.File, alternative.Value = other, otherValue
	w.Else = &alternative
}

// leafWeight writes the weight against the child groups, which only the CFQ
// scheduler of version 1 knew (removed in kernel 5.0).
func (t *translation) leafWeight(field, file, device string, weight uint16) {
	to, ok := t.target(field, "blkio")
	if !ok || !to.onlyV1(field) || !t.weightInRange(field, weight) {
		return
	}
	if device != "" {
		device += " "
	}
	to.add(field, file, "", device+strconv.Itoa(int(weight)))
}

func (t *translation) weightInRange(field string, weight uint16) bool {
	if weight < 10 || weight > 1000 {
		t.fault(field, strconv.Itoa(int(weight))+" is not between 10 and 1000")
		return false
	}
	return true
}

// IOWeight converts a version 1 block I/O weight (10 to 1000) to a version 2
// io.weight (1 to 10000), on a straight line.
func IOWeight(weight uint16) uint64 {
	return 1 + (uint64(weight)-10)*9999/990
}

func number(d specs.LinuxBlockIODevice) string {
	return strconv.FormatInt(d.Major, 10) + ":" + strconv.FormatInt(d.Minor, 10)
}
