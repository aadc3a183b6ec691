//go:build tools

// Package servers pins the object-store plug-in by which the real-server tests let Velero speak S3.
package servers

import _ "github.com/vmware-tanzu/velero-plugin-for-aws/velero-plugin-for-aws"
