// The random provider of Pulumi: the bridge over the Terraform random provider.
// The tool installer writes schema.json with the program in tfgen/ first.
package main

import (
	"context"
	_ "embed"

	"sandbox/pulumi-resource-random/random"

	"github.com/pulumi/pulumi-terraform-bridge/v3/pkg/pf/tfbridge"
)

//go:embed schema.json
var schema []byte

func main() {
	info := random.Provider([]byte("{}"))
	tfbridge.Main(context.Background(), "random", info, tfbridge.ProviderMetadata{PackageSchema: schema})
}
