/* sip_uri_parse and sip_uri_same: parts lie in the whole and rebuild it; a URI equals itself, and equality is symmetric. */
#include "wire/sip/sip.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_rebuilt(const struct sip_uri *u)
{
	static char text[1 << 16];
	struct out o = out_to(text, sizeof text);
	put(&o, u->scheme_text);
	put_char(&o, ':');
	put(&o, u->user);
	if (u->has_password) {
		put_char(&o, ':');
		put(&o, u->password);
	}
	if (u->user.n)
		put_char(&o, '@');
	put(&o, u->host);
	if (u->port_text.n) {
		put_char(&o, ':');
		put(&o, u->port_text);
	}
	if (u->params.p) {
		put_char(&o, ';');
		put(&o, u->params);
	}
	if (u->headers.p) {
		put_char(&o, '?');
		put(&o, u->headers);
	}
	must(o.full || view_is(out_view(&o), u->whole));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct view rest = view_of((const char *)data, size), first = view_cut(&rest, '\n');
	struct sip_uri a, b;
	char text[256];
	struct out o = out_to(text, sizeof text);
	sip_unescape(first, &o);
	if (!sip_uri_parse(first, &a))
		return 0;
	must(sip_uri_same(&a, &a));
	if (a.scheme == SCHEME_SIP || a.scheme == SCHEME_SIPS) {
		check_rebuilt(&a);
		struct addr ip;
		sip_host_ip(a.host, &ip);
	}
	struct view params = a.params, name, value;
	while (sip_param_next(&params, &name, &value))
		must(name.p >= a.whole.p && value.p + value.n <= a.whole.p + a.whole.n);
	if (sip_uri_parse(rest, &b))
		must(sip_uri_same(&a, &b) == sip_uri_same(&b, &a));
	return 0;
}
