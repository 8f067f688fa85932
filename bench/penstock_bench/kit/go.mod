module penstock.dev/benchkit

go 1.25
