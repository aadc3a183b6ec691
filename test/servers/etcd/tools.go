//go:build tools

// Package servers pins the etcd that the real-server tests build.
package servers

import _ "go.etcd.io/etcd/server/v3"
