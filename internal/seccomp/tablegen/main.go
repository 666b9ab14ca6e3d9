// Command tablegen writes ztables.go of package seccomp: the numbers of the
// system calls of every architecture.
//
// Most come from golang.org/x/sys/unix, in the version of go.mod. It lacks some
// architectures of the specification: their numbers stand in kernel/*.txt, up to
// the calls of Linux 6.1 (their heads say which came from elsewhere). Newer calls
// have one number everywhere, so they are taken from a table of golang.org/x/sys
// here too.
package main

import (
	"bytes"
	"embed"
	"fmt"
	"go/format"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

//go:embed kernel/*.txt
var kernel embed.FS

// An origin says where a table comes from.
type origin struct {
	name string // of the table in ztables.go
	goos string // of golang.org/x/sys's file, or ""
	text string // of the file below kernel, or ""
	base int    // of the numbers
}

var origins = []origin{
	{"amd64", "amd64", "", 0},
	{"x32", "", "x32", 0},
	{"i386", "386", "", 0},
	{"arm64", "arm64", "", 0},
	{"arm", "arm", "arm", 0},
	{"riscv64", "riscv64", "", 0},
	{"loong64", "loong64", "", 0},
	{"mips", "mips", "", 4000},
	{"mips64", "mips64", "", 5000},
	{"mips64n32", "", "mips64n32", 6000},
	{"ppc", "ppc", "", 0},
	{"ppc64", "ppc64", "", 0},
	{"s390", "", "s390", 0},
	{"s390x", "s390x", "", 0},
	{"parisc", "", "parisc", 0},
	{"parisc64", "", "parisc64", 0},
	{"m68k", "", "m68k", 0},
	{"sh", "", "sh", 0},
}

const (
	// lastText is the newest call of the kernel whose tables kernel/*.txt hold.
	lastText = 450
	// unified is the table of golang.org/x/sys that newer ones are taken from.
	unified = "riscv64"
	// The compact form of the private calls of ARM: 0x0f0001 becomes 0xf001.
	private, compact = 0x0f0000, 0xf000
	absent           = 0xffff
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("tablegen: ")
	code, err := generate()
	if err != nil {
		log.Fatal(err)
	}
	if err := os.WriteFile("ztables.go", code, 0o644); err != nil {
		log.Fatal(err)
	}
}

// generate returns the text of ztables.go.
func generate() ([]byte, error) {
	dir, version, err := sys()
	if err != nil {
		return nil, err
	}
	newer, err := fromGo(dir, unified)
	if err != nil {
		return nil, err
	}
	tables := make([]map[string]int, len(origins))
	known := map[string]bool{}
	for i, o := range origins {
		table := map[string]int{}
		if o.goos != "" {
			if table, err = fromGo(dir, o.goos); err != nil {
				return nil, err
			}
		}
		if o.text != "" {
			if err := fromText(o.text, table); err != nil {
				return nil, err
			}
		}
		if o.goos == "" {
			for name, nr := range newer {
				if nr > lastText {
					table[name] = o.base + nr
				}
			}
		}
		for name := range table {
			known[name] = true
		}
		tables[i] = table
	}
	names := make([]string, 0, len(known))
	for name := range known {
		names = append(names, name)
	}
	slices.Sort(names)
	return render(version, names, tables)
}

// sys finds golang.org/x/sys in the module cache.
func sys() (dir, version string, err error) {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}\n{{.Version}}", "golang.org/x/sys").Output()
	if err != nil {
		return "", "", fmt.Errorf("go list golang.org/x/sys: %w", err)
	}
	dir, version, _ = strings.Cut(strings.TrimSpace(string(out)), "\n")
	return dir, version, nil
}

var constant = regexp.MustCompile(`(?m)^\s+SYS_(\w+)\s+= (\d+)$`)

// fromGo reads the table of an architecture of golang.org/x/sys/unix.
func fromGo(dir, goarch string) (map[string]int, error) {
	text, err := os.ReadFile(filepath.Join(dir, "unix", "zsysnum_linux_"+goarch+".go"))
	if err != nil {
		return nil, err
	}
	table := map[string]int{}
	for _, m := range constant.FindAllSubmatch(text, -1) {
		if err := add(table, strings.ToLower(string(m[1])), string(m[2])); err != nil {
			return nil, err
		}
	}
	return table, nil
}

