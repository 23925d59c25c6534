// Writes the schema that the provider serves, from the upstream provider itself.
package main

import (
	"sandbox/pulumi-resource-random/random"

	"github.com/pulumi/pulumi-terraform-bridge/v3/pkg/pf/tfgen"
)

func main() {
	tfgen.Main("random", random.Provider([]byte("{}")))
}
