// Command cpus prints how many threads Go's scheduler runs: from 1.25 on it follows the CPU limit of the cgroup.
package main

import (
	"fmt"
	"runtime"
)

func main() {
	fmt.Printf("GOMAXPROCS=%d\n", runtime.GOMAXPROCS(0))
}
