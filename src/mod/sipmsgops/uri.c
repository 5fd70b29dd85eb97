/* The request URI's parameters, and telephone numbers.  Changes of the request URI are visible at once. */
#include "mod/sipmsgops/sipmsgops.h"

static bool ruri_of(const struct run *r, struct sip_uri *u)
{
	return r->route && sip_uri_parse(r->route->ruri, u);
}

static bool param_find(struct view params, struct view want, struct view *whole, struct view *value)
{
	struct view rest = params, name;

	while (sip_param_next(&rest, &name, value)) {
		if (!view_is_ci(name, want))
			continue;
		const char *end = value->n ? value->p + value->n : name.p + name.n;
		*whole = view_of(name.p, (size_t)(end - name.p));
		return true;
	}
	return false;
}

int f_ruri_has_param(struct run *r, const struct arg *a)
{
	struct sip_uri u;
	struct view    whole, value;

	if (!ruri_of(r, &u) || !param_find(u.params, a[0].s, &whole, &value))
		return SCRIPT_FALSE;
	return yes(a[1].given ? view_is_ci(value, a[1].s) : !value.n);
}

/* A parameter must not be able to end the parameters, the URI, or the line. */
static bool param_fine(struct view v)
{
	static const struct view bad = VIEW_INIT(";?<>\"@, \t");

	for (size_t i = 0; i < v.n; i++)
		if ((unsigned char)v.p[i] < ' ' || (unsigned char)v.p[i] >= 0x7f || view_find(bad, v.p[i]) < bad.n)
			return false;
	return v.n && v.p[0] != '=';
}

static bool ruri_set(struct run *r, struct view uri)
{
	struct sip_uri check;

	must(r->route);
	if (!uri.p || !sip_uri_parse(uri, &check))
		return false;
	r->route->ruri = uri;
	return true;
}

int f_ruri_add_param(struct run *r, const struct arg *a)
{
	struct sip_uri u;
	struct view    param = a[0].s, whole, value;

	if (param.n && param.p[0] == ';')
		param = view_from(param, 1);
	if (!ruri_of(r, &u) || !param_fine(param))
		return SCRIPT_FALSE;
	if (param_find(u.params, view_sub(param, 0, view_find(param, '=')), &whole, &value))
		return SCRIPT_TRUE;

	size_t            head = u.headers.p ? (size_t)(u.headers.p - 1 - u.whole.p) : u.whole.n;
	const struct view parts[] = { view_sub(u.whole, 0, head), VIEW(";"), param, view_from(u.whole, head) };
	return yes(ruri_set(r, arena_join(r->msg->arena, parts, COUNT_OF(parts))));
}

int f_ruri_del_param(struct run *r, const struct arg *a)
{
	struct sip_uri u;
	struct view    whole, value;

	if (!ruri_of(r, &u) || !param_find(u.params, a[0].s, &whole, &value))
		return SCRIPT_FALSE;

	/* With the semicolon before it. */
	size_t from = (size_t)(whole.p - u.whole.p), to = from + whole.n;
	while (from && u.whole.p[from - 1] != ';')
		from--;
	const struct view parts[] = { view_sub(u.whole, 0, from ? from - 1 : 0), view_from(u.whole, to) };
	return yes(ruri_set(r, arena_join(r->msg->arena, parts, COUNT_OF(parts))));
}

/* RFC 3261 19.1.6: the number with its parameters becomes the user, without visual separators (RFC 3966 5.1.1); the host is
 * that of From. */
int f_ruri_tel2sip(struct run *r, const struct arg *a)
{
	struct sip_uri        u, from;
	struct sip_nameaddr   who;
	const struct sip_hdr *h = sip_first(&r->msg->sip, HDR_FROM);
	struct view           rest = h ? h->value : VIEW_NONE;

	if (!ruri_of(r, &u))
		return SCRIPT_FALSE;
	if (u.scheme != SCHEME_TEL)
		return SCRIPT_TRUE;
	if (sip_nameaddr_next(&rest, &who) != SIP_OK || !sip_uri_parse(who.uri, &from) || !from.host.n)
		return SCRIPT_FALSE;

	size_t     cap = u.whole.n + from.host.n + 32;
	char      *space = arena_alloc(r->msg->arena, cap);
	struct out o = out_to(space, cap);
	if (!space)
		return SCRIPT_FALSE;
	put(&o, VIEW("sip:"));
	for (size_t i = 0; i < u.user.n; i++)
		if (!strchr("-.()", u.user.p[i]))
			put_char(&o, u.user.p[i]);
	if (u.params.n)
		put_char(&o, ';');
	put(&o, u.params);
	put_char(&o, '@');
	put(&o, from.host);
	put(&o, VIEW(";user=phone"));
	return yes(!o.full && ruri_set(r, out_view(&o)));
}

/* E.164 with its plus: 2 to 15 digits. */
int f_is_uri_user_e164(struct run *r, const struct arg *a)
{
	struct sip_nameaddr who;
	struct sip_uri      u;
	struct view         rest = a[0].s;

	if (!sip_uri_parse(rest, &u) && (sip_nameaddr_next(&rest, &who) != SIP_OK || !sip_uri_parse(who.uri, &u)))
		return SCRIPT_FALSE;
	if (u.user.n < 3 || u.user.n > 16 || u.user.p[0] != '+')
		return SCRIPT_FALSE;
	for (size_t i = 1; i < u.user.n; i++)
		if (u.user.p[i] < '0' || u.user.p[i] > '9')
			return SCRIPT_FALSE;
	return SCRIPT_TRUE;
}
