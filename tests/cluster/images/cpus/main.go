// Command cpus prints what a Go program sees of the CPUs of its container: how many threads the scheduler runs, and the
// limit of the cgroup. From Go 1.25 on the first follows the second, but never below 2.
package main

import (
	"fmt"
	"os"
	"runtime"
	"strings"
)

func main() {
	fmt.Printf("GOMAXPROCS=%d\n", runtime.GOMAXPROCS(0))
	fmt.Printf("limit=%s\n", limit())
}

// limit gives quota and period in microseconds, "none" without a limit, and "unknown" without a cgroup to read it from.
func limit() string {
	const v2, v1 = "/sys/fs/cgroup/cpu.max", "/sys/fs/cgroup/cpu/cpu.cfs_quota_us"
	words := strings.Fields(read(v2))
	if len(words) == 0 {
		words = strings.Fields(read(v1) + " " + read(strings.Replace(v1, "quota", "period", 1)))
	}
	switch {
	case len(words) != 2:
		return "unknown"
	case words[0] == "max" || words[0] == "-1":
		return "none"
	}
	return words[0] + "/" + words[1]
}

func read(path string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	return string(text)
}
