// SPDX-License-Identifier: MIT

// grafana-decode FILE…: each file as Grafana's own schema of a dashboard (grafana-foundation-sdk), strictly: an unknown
// field, a missing one and a wrong type are told by their paths. Exit status 1 when a file has one.
package main

import (
	"fmt"
	"os"

	"github.com/grafana/grafana-foundation-sdk/go/cog/plugins"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
)

func main() {
	plugins.RegisterDefaultPlugins()
	status := 0
	for _, file := range os.Args[1:] {
		text, err := os.ReadFile(file)
		if err == nil {
			board := dashboard.Dashboard{}
			if err = board.UnmarshalJSONStrict(text); blank(err) {
				err = board.Validate()
			}
		}
		if !blank(err) {
			fmt.Fprintf(os.Stderr, "%s: %s\n", file, err)
			status = 1
		}
	}
	os.Exit(status)
}

// The package returns errors that are none: a list without entries.
func blank(err error) bool {
	return err == nil || err.Error() == ""
}
