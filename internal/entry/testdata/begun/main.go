// Command begun tells how it was begun: as JSON, all of it.
package main

import (
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"github.com/oci-mini/oci-mini/internal/entry"
)

func main() {
	if os.Getenv("BEGUN") == "" { // by itself, below
		of := slack("/proc/self/timerslack_ns")
		if s := entry.Slack(); s != 0 {
			of = strconv.Itoa(int(s))
		}
		os.Stdout.WriteString(of)
		return
	}
	begin := slack("/proc/self/timerslack_ns")
	entry.Begin()
	processors := runtime.GOMAXPROCS(0)
	entry.AddProcessors(2)
	child := ""
	if os.Getenv("EMULATED") == "" { // an emulator of one process does not fork well
		child = slackOfChild()
	}
	json.NewEncoder(os.Stdout).Encode(map[string]any{
		"args": os.Args, "env": os.Environ(), "page": os.Getpagesize(),
		"processors": processors, "added": runtime.GOMAXPROCS(0),
		"slack": int(entry.Slack()), "begin": begin, "restored": slack("/proc/self/timerslack_ns"),
		"child": child, "tasks": tasks(),
	})
}

// slackOfChild is the timer slack that StartProcess gives.
func slackOfChild() string {
	r, w, err := os.Pipe()
	if err != nil {
		return err.Error()
	}
	defer r.Close()
	p, err := entry.StartProcess("/proc/self/exe", []string{"begun"}, &os.ProcAttr{Env: []string{}, Files: []*os.File{nil, w, os.Stderr}})
	w.Close()
	if err != nil {
		return err.Error()
	}
	defer p.Wait()
	text, _ := io.ReadAll(r)
	return string(text)
}

// tasks are the timer slacks of the threads.
func tasks() (all []string) {
	files, _ := filepath.Glob("/proc/self/task/*")
	for _, f := range files {
		all = append(all, slack("/proc/"+filepath.Base(f)+"/timerslack_ns"))
	}
	return all
}

func slack(file string) string {
	text, err := os.ReadFile(file)
	if err != nil {
		return err.Error()
	}
	return strings.TrimSpace(string(text))
}
