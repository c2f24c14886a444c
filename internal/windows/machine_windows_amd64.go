package windows

// What the program itself was built for.
const (
	nativeWord    = 8
	nativeMachine = IMAGE_FILE_MACHINE_AMD64
)
