// What dyld would have loaded: libSystem, whose text has a stub for each import, dyld itself, and the list of images.
#include "machorun.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

enum { LC_SEGMENT_64 = 0x19, LC_ID_DYLIB = 0xd, LC_ID_DYLINKER = 0xf, LC_UUID = 0x1b };
enum { MH_DYLIB = 6, MH_DYLINKER = 7 };

// The shared cache may be mapped at an address other than its link-time address. The load commands have the link-time address.
enum { SLIDE = 0xc000 };

// In the cache the segments of an image are not adjacent.
enum {
	SYSTEM_TEXT = CACHE + 0x100000, SYSTEM_TEXT_SIZE = 0x40000, SYSTEM_DATA = CACHE + 0x200000,
	DYLD_TEXT = CACHE + 0x400000, DYLD_TEXT_SIZE = 0x4000, DYLD_DATA = CACHE + 0x500000, DATA_SIZE = 0x4000,
	STUBS = SYSTEM_TEXT + 0x1000, CRASH_INFO = 0x100, STRINGS = 0x400, INFOS = 0x1000, IMAGES = 0x1800,
};

struct command {
	uint32_t cmd, size;
};

struct segment {
	struct command c;
	char name[16];
	uint64_t vmaddr, vmsize, fileoff, filesize;
	int32_t maxprot, initprot;
	uint32_t nsects, flags;
};

struct section {
	char name[16], segment[16];
	uint64_t addr, size;
	uint32_t words[8];
};

// writer writes load commands to a header.
struct writer {
	uint32_t *header; // magic, cputype, cpusubtype, filetype, ncmds, sizeofcmds, flags, reserved
};

static void *command(struct writer *w, uint32_t cmd, uint32_t size) {
	struct command *c = (void *)((char *)w->header + 32 + w->header[5]);
	*c = (struct command){cmd, size};
	w->header[4]++;
	w->header[5] += size;
	return c;
}

static void add_segment(struct writer *w, const char *name, uint64_t at, uint64_t size, int prot, const char *section, uint64_t section_at, uint64_t section_size) {
	struct segment *g = command(w, LC_SEGMENT_64, sizeof *g + (section ? sizeof(struct section) : 0));
	strncpy(g->name, name, sizeof g->name);
	g->vmaddr = at - SLIDE, g->vmsize = size, g->filesize = size;
	g->maxprot = g->initprot = prot;
	if (!section) return;
	g->nsects = 1;
	struct section *c = (void *)(g + 1);
	strncpy(c->name, section, sizeof c->name);
	strncpy(c->segment, name, sizeof c->segment);
	c->addr = section_at - SLIDE, c->size = section_size;
}

static void add_name(struct writer *w, uint32_t cmd, const char *name, uint32_t version) {
	uint32_t fixed = cmd == LC_ID_DYLIB ? 24 : 12;
	uint32_t *c = command(w, cmd, (fixed + strlen(name) + 8) & ~7u);
	c[2] = fixed;
	if (cmd == LC_ID_DYLIB) c[3] = 2, c[4] = version, c[5] = 0x10000;
	strcpy((char *)c + fixed, name);
}

static void add_uuid(struct writer *w, const uint8_t *uuid) { memcpy((char *)command(w, LC_UUID, 24) + 8, uuid, 16); }

static struct writer header_at(uint64_t at, uint32_t type) {
	struct writer w = {(uint32_t *)at};
	w.header[0] = 0xfeedfacf, w.header[1] = CPU_TYPE, w.header[2] = 3, w.header[3] = type;
	return w;
}

static void map(uint64_t at, uint64_t size) {
	if (mmap((void *)at, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) != (void *)at)
		fatal("mapping an image at %#lx: %s", (long)at, strerror(errno));
}

// text adds s to the strings of a data segment, and returns its address.
static uint64_t text(uint64_t data, int *used, const char *s) {
	char *at = (char *)data + STRINGS + *used;
	*used += strlen(s) + 1;
	strcpy(at, s);
	return (uint64_t)at;
}

// crashreporter_annotations_t: version, message, signature, backtrace, message2, thread, dialog mode, abort cause.
static void crash_info(uint64_t data, uint64_t version, const char *const texts[4]) {
	uint64_t *c = (uint64_t *)(data + CRASH_INFO);
	int used = 0;
	c[0] = version;
	for (int i = 0; i < 4; i++)
		if (texts[i]) c[i + 1] = text(data, &used, texts[i]);
	c[5] = 0, c[6] = 0, c[7] = version >= 5 ? 42 : 0;
}

// As in <mach-o/dyld_images.h>, up to version 17.
struct infos {
	uint32_t version, count;
	uint64_t array, notification;
	uint8_t detached, initialized, pad[6];
	uint64_t dyld, jit, dyld_version, error, termination, symbolication, system_order, uuid_count, uuids, self, initial_count;
	uint64_t error_kind, error_client, error_target, error_symbol, cache_slide;
	uint8_t cache_uuid[16];
	uint64_t cache_base, timestamp, dyld_path;
	uint32_t notify_ports[8];
	uint64_t reserved[7], cache_fs[2], compact_addr, compact_size;
	uint32_t platform, aot_count;
	uint64_t aot_array, aot_timestamp, aot_base;
	uint8_t aot_uuid[16];
};

