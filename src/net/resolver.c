#include "net/dns.h"
#include <ares.h>
#include <arpa/nameser.h>
#include <netdb.h>

/* A socket of c-ares, watched for it. */
struct dns_socket {
	struct list      node;
	struct loop_io   io;
	struct resolver *r;
};

struct resolver {
	struct loop         *loop;
	struct resolver_conf conf;
	uint64_t           (*rand64)(void *);
	void                *rand_arg;
	ares_channel         channel;
	struct list          sockets;
	struct timer         retry;         /* when c-ares wants to look at its own timeouts */
	struct dns_cache     cache;
	struct table         asked;         /* questions in flight */
	struct list          jobs, ripe;    /* waiting for answers; with all they need, to be told at the end of this turn */
	size_t               njobs;
	struct loop_hook     hook;
	struct dns_answer   *failed;        /* what a question gets that may not be asked */
	struct dns_answer   *localhost[2];  /* IPv4, IPv6 */
	bool                 closing;
};

/* One question in flight, whoever waits for it. */
struct question {
	struct table_node node;
	struct resolver  *r;
	struct list       holds;
	enum dns_type     type;
	size_t            n;
	char              name[];           /* NUL-terminated for c-ares */
};

/* A question of one job: in flight, then its answer.  The job keeps what it was told, so that one walk sees one world even when
 * the cache forgets. */
struct hold {
	struct list        in_job, in_question;
	struct resolve_job *job;
	struct dns_answer *answer;
	enum dns_type      type;
	size_t             n;
	char               name[];
};

struct resolve_job {
	struct list        node;
	struct resolver   *r;
	struct resolve_ask ask;
	struct list        holds;
	size_t             nholds;
	struct timer       patience;
	bool               hurry;           /* out of time: what is not known yet counts as failed */
	bool               ripe;
	resolve_done      *done;
	void              *arg;
	char               host[];
};

/* ---- c-ares on the loop --------------------------------------------------------------------------------------------------- */

static void rearm(struct resolver *r)
{
	struct timeval tv;

	if (r->closing)
		return;
	if (ares_timeout(r->channel, NULL, &tv))
		loop_after(r->loop, &r->retry, (uint64_t)tv.tv_sec * 1000 + (uint64_t)tv.tv_usec / 1000 + 1);
	else
		timer_clear(&r->loop->wheel, &r->retry);
}

static void socket_ready(struct loop_io *io, uint32_t events)
{
	/* The socket may be closed and this freed before ares_process_fd returns. */
	struct resolver *r = container_of(io, struct dns_socket, io)->r;
	int              fd = io->fd;
	bool             broken = events & (IO_ERROR | IO_HUP);

	ares_process_fd(r->channel, broken || events & IO_READ ? fd : ARES_SOCKET_BAD, broken || events & IO_WRITE ? fd : ARES_SOCKET_BAD);
	rearm(r);
}

