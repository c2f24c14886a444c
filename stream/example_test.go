package stream_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"log"

	"minidump/stream"
)

// A minidump with nothing but its system information, written and read back.
func ExampleOpen() {
	var file bytes.Buffer
	e := stream.NewEncoder(make([]byte, 1<<16))
	e.Reset(&file, binary.LittleEndian)
	header := stream.Header{
		Signature:          stream.Signature,
		Version:            stream.Version,
		NumberOfStreams:    1,
		StreamDirectoryRVA: stream.HeaderSize,
	}
	header.Put(e.Next(stream.HeaderSize), e.Order())
	const start = stream.HeaderSize + stream.DirectorySize
	entry := stream.Directory{
		Type:     stream.SystemInfoStream,
		Location: stream.Location{DataSize: stream.SystemInfoSize, RVA: start},
	}
	entry.Put(e.Next(stream.DirectorySize), e.Order())
	system := stream.SystemInfo{
		ProcessorArchitecture: stream.MD_CPU_ARCHITECTURE_AMD64,
		PlatformID:            stream.MD_OS_LINUX,
		CSDVersionRVA:         start + stream.SystemInfoSize,
	}
	system.Put(e.Next(stream.SystemInfoSize), e.Order())
	e.String([]byte("Linux 6.18"))
	if err := e.Flush(); err != nil {
		log.Fatal(err)
	}

	f, err := stream.Open(bytes.NewReader(file.Bytes()), int64(file.Len()))
	if err != nil {
		log.Fatal(err)
	}
	info, version, err := f.SystemInfo()
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("platform %#x, %s\n", info.PlatformID, version)
	for _, problem := range stream.Problems(f) {
		fmt.Println(problem)
	}
	// Output:
	// platform 0x8201, Linux 6.18
	// ThreadListStream is missing
	// ModuleListStream is missing
}
