// Package images determines which ELF images a process has loaded, their names and their build ids, from the memory
// map and the images' headers in memory.
//
// [Identify] builds the module list of a snapshot after the target runs again; the root package calls it for every
// source. It calls the source ([snapshot.Source]) for what is not in memory, such as a build id that is only in the
// file. [ParseMaps] and [FollowLinkMaps] serve the sources: they read the text of /proc/PID/maps, and the dynamic
// linker's list of loaded objects (struct r_debug and link_map of glibc's and musl's link.h).
//
// Results are in the snapshot's arenas. A [Window] uses memory of its owner. Nothing is allocated from the Go heap.
// Reads block only as their Memory does. Counts, sizes and chains are bounded, because nothing in the target's memory
// is trusted: a broken image loses only its own name or id, which is recorded as a soft error.
package images
