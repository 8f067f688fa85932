// benchkit is what the benches put around the product: a fake of the Messages API, a load generator and a stand-in for
// kubelets, each so small that it is never the bottleneck. Standard library only.
package main

import (
	"fmt"
	"os"
)

var commands = map[string]func(arguments []string) error{
	"model": serveModel,
	"load":  load,
	"pods":  readyPods,
}

func main() {
	if len(os.Args) > 1 {
		if run, known := commands[os.Args[1]]; known {
			if err := run(os.Args[2:]); err != nil {
				fmt.Fprintln(os.Stderr, "benchkit:", err)
				os.Exit(1)
			}
			return
		}
	}
	fmt.Fprintln(os.Stderr, "usage: benchkit model|load|pods, each with -h")
	os.Exit(2)
}
