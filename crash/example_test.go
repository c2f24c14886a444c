package crash_test

import (
	"log"
	"os"
	"os/exec"

	"minidump"
	"minidump/crash"
)

func ExampleStart() {
	err := crash.Start(crash.Options{
		Dir:         "crashes",
		Keep:        10,
		Annotations: map[string]string{"version": "1.2.3"},
		Dump:        minidump.Options{Omit: minidump.OmitEnviron},
		OnDump: func(path string) { // in the monitor
			c := exec.Command("upload-minidump", path)
			c.Stderr = os.Stderr
			if err := c.Run(); err != nil {
				log.Print(err)
			}
		},
	})
	if err != nil {
		log.Print("no crash dumps: ", err)
	}
}
