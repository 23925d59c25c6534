module sandbox/kuberay-operator

go 1.26.8

require github.com/ray-project/kuberay/ray-operator v1.6.2
