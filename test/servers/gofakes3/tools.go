//go:build tools

// Package servers pins the S3 server that the real-server tests keep backups in.
package servers

import _ "github.com/johannesboyne/gofakes3/cmd/gofakes3"
