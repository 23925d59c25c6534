// Package random maps the Terraform random provider to the type tokens that the
// Python package pulumi-random expects.
package random

import (
	"github.com/pulumi/pulumi-terraform-bridge/v3/pkg/pf/tfbridge"
	bridge "github.com/pulumi/pulumi-terraform-bridge/v3/pkg/tfbridge"
	"github.com/terraform-providers/terraform-provider-random/shim"
)

// Version is set by the linker from the tool lock.
var Version string

// Provider describes every resource of the upstream provider.
func Provider(metadata []byte) bridge.ProviderInfo {
	resource := func(name string) *bridge.ResourceInfo {
		return &bridge.ResourceInfo{Tok: bridge.MakeResource("random", "index", name)}
	}
	return bridge.ProviderInfo{
		Name:         "random",
		P:            tfbridge.ShimProvider(shim.New()),
		Version:      Version,
		MetadataInfo: bridge.NewProviderMetadata(metadata),
		Resources: map[string]*bridge.ResourceInfo{
			"random_bytes":    resource("RandomBytes"),
			"random_id":       resource("RandomId"),
			"random_integer":  resource("RandomInteger"),
			"random_password": resource("RandomPassword"),
			"random_pet":      resource("RandomPet"),
			"random_shuffle":  resource("RandomShuffle"),
			"random_string":   resource("RandomString"),
			"random_uuid":     resource("RandomUuid"),
			"random_uuid4":    resource("RandomUuid4"),
			"random_uuid7":    resource("RandomUuid7"),
		},
	}
}
