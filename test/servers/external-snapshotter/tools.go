//go:build tools

// Package servers pins the module whose archive holds the definitions that real API servers are given: YAML, nothing to build.
package servers
