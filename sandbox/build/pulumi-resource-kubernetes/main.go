// The Kubernetes provider of Pulumi. Its own main package needs files that its
// build generates, so this one embeds the same two files, which the tool
// installer copies from the module's directory.
package main

import (
	_ "embed"

	"github.com/pulumi/pulumi-kubernetes/provider/v4/pkg/provider"
)

// Version is set by the linker from the tool lock.
var Version string

//go:embed schema.json
var schema []byte

//go:embed terraform-mapping.json
var terraformMapping []byte

func main() {
	provider.Serve("kubernetes", Version, schema, terraformMapping)
}
