package resctrl

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Stats are what a group may use and does use, in the form that container engines read.
type Stats struct {
	L3CacheInfo       *L3CacheInfo `json:"l3_cache_info,omitempty"`
	L3CacheSchemaRoot string       `json:"l3_cache_schema_root,omitempty"`
	L3CacheSchema     string       `json:"l3_cache_schema,omitempty"`
	MemBwInfo         *MemBwInfo   `json:"mem_bw_info,omitempty"`
	MemBwSchemaRoot   string       `json:"mem_bw_schema_root,omitempty"`
	MemBwSchema       string       `json:"mem_bw_schema,omitempty"`
	Schemata          []string     `json:"schemata,omitempty"`
	MBMStats          []Bandwidth  `json:"mbm_stats,omitempty"`
	CMTStats          []Occupancy  `json:"cmt_stats,omitempty"`
}

// L3CacheInfo is what the machine can allocate of its third-level caches.
type L3CacheInfo struct {
	CbmMask    string `json:"cbm_mask,omitempty"` // hexadecimal
	MinCbmBits uint64 `json:"min_cbm_bits,omitempty"`
	NumClosids uint64 `json:"num_closids,omitempty"`
}

// MemBwInfo is what the machine can allocate of memory bandwidth, in percent.
type MemBwInfo struct {
	BandwidthGran uint64 `json:"bandwidth_gran,omitempty"`
	DelayLinear   uint64 `json:"delay_linear,omitempty"`
	MinBandwidth  uint64 `json:"min_bandwidth,omitempty"`
	NumClosids    uint64 `json:"num_closids,omitempty"`
}

// Bandwidth are the bytes that went between one L3 cache and memory.
type Bandwidth struct {
	Total uint64 `json:"mbm_total_bytes"`
	Local uint64 `json:"mbm_local_bytes"`
}

// Occupancy are the bytes held in one L3 cache.
type Occupancy struct {
	Bytes uint64 `json:"llc_occupancy"`
}

// Stats reads the statistics of a group: of the monitored one if there is one, since
// in the control group others may be as well.
func (g *Group) Stats() (*Stats, error) {
	s := &Stats{}
	root, err := os.ReadFile(filepath.Join(g.Root.Path, "schemata"))
	if err != nil {
		return nil, err
	}
	own, err := g.Schemata()
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(strings.TrimSpace(own)) {
		s.Schemata = append(s.Schemata, strings.TrimSpace(line))
	}
	if err := s.describe(g.Root, string(root), own); err != nil {
		return nil, err
	}
	return s, s.measure(g)
}

// describe fills in what the machine has of each resource.
func (s *Stats) describe(r *Root, root, own string) (err error) {
	if r.has("L3") {
		mask, err := os.ReadFile(filepath.Join(r.Path, "info", "L3", "cbm_mask"))
		if err != nil {
			return err
		}
		i := &L3CacheInfo{CbmMask: strings.TrimSpace(string(mask))}
		if err := r.numbers("L3", map[string]*uint64{"min_cbm_bits": &i.MinCbmBits, "num_closids": &i.NumClosids}); err != nil {
			return err
		}
		s.L3CacheInfo, s.L3CacheSchemaRoot, s.L3CacheSchema = i, lineOf(root, "L3"), lineOf(own, "L3")
	}
	if r.has("MB") {
		i := &MemBwInfo{}
		err := r.numbers("MB", map[string]*uint64{
			"bandwidth_gran": &i.BandwidthGran, "delay_linear": &i.DelayLinear, "min_bandwidth": &i.MinBandwidth, "num_closids": &i.NumClosids,
		})
		if err != nil {
			return err
		}
		s.MemBwInfo, s.MemBwSchemaRoot, s.MemBwSchema = i, lineOf(root, "MB"), lineOf(own, "MB")
	}
	return nil
}

// measure reads the counters, a directory for each L3 cache.
func (s *Stats) measure(g *Group) error {
	list, err := os.ReadFile(filepath.Join(g.Root.Path, "info", "L3_MON", "mon_features"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	features := map[string]bool{}
	for name := range strings.FieldsSeq(string(list)) {
		features[name] = true
	}
	data := filepath.Join(g.Path, "mon_data")
	if g.Monitor != "" {
		data = filepath.Join(g.Monitor, "mon_data")
	}
	entries, err := os.ReadDir(data)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !e.IsDir() || !strings.HasPrefix(e.Name(), "mon_L3_") {
			continue
		}
		var b Bandwidth
		var o Occupancy
		for name, to := range map[string]*uint64{"mbm_total_bytes": &b.Total, "mbm_local_bytes": &b.Local, "llc_occupancy": &o.Bytes} {
			if !features[name] {
				continue
			}
			if *to, err = counter(filepath.Join(data, e.Name(), name)); err != nil {
				return err
			}
		}
		if features["mbm_total_bytes"] || features["mbm_local_bytes"] {
			s.MBMStats = append(s.MBMStats, b)
		}
		if features["llc_occupancy"] {
			s.CMTStats = append(s.CMTStats, o)
		}
	}
	return nil
}

// counter reads a counter. The hardware has none to give at times, and says so.
func counter(path string) (uint64, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	word := strings.TrimSpace(string(text))
	if word == "Unavailable" || word == "Error" || word == "Unassigned" {
		return 0, nil
	}
	return strconv.ParseUint(word, 10, 64)
}

// has says whether the machine can allocate, or with _MON monitor, a resource.
func (r *Root) has(resource string) bool {
	_, err := os.Lstat(filepath.Join(r.Path, "info", resource))
	return err == nil
}

// numbers reads several files of a resource's directory.
func (r *Root) numbers(resource string, files map[string]*uint64) (err error) {
	for name, to := range files {
		if *to, err = r.number("info", resource, name); err != nil {
			return err
		}
	}
	return nil
}

// lineOf is the first line of a schemata file that is about a resource, or "".
func lineOf(schemata, resource string) string {
	for line := range strings.Lines(schemata) {
		if s, err := parseSchema(line); err == nil && s.resource == resource {
			return strings.TrimSpace(line)
		}
	}
	return ""
}
