package main

import (
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
)

func versionFlags() *flagSet {
	return &flagSet{command: "version", about: "Prints the version of this program, the commit and the Go release that it " +
		"was built from, and the system that it was built for."}
}

func runVersion(args []string) error {
	s := versionFlags()
	rest, err := s.parse(args)
	if err != nil {
		return err
	}
	if len(rest) > 0 {
		return s.wrong("expected no arguments")
	}
	info, _ := debug.ReadBuildInfo()
	_, err = fmt.Fprintln(os.Stdout, versionText(info))
	return err
}

// versionText returns "minidump v1.2.3 (0123456789ab, 2026-11-28, modified) go1.26.8 linux/amd64", without the parts
// that the build information lacks. info is nil if the program was built without modules.
func versionText(info *debug.BuildInfo) string {
	version, system := "(unknown)", runtime.GOOS+"/"+runtime.GOARCH
	var commit []string
	if info != nil {
		if info.Main.Version != "" {
			version = info.Main.Version
		}
		settings := map[string]string{}
		for _, s := range info.Settings {
			settings[s.Key] = s.Value
		}
		if r := settings["vcs.revision"]; r != "" {
			commit = append(commit, r[:min(len(r), 12)])
		}
		if date, _, _ := strings.Cut(settings["vcs.time"], "T"); date != "" {
			commit = append(commit, date)
		}
		if settings["vcs.modified"] == "true" {
			commit = append(commit, "modified")
		}
	}
	text := "minidump " + version
	if len(commit) > 0 {
		text += " (" + strings.Join(commit, ", ") + ")"
	}
	return text + " " + runtime.Version() + " " + system
}
