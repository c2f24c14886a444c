// Package symbol turns an address inside a loaded module into functions, files and lines, by what the machine has: the image
// itself, separate debug information, and symbol files. The commands that show dumps use it. Nothing that makes a dump does: it
// allocates, opens files, and can block for as long as a file system takes to answer.
//
// A file counts only if it is of the very build that was loaded, which its GNU build id, LC_UUID or CodeView record states. A
// file that merely has the right name is never used: its names would be wrong. [Sources] says where files are looked
// for, Load finds those of a module, and [Table] answers. What is asked, best first:
//
//   - DWARF, versions 2 to 5, of the image or of a separate file: inlined calls, files and lines. Separate files are
//     found by build id, by .gnu_debuglink (then the CRC32 must be right too), and as dSYM of Mach-O images; and what dwz
//     has moved from them to files that they share.
//   - The table that a Go program has for its own use, in stripped ones too, since Go 1.16: files and lines. Code that was inlined has
//     the name of the function around.
//   - Symbol files of Breakpad: inlined calls, files and lines.
//   - Symbol tables: .symtab, .gnu_debugdata and .dynsym, LC_SYMTAB, COFF symbols, exports of PE images.
//
// Names of C++ and Rust are made readable by package demangle.
//
// Not read: debug information split into .dwo files, PDB files, and the .o files that a debug map of macOS names. [Table.Notes] says
// when there was one of the former two, or a part that could not be read.
//
// An rva is an offset from where the module is loaded: an address minus the base address that a module list states. For ELF that is the
// start of the segment that has the ELF header, for Mach-O that of __TEXT, for PE the image base.
//
// Files are hostile by assumption, as a process chooses its own, and root reads them. Sizes, counts, chains and depths are bounded
// ([MaxLoad], [MaxName], and constants beside the code). Nothing is mapped, so a file that is cut short meanwhile is a
// failed read and no fault. Only regular files are opened, on Linux by way of O_PATH, so that no pipe or device
// is, and with a Sysroot no link leads out of it. Where parsers of the standard library are used, a panic in them
// becomes an error.
//
// A [Table] owns its files until Close. What Lookup returns is the caller's.
//
// Sources of the formats: DWARF 4 and 5; the System V ABI and its supplements; <mach-o/loader.h> and <mach-o/nlist.h>; Microsoft's
// PE Format; runtime/symtab.go of Go; docs/symbol_files.md of Breakpad; "Separate Debug Files" in gdb's manual.
package symbol
