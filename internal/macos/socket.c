// Sockets and kqueue.
#include "machorun.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <linux/sockios.h>
#include <poll.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

// Darwin's socket addresses begin with their length, and AF_INET6 has a different number.

enum { D_AF_INET6 = 30 };

static int family_in(int d) { return d == D_AF_INET6 ? AF_INET6 : d; }
static int family_out(int l) { return l == AF_INET6 ? D_AF_INET6 : l; }

static socklen_t address_in(const uint8_t *d, uint32_t size, struct sockaddr_storage *l) {
	memset(l, 0, sizeof *l);
	if (!d || size < 2) return 0;
	if (size > sizeof *l) size = sizeof *l;
	memcpy(l, d, size);
	l->ss_family = family_in(d[1]);
	if (l->ss_family == AF_UNIX) { // the path ends at its NUL
		struct sockaddr_un *u = (void *)l;
		size = offsetof(struct sockaddr_un, sun_path) + strnlen(u->sun_path, size - 2) + 1;
	}
	return size;
}

static void address_out(const struct sockaddr_storage *l, socklen_t got, uint8_t *d, uint32_t *size) {
	if (!d || !size) return;
	uint8_t b[sizeof *l];
	if (got < 2) got = 2;
	memcpy(b, l, got);
	b[0] = got, b[1] = family_out(l->ss_family);
	memcpy(d, b, *size < got ? *size : got);
	*size = got;
}

static long s_socket(int domain, int type, int protocol) { return R(socket(family_in(domain), type, protocol)); }
static long s_socketpair(int domain, int type, int protocol, int *fds) { return R(socketpair(family_in(domain), type, protocol, fds)); }

static long s_bind(int fd, const uint8_t *d, uint32_t size) {
	struct sockaddr_storage l;
	size = address_in(d, size, &l);
	return R(bind(fd, (void *)&l, size));
}

static long s_connect(int fd, const uint8_t *d, uint32_t size) {
	struct sockaddr_storage l;
	size = address_in(d, size, &l);
	return R(connect(fd, (void *)&l, size));
}

static long s_accept(int fd, uint8_t *d, uint32_t *size) {
	struct sockaddr_storage l = {0};
	socklen_t n = sizeof l;
	long r = R(accept(fd, (void *)&l, &n));
	if (r >= 0) address_out(&l, n, d, size);
	return r;
}

static long s_getsockname(int fd, uint8_t *d, uint32_t *size) {
	struct sockaddr_storage l = {0};
	socklen_t n = sizeof l;
	long r = R(getsockname(fd, (void *)&l, &n));
	if (r >= 0) address_out(&l, n, d, size);
	return r;
}

static long s_getpeername(int fd, uint8_t *d, uint32_t *size) {
	struct sockaddr_storage l = {0};
	socklen_t n = sizeof l;
	long r = R(getpeername(fd, (void *)&l, &n));
	if (r >= 0) address_out(&l, n, d, size);
	return r;
}

PASS(listen, (int fd, int n), (fd, n))
PASS(shutdown, (int fd, int how), (fd, how))

enum { D_SOL_SOCKET = 0xffff, SOL_LOCAL = 0, LOCAL_PEERPID = 2, LOCAL_PEERTOKEN = 6 };

static int option_in(int level, int *option) {
	static const struct { int from, to; } options[] = {
		{0x4, SO_REUSEADDR}, {0x8, SO_KEEPALIVE}, {0x20, SO_BROADCAST}, {0x80, SO_LINGER}, {0x1001, SO_SNDBUF}, {0x1002, SO_RCVBUF},
		{0x1005, SO_SNDTIMEO}, {0x1006, SO_RCVTIMEO}, {0x1007, SO_ERROR}, {0x1008, SO_TYPE},
	};
	if (level != D_SOL_SOCKET) return level;
	for (size_t i = 0; i < COUNT(options); i++)
		if (options[i].from == *option) {
			*option = options[i].to;
			return SOL_SOCKET;
		}
	return -1;
}

