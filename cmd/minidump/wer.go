package main

const werArguments = "install|uninstall FILE"

var werCommand = subcommand{
	name:    "wer",
	args:    werArguments,
	summary: "the module that reports fail-fast exceptions",
	flags:   func() *flagSet { return new(werFlags).set() },
	run:     runWER,
}

// werFlags are the flags of wer.
type werFlags struct{ user bool }

func (f *werFlags) set() *flagSet {
	s := &flagSet{command: "wer", args: werArguments,
		about: "Writes the library FILE and names it in the registry, or removes both. Windows Error Reporting loads it when a Go " +
			"program that sets crash.Options.WERModule to FILE fails fast (int 29h, RaiseFailFastException, heap corruption), so " +
			"that the program's monitor writes a dump. Only on Windows, and only for programs of the same architecture as this one. Only " +
			"administrators should be able to write to the folder of FILE."}
	s.addBool(0, "user", "install it for the current user; without it, for all users, as an administrator", &f.user)
	return s
}

func runWER(args []string) error {
	var f werFlags
	s := f.set()
	rest, err := s.parse(args)
	switch {
	case err != nil:
		return err
	case len(rest) != 2:
		return s.wrong("expected install or uninstall, and FILE")
	case rest[0] == "install":
		return f.install(rest[1])
	case rest[0] == "uninstall":
		return f.uninstall(rest[1])
	}
	return s.wrong("%q is none of install, uninstall", rest[0])
}
