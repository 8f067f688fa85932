//go:build tools

// Package kind pins kind itself, the program that makes the cluster.
package kind

import (
	_ "sigs.k8s.io/kind"
)
