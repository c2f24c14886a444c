module example.test/crowd

go 1.23