// fromText adds a table of the directory kernel.
func fromText(name string, table map[string]int) error {
	text, err := kernel.ReadFile("kernel/" + name + ".txt")
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		call, nr, ok := strings.Cut(strings.TrimSpace(line), " ")
		if !ok {
			return fmt.Errorf("kernel/%s.txt: not a name and a number: %q", name, line)
		}
		if err := add(table, call, nr); err != nil {
			return fmt.Errorf("kernel/%s.txt: %w", name, err)
		}
	}
	return nil
}

// add adds a call, unless the name only says that a number is kept free.
func add(table map[string]int, name, number string) error {
	nr, err := strconv.Atoi(number)
	if err != nil {
		return err
	}
	if name == "arch_specific_syscall" || name == "syscall_mask" || strings.HasPrefix(name, "reserved") || strings.HasPrefix(name, "unused") {
		return nil
	}
	if nr > private && nr < private+compact {
		nr += compact - private
	}
	if nr >= absent || nr >= compact+0x1000 {
		return fmt.Errorf("%s: number %d does not fit", name, nr)
	}
	table[name] = nr
	return nil
}

// render writes the Go source.
func render(version string, names []string, tables []map[string]int) ([]byte, error) {
	var b bytes.Buffer
	fmt.Fprintf(&b, "// Code generated by tablegen from golang.org/x/sys %s; DO NOT EDIT.\n\npackage seccomp\n\n", version)
	fmt.Fprintf(&b, "// numNames is how many names of system calls there are.\nconst numNames = %d\n\n", len(names))
	fmt.Fprint(&b, "// nameText are all names, sorted, without anything between them.\nconst nameText = \"\" +\n")
	for i := 0; i < len(names); i += 8 {
		line := strings.Join(names[i:min(i+8, len(names))], "")
		end := " +\n"
		if i+8 >= len(names) {
			end = "\n\n"
		}
		fmt.Fprintf(&b, "\t%q%s", line, end)
	}
	fmt.Fprint(&b, "// nameEnds are where each name ends in nameText.\nvar nameEnds = [numNames]uint16{")
	end := 0
	for i, name := range names {
		end += len(name)
		comma(&b, i, end)
	}
	fmt.Fprint(&b, "}\n\n")
	fmt.Fprintf(&b, "// nameSlots are the places of the names, plus 1, each at its hash or behind it.\nvar nameSlots = [%d]uint16{", slots)
	for i, n := range hashed(names) {
		comma(&b, i, n)
	}
	fmt.Fprint(&b, "}\n\n")
	for i, o := range origins {
		fmt.Fprintf(&b, "// %s has the number of each name, or absent.\nvar %s = numbers{", o.variable(), o.variable())
		for j, name := range names {
			nr, ok := tables[i][name]
			if !ok {
				nr = absent
			}
			comma(&b, j, nr)
		}
		fmt.Fprint(&b, "}\n\n")
	}
	return format.Source(b.Bytes())
}

// slots is a power of two, about twice as many as there are names.
const slots = 1024

// hashed returns the table in which nameIndex of package seccomp looks names up, by the
// same hash (FNV-1a).
func hashed(names []string) (table [slots]int) {
	for i, name := range names {
		h := uint32(2166136261)
		for _, c := range []byte(name) {
			h = (h ^ uint32(c)) * 16777619
		}
		at := (h ^ h>>16) % slots
		for table[at] != 0 {
			at = (at + 1) % slots
		}
		table[at] = i + 1
	}
	return table
}

func (o *origin) variable() string { return "calls" + strings.ToUpper(o.name[:1]) + o.name[1:] }

// comma writes a number of an array, 16 in a line.
func comma(b *bytes.Buffer, i, n int) {
	if i%16 == 0 {
		b.WriteString("\n")
	}
	fmt.Fprintf(b, "%d,", n)
	if i%16 == 15 {
		return
	}
	b.WriteString(" ")
}
