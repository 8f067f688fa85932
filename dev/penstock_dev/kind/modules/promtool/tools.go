//go:build tools

// Package tools names the program whose module graph go.mod pins.
package tools

import _ "github.com/prometheus/prometheus/cmd/promtool"
