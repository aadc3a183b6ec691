// Command velero is Velero's server and the plug-ins inside it, without the rest of its command line, of which the module proxy lacks a part.
package main

import (
	"encoding/json"
	"fmt"
	"os"

	"github.com/spf13/cobra"
	crdsv1 "github.com/vmware-tanzu/velero/config/crd/v1/crds"
	crdsv2alpha1 "github.com/vmware-tanzu/velero/config/crd/v2alpha1/crds"
	"github.com/vmware-tanzu/velero/pkg/client"
	"github.com/vmware-tanzu/velero/pkg/cmd/server"
	"github.com/vmware-tanzu/velero/pkg/cmd/server/plugin"
	"github.com/vmware-tanzu/velero/pkg/cmd/util/flag"
	"github.com/vmware-tanzu/velero/pkg/features"
	metrics "sigs.k8s.io/controller-runtime/pkg/metrics/server"
)

func main() {
	// controller-runtime opens :8080 for metrics of its own, and no flag of Velero's says otherwise: a second server on the machine would die.
	metrics.DefaultBindAddress = "0"
	var wanted flag.StringArray
	root := &cobra.Command{
		Use:              "velero",
		PersistentPreRun: func(*cobra.Command, []string) { features.Enable(wanted...) },
	}
	factory := client.NewFactory("velero", client.VeleroConfig{})
	factory.BindFlags(root.PersistentFlags())
	root.PersistentFlags().Var(&wanted, "features", "as Velero's own")
	root.AddCommand(server.NewCommand(factory), plugin.NewCommand(factory), crds())
	if err := root.Execute(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// The definitions of Velero's kinds as JSON, one list.
func crds() *cobra.Command {
	return &cobra.Command{
		Use: "crds",
		RunE: func(*cobra.Command, []string) error {
			return json.NewEncoder(os.Stdout).Encode(append(crdsv1.CRDs, crdsv2alpha1.CRDs...))
		},
	}
}
