package main

import (
	"errors"
	"fmt"
	"regexp"

	"github.com/urfave/cli/v2"

	"github.com/oci-mini/oci-mini/internal/state"
)

// regexFlag is shared by kill and delete.
var regexFlag = &cli.BoolFlag{
	Name: "regex", Aliases: []string{"r"},
	Usage: "ID is a POSIX extended regular expression: act on every container with an id in which it occurs",
}

// eachMatch acts on every container whose id the expression matches somewhere, as
// regexec(3) does it. All of them get their turn; what failed is reported together.
// No match is no error.
func eachMatch(store *state.Store, expression string, act func(id string) error) error {
	re, err := regexp.CompilePOSIX(expression)
	if err != nil {
		return fmt.Errorf("--regex: %w", err)
	}
	ids, err := store.IDs()
	if err != nil {
		return err
	}
	var faults faultList
	for _, id := range ids {
		if !re.MatchString(id) {
			continue
		}
		// One that somebody else has deleted meanwhile is not missed.
		if err := act(id); err != nil && !errors.Is(err, state.ErrNotExist) {
			faults = append(faults, fmt.Errorf("%s: %w", id, err))
		}
	}
	if len(faults) == 0 {
		return nil
	}
	return faults
}
