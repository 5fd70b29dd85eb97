/* net/pool.c -- which connection carries a message: the flow it names, a connection the peer itself opened, one that we opened
 * for the same purpose, or a new one.  "The same purpose" includes the client that its PROXY header announced: two clients
 * never share one announced connection (design D5, reference R26). */
#include "net/stage.h"
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

enum { KEY_MAX = HEADER_MAX + 1024 };

struct peer_key { enum transport transport; const struct addr *at; };

static uint64_t peer_hash(const struct net *n, enum transport t, const struct addr *a)
{
	uint8_t b[20] = { (uint8_t)t, a->af, (uint8_t)(a->port >> 8), (uint8_t)a->port };

	memcpy(b + 4, a->ip, 16);
	return siphash(n->key, b, sizeof b);
}

static bool peer_is(const struct table_node *node, const void *key)
{
	const struct conn *c = container_of(node, struct conn, by_peer);
	const struct peer_key *k = key;

	return !c->closing && c->origin.transport == k->transport && addr_same(&c->origin.wire_src, k->at);
}

static struct conn *peer_find(struct net *n, enum transport t, const struct addr *a)
{
	struct peer_key k = { t, a };
	struct table_node *node = table_find(&n->by_peer, peer_hash(n, t, a), peer_is, &k);

	return node ? container_of(node, struct conn, by_peer) : NULL;
}

static bool key_is(const struct table_node *node, const void *key)
{
	const struct conn *c = container_of(node, struct conn, by_key);

	return !c->closing && view_is(view_of(c->key, c->key_n), *(const struct view *)key);
}

/* ---- which worker holds a client's connection ---- */

/* One word: the keyed hash of transport and address, its low byte replaced by the worker's number plus one.  The key is the
 * process's, so that all workers compute the same word. */
enum { HOME_WAYS = 4 };

static size_t home_set(uint64_t hash)
{
	return (size_t)(hash >> 8) % (HOME_SLOTS / HOME_WAYS) * HOME_WAYS;
}

static void home_note(struct net *n, uint64_t hash)
{
	uint64_t *set = n->peers->home + home_set(hash), word = (hash & ~UINT64_C(0xff)) | (n->id + 1u);
	size_t at = hash % HOME_WAYS;

	for (size_t i = 0; i < HOME_WAYS; i++) {
		uint64_t w = __atomic_load_n(&set[i], __ATOMIC_RELAXED);
		if (!w || (w ^ word) >> 8 == 0) {
			at = i;
			break;
		}
	}
	__atomic_store_n(&set[at], word, __ATOMIC_RELAXED);
}

