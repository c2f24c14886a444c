package server_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"os"
	"os/exec"
	"path/filepath"

	"minidump"
	"minidump/server"
)

// Serve a program that requests a dump of itself.
func ExampleServer() {
	dir, err := os.MkdirTemp("/tmp", "example")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	s, err := server.New(server.Options{
		Dir:  dir,
		Dump: minidump.Options{Limit: 1 << 20},
		Keep: 100,
		OnMessage: func(p server.Peer, kind uint32, message []byte) {
			fmt.Printf("message %d: %s\n", kind, message)
		},
		OnDump: func(d server.Dump) {
			fmt.Println("dump:", d.Result.Size > 0, d.Err)
		},
		OnError: func(p server.Peer, err error) { log.Print(p.PID, err) },
	})
	if err != nil {
		log.Fatal(err)
	}
	socket := filepath.Join(dir, "socket")
	l, err := server.Listen(socket)
	if err != nil {
		log.Fatal(err)
	}
	done := make(chan error)
	go func() { done <- s.Serve(l) }()

	// The client is this program, started again. It calls server.Dial, Client.Send and Client.RequestDump.
	client := exec.Command("/proc/self/exe", socket)
	client.Env = append(os.Environ(), "MINIDUMP_TEST_CLIENT=1")
	// Wait for the end of the client's output: nobody may wait for a child while it is stopped (see minidump.NewWriter).
	output, err := client.StdoutPipe()
	if err != nil {
		log.Fatal(err)
	}
	if err := client.Start(); err != nil {
		log.Fatal(err)
	}
	io.Copy(io.Discard, output)
	if err := client.Wait(); err != nil {
		log.Fatal(err)
	}

	s.Shutdown(context.Background())
	fmt.Println("end:", <-done)
	// Output:
	// message 3: from Go
	// dump: true <nil>
	// end: <nil>
}
