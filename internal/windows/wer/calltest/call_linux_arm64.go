package calltest

// Arguments is how many arguments are recorded of each call.
const Arguments = 7

// Functions is how many functions there are. The first copies memory as ReadProcessMemory does, the second as WriteProcessMemory,
// the third makes handles as DuplicateHandle does, by adding NewHandle. The others do nothing. All return what Results says.
const Functions = 7

// NewHandle is the difference of a handle and its duplicate.
const NewHandle = 0x1000

// Results are what the functions return. One that returns 0 does nothing.
var Results [Functions]uint64

// Called is a call: the index of the function, then the arguments.
type Called [1 + Arguments]uint64

// Log is what was called since N was set to 0.
var Log struct {
	N     uint64
	Calls [32]Called
}

// Addresses returns where the functions are.
func Addresses() (a [Functions]uintptr) {
	addresses(&a)
	return a
}

func addresses(to *[Functions]uintptr)

// Call calls a function of C with three arguments. changed is not 0 if it has changed a register that belongs to its caller.
func Call(f, a, b, c uintptr) (result, changed uintptr)
