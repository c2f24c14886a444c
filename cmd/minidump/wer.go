package main

const werArguments = "install|uninstall FILE"

var werCommand = subcommand{
	name:    "wer",
	args:    werArguments,
	summary: "the module by which Windows reports fail fast",
	flags:   func() *flagSet { return new(werFlags).set() },
	run:     runWER,
}

// werFlags are the flags of wer.
type werFlags struct{ user bool }

func (f *werFlags) set() *flagSet {
	s := &flagSet{command: "wer", args: werArguments,
		about: "Writes the library FILE, by which Windows Error Reporting reports fail fast exceptions (int 29h, RaiseFailFastException, a " +
			"corrupt heap) of Go programs that set crash.Options.WERModule to FILE, and names it in the registry; or removes both. " +
			"Windows only. The library is for programs of this one's processor. It belongs into a folder that only administrators can write to."}
	s.addBool(0, "user", "name it for this user, and not for all users, which takes an administrator", &f.user)
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
		return s.wrong("install or uninstall is expected, and FILE")
	case rest[0] == "install":
		return f.install(rest[1])
	case rest[0] == "uninstall":
		return f.uninstall(rest[1])
	}
	return s.wrong("%q is none of install, uninstall", rest[0])
}