static void retry_due(struct timer *t)
{
	struct resolver *r = container_of(t, struct resolver, retry);

	ares_process_fd(r->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
	rearm(r);
}

static void socket_state(void *arg, ares_socket_t fd, int readable, int writable)
{
	struct resolver   *r = arg;
	struct dns_socket *s = NULL;
	uint32_t           want = (readable ? IO_READ : 0) | (writable ? IO_WRITE : 0);

	list_each(pos, &r->sockets)
		if (container_of(pos, struct dns_socket, node)->io.fd == fd)
			s = container_of(pos, struct dns_socket, node);
	if (s && want) {
		loop_want(r->loop, &s->io, want);
	} else if (s) {
		loop_unwatch(r->loop, &s->io);
		list_del(&s->node);
		free(s);
	} else if (want && (s = calloc(1, sizeof *s))) {
		/* Unwatched for want of memory, its question ends by c-ares' own timeout. */
		*s = (struct dns_socket){ .r = r, .io = { .fd = fd, .ready = socket_ready } };
		list_add_tail(&r->sockets, &s->node);
		loop_watch(r->loop, &s->io, want);
	}
}

/* ---- questions ------------------------------------------------------------------------------------------------------------ */

struct asked_key { enum dns_type type; struct view name; };

static bool same_question(const struct table_node *n, const void *key)
{
	const struct question  *q = container_of(n, struct question, node);
	const struct asked_key *k = key;

	return q->type == k->type && view_is(view_of(q->name, q->n), k->name);
}

static void ripen(struct resolve_job *j)
{
	if (j->ripe)
		return;
	j->ripe = true;
	list_del(&j->node);
	list_add_tail(&j->r->ripe, &j->node);
	loop_again(j->r->loop);
}

/* The answer may be NULL: no memory to say more than "failed". */
static void answered(struct question *q, struct dns_answer *a)
{
	struct resolver *r = q->r;
	struct view      name = view_of(q->name, q->n);

	if (!a)
		a = dns_answer_ref(r->failed);
	if (a->end == DNS_FAILED) {
		struct dns_answer *stale = dns_cache_stale(&r->cache, q->type, name, r->loop->now_ms);
		if (stale) {
			dns_answer_unref(a);
			a = dns_answer_ref(stale);
		} else {
			dns_cache_put(&r->cache, q->type, name, a, r->loop->now_ms);
		}
	} else {
		dns_cache_put(&r->cache, q->type, name, a, r->loop->now_ms);
	}
	list_each(pos, &q->holds) {
		struct hold *h = container_of(pos, struct hold, in_question);
		list_del(&h->in_question);
		h->answer = dns_answer_ref(a);
		ripen(h->job);
	}
	dns_answer_unref(a);
	table_del(&r->asked, &q->node);
	free(q);
}

static struct dns_answer *no_answer(int status)
{
	switch (status) {
	case ARES_ENOTFOUND:
		return dns_answer_none(DNS_NONE, "no such name");
	case ARES_ENODATA:
		return dns_answer_none(DNS_NONE, "the name has no such record");
	case ARES_ETIMEOUT:
		return dns_answer_none(DNS_FAILED, "the name servers did not answer");
	default:
		return dns_answer_none(DNS_FAILED, "the name servers failed");
	}
}

static void packet_came(void *arg, int status, int timeouts, unsigned char *packet, int n)
{
	struct question   *q = arg;
	struct dns_answer *a;

	if (status != ARES_SUCCESS)
		a = no_answer(status);
	else
		a = q->type == DNS_SRV ? dns_read_srv(packet, n) : dns_read_naptr(packet, n);
	answered(q, a ? a : dns_answer_none(DNS_FAILED, "the answer is malformed"));
}

static void addresses_came(void *arg, int status, int timeouts, struct ares_addrinfo *info)
{
	struct question  *q = arg;
	struct dns_record list[DNS_CANDIDATES];
	size_t            n = 0;
	uint64_t          ttl = DNS_TTL_MAX_MS / 1000;

	if (status != ARES_SUCCESS) {
		answered(q, no_answer(status));
		return;
	}
	for (struct ares_addrinfo_node *p = info->nodes; p && n < DNS_CANDIDATES; p = p->ai_next) {
		struct dns_record *r = &list[n];

		if (p->ai_family != (q->type == DNS_A ? AF_INET : AF_INET6))
			continue;
		*r = (struct dns_record){ 0 };
		addr_from_sockaddr(p->ai_addr, &r->to);
		if (addr_is_any(&r->to))
			continue;
		r->to.port = 0;
		n++;
		if (p->ai_ttl >= 0 && (uint64_t)p->ai_ttl < ttl)
			ttl = (uint64_t)p->ai_ttl;
	}
	ares_freeaddrinfo(info);
	answered(q, dns_answer_new(list, n, ttl * 1000));
}

/* May be answered before this returns. */
static void ask(struct question *q)
{
	struct resolver                 *r = q->r;
	const struct ares_addrinfo_hints hints = { .ai_flags = ARES_AI_NOSORT, .ai_family = q->type == DNS_A ? AF_INET : AF_INET6,
		.ai_socktype = SOCK_DGRAM };

	if (q->type == DNS_A || q->type == DNS_AAAA)
		ares_getaddrinfo(r->channel, q->name, NULL, &hints, addresses_came, q);
	else
		ares_query(r->channel, q->name, ns_c_in, q->type == DNS_SRV ? ns_t_srv : ns_t_naptr, packet_came, q);
	rearm(r);
}

/* Let the hold wait for the answer to a question, which is asked unless it already is. False when that is too much. */
static bool put_question(struct resolver *r, struct hold *h)
{
	struct asked_key   k = { h->type, view_of(h->name, h->n) };
	uint64_t           hash = dns_key_hash(r->cache.key, k.type, k.name);
	struct table_node *found = table_find(&r->asked, hash, same_question, &k);

	if (found) {
		list_add_tail(&container_of(found, struct question, node)->holds, &h->in_question);
		return true;
	}
	if (r->asked.count >= DNS_QUERIES)
		return false;
	struct question *q = calloc(1, sizeof *q + h->n + 1);
	if (!q)
		return false;
	*q = (struct question){ .r = r, .type = h->type, .n = h->n };
	memcpy(q->name, h->name, h->n);
	list_init(&q->holds);
	list_add_tail(&q->holds, &h->in_question);
	table_add(&r->asked, &q->node, hash);
	ask(q);
	return true;
}

/* ---- jobs ----------------------------------------------------------------------------------------------------------------- */

/* RFC 6761 6.3: never asked of anybody. */
static const struct dns_answer *own_answer(struct resolver *r, enum dns_type t, struct view name)
{
	if (!view_is(name, VIEW("localhost")) && !view_ends(name, VIEW(".localhost")))
		return NULL;
	return t == DNS_A ? r->localhost[0] : t == DNS_AAAA ? r->localhost[1] : r->failed;
}

static const struct dns_answer *look_cache(struct dns_walk *w, enum dns_type t, struct view name)
{
	struct resolver         *r = w->arg;
	const struct dns_answer *a = own_answer(r, t, name);

	if (!a)
		a = dns_cache_get(&r->cache, t, name, r->loop->now_ms);
	w->missing |= !a;
	return a;
}

static struct hold *hold_of(struct resolve_job *j, enum dns_type t, struct view name)
{
	list_each(pos, &j->holds) {
		struct hold *h = container_of(pos, struct hold, in_job);
		if (h->type == t && view_is(view_of(h->name, h->n), name))
			return h;
	}
	return NULL;
}

static struct hold *hold_new(struct resolve_job *j, enum dns_type t, struct view name)
{
	struct hold *h = j->nholds < DNS_JOB_QUESTIONS ? calloc(1, sizeof *h + name.n) : NULL;

	if (!h)
		return NULL;
	*h = (struct hold){ .job = j, .type = t, .n = name.n };
	memcpy(h->name, name.p, name.n);
	list_init(&h->in_question);
	list_add_tail(&j->holds, &h->in_job);
	j->nholds++;
	return h;
}

static const struct dns_answer *look_job(struct dns_walk *w, enum dns_type t, struct view name)
{
	struct resolve_job      *j = w->arg;
	struct resolver         *r = j->r;
	const struct dns_answer *own = own_answer(r, t, name);

	if (own)
		return own;
	struct hold *h = hold_of(j, t, name);
	if (!h) {
		h = hold_new(j, t, name);
		if (!h)
			return r->failed;
		struct dns_answer *known = dns_cache_get(&r->cache, t, name, r->loop->now_ms);
		if (known)
			h->answer = dns_answer_ref(known);
		else if (!j->hurry && !put_question(r, h))
			h->answer = dns_answer_ref(r->failed);
	}
	if (!h->answer && j->hurry) {
		/* An old answer beats none while the name server is silent. */
		struct dns_answer *stale = dns_cache_stale(&r->cache, t, name, r->loop->now_ms);
		list_del(&h->in_question);
		h->answer = dns_answer_ref(stale ? stale : r->failed);
	}
	w->missing |= !h->answer;
	return h->answer;
}

static void job_free(struct resolve_job *j)
{
	list_each(pos, &j->holds) {
		struct hold *h = container_of(pos, struct hold, in_job);
		list_del(&h->in_question);
		dns_answer_unref(h->answer);
		free(h);
	}
	timer_clear(&j->r->loop->wheel, &j->patience);
	list_del(&j->node);
	j->r->njobs--;
	free(j);
}

static struct dns_walk walk_for(struct resolver *r, const struct resolve_ask *ask, struct candidate *list)
{
	return (struct dns_walk){ .ask = ask, .conf = &r->conf, .rand64 = r->rand64, .rand_arg = r->rand_arg, .list = list };
}

/* Go as far as the answers lead; with all of them, tell and end. */
static void job_step(struct resolve_job *j)
{
	struct candidate list[DNS_CANDIDATES];
	struct dns_walk  w = walk_for(j->r, &j->ask, list);

	w.look = look_job;
	w.arg = j;
	dns_walk(&w);
	if (w.missing)
		return;

	resolve_done *done = j->done;
	void         *arg = j->arg;
	const char   *why = w.n ? NULL : w.why ? w.why : "no address found";
	job_free(j);
	done(arg, list, w.n, why);
}

static void out_of_patience(struct timer *t)
{
	struct resolve_job *j = container_of(t, struct resolve_job, patience);

	j->hurry = true;
	ripen(j);
}

/* Jobs whose answers came are told here, at the end of a turn: never from inside resolve(), and never from inside c-ares. */
static bool tell_ripe(struct loop_hook *hook)
{
	struct resolver *r = container_of(hook, struct resolver, hook);
	bool             any = !list_empty(&r->ripe);
	struct list      now;

	/* Jobs that ripen meanwhile have their turn in the next one. */
	list_init(&now);
	while (!list_empty(&r->ripe)) {
		struct list *n = r->ripe.next;
		list_del(n);
		list_add_tail(&now, n);
	}
	while (!list_empty(&now)) {
		struct resolve_job *j = container_of(now.next, struct resolve_job, node);
		list_del(&j->node);
		list_add_tail(&r->jobs, &j->node);
		j->ripe = false;
		job_step(j);
	}
	return any;
}

static struct resolve_job *job_new(struct resolver *r, const struct resolve_ask *ask, resolve_done *done, void *arg)
{
	struct resolve_job *j = r->njobs < DNS_JOBS ? calloc(1, sizeof *j + ask->host.n) : NULL;

	if (!j)
		return NULL;
	*j = (struct resolve_job){ .r = r, .ask = *ask, .done = done, .arg = arg };
	memcpy(j->host, ask->host.p, ask->host.n);
	j->ask.host.p = j->host;
	list_init(&j->holds);
	timer_init(&j->patience, out_of_patience);
	loop_after(r->loop, &j->patience, DNS_TIMEOUT_MS);
	list_add_tail(&r->jobs, &j->node);
	r->njobs++;
	return j;
}

/* ---- the room's side ------------------------------------------------------------------------------------------------------- */

/* An address needs no question and no memory; -1 when no transport fits. */
static int numeric(const struct resolve_ask *ask, const struct addr *a, struct candidate *list)
{
	enum transport t = dns_plain_transport(ask);

	if (t == TR_NONE)
		return -1;
	list[0] = (struct candidate){ t, *a };
	list[0].to.port = ask->port ? ask->port : transport_port(t);
	return 1;
}

int resolve(struct resolver *r, const struct resolve_ask *ask, struct candidate *list, resolve_done *done, void *arg, struct resolve_job **job)
{
	struct addr        a;
	char               host[DNS_NAME_BYTES];
	struct resolve_ask good = *ask;

	must(!r->closing);
	*job = NULL;
	if (addr_parse_ip(ask->host, &a))
		return numeric(ask, &a, list);
	if (!dns_name_ok(ask->host, host, &good.host.n))
		return -1;
	good.host.p = host;

	struct dns_walk w = walk_for(r, &good, list);
	w.look = look_cache;
	w.arg = r;
	dns_walk(&w);
	if (!w.missing && w.n)
		return (int)w.n;

	struct resolve_job *j = job_new(r, &good, done, arg);
	if (!j)
		return -1;
	*job = j;
	/* The first step is taken at once, to have the questions on their way; it cannot end the job but by ripening it. */
	if (w.missing) {
		w.look = look_job;
		w.arg = j;
		dns_walk(&w);
	}
	if (!w.missing)
		ripen(j);
	return 0;
}

void resolve_cancel(struct resolve_job *job)
{
	job_free(job);
}

static bool channel_open(struct resolver *r)
{
	const struct resolver_conf *c = &r->conf;
	struct ares_options         o = { .flags = ARES_FLAG_EDNS, .timeout = c->timeout_ms ? (int)c->timeout_ms : DNS_TRY_MS,
		.tries = c->tries > 0 ? c->tries : DNS_TRIES, .sock_state_cb = socket_state, .sock_state_cb_data = r, .ednspsz = DNS_UDP_BYTES };
	int                         mask = ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_SOCK_STATE_CB | ARES_OPT_EDNSPSZ;
	char                        servers[512];

	/* An empty list of search domains, else those of the system are tried. */
	if (!c->search)
		mask |= ARES_OPT_DOMAINS;
	if (ares_init_options(&r->channel, &o, mask) != ARES_SUCCESS)
		return false;
	if (c->servers.n == 0)
		return true;
	if (c->servers.n < sizeof servers) {
		memcpy(servers, c->servers.p, c->servers.n);
		servers[c->servers.n] = '\0';
		if (ares_set_servers_ports_csv(r->channel, servers) == ARES_SUCCESS)
			return true;
	}
	ares_destroy(r->channel);
	return false;
}

static struct dns_answer *loopback(struct view text)
{
	struct dns_record rec = { 0 };

	must(addr_parse_ip(text, &rec.to));
	return dns_answer_new(&rec, 1, DNS_TTL_MAX_MS);
}

struct resolver *resolver_new(struct loop *l, const struct resolver_conf *c, struct hash_key key, uint64_t (*rand64)(void *), void *rand_arg)
{
	struct resolver *r = calloc(1, sizeof *r);

	if (!r)
		return NULL;
	*r = (struct resolver){ .loop = l, .conf = *c, .rand64 = rand64, .rand_arg = rand_arg, .hook.before_sleep = tell_ripe };
	list_init(&r->sockets);
	list_init(&r->jobs);
	list_init(&r->ripe);
	timer_init(&r->retry, retry_due);
	r->failed = dns_answer_none(DNS_FAILED, "the name servers did not answer in time");
	r->localhost[0] = loopback(VIEW("127.0.0.1"));
	r->localhost[1] = loopback(VIEW("::1"));
	if (!r->failed || !r->localhost[0] || !r->localhost[1])
		goto answers;
	if (!dns_cache_init(&r->cache, key))
		goto answers;
	if (!table_init(&r->asked, 64))
		goto cache;
	if (!channel_open(r))
		goto asked;
	loop_hook_add(l, &r->hook);
	return r;

asked:	table_done(&r->asked);
cache:	dns_cache_done(&r->cache);
answers:
	dns_answer_unref(r->failed);
	dns_answer_unref(r->localhost[0]);
	dns_answer_unref(r->localhost[1]);
	free(r);
	return NULL;
}

void resolver_free(struct resolver *r)
{
	if (!r)
		return;
	r->closing = true;
	list_each(pos, &r->jobs)
		job_free(container_of(pos, struct resolve_job, node));
	list_each(pos2, &r->ripe)
		job_free(container_of(pos2, struct resolve_job, node));
	/* Ends every question through its callback, and closes the sockets through socket_state. */
	ares_destroy(r->channel);
	must(r->asked.count == 0 && list_empty(&r->sockets));
	timer_clear(&r->loop->wheel, &r->retry);
	loop_hook_del(r->loop, &r->hook);
	table_done(&r->asked);
	dns_cache_done(&r->cache);
	dns_answer_unref(r->failed);
	dns_answer_unref(r->localhost[0]);
	dns_answer_unref(r->localhost[1]);
	free(r);
}