static long s_setsockopt(int fd, int level, int option, const void *value, uint32_t size) {
	if (level == D_SOL_SOCKET && option == 0x1022) return 0; // SO_NOSIGPIPE: each send has MSG_NOSIGNAL
	if (level == IPPROTO_IPV6 && option == 27) option = IPV6_V6ONLY;
	level = option_in(level, &option);
	return level < 0 ? fails(42) : R(setsockopt(fd, level, option, value, size)); // ENOPROTOOPT
}

static long s_getsockopt(int fd, int level, int option, void *value, uint32_t *size) {
	if (level == SOL_LOCAL && option == LOCAL_PEERPID) {
		struct ucred c;
		socklen_t n = sizeof c;
		long r = R(getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &c, &n));
		if (r == 0) memcpy(value, &c.pid, 4), *size = 4;
		return r;
	}
	if (level == SOL_LOCAL && option == LOCAL_PEERTOKEN) {
		struct ucred c;
		socklen_t n = sizeof c;
		long r = R(getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &c, &n));
		uint32_t token[8] = {c.uid, c.uid, c.gid, c.uid, c.gid, c.pid, 0, 1}; // as in receive_message
		if (r == 0 && *size >= sizeof token) memcpy(value, token, sizeof token), *size = sizeof token;
		return r;
	}
	level = option_in(level, &option);
	if (level < 0) return fails(42);
	long r = R(getsockopt(fd, level, option, value, size));
	if (r == 0 && level == SOL_SOCKET && option == SO_ERROR) *(int *)value = *(int *)value ? darwin_errno(*(int *)value) : 0;
	return r;
}

// On Darwin the buffer of an AF_UNIX stream socket has exactly SO_SNDBUF bytes, however few. If eight times SO_SNDBUF is less than the
// memory of one piece of data, the socket accepts no second piece until the first has been read (sbreserve and sbspace of
// bsd/kern/uipc_socket2.c, uipc_send and uipc_rcvd of bsd/kern/uipc_usrreq.c). Linux has no such small buffers.
enum { SMALL = 16, LEAST_OF_LINUX = 4608 };

bool is_small(int fd) {
	int room, domain;
	socklen_t n = sizeof room, m = sizeof domain;
	return !getsockopt(fd, SOL_SOCKET, SO_SNDBUF, &room, &n) && room <= LEAST_OF_LINUX && !getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &m) && domain == AF_UNIX;
}

long write_small(int fd, const uint8_t *p, size_t n, bool wait) {
	size_t done = 0;
	while (done < n) {
		int unread = 0;
		struct pollfd closed = {.fd = fd};
		if (!ioctl(fd, SIOCOUTQ, &unread) && unread > 0 && !(poll(&closed, 1, 0) > 0 && closed.revents & (POLLHUP | POLLERR))) {
			if (!wait) return done ? (long)done : fails(35); // EAGAIN
			usleep(200);
			continue;
		}
		ssize_t k = send(fd, p + done, n - done < SMALL ? n - done : SMALL, MSG_NOSIGNAL);
		if (k < 0) return done ? (long)done : R(-1);
		done += k;
	}
	return done;
}

// The only flags that programs use are MSG_DONTWAIT, and MSG_PEEK, which has the same value on Linux.
static int flags_in(int d) { return (d & 2) | (d & 0x80 ? MSG_DONTWAIT : 0) | MSG_NOSIGNAL; }

static long s_sendto(int fd, const void *p, size_t n, int flags, const uint8_t *d, uint32_t size) {
	struct sockaddr_storage l;
	if (is_small(fd)) return write_small(fd, p, n, !(flags & 0x80));
	size = address_in(d, size, &l);
	return R(sendto(fd, p, n, flags_in(flags), size ? (void *)&l : NULL, size));
}

static long s_recvfrom(int fd, void *p, size_t n, int flags, uint8_t *d, uint32_t *size) {
	struct sockaddr_storage l = {0};
	socklen_t got = sizeof l;
	long r = R(recvfrom(fd, p, n, flags_in(flags), (void *)&l, &got));
	if (r >= 0) address_out(&l, got, d, size);
	return r;
}

