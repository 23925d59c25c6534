// Package shim hands out the Terraform provider, whose package is internal:
// only a module below the same path may import it.
package shim

import (
	"github.com/hashicorp/terraform-plugin-framework/provider"
	upstream "github.com/terraform-providers/terraform-provider-random/internal/provider"
)

// New makes the upstream provider, unchanged.
func New() provider.Provider { return upstream.New() }
