/* forwarder.c -- a bare UDP forwarder: the price of the datagrams alone.
 *
 * It reads no byte of SIP. Phones arrive on one socket; each gets a connected
 * socket of its own towards the platform, as a NAT would do, because that is
 * how an answer finds its way back. Batches by recvmmsg and sendmmsg, one
 * thread. What it costs is what no SIP server on this kernel can undercut. */
#include "text.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	BATCH = 64,
	DGRAM_MAX = 4096,
	PEERS_MAX = 4096, /* phones; more are ignored */
	BUCKETS = 8192,   /* open addressing; twice PEERS_MAX */
	EVENTS = 64,
	SOCKET_BUFFER = 8 * 1024 * 1024,
};

/* One phone. `fd` is its socket towards the platform. */
struct peer {
	struct sockaddr_in at;
	int fd;
};

static struct {
	int epoll, front;
	struct sockaddr_in platform;
	struct peer peers[PEERS_MAX];
	unsigned peer_n;
	uint16_t bucket[BUCKETS]; /* index + 1; 0: empty */
	struct mmsghdr hdr[BATCH];
	struct iovec iov[BATCH];
	struct sockaddr_in from[BATCH];
	char bytes[BATCH][DGRAM_MAX];
} self;

static struct sockaddr_in address(const char *s)
{
	struct sockaddr_in a = { .sin_family = AF_INET };
	char ip[INET_ADDRSTRLEN] = "";
	const char *colon = strrchr(s, ':');

	errno = 0;
	if (!colon || (size_t)(colon - s) >= sizeof(ip))
		die("usage: forwarder LISTEN_IP:PORT PLATFORM_IP:PORT");
	memcpy(ip, s, (size_t)(colon - s));
	a.sin_port = htons((uint16_t)strtoul(colon + 1, NULL, 10));
	if (inet_pton(AF_INET, ip, &a.sin_addr) != 1 || !a.sin_port)
		die("an address is not IP:PORT");
	return a;
}

static int socket_new(void *owner)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int n = SOCKET_BUFFER;
	struct epoll_event ev = { .events = EPOLLIN, .data.ptr = owner };

	if (fd < 0)
		die("socket");
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &n, sizeof(n)) < 0)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &n, sizeof(n));
	if (epoll_ctl(self.epoll, EPOLL_CTL_ADD, fd, &ev) < 0)
		die("epoll_ctl");
	return fd;
}

/* The phone at `at`, made at its first datagram; NULL when the table is full. */
static struct peer *peer_of(const struct sockaddr_in *at)
{
	uint32_t i = (at->sin_addr.s_addr * 31u + at->sin_port) * 0x9e3779b9u >> 19;

	for (;; i = (i + 1) % BUCKETS) {
		if (!self.bucket[i])
			break;
		struct peer *p = &self.peers[self.bucket[i] - 1];
		if (p->at.sin_addr.s_addr == at->sin_addr.s_addr && p->at.sin_port == at->sin_port)
			return p;
	}
	if (self.peer_n == PEERS_MAX)
		return NULL;
	struct peer *p = &self.peers[self.peer_n++];
	self.bucket[i] = (uint16_t)self.peer_n;
	p->at = *at;
	p->fd = socket_new(p);
	if (connect(p->fd, (const struct sockaddr *)&self.platform, sizeof(self.platform)) < 0)
		die("connect");
	return p;
}

static int receive(int fd)
{
	for (int i = 0; i < BATCH; i++) {
		self.iov[i] = (struct iovec){ self.bytes[i], DGRAM_MAX };
		self.hdr[i].msg_hdr = (struct msghdr){ .msg_name = &self.from[i],
			                               .msg_namelen = sizeof(self.from[i]),
			                               .msg_iov = &self.iov[i],
			                               .msg_iovlen = 1 };
	}
	int n = recvmmsg(fd, self.hdr, BATCH, 0, NULL);
	for (int i = 0; i < n; i++)
		self.iov[i].iov_len = self.hdr[i].msg_len;
	return n;
}

static void send_run(int fd, int from, int to)
{
	while (from < to) {
		int n = sendmmsg(fd, self.hdr + from, (unsigned)(to - from), 0);
		from += n > 0 ? n : 1;
	}
}

/* Runs of datagrams from one phone leave in one sendmmsg. */
static void front_in(void)
{
	int n = receive(self.front);

	for (int i = 0, end; i < n; i = end) {
		struct peer *p = peer_of(&self.from[i]);
		for (end = i; end < n && self.from[end].sin_port == self.from[i].sin_port &&
		              self.from[end].sin_addr.s_addr == self.from[i].sin_addr.s_addr;
		     end++) {
			self.hdr[end].msg_hdr.msg_name = NULL;
			self.hdr[end].msg_hdr.msg_namelen = 0;
		}
		if (p)
			send_run(p->fd, i, end);
	}
}

static void platform_in(struct peer *p)
{
	int n = receive(p->fd);

	for (int i = 0; i < n; i++) {
		self.hdr[i].msg_hdr.msg_name = &p->at;
		self.hdr[i].msg_hdr.msg_namelen = sizeof(p->at);
	}
	send_run(self.front, 0, n);
}

int main(int argc, char **argv)
{
	struct epoll_event ev[EVENTS];
	struct rlimit files;
	struct sockaddr_in at;

	if (argc != 3)
		die("usage: forwarder LISTEN_IP:PORT PLATFORM_IP:PORT");
	if (!getrlimit(RLIMIT_NOFILE, &files)) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	at = address(argv[1]);
	self.platform = address(argv[2]);
	self.epoll = epoll_create1(EPOLL_CLOEXEC);
	self.front = socket_new(NULL);
	if (bind(self.front, (const struct sockaddr *)&at, sizeof(at)) < 0)
		die("bind");
	for (;;) {
		int n = epoll_wait(self.epoll, ev, EVENTS, -1);
		for (int i = 0; i < n; i++) {
			if (ev[i].data.ptr)
				platform_in(ev[i].data.ptr);
			else
				front_in();
		}
	}
}
