//go:build tools

// Package argo pins the Argo Rollouts controller that the operator's bench compares with.
package argo

import _ "github.com/argoproj/argo-rollouts/cmd/rollouts-controller"
