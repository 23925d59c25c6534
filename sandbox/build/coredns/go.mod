module sandbox/coredns

go 1.26.8

require github.com/coredns/coredns v1.12.4
