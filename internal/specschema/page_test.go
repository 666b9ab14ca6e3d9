package specschema

import (
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the index of docs/conformance.md anew")

// TestConformancePage holds docs/conformance.md to the schema: every field of it has a row,
// and the index at the end of the page is up to date.
func TestConformancePage(t *testing.T) {
	fields, err := Config()
	if err != nil {
		t.Fatal(err)
	}
	docs := filepath.Join("..", "..", "docs")
	data, err := os.ReadFile(filepath.Join(docs, "conformance.fields"))
	if err != nil {
		t.Fatal(err)
	}
	rows, err := ParseRows(string(data))
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(docs, "conformance.md")
	page, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	made, faults := Index(string(page), fields, rows)
	for _, f := range faults {
		t.Error(f)
	}
	if made == string(page) {
		return
	}
	if *update {
		if err := os.WriteFile(name, []byte(made), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	t.Error("the index of docs/conformance.md is stale: make conformance")
}

// TestConfig: what the walk must find, in the ways in which the schema hides it.
func TestConfig(t *testing.T) {
	fields, err := Config()
	if err != nil {
		t.Fatal(err)
	}
	if len(fields) < 300 {
		t.Errorf("only %d fields: the schema is not read as a whole", len(fields))
	}
	for pointer, want := range map[string]Field{
		"/ociVersion":                                   {Type: "string"},
		"/linux/resources/unified/*":                    {Type: "string"},
		"/linux/netDevices/*/name":                      {Type: "string"},
		"/linux/namespaces/*/type":                      {Type: "string", Enum: []string{"time"}},
		"/linux/seccomp/syscalls/*/args/*/op":           {Type: "string", Enum: []string{"SCMP_CMP_MASKED_EQ"}},
		"/mounts/*/uidMappings/*/size":                  {Type: "integer"},
		"/hooks/poststop/*/timeout":                     {Type: "integer"},
		"/linux/intelRdt/enableMonitoring":              {Type: "boolean"},
		"/linux/resources/rdma/*/hcaHandles":            {Type: "integer"},
		"/linux/resources/devices/*/access":             {Type: "string"},
		"/linux/timeOffsets/boottime/nanosecs":          {Type: "integer"},
		"/process/capabilities/ambient/*":               {Type: "string"},
		"/linux/resources/blockIO/weightDevice/*/major": {Type: "integer"},
		"/vm/hwConfig/iomems/*/firstGFN":                {Type: "integer"},
	} {
		i := slices.IndexFunc(fields, func(f Field) bool { return f.Pointer == pointer })
		if i < 0 {
			t.Errorf("no field %s", pointer)
			continue
		}
		if fields[i].Type != want.Type {
			t.Errorf("%s has the type %q, should have %q", pointer, fields[i].Type, want.Type)
		}
		for _, value := range want.Enum {
			if !slices.Contains(fields[i].Enum, value) {
				t.Errorf("%s does not list %q", pointer, value)
			}
		}
	}
	for _, f := range fields {
		if strings.HasPrefix(f.Pointer, "/windows") {
			t.Errorf("a field of another platform: %s", f.Pointer)
		}
	}
}

// TestIndex: a field without a row, a row that is gone, a field that is gone.
func TestIndex(t *testing.T) {
	page := "# Page\n\n## a b.c\n\n| field | x |\n|---|---|\n| `one` | y |\n\n## Index\n\n" + indexBegin + "old\n" + indexEnd + "end\n"
	fields := []Field{{Pointer: "/one", Type: "string"}, {Pointer: "/two", Type: "array,null"}, {Pointer: "/three"}}
	rows := map[string]Row{"/one": {"a b.c", "`one`"}, "/three": {"a b.c", "`three`"}, "/four": {"a b.c", "`one`"}}
	made, faults := Index(page, fields, rows)
	for _, want := range []string{"| `/one` | string | [a b.c](#a-bc): `one` |\n", "| `/two` | array, null | **no row** |\n", "| `/three` |  | **no row** |\n", indexEnd + "end\n"} {
		if !strings.Contains(made, want) {
			t.Errorf("no %q in\n%s", want, made)
		}
	}
	if strings.Contains(made, "old") {
		t.Error("the old index is still there")
	}
	for i, want := range []string{"/two: no row", "/three: docs/conformance.md has no row \"`three`\"", "/four: docs/conformance.fields has it"} {
		if len(faults) != 3 || !strings.HasPrefix(faults[i], want) {
			t.Errorf("the faults are %q", faults)
		}
	}
	if again, _ := Index(made, fields, rows); again != made {
		t.Error("made twice, the index differs")
	}
	if _, faults := Index("no index", nil, nil); len(faults) != 1 {
		t.Errorf("without a place for it: %q", faults)
	}
}
