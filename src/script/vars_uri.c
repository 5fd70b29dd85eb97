/* Variables of the request URI and the destination: read and written at once (opensips-language.md 10.1, 10.2). */
#include "script/rows.h"

/* The URI behind $ru; false in replies and when it does not decode. */
static bool current(struct run *r, struct sip_uri *u)
{
	if (!r->route)
		return false;
	if (r->msg && r->route->ruri.p == r->msg->ruri.whole.p && r->route->ruri.n == r->msg->ruri.whole.n) {
		*u = r->msg->ruri;
		return true;
	}
	return sip_uri_parse(r->route->ruri, u);
}

static bool original(struct run *r, struct sip_uri *u)
{
	if (!r->msg || !sip_is_request(&r->msg->sip) || !r->msg->ruri.whole.n)
		return false;
	*u = r->msg->ruri;
	return true;
}

static bool uri_proto(struct value *out, const struct sip_uri *u)
{
	enum transport t = u->transport.n ? transport_parse(u->transport) : u->scheme == SCHEME_SIPS ? TR_TLS : TR_UDP;

	return var_text(out, t == TR_NONE ? u->transport : transport_name(t));
}

static bool uri_port_of(struct run *r, struct value *out, const struct sip_uri *u)
{
	return var_int(r, out, u->port ? u->port : u->scheme == SCHEME_SIPS ? 5061 : 5060);
}

bool get_ruri(struct run *r, const struct var_use *u, struct value *out)
{
	return r->route && var_text(out, r->route->ruri);
}

#define URI_VAR(name, which, expr) \
	bool get_##name(struct run *r, const struct var_use *use, struct value *out) \
	{ struct sip_uri u; return which(r, &u) && (expr); }
URI_VAR(ruri_user, current, var_text(out, u.user))
URI_VAR(ruri_host, current, var_text(out, u.host))
URI_VAR(ruri_port, current, uri_port_of(r, out, &u))
URI_VAR(ruri_proto, current, uri_proto(out, &u))
URI_VAR(orig_uri, original, var_text(out, u.whole))
URI_VAR(orig_user, original, var_text(out, u.user))
URI_VAR(orig_host, original, var_text(out, u.host))
URI_VAR(orig_port, original, uri_port_of(r, out, &u))
URI_VAR(orig_proto, original, uri_proto(out, &u))

bool get_ruri_q(struct run *r, const struct var_use *u, struct value *out)
{
	return r->route && r->route->q >= 0 && var_int(r, out, r->route->q);
}

/* ---- writing ---------------------------------------------------------------------------------------------------- */

/* Parts with which a URI is written anew; views may point into the old one.  Without a host (tel:) the user is the URI. */
struct parts { struct view scheme, user, password, host, port, params, headers; bool has_user, hostless; };

static bool write_uri(struct run *r, const struct parts *p, struct view *into)
{
	size_t cap = p->scheme.n + p->user.n + p->password.n + p->host.n + p->port.n + p->params.n + p->headers.n + 16;

	if (cap > URI_MAX_BYTES || (p->hostless && (!p->user.n || p->host.n || p->port.n || p->password.n)))
		return false;
	char *space = arena_alloc(r->tmp, cap);
	if (!space)
		return false;
	struct out o = out_to(space, cap);
	put(&o, p->scheme);
	put_char(&o, ':');
	if (p->has_user) {
		put(&o, p->user);
		if (p->password.n) {
			put_char(&o, ':');
			put(&o, p->password);
		}
		if (!p->hostless)
			put_char(&o, '@');
	}
	put(&o, p->host);
	if (p->port.n) {
		put_char(&o, ':');
		put(&o, p->port);
	}
	if (p->params.n) {
		put_char(&o, ';');
		put(&o, p->params);
	}
	if (p->headers.n) {
		put_char(&o, '?');
		put(&o, p->headers);
	}
	struct sip_uri check;
	if (o.full || !sip_uri_parse(out_view(&o), &check))
		return false;
	*into = out_view(&o);
	return true;
}

static struct parts parts_of(const struct sip_uri *u)
{
	return (struct parts){ u->scheme_text, u->user, u->password, u->host, u->port_text, u->params, u->headers, u->user.n || u->has_password, !u->host.n };
}

/* Parameters without maddr: a new host must not be overruled by it. */
static struct view without_maddr(struct run *r, struct view params)
{
	struct view rest = params, name, value, kept = VIEW("");

	if (!sip_param(params, VIEW("maddr"), &value))
		return params;
	while (sip_param_next(&rest, &name, &value)) {
		if (view_is_ci(name, VIEW("maddr")))
			continue;
		/* As written: ";lr" must not become ";lr=". */
		const struct view join[] = { kept, kept.n ? VIEW(";") : VIEW(""), view_of(name.p, (size_t)(value.p + value.n - name.p)) };
		kept = arena_join(r->tmp, join, COUNT_OF(join));
	}
	return kept;
}

static int commit(struct run *r, const struct parts *p, struct view *into)
{
	return write_uri(r, p, into) ? SCRIPT_TRUE : SCRIPT_FALSE;
}

