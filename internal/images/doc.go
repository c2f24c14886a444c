// Package images finds out which ELF images a process has loaded, what they are called, and their build ids, from the
// memory map and the images' own headers in memory.
//
// [Identify] builds the module list of a snapshot after the target runs again; the root package calls it for every
// source. It asks the source ([snapshot.Source]) about what memory cannot answer, such as a build id that is only in
// the file. [ParseMaps] and [FollowLinkMaps] serve the sources: the text of /proc/PID/maps, and the dynamic linker's
// list of loaded objects (struct r_debug and link_map of glibc's and musl's link.h).
//
// Results lie in the snapshot's arenas. A [Window] uses memory of its owner. Nothing is allocated from the Go heap.
// Reads may block only as the Memory that they go through does. Counts, sizes and chains are bounded, because nothing
// in the target's memory is trusted: a broken image costs its own name or id, recorded as a soft error.
package images
