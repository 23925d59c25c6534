module sandbox/cert-manager-crds

go 1.26.8

require github.com/cert-manager/cert-manager v1.21.2
