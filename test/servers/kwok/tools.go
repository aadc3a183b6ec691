//go:build tools

// Package servers pins the KWOK that the real-server tests build.
package servers

import _ "sigs.k8s.io/kwok/cmd/kwok"
