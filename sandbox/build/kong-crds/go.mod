module sandbox/kong-crds

go 1.26.8

require github.com/kong/kubernetes-configuration v1.4.0
