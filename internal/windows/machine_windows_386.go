package windows

// What the program itself was built for.
const (
	nativeWord    = 4
	nativeMachine = IMAGE_FILE_MACHINE_I386
)
