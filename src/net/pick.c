/* net/pick.c -- which socket a message leaves from, and sockets by name. */
#include "net/net.h"

static bool fits(const struct socket_conf *s, enum transport t, const struct addr *to)
{
	return s->transport == t && s->at.af == to->af;
}

const struct socket_conf *net_pick_socket(const struct net_conf *c, const struct socket_conf *forced, const struct socket_conf *received,
	enum transport t, const struct addr *to)
{
	if (forced && fits(forced, t, to))
		return forced;
	/* The same address with the protocol that is needed; the same port too if there is a choice. */
	for (int pass = 0; forced && pass < 2; pass++)
		for (size_t i = 0; i < c->nsockets; i++) {
			const struct socket_conf *s = &c->sockets[i];
			if (fits(s, t, to) && (pass ? addr_same_ip(&s->at, &forced->at) : addr_same(&s->at, &forced->at)))
				return s;
		}
	if (t == TR_UDP && received && fits(received, t, to))
		return received;
	for (size_t i = 0; i < c->nsockets; i++)
		if (fits(&c->sockets[i], t, to))
			return &c->sockets[i];
	return NULL;
}

const struct socket_conf *net_find_socket(const struct net_conf *c, struct view text)
{
	struct view rest = text, proto = view_cut(&rest, ':');
	enum transport t = transport_parse(proto);
	struct addr at;

	if (t == TR_NONE)
		return NULL;
	if (!addr_parse(rest, &at)) {
		for (size_t i = 0; i < c->nsockets; i++)
			if (view_is_ci(c->sockets[i].text, text))
				return &c->sockets[i];
		return NULL;
	}
	/* Without a port: the default one, else the first of that address. */
	uint16_t want = at.port ? at.port : transport_port(t);
	const struct socket_conf *found = NULL;
	for (size_t i = 0; i < c->nsockets; i++) {
		const struct socket_conf *s = &c->sockets[i];
		if (s->transport != t || !addr_same_ip(&s->at, &at))
			continue;
		if (s->at.port == want)
			return s;
		if (!at.port && !found)
			found = s;
	}
	return found;
}
