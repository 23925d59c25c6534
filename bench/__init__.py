"""What the policy pack costs, beside its peers: `make bench`."""
