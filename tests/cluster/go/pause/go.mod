module outgate.test/cluster/pause

go 1.21
