// Goroutines is a Go program whose goroutines wait. It prints its process id, and ends with its input.
package main

import (
	"bufio"
	"fmt"
	"os"
)

//go:noinline
func waiting(c chan int, n int) { fmt.Println(<-c, n) }

func main() {
	c := make(chan int)
	for i := range 3 {
		go waiting(c, i)
	}
	fmt.Println(os.Getpid())
	_, _ = bufio.NewReader(os.Stdin).ReadString('\n')
}
