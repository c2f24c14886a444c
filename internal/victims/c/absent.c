// A process with memory that is not there, or that is nobody's business: absent KIND [DIR [SIGNAL]].
//
//	heap      a megabyte of memory whose page faults a userfaultfd gets that nobody serves, as after a lazy migration
//	          whose page server has died; pointers to it lie on the stack
//	stack     a thread's stack, of whose mapping the pages above its frames are missing in that way
//	vanish    a megabyte of a memfd, all of it there, that a userfaultfd would get the page faults of
//	sparse    a gigabyte of a memfd and one of private memory, of each of which one page was used
//	dontdump  a page with the text TOPSECRET that is marked MADV_DONTDUMP, with pointers to it on the stack
//	fuse      two mappings of a file in DIR/fuse, whose server (another process) never answers a read
//	deadlock  the same, and the server is a thread of this process
//
// It prints "ready PID", then a number every 20 ms. With a SIGNAL it raises that 300 ms after it is ready.
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SIZE (1 << 20)
#define PAGE 4096

static void must(int ok, const char *what) {
	if (!ok) {
		perror(what);
		exit(3);
	}
}

static char *map(size_t n) {
	char *p = mmap(0, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	must(p != MAP_FAILED, "mmap");
	return p;
}

// watch gives the faults of a range to a userfaultfd.
static int watch(char *p, size_t n) {
	int fd = syscall(SYS_userfaultfd, O_CLOEXEC);
	struct uffdio_api api = {.api = UFFD_API};
	struct uffdio_register r = {.range = {(uintptr_t)p, n}, .mode = UFFDIO_REGISTER_MODE_MISSING};
	must(fd >= 0, "userfaultfd");
	must(ioctl(fd, UFFDIO_API, &api) == 0 && ioctl(fd, UFFDIO_REGISTER, &r) == 0, "userfaultfd");
	return fd;
}

static char *vanish(void) {
	int fd = memfd_create("vanishing", 0);
	must(fd >= 0 && ftruncate(fd, SIZE) == 0, "memfd");
	char *p = mmap(0, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	must(p != MAP_FAILED, "mmap");
	memset(p, 'V', SIZE);
	watch(p, SIZE);
	return p;
}

static void *sleeper(void *arg) {
	for (;;)
		pause();
	return arg;
}

static void missing_stack(void) {
	char *p = map(SIZE), *top = p + SIZE - 65536; // the thread starts at top
	struct uffdio_zeropage z = {.range = {(uintptr_t)p, top - p}};
	pthread_attr_t attr;
	pthread_t thread;
	must(ioctl(watch(p, SIZE), UFFDIO_ZEROPAGE, &z) == 0, "UFFDIO_ZEROPAGE");
	pthread_attr_init(&attr);
	pthread_attr_setstack(&attr, p, top - p);
	must(pthread_create(&thread, &attr, sleeper, 0) == 0, "thread");
}

static void sparse(void) {
	int fd = memfd_create("pool", 0);
	must(fd >= 0 && ftruncate(fd, 1 << 30) == 0, "memfd");
	char *shared = mmap(0, 1 << 30, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	must(shared != MAP_FAILED, "mmap");
	strcpy(shared, "here 1");
	strcpy(map(1 << 30) + PAGE, "here 2");
	must(pwrite(fd, "here 3", 6, 16 << 20) == 6, "write"); // in the file, in no page table
}

static uint32_t at32(const char *p) {
	uint32_t v;
	memcpy(&v, p, 4);
	return v;
}

// attributes are a struct fuse_attr (linux/fuse.h): of the folder, node 1, and the file, node 2.
static void attributes(char *p, uint64_t node) {
	uint64_t size = node == 2 ? 4 * PAGE : 0;
	uint32_t mode = node == 2 ? 0100755 : 040755, links = 1;
	memcpy(p, &node, 8);
	memcpy(p + 8, &size, 8);
	memcpy(p + 60, &mode, 4);
	memcpy(p + 64, &links, 4);
}

// serve answers all requests except reads.
static void *serve(void *arg) {
	static char request[1 << 20], answer[1024];
	int dev = *(int *)arg;
	for (;;) {
		if (read(dev, request, sizeof request) < 40)
			return 0;
		uint64_t node, hour = 3600, two = 2;
		uint32_t size = 0, seven = 7, minor = 31, most = 4096;
		int32_t error = 0;
		memcpy(&node, request + 16, 8);
		memset(answer, 0, sizeof answer);
		char *out = answer + 16;
		switch (at32(request + 4)) {
		case 1: // FUSE_LOOKUP
			if (strcmp(request + 40, "file") != 0) {
				error = -2;
				break;
			}
			size = 128;
			memcpy(out, &two, 8);
			memcpy(out + 16, &hour, 8);
			memcpy(out + 24, &hour, 8);
			attributes(out + 40, 2);
			break;
		case 3: // FUSE_GETATTR
			size = 104;
			memcpy(out, &hour, 8);
			attributes(out + 16, node);
			break;
		case 14: case 27: // FUSE_OPEN, FUSE_OPENDIR
			size = 16;
			break;
		case 26: // FUSE_INIT
			size = 64;
			memcpy(out, &seven, 4);
			memcpy(out + 4, &minor, 4);
			memcpy(out + 20, &most, 4);
			break;
		case 18: case 25: case 29: // FUSE_RELEASE, FUSE_FLUSH, FUSE_RELEASEDIR
			break;
		case 2: case 15: case 42: // FUSE_FORGET, FUSE_READ, FUSE_BATCH_FORGET
			continue;
		default:
			error = -38;
		}
		size += 16;
		memcpy(answer, &size, 4);
		memcpy(answer + 4, &error, 4);
		memcpy(answer + 8, request + 8, 8);
		if (write(dev, answer, size) < 0)
			perror("answer");
	}
}

static void fuse(const char *dir, int self) {
	static int dev;
	static pthread_t thread;
	char path[4096], options[128];
	must(unshare(CLONE_NEWNS) == 0 && mount(0, "/", 0, MS_REC | MS_PRIVATE, 0) == 0, "mount namespace");
	must((dev = open("/dev/fuse", O_RDWR)) >= 0, "/dev/fuse");
	snprintf(path, sizeof path, "%s/fuse", dir);
	must(mkdir(path, 0755) == 0, path);
	snprintf(options, sizeof options, "fd=%d,rootmode=40000,user_id=0,group_id=0", dev);
	must(mount("nobody", path, "fuse.silent", 0, options) == 0, "mount");
	if (self)
		must(pthread_create(&thread, 0, serve, &dev) == 0, "thread");
	else if (fork() == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		serve(&dev);
		_exit(0);
	} else
		close(dev);
	strcat(path, "/file");
	int fd = open(path, O_RDONLY);
	must(fd >= 0, path);
	must(mmap(0, 2 * PAGE, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0) != MAP_FAILED, "mmap");
	must(mmap(0, 4 * PAGE, PROT_READ, MAP_SHARED, fd, 0) != MAP_FAILED, "mmap");
	close(fd);
}

int main(int argc, char **argv) {
	const char *kind = argc > 1 ? argv[1] : "";
	char *p = 0;
	if (!strcmp(kind, "heap"))
		watch(p = map(SIZE), SIZE);
	else if (!strcmp(kind, "vanish"))
		p = vanish();
	else if (!strcmp(kind, "stack"))
		missing_stack();
	else if (!strcmp(kind, "sparse"))
		sparse();
	else if (!strcmp(kind, "dontdump")) {
		p = map(SIZE);
		madvise(p, SIZE, MADV_DONTDUMP);
		p[300] = 'T'; // written in two parts, so that the program itself does not hold it
		memcpy(p + 301, "OPSECRET", 8);
	} else if (!strcmp(kind, "fuse") || !strcmp(kind, "deadlock"))
		fuse(argv[2], kind[0] == 'd');
	char *volatile pointers[8];
	for (int i = 0; i < 8; i++)
		pointers[i] = p ? p + 300 + i * PAGE : 0;
	printf("ready %d\n", (int)getpid());
	fflush(stdout);
	if (argc > 3) {
		usleep(300000);
		raise(atoi(argv[3]));
	}
	for (long i = 0;; i++) {
		printf("%ld\n", i);
		fflush(stdout);
		usleep(20000);
	}
	return pointers[0] != 0;
}
