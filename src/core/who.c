/* core/who.c -- names and addresses that mean ourselves. */
#include "core/priv.h"

static bool alias_is(const struct alias *a, struct view host)
{
	if (view_is_ci(a->host, host))
		return true;
	return a->subdomains && host.n > a->host.n + 1 && host.p[host.n - a->host.n - 1] == '.' && view_is_ci(view_from(host, host.n - a->host.n), a->host);
}

static bool socket_is(const struct socket_conf *s, struct view host, const struct addr *ip, uint16_t port)
{
	if (ip->af && addr_same_ip(ip, &s->at) && (port == 0 || port == s->at.port))
		return true;
	if (!s->advertised_host.n || !view_is_ci(s->advertised_host, host))
		return false;
	return port == 0 || port == (s->advertised_port ? s->advertised_port : s->at.port);
}

bool core_is_myself(const struct core_conf *c, struct view host, uint16_t port, enum transport t)
{
	struct addr ip = { 0 };

	if (!host.n)
		return false;
	if (!addr_parse_ip(host, &ip))
		ip.af = AF_NONE;
	for (size_t i = 0; i < c->net.nsockets; i++) {
		const struct socket_conf *s = &c->net.sockets[i];
		if ((t == TR_NONE || t == s->transport) && socket_is(s, host, &ip, port))
			return true;
		if ((t == TR_NONE || t == s->transport) && c->advertised_host.n && view_is_ci(c->advertised_host, host) &&
		    (port == 0 || port == (c->advertised_port ? c->advertised_port : s->at.port)))
			return true;
	}
	for (size_t i = 0; i < c->naliases; i++) {
		const struct alias *a = &c->aliases[i];
		if ((t == TR_NONE || a->transport == TR_NONE || a->transport == t) && (port == 0 || a->port == 0 || a->port == port) && alias_is(a, host))
			return true;
	}
	return false;
}

void put_sent_by(struct out *o, const struct core_conf *c, const struct socket_conf *s, const struct msg *m)
{
	char     text[ADDR_TEXT_MAX];
	uint16_t port = s->advertised_port ? s->advertised_port : !s->advertised_host.n && c->advertised_port ? c->advertised_port : s->at.port;

	if (m && m->advertised_host.n)
		put(o, m->advertised_host);
	else if (s->advertised_host.n)
		put(o, s->advertised_host);
	else if (c->advertised_host.n)
		put(o, c->advertised_host);
	else
		put(o, addr_host_text(&s->at, text));
	put_char(o, ':');
	if (m && m->advertised_port.n)
		put(o, m->advertised_port);
	else
		put_u64(o, port);
}

struct view core_sent_by(const struct core_conf *c, const struct socket_conf *s, const struct msg *m, struct arena *a)
{
	size_t     room = ADDR_TEXT_MAX + s->advertised_host.n + c->advertised_host.n + (m ? m->advertised_host.n + m->advertised_port.n : 0);
	char      *p = arena_alloc(a, room);
	struct out o = out_to(p, room);

	if (!p)
		return VIEW_NONE;
	put_sent_by(&o, c, s, m);
	return out_view(&o);
}

const struct socket_conf *core_pick_socket(const struct core_conf *c, const struct msg_route *r, const struct socket_conf *received,
	enum transport t, const struct addr *to)
{
	for (size_t i = 0; r->bond && i < r->bond->nmembers; i++) {
		const struct socket_conf *s = net_find_socket(&c->net, r->bond->members[i]);
		if (s && s->transport == t && s->at.af == to->af)
			return s;
	}
	return net_pick_socket(&c->net, r->socket, received, t, to);
}
