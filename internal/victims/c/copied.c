// Maps the page of one of its functions once more from its file, as programs do that want code near other code: in a free
// part of the address space, and right after that, where there is no room below. Prints "ready PID", the addresses of the
// function, of its copies, and of a third one that can only be read, and waits for the end of its standard input.
#define _GNU_SOURCE
#include <fcntl.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

// The page before it makes the distance from the start of the file different from the distance from the start of the code.
__attribute__((noinline, used, aligned(4096))) void before(void) { __asm__ volatile(".skip 5000, 0x90"); }
__attribute__((noinline, used, aligned(64))) int copied(int x) { return x * 31 + 7; }

int main(void) {
	uintptr_t f = (uintptr_t)copied, page = sysconf(_SC_PAGESIZE);
	uintptr_t start, end, offset, at = 0;
	char line[512];
	FILE *maps = fopen("/proc/self/maps", "r");
	while (maps && fgets(line, sizeof line, maps))
		if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR " %*s %" SCNxPTR, &start, &end, &offset) == 3 && start <= f && f < end)
			at = offset + (f - start) / page * page;
	int fd = open("/proc/self/exe", O_RDONLY);
	// Address space that nothing else is in. The copies lie in the middle of it.
	char *room = mmap(NULL, 64 << 20, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (!at || fd < 0 || room == MAP_FAILED)
		return 1;
	char *there = room + (32 << 20);
	munmap(room, 64 << 20);
	printf("ready %d\n%" PRIuPTR, getpid(), f);
	for (int i = 0; i < 2; i++) {
		char *p = mmap(there + i * page, page, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_FIXED, fd, at);
		if (p == MAP_FAILED)
			return 1;
		printf(" %" PRIuPTR, (uintptr_t)p + f % page);
	}
	char *data = mmap(there - (16 << 20), page, PROT_READ, MAP_PRIVATE | MAP_FIXED, fd, at);
	if (data == MAP_FAILED)
		return 1;
	printf(" %" PRIuPTR "\n", (uintptr_t)data);
	fflush(stdout);
	while (read(0, line, sizeof line) > 0)
		;
	return 0;
}
