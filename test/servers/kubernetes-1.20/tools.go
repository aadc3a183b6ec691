//go:build tools

// Package servers pins the Kubernetes 1.20 that the real-server tests build, and the generator of
// the OpenAPI definitions that its module lacks.
package servers

import (
	_ "k8s.io/kube-openapi/cmd/openapi-gen"
	_ "k8s.io/kubernetes/cmd/kube-apiserver"
	_ "k8s.io/kubernetes/cmd/kube-controller-manager"
	_ "k8s.io/kubernetes/cmd/kube-scheduler"
	_ "k8s.io/kubernetes/cmd/kubectl"
)
