// counter-cgo FILE: the same, dynamically linked to libc, which Go does not use for files.
package main

// #include <unistd.h>
import "C"

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

func main() {
	text, err := os.ReadFile(os.Args[1])
	if err != nil || C.getpid() < 1 {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	number, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	if err := os.WriteFile(os.Args[1], []byte(fmt.Sprintln(number+1)), 0o666); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
