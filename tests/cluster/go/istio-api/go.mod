module outgate.test/cluster/istio-api

go 1.26.0

require istio.io/api v1.32.0
