/* net/stage_tcp.c -- the socket itself. */
#include "net/stage.h"
#include <errno.h>
#include <sys/socket.h>

static enum io tcp_open(struct conn *c, unsigned at)
{
	int err = 0;
	socklen_t n = sizeof err;
	struct sockaddr_storage ss;

	if (!c->origin.outbound)
		return IO_OK;
	if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &err, &n) < 0 || err) {
		conn_fail(c, NETC_conn_connect_failed, err == ETIMEDOUT ? SEND_TIMEOUT : SEND_REFUSED);
		return IO_ERR;
	}
	n = sizeof ss;
	if (getpeername(c->fd, (struct sockaddr *)&ss, &n) < 0) {
		c->want_out = true;              /* still connecting */
		return IO_AGAIN;
	}
	n = sizeof ss;
	if (getsockname(c->fd, (struct sockaddr *)&ss, &n) == 0)
		addr_from_sockaddr((struct sockaddr *)&ss, &c->origin.wire_dst);
	c->origin.real_dst = c->origin.wire_dst;
	return IO_OK;
}

static uint32_t tcp_patience(const struct conn *c)
{
	return c->net->conf->connect_ms;
}

static enum io tcp_recv(struct conn *c, unsigned at, char *p, size_t n, size_t *got, bool *whole)
{
	*got = 0;
	*whole = false;
	if (c->drained)
		return IO_AGAIN;

	ssize_t r = recv(c->fd, p, n, MSG_DONTWAIT);
	if (r > 0) {
		*got = (size_t)r;
		/* A short read has emptied the socket: asking again would only cost a call; epoll is level-triggered. */
		c->drained = (size_t)r < n;
		return IO_OK;
	}
	if (r == 0)
		return IO_EOF;
	if (errno == EAGAIN || errno == EINTR) {
		c->drained = true;
		return IO_AGAIN;
	}
	return IO_ERR;
}

static enum io tcp_send(struct conn *c, unsigned at, const struct iovec *iov, int n, size_t *sent)
{
	struct msghdr m = { .msg_iov = (struct iovec *)iov, .msg_iovlen = (size_t)n };
	ssize_t r = sendmsg(c->fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL);

	*sent = r > 0 ? (size_t)r : 0;
	if (r < 0 && errno != EAGAIN && errno != EINTR)
		return IO_ERR;

	size_t all = 0;
	for (int i = 0; i < n; i++)
		all += iov[i].iov_len;
	if (*sent == all)
		return IO_OK;
	c->want_out = true;
	return IO_AGAIN;
}

const struct stage_ops stage_tcp = { .name = "tcp", .open = tcp_open, .patience = tcp_patience, .recv = tcp_recv, .send = tcp_send };
