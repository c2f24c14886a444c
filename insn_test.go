package minidump

import _ "minidump/context/insn" // for the Refine of package context, which the tests of crashes call
