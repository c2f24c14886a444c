// Package symbol converts an address inside a loaded module to functions, files and lines, using what the machine has: the image
// itself, separate debug information, and symbol files. The commands that show dumps use it. Nothing that makes a dump does: it
// allocates, opens files, and can block for as long as a file system takes to answer.
//
// A file is used only if it is of the same build as the loaded image, according to its GNU build id, LC_UUID or CodeView record. A file
// that merely has the right name is never used: its names would be wrong. [Sources] says where to look for files, Load finds those of a
// module, and [Table] looks up addresses. The kinds of files, best first:
//
//   - DWARF, versions 2 to 5, of the image or of a separate file: inlined calls, files and lines. Separate files are
//     found by build id, by .gnu_debuglink (then the CRC32 must match too), and as dSYM of Mach-O images. What dwz moved
//     from such files to shared ones is read too.
//   - The function table that a Go program has for its own use, even if stripped, since Go 1.16: files and lines. Code
//     that was inlined has the name of the surrounding function.
//   - Symbol files of Breakpad: inlined calls, files and lines.
//   - Symbol tables: .symtab, .gnu_debugdata and .dynsym, LC_SYMTAB, COFF symbols, exports of PE images.
//
// Names of C++ and Rust are made readable by package demangle.
//
// Not read: debug information split into .dwo files, PDB files, and the .o files that a debug map of macOS names. [Table.Notes] reports
// if one of the first two was found, or a part that could not be read.
//
// An rva is an offset from where the module is loaded: an address minus the base address in a module list. For ELF the base is the
// start of the segment that contains the ELF header, for Mach-O that of __TEXT, for PE the image base.
//
// Files are assumed to be hostile, because a process chooses its own, and root reads them. Sizes, counts, chains and depths are bounded
// ([MaxLoad], [MaxName], and constants in the code). Nothing is mapped, so a file that is truncated meanwhile results in a failed read
// and not in a fault. Only regular files are opened; on Linux they are opened through O_PATH, so that no pipe or device is ever opened,
// and with a Sysroot no link leads out of it. A panic in a parser of the standard library becomes an error.
//
// A [Table] owns its files until Close. The caller owns what Lookup returns.
//
// Sources of the formats: DWARF 4 and 5; the System V ABI and its supplements; <mach-o/loader.h> and <mach-o/nlist.h>; Microsoft's PE
// Format; runtime/symtab.go of Go; docs/symbol_files.md of Breakpad; "Separate Debug Files" in gdb's manual.
package symbol
