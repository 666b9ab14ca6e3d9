package main

import (
	"fmt"
	"os"
	"text/tabwriter"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/oci-mini/oci-mini/internal/state"
)

var listCommand = &cli.Command{
	Name:  "list",
	Usage: "list the containers",
	Flags: []cli.Flag{
		&cli.StringFlag{Name: "format", Aliases: []string{"f"}, Value: "table", Usage: "`table` or json"},
		&cli.BoolFlag{Name: "quiet", Aliases: []string{"q"}, Usage: "ids only, one a line"},
	},
	Action: func(c *cli.Context) error {
		if err := arguments(c, 0, 0); err != nil {
			return err
		}
		format := c.String("format")
		if format != "table" && format != "json" {
			return failed(c, "", fmt.Errorf("--format: %q is neither table nor json", format))
		}
		documents, err := documents(storeOf(c))
		if err != nil {
			return failed(c, "", err)
		}
		if c.Bool("quiet") {
			for _, d := range documents {
				fmt.Fprintln(c.App.Writer, d.ID)
			}
			return nil
		}
		if format == "json" {
			return failed(c, "", writeJSON(c.App.Writer, documents))
		}
		w := tabwriter.NewWriter(c.App.Writer, 12, 1, 3, ' ', 0)
		fmt.Fprintln(w, "ID\tPID\tSTATUS\tBUNDLE\tCREATED\tOWNER")
		for _, d := range documents {
			fmt.Fprintf(w, "%s\t%d\t%s\t%s\t%s\t%s\n", d.ID, d.Pid, d.Status, d.Bundle, d.Created.Format(time.RFC3339Nano), d.Owner)
		}
		return failed(c, "", w.Flush())
	},
}

// documents are the states of all containers. An entry that cannot be read is
// reported and skipped: the others are not its fault.
func documents(store *state.Store) ([]stateDocument, error) {
	records, bad, err := store.List()
	if err != nil {
		return nil, err
	}
	for _, err := range bad {
		fmt.Fprintf(os.Stderr, "oci-mini: list: skipping %v\n", err)
	}
	list := make([]stateDocument, 0, len(records))
	for _, r := range records {
		dir, err := store.Load(r.ID)
		if err != nil {
			continue // deleted meanwhile
		}
		list = append(list, document(dir))
		dir.Close()
	}
	return list, nil
}
