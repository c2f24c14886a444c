//go:build linux || windows || (darwin && !ios)

package crash

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"runtime/debug"
	"slices"
	"sync"

	"minidump"
)

// variable is the environment variable that makes Start run the monitor. Its value is for function monitor.
const variable = "MINIDUMP_CRASH_MONITOR"

// running is the state of the monitor that Start has started.
var running struct {
	sync.Mutex
	on      bool
	o       Options
	notes   area
	slot    int
	current map[string]string
}

// Start starts the monitor of this program. Call it first in main: in the monitor, which is the same program, it does not
// return. It sets the runtime's crash output (debug.SetCrashOutput): if the program later sets another one, the monitor
// does not see its crashes. An error means that there is no monitor, and that nothing has changed, except an error that wraps
// ErrWERModule: then the monitor runs as if Options.WERModule were not set.
func Start(o Options) error {
	if value, ok := os.LookupEnv(variable); ok {
		os.Exit(monitor(value, o))
	}
	running.Lock()
	defer running.Unlock()
	if running.on {
		return ErrStarted
	}
	var err error
	if o.Dir, err = folder(o.Dir); err != nil {
		return fmt.Errorf("crash: %w", err)
	}
	notes, err := start()
	if err != nil {
		return fmt.Errorf("crash: start the monitor: %w", err)
	}
	if o.RaiseTraceback && os.Getenv("GOTRACEBACK") == "none" {
		debug.SetTraceback("single")
	}
	running.on, running.o, running.notes = true, o, notes
	running.current = maps.Clone(o.Annotations)
	if running.current == nil {
		running.current = map[string]string{}
	}
	if err := writeNotes(); err != nil || o.WERModule == "" {
		return err
	}
	return registerModule(o.WERModule)
}

// Dump writes a dump of the running program to the folder of Start, and returns the dump's path. The program continues.
// See minidump.DumpSelf for how. If it returns both a path and an error, the dump was written, but old ones were not
// removed.
func Dump() (path string, r minidump.Result, err error) {
	running.Lock()
	defer running.Unlock()
	if !running.on {
		return "", r, errors.New("crash: Dump before Start")
	}
	o := running.o.Dump
	for _, k := range slices.Sorted(maps.Keys(running.current)) {
		o.Annotations = append(o.Annotations[:len(o.Annotations):len(o.Annotations)], minidump.Annotation{Key: k, Value: running.current[k]})
	}
	path = newName(running.o.Dir, os.Getpid())
	if r, err = minidump.DumpSelfFile(path, o); err != nil {
		return "", r, err
	}
	if err := prune(path, running.o.Keep); err != nil {
		return path, r, fmt.Errorf("crash: remove old dumps: %w", err)
	}
	return path, r, nil
}