static void home_forget(struct net *n, uint64_t hash)
{
	uint64_t *set = n->peers->home + home_set(hash);

	for (size_t i = 0; i < HOME_WAYS; i++) {
		uint64_t word = (hash & ~UINT64_C(0xff)) | (n->id + 1u);
		__atomic_compare_exchange_n(&set[i], &word, 0, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
	}
}

/* WORKERS_MAX: nobody else's. */
static uint16_t home_of(struct net *n, const struct target *t)
{
	if (n->peers->n < 2 || n->opening_parcel)
		return WORKERS_MAX;

	uint64_t hash = peer_hash(n, t->transport, &t->to), *set = n->peers->home + home_set(hash);
	for (size_t i = 0; i < HOME_WAYS; i++) {
		uint64_t w = __atomic_load_n(&set[i], __ATOMIC_RELAXED);
		if (w && (w ^ hash) >> 8 == 0 && (w & 0xff) - 1 != n->id)
			return (uint16_t)((w & 0xff) - 1);
	}
	return WORKERS_MAX;
}

void pool_add_peer(struct conn *c)
{
	uint64_t hash = peer_hash(c->net, c->origin.transport, &c->origin.wire_src);

	must(!c->in_peers && !c->origin.outbound);
	table_add(&c->net->by_peer, &c->by_peer, hash);
	c->in_peers = true;
	if (c->net->peers->n > 1)
		home_note(c->net, hash);
}

void pool_forget(struct conn *c)
{
	if (c->in_peers) {
		table_del(&c->net->by_peer, &c->by_peer);
		if (c->net->peers->n > 1)
			home_forget(c->net, c->by_peer.hash);
	}
	if (c->in_keys)
		table_del(&c->net->by_key, &c->by_key);
	c->in_peers = c->in_keys = false;
}

struct ref net_find_conn(struct net *n, enum transport t, const struct addr *peer)
{
	struct conn *c = peer_find(n, t, peer);

	return c ? c->ref : NO_REF;
}

/* ---- the key of a connection that we open ---- */

static void key_part(struct out *o, struct view v)
{
	char len[2] = { (char)(v.n >> 8), (char)v.n };

	put(o, view_of(len, 2));
	put(o, v);
}

/* Peer, transport, local socket; then TLS name, TLS domain, PROXY header. */
static bool key_make(struct out *o, const struct target *t, struct view header)
{
	uint8_t fixed[25] = { (uint8_t)t->transport, (uint8_t)(t->from->index >> 8), (uint8_t)t->from->index, t->to.af,
		(uint8_t)(t->to.port >> 8), (uint8_t)t->to.port };

	memcpy(fixed + 6, t->to.ip, 16);
	put(o, view_of((char *)fixed, sizeof fixed));
	key_part(o, t->sni);
	key_part(o, t->tls_domain);
	key_part(o, header);
	return !o->full;
}

static struct view key_next(struct view *rest)
{
	size_t n = (size_t)(uint8_t)rest->p[0] << 8 | (uint8_t)rest->p[1];
	struct view v = view_sub(*rest, 2, n);

	*rest = view_from(*rest, 2 + n);
	return v;
}

static bool key_give(struct conn *c, struct view key)
{
	must(!c->key && c->origin.outbound && key.n > 25);
	c->key = malloc(key.n);
	if (!c->key)
		return false;
	memcpy(c->key, key.p, key.n);
	c->key_n = (uint32_t)key.n;

	struct view rest = view_from(view_of(c->key, key.n), 25);
	c->sni = key_next(&rest);
	c->tls_domain = key_next(&rest);
	c->header = key_next(&rest);
	must(!rest.n);
	table_add(&c->net->by_key, &c->by_key, siphash_view(c->net->key, key));
	c->in_keys = true;
	return true;
}

/* ---- connecting ---- */

static int connect_socket(struct net *n, const struct target *t, enum send_result *why)
{
	struct sockaddr_storage ss;
	int fd = socket(t->to.af == AF_V6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP);
	int on = 1;

	*why = SEND_ERROR;
	if (fd < 0) {
		log_at(L_ERR, "net: no socket for a connection: %s", strerror(errno));
		return -1;
	}
	socket_stream_options(n->conf, t->from, fd);

	struct addr local = t->from->at;
	if (t->from->reuse_port) {
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
		setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
	} else {
		local.port = 0;
		setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
	}
	unsigned len = addr_to_sockaddr(&local, &ss);
	if ((local.port || !addr_is_any(&local)) && bind(fd, (struct sockaddr *)&ss, len) < 0)
		goto fail;
	len = addr_to_sockaddr(&t->to, &ss);
	if (connect(fd, (struct sockaddr *)&ss, len) == 0 || errno == EINPROGRESS)
		return fd;
	if (errno == ECONNREFUSED || errno == EHOSTUNREACH || errno == ENETUNREACH)
		*why = SEND_REFUSED;

fail:
	net_count(n, NETC_conn_connect_failed);
	close(fd);
	return -1;
}

static struct conn *pool_connect(struct net *n, const struct target *t, struct view key, enum send_result *why)
{
	int fd = connect_socket(n, t, why);
	if (fd < 0)
		return NULL;

	struct addr local = t->from->at;
	*why = SEND_FULL;
	struct conn *c = conn_new(n, fd, t->from, t->transport, true, &t->to, &local);
	if (!c)
		return NULL;
	if (!key_give(c, key)) {
		c->failed = SEND_ERROR;
		conn_kill(c);
		*why = SEND_ERROR;
		return NULL;
	}
	/* Its first steps are taken at the end of the turn: nothing may be delivered from inside a send. */
	conn_soon(c);
	return c;
}

/* A connection that the peer opened serves whatever goes to exactly its address; but what must announce a client to an
 * upstream cannot use it, for its header slot is gone. */
static struct conn *pool_accepted(struct net *n, const struct target *t, struct view header)
{
	if (header.n)
		return NULL;
	struct conn *c = peer_find(n, t->transport, &t->to);
	if (!c || t->downstream || !n->conf->cert_check_on_reuse || !c->origin.facts || !c->origin.facts->tls)
		return c;
	return tls_facts_peer_verified(c->origin.facts->tls) ? c : NULL;
}

/* A connection that announced one client carries nothing for another, even where a flow names it (reference R26). */
static bool announces_another(const struct conn *c, const struct target *t)
{
	char space[HEADER_MAX];
	struct target over = *t;

	if (!c->header.n || t->downstream)
		return false;
	over.from = c->origin.socket;
	return !view_is(header_for(&over, space), c->header);
}

enum send_result pool_send(struct net *n, const struct target *t, const struct iovec *iov, int niov, size_t total, struct ref report)
{
	char header_space[HEADER_MAX], key_space[KEY_MAX];
	struct target to = *t;

	if (t->flow.kind == REF_CONN && t->flow.worker == n->id) {
		struct conn *c = conn_of(n, t->flow);
		if (c && !announces_another(c, t))
			return conn_queue(c, iov, niov, total, report);
	}
	if (t->flow_only)
		return SEND_DEAD;

	struct view header = header_for(t, header_space);
	struct conn *c = pool_accepted(n, t, header);
	if (c)
		return conn_queue(c, iov, niov, total, report);
	uint16_t home = header.n ? WORKERS_MAX : home_of(n, t);
	if (home != WORKERS_MAX)
		return letter_send(n, home, t, iov, niov, total, report);
	if (!to.from || to.from->at.af != t->to.af)
		to.from = net_pick_socket(n->conf, t->from, NULL, t->transport, &t->to);
	if (!to.from)
		return SEND_NO_SOCKET;
	header = header_for(&to, header_space);

	struct out o = out_to(key_space, sizeof key_space);
	if (!key_make(&o, &to, header))
		return SEND_ERROR;
	struct view key = out_view(&o);
	struct table_node *node = table_find(&n->by_key, siphash_view(n->key, key), key_is, &key);
	enum send_result why = SEND_OK;
	c = node ? container_of(node, struct conn, by_key) : pool_connect(n, &to, key, &why);
	return c ? conn_queue(c, iov, niov, total, report) : why;
}