struct d_msghdr {
	void *name;
	uint32_t name_size;
	struct iovec *parts;
	int32_t part_count;
	void *control;
	uint32_t control_size;
	int32_t flags;
};

struct d_cmsghdr {
	uint32_t size;
	int32_t level, type;
};

// Only control messages with descriptors are supported.
static long s_sendmsg(int fd, const struct d_msghdr *d, int flags) {
	struct sockaddr_storage l;
	char control[CMSG_SPACE(64 * sizeof(int))];
	struct msghdr m = {.msg_iov = d->parts, .msg_iovlen = d->part_count};
	m.msg_namelen = address_in(d->name, d->name_size, &l);
	if (m.msg_namelen) m.msg_name = &l;
	if (d->control_size >= sizeof(struct d_cmsghdr)) {
		const struct d_cmsghdr *c = d->control;
		size_t n = c->size - sizeof *c;
		if (c->level != D_SOL_SOCKET || c->type != 1 || n > 64 * sizeof(int)) return fails(D_EINVAL);
		m.msg_control = control, m.msg_controllen = CMSG_SPACE(n);
		struct cmsghdr *o = CMSG_FIRSTHDR(&m);
		*o = (struct cmsghdr){.cmsg_len = CMSG_LEN(n), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
		memcpy(CMSG_DATA(o), c + 1, n);
	}
	return R(sendmsg(fd, &m, flags_in(flags)));
}

static long s_recvmsg(int fd, struct d_msghdr *d, int flags) {
	struct sockaddr_storage l = {0};
	char control[CMSG_SPACE(64 * sizeof(int))];
	struct msghdr m = {.msg_iov = d->parts, .msg_iovlen = d->part_count, .msg_name = &l, .msg_namelen = sizeof l};
	if (d->control_size) m.msg_control = control, m.msg_controllen = sizeof control;
	long r = R(recvmsg(fd, &m, flags_in(flags)));
	if (r < 0) return r;
	if (d->name) address_out(&l, m.msg_namelen, d->name, &d->name_size);
	struct cmsghdr *o = CMSG_FIRSTHDR(&m);
	uint32_t room = d->control_size;
	d->control_size = 0;
	if (o && o->cmsg_type == SCM_RIGHTS) {
		size_t n = o->cmsg_len - CMSG_LEN(0);
		struct d_cmsghdr *c = d->control;
		if (sizeof *c + n <= room) {
			*c = (struct d_cmsghdr){sizeof *c + n, D_SOL_SOCKET, 1};
			memcpy(c + 1, CMSG_DATA(o), n);
			d->control_size = sizeof *c + n;
		}
	}
	d->flags = 0;
	return r;
}

PASS(poll, (struct pollfd *p, uint32_t n, int timeout), (p, n, timeout))

// kqueue: an epoll descriptor. EVFILT_READ and EVFILT_WRITE are edge-triggered, as Go uses them (EV_CLEAR). EVFILT_USER is an event
// descriptor, with which the runtime wakes itself.

struct d_kevent {
	uint64_t ident;
	int16_t filter;
	uint16_t flags;
	uint32_t fflags;
	int64_t data;
	uint64_t udata;
};

enum { EVFILT_READ = -1, EVFILT_WRITE = -2, EVFILT_USER = -10, EV_ADD = 1, EV_DELETE = 2, EV_EOF = 0x8000, EV_ERROR = 0x4000 };

// The watched events of each descriptor with their user data, and the only user event.
static struct {
	uint64_t udata[2];
	uint32_t events;
} watched[SHARED_FD];
static struct d_kevent user_event;
static int user_fd = -1;

static long s_kqueue(void) {
	int queue = R(epoll_create1(EPOLL_CLOEXEC));
	if (queue < 0) return -1;
	int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (fd < 0) return R(-1);
	int high = fcntl(fd, F_DUPFD_CLOEXEC, SHARED_FD + 1);
	close(fd);
	struct epoll_event e = {.events = EPOLLIN, .data.u64 = UINT64_MAX};
	if (epoll_ctl(queue, EPOLL_CTL_ADD, high, &e) < 0) return R(-1);
	user_fd = high;
	return queue;
}

static int change(int queue, const struct d_kevent *c) {
	if (c->filter == EVFILT_USER) {
		if (!(c->fflags & 0x1000000)) user_event = *c; // NOTE_TRIGGER
		else if (write(user_fd, &(uint64_t){1}, 8) < 0 && errno != EAGAIN) return errno;
		return 0;
	}
	if ((c->filter != EVFILT_READ && c->filter != EVFILT_WRITE) || c->ident >= SHARED_FD) return EINVAL;
	int write = c->filter == EVFILT_WRITE;
	uint32_t bit = write ? EPOLLOUT : EPOLLIN | EPOLLRDHUP, before = watched[c->ident].events;
	if (c->flags & EV_DELETE) watched[c->ident].events &= ~bit;
	else {
		__atomic_store_n(&watched[c->ident].udata[write], c->udata, __ATOMIC_RELEASE); // before another thread sees the bit
		__atomic_fetch_or(&watched[c->ident].events, bit, __ATOMIC_RELEASE);
	}
	struct epoll_event e = {.events = watched[c->ident].events | EPOLLET, .data.u64 = c->ident};
	int r = epoll_ctl(queue, before ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, c->ident, &e);
	if (r < 0 && errno == ENOENT) r = epoll_ctl(queue, EPOLL_CTL_ADD, c->ident, &e); // the descriptor was closed and is now another file
	if (r < 0 && errno == EEXIST) r = epoll_ctl(queue, EPOLL_CTL_MOD, c->ident, &e);
	return r < 0 ? errno == EPERM ? EINVAL : errno : 0; // EPERM: a regular file, which has no such events
}

static long s_kevent(int queue, const struct d_kevent *changes, int n, struct d_kevent *events, int room, const struct timespec *timeout) {
	for (int i = 0; i < n; i++) {
		int e = change(queue, &changes[i]);
		if (e) return fails(darwin_errno(e));
	}
	if (!room) return 0;
	struct epoll_event got[64];
	int ms = timeout ? timeout->tv_sec * 1000 + (timeout->tv_nsec + 999999) / 1000000 : -1;
	int most = room / 2 ? room / 2 : 1;
	long k = R(epoll_wait(queue, got, most < 64 ? most : 64, ms));
	if (k < 0) return k;
	int out = 0;
	for (int i = 0; i < k; i++) {
		uint64_t fd = got[i].data.u64, none;
		if (fd == UINT64_MAX) {
			if (read(user_fd, &none, sizeof none) >= 0) events[out++] = user_event; // otherwise another thread was faster
			continue;
		}
		// EPOLLHUP and EPOLLERR are always reported. Between the two changes of a kevent call only one filter is registered.
		uint32_t registered = __atomic_load_n(&watched[fd].events, __ATOMIC_ACQUIRE);
		uint16_t end = got[i].events & (EPOLLHUP | EPOLLRDHUP | EPOLLERR) ? EV_EOF : 0;
		if (registered & EPOLLIN && got[i].events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR) && out < room)
			events[out++] = (struct d_kevent){.ident = fd, .filter = EVFILT_READ, .flags = end, .udata = watched[fd].udata[0]};
		if (registered & EPOLLOUT && got[i].events & (EPOLLOUT | EPOLLHUP | EPOLLERR) && out < room)
			events[out++] = (struct d_kevent){.ident = fd, .filter = EVFILT_WRITE, .flags = end, .udata = watched[fd].udata[1]};
	}
	return out;
}

const struct import socket_imports[] = {
	S(accept), S(bind), S(connect), S(getpeername), S(getsockname), S(getsockopt), S(kevent), S(kqueue), S(listen), S(poll),
	S(recvfrom), S(recvmsg), S(sendmsg), S(sendto), S(setsockopt), S(shutdown), S(socket), S(socketpair), {0},
};
