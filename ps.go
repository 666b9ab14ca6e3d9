package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"
	"golang.org/x/sys/unix"

	"github.com/oci-mini/oci-mini/internal/cgroup"
	"github.com/oci-mini/oci-mini/internal/entry"
	"github.com/oci-mini/oci-mini/internal/process"
	"github.com/oci-mini/oci-mini/internal/state"
)

var psCommand = &cli.Command{
	Name:      "ps",
	Usage:     "list a container's processes",
	ArgsUsage: "ID [PS-OPTION...]",
	Description: "The table is that of ps(1), run with the options after ID (default -ef) and\n" +
		"reduced to the container's processes: the options must print a PID column.",
	Flags: []cli.Flag{
		&cli.StringFlag{Name: "format", Aliases: []string{"f"}, Value: "table", Usage: "`table`, or json: an array of the pids, as the host has them"},
	},
	Action: func(c *cli.Context) error {
		if err := arguments(c, 1, -1); err != nil {
			return err
		}
		id, format := c.Args().First(), c.String("format")
		if format != "table" && format != "json" {
			return failed(c, id, fmt.Errorf("--format: %q is neither table nor json", format))
		}
		dir, err := storeOf(c).Load(id)
		if err != nil {
			return failed(c, "", err)
		}
		defer dir.Close()
		pids, err := processesOf(dir.Record)
		if err != nil {
			return failed(c, id, err)
		}
		if format == "json" {
			// Callers do not expect a null.
			return failed(c, id, json.NewEncoder(c.App.Writer).Encode(append([]int{}, pids...)))
		}
		return failed(c, id, processTable(c.App.Writer, pids, psOptions(c.Args().Tail())))
	},
}

// processesOf lists the pids of a container's processes: those in its cgroup, or else
// in its pid namespace, which is the container's alone if it was made for it.
func processesOf(r *state.Record) ([]int, error) {
	if len(r.Cgroup.Dirs) == 0 {
		if !r.OwnPids {
			return nil, errors.New("nothing tells its processes: it was created without a cgroup and a pid namespace of its own")
		}
		return processesAround(r.Init)
	}
	cg, err := cgroup.OpenExisting(ownDirs(r))
	if err != nil {
		return nil, err
	}
	defer cg.Close()
	return cg.Pids(true)
}

// processesAround lists the processes in the pid namespace of a process, in the order
// of their numbers. Those that went on to a namespace below it are not among them.
func processesAround(init state.Process) ([]int, error) {
	var around unix.Stat_t
	switch err := unix.Stat(fmt.Sprintf("/proc/%d/ns/pid", init.Pid), &around); {
	case err == unix.ENOENT || !process.ID(init).Alive():
		return nil, nil
	case err != nil:
		return nil, &os.PathError{Op: "stat", Path: fmt.Sprintf("/proc/%d/ns/pid", init.Pid), Err: err}
	}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	var pids []int
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		var st unix.Stat_t
		if unix.Stat("/proc/"+e.Name()+"/ns/pid", &st) == nil && st.Ino == around.Ino {
			pids = append(pids, pid)
		}
	}
	slices.Sort(pids)
	return pids, nil
}

// psOptions are the arguments of ps(1). Callers that go through a string give
// all of them as one, which may be empty.
func psOptions(args []string) []string {
	if len(args) == 1 {
		args = strings.Fields(args[0])
	}
	if len(args) == 0 {
		return []string{"-ef"}
	}
	return args
}

// processTable prints the lines of ps(1) that are about the processes. What ps
// has to complain about goes to standard error by itself.
func processTable(w io.Writer, pids []int, options []string) error {
	program, err := findPs()
	if err != nil {
		return err
	}
	r, out, err := os.Pipe()
	if err != nil {
		return err
	}
	defer r.Close()
	ps, err := entry.StartProcess(program, append([]string{"ps"}, options...), &os.ProcAttr{
		Env: os.Environ(), Files: []*os.File{nil, out, os.Stderr},
	})
	out.Close()
	if err != nil {
		return err
	}
	table, err := io.ReadAll(r)
	status, werr := ps.Wait()
	if err := errors.Join(err, werr); err != nil {
		return err
	}
	text, err := ofProcesses(string(table), pids)
	// With options that choose processes, ps exits with 1 if there are none.
	if !status.Success() && !(status.ExitCode() == 1 && err == nil) {
		return fmt.Errorf("%s %s: %s", program, strings.Join(options, " "), status)
	}
	if err != nil {
		return fmt.Errorf("%s %s: %w", program, strings.Join(options, " "), err)
	}
	_, err = io.WriteString(w, text)
	return err
}

// findPs looks for ps(1) along PATH. Engines run runtimes without one, and an
// entry that is not absolute would depend on their current directory.
func findPs() (string, error) {
	for dir := range strings.SplitSeq(os.Getenv("PATH")+":/usr/bin:/bin", ":") {
		if !strings.HasPrefix(dir, "/") {
			continue
		}
		program := dir + "/ps"
		if st, err := os.Stat(program); err == nil && st.Mode().IsRegular() && unix.Access(program, unix.X_OK) == nil {
			return program, nil
		}
	}
	return "", errors.New("ps: executable file not found in $PATH, /usr/bin and /bin (--format json needs none)")
}

// ofProcesses returns the header of a table of ps(1), and those of its rows whose
// PID is among pids.
func ofProcesses(table string, pids []int) (string, error) {
	header, rows, _ := strings.Cut(table, "\n")
	field := slices.Index(strings.Fields(header), "PID")
	if field < 0 {
		return "", errors.New("the options print no PID column")
	}
	end := 0 // of the column, which is adjusted to the right
	for i := 0; ; i = end {
		end = i + strings.Index(header[i:], "PID") + len("PID")
		if len(strings.Fields(header[:end])) == field+1 && (end == len(header) || header[end] == ' ') {
			break
		}
	}
	var b strings.Builder
	b.WriteString(header + "\n")
	for row := range strings.Lines(rows) {
		row = strings.TrimSuffix(row, "\n")
		if row == "" {
			continue
		}
		pid, ok := pidOf(row, field, end)
		if !ok {
			return "", fmt.Errorf("no pid in the row %q", row)
		}
		if slices.Contains(pids, pid) {
			b.WriteString(row + "\n")
		}
	}
	return b.String(), nil
}

// pidOf reads the pid in a row. A column before it may hold spaces (comm, lstart),
// and then the fields do not count it, but its place below the header does.
func pidOf(row string, field, end int) (int, bool) {
	if len(row) >= end && (len(row) == end || row[end] == ' ') {
		if f := strings.Fields(row[:end]); len(f) > 0 {
			if pid, err := strconv.Atoi(f[len(f)-1]); err == nil {
				return pid, true
			}
		}
	}
	if f := strings.Fields(row); field < len(f) {
		if pid, err := strconv.Atoi(f[field]); err == nil {
			return pid, true
		}
	}
	return 0, false
}