struct image {
	uint64_t load, path, mtime;
};

uint64_t image_infos(void) { return DYLD_DATA + INFOS; }
uint64_t image_infos_size(void) { return sizeof(struct infos); }

bool in_libsystem(uint64_t pc) { return pc >= SYSTEM_TEXT && pc < SYSTEM_TEXT + SYSTEM_TEXT_SIZE; }

static uint8_t *next_stub = (uint8_t *)STUBS;

#ifdef __aarch64__
uint64_t stub_own_offset(void);
#endif

void *stub(void *target) {
	size_t size = (stub_end - stub_start + 15) & ~15ul;
	uint8_t *s = next_stub;
	if (s + size > (uint8_t *)SYSTEM_TEXT + SYSTEM_TEXT_SIZE) fatal("too many imports");
	next_stub += size;
	memcpy(s, stub_start, stub_end - stub_start);
	memcpy(s + (stub_target - stub_start), &target, sizeof target);
#ifdef __aarch64__
	memcpy(s + (stub_target - stub_start) + 8, &(uint64_t){stub_own_offset()}, 8);
#endif
	return s;
}

void make_images(const void *program) {
	static const uint8_t system_uuid[16] = "\xdf\xea\x8e\x01\x10\x20\x30\x40\x50\x60\x70\x80\x90\xa0\xb0\xc0", dyld_uuid[16] = "\xd1\xd2\xd3\xd4" "GHIJKLMNOPQR";
	map(SYSTEM_TEXT, SYSTEM_TEXT_SIZE), map(SYSTEM_DATA, DATA_SIZE), map(DYLD_TEXT, DYLD_TEXT_SIZE), map(DYLD_DATA, DATA_SIZE);

	struct writer w = header_at(SYSTEM_TEXT, MH_DYLIB);
	add_segment(&w, "__TEXT", SYSTEM_TEXT, SYSTEM_TEXT_SIZE, 5, NULL, 0, 0);
	add_segment(&w, "__DATA", SYSTEM_DATA, DATA_SIZE, 3, "__crash_info", SYSTEM_DATA + CRASH_INFO, 64);
	add_name(&w, LC_ID_DYLIB, "/usr/lib/libSystem.B.dylib", 1351 << 16 | 2 << 8 | 3);
	add_uuid(&w, system_uuid);
	crash_info(SYSTEM_DATA, 5, (const char *const[]){"no error in machorun", NULL, NULL, "second message"});

	w = header_at(DYLD_TEXT, MH_DYLINKER);
	add_segment(&w, "__TEXT", DYLD_TEXT, DYLD_TEXT_SIZE, 5, NULL, 0, 0);
	add_segment(&w, "__DATA_DIRTY", DYLD_DATA, DATA_SIZE, 3, "__crash_info", DYLD_DATA + CRASH_INFO, 328);
	add_name(&w, LC_ID_DYLINKER, "/usr/lib/dyld", 0);
	add_uuid(&w, dyld_uuid);
	crash_info(DYLD_DATA, 7, (const char *const[]){"dyld config: none", NULL, NULL, NULL});

	int used = 64;
	struct image *images = (void *)(DYLD_DATA + IMAGES);
	images[0] = (struct image){(uint64_t)program, text(DYLD_DATA, &used, shared->path), 0};
	images[1] = (struct image){SYSTEM_TEXT, text(DYLD_DATA, &used, "/usr/lib/libSystem.B.dylib"), 0};
	*(struct infos *)image_infos() = (struct infos){
		.version = 17, .count = 2, .array = (uint64_t)images, .initialized = 1, .dyld = DYLD_TEXT, .self = image_infos(),
		.dyld_version = text(DYLD_DATA, &used, "1284.13"), .dyld_path = text(DYLD_DATA, &used, "/usr/lib/dyld"), .initial_count = 2,
		.cache_slide = SLIDE, .cache_base = CACHE, .platform = 1,
	};
}

void finish_images(void) {
	__builtin___clear_cache((char *)STUBS, (char *)next_stub);
	mprotect((void *)SYSTEM_TEXT, SYSTEM_TEXT_SIZE, PROT_READ | PROT_EXEC);
	mprotect((void *)DYLD_TEXT, DYLD_TEXT_SIZE, PROT_READ | PROT_EXEC);
	show_segment(SYSTEM_TEXT, SYSTEM_TEXT + SYSTEM_TEXT_SIZE, 5);
	show_segment(SYSTEM_DATA, SYSTEM_DATA + DATA_SIZE, 3);
	show_segment(DYLD_TEXT, DYLD_TEXT + DYLD_TEXT_SIZE, 5);
	show_segment(DYLD_DATA, DYLD_DATA + DATA_SIZE, 3);
}