int set_ruri(struct run *r, const struct var_use *u, enum assign op, const struct value *v)
{
	struct sip_uri check;

	if (!r->route || value_null(v) || v->s.n > URI_MAX_BYTES || !sip_uri_parse(v->s, &check))
		return SCRIPT_FALSE;
	struct view kept = arena_copy(r->tmp, v->s);
	if (!kept.p)
		return SCRIPT_FALSE;
	r->route->ruri = kept;
	r->route->q = -1;
	return SCRIPT_TRUE;
}

int set_ruri_user(struct run *r, const struct var_use *use, enum assign op, const struct value *v)
{
	struct sip_uri u;

	if (!current(r, &u))
		return SCRIPT_FALSE;
	struct parts p = parts_of(&u);
	p.user = var_value_text(v);
	p.has_user = p.user.n > 0;
	if (!p.has_user)
		p.password = VIEW_NONE;
	return commit(r, &p, &r->route->ruri);
}

int ruri_set_userpass(struct run *r, struct view user, struct view password)
{
	struct sip_uri u;

	if (!current(r, &u) || (!user.n && password.n))
		return SCRIPT_FALSE;
	struct parts p = parts_of(&u);
	p.user = user;
	p.password = password;
	p.has_user = user.n > 0;
	return commit(r, &p, &r->route->ruri);
}

int set_ruri_host(struct run *r, const struct var_use *use, enum assign op, const struct value *v)
{
	struct sip_uri u;

	if (!current(r, &u) || value_null(v))
		return SCRIPT_FALSE;
	struct parts p = parts_of(&u);
	p.host = v->s;
	p.params = without_maddr(r, u.params);
	return commit(r, &p, &r->route->ruri);
}

int set_ruri_port(struct run *r, const struct var_use *use, enum assign op, const struct value *v)
{
	struct sip_uri u;

	if (!current(r, &u))
		return SCRIPT_FALSE;
	struct parts p = parts_of(&u);
	p.port = var_value_text(v);
	return commit(r, &p, &r->route->ruri);
}

int set_ruri_q(struct run *r, const struct var_use *u, enum assign op, const struct value *v)
{
	if (!r->route || (!value_null(v) && !(v->flags & V_INT)) || (!value_null(v) && (v->i < 0 || v->i > 1000)))
		return SCRIPT_FALSE;
	r->route->q = value_null(v) ? -1 : (int16_t)v->i;
	return SCRIPT_TRUE;
}

/* ---- $du ---------------------------------------------------------------------------------------------------------- */

static bool destination(struct run *r, struct sip_uri *u)
{
	return r->route && r->route->duri.n && sip_uri_parse(r->route->duri, u);
}

bool get_duri(struct run *r, const struct var_use *u, struct value *out)
{
	return r->route && var_text(out, r->route->duri);
}
URI_VAR(duri_host, destination, var_text(out, u.host))
URI_VAR(duri_port, destination, uri_port_of(r, out, &u))
URI_VAR(duri_proto, destination, uri_proto(out, &u))

int set_duri(struct run *r, const struct var_use *u, enum assign op, const struct value *v)
{
	struct sip_uri check;

	if (!r->route)
		return SCRIPT_FALSE;
	if (value_null(v)) {
		r->route->duri = VIEW_NONE;
		return SCRIPT_TRUE;
	}
	if (v->s.n > URI_MAX_BYTES || !sip_uri_parse(v->s, &check))
		return SCRIPT_FALSE;
	struct view kept = arena_copy(r->tmp, v->s);
	if (!kept.p)
		return SCRIPT_FALSE;
	r->route->duri = kept;
	return SCRIPT_TRUE;
}

int set_duri_host(struct run *r, const struct var_use *use, enum assign op, const struct value *v)
{
	struct sip_uri u;

	if (value_null(v) || !r->route || (r->route->duri.n && !destination(r, &u)))
		return SCRIPT_FALSE;
	struct parts p = r->route->duri.n ? parts_of(&u) : (struct parts){ .scheme = VIEW("sip") };
	p.host = v->s;
	return commit(r, &p, &r->route->duri);
}

int set_duri_port(struct run *r, const struct var_use *use, enum assign op, const struct value *v)
{
	struct sip_uri u;

	if (!destination(r, &u))
		return SCRIPT_FALSE;
	struct parts p = parts_of(&u);
	p.port = var_value_text(v);
	return commit(r, &p, &r->route->duri);
}

/* The whole destination set as one Contact line. */
bool get_duri_set(struct run *r, const struct var_use *u, struct value *out)
{
	int n = branch_count(r);
	size_t cap = 16;

	for (int i = 0; i < n; i++)
		cap += branch_at(r, i)->ruri.n + 16;
	char *room = n ? arena_alloc(r->tmp, cap) : NULL;
	struct out o = out_to(room, cap);
	if (!room)
		return false;
	put(&o, VIEW("Contact: "));
	for (int i = 0; i < n; i++) {
		const struct msg_route *b = branch_at(r, i);
		put(&o, i ? VIEW(", <") : VIEW("<"));
		put(&o, b->ruri);
		put_char(&o, '>');
		if (b->q >= 0)
			putf(&o, ";q=%d.%03d", b->q / 1000, b->q % 1000);
	}
	put(&o, VIEW("\r\n"));
	must(!o.full);
	return var_text(out, out_view(&o));
}
