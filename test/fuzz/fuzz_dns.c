/* Answers of a name server, as they come from the wire: whatever they hold, only names that may be asked for come out, sorted. */
#include "net/dns.h"

static void judge(struct dns_answer *a, bool naptr)
{
	char   name[DNS_NAME_BYTES];
	size_t n;

	if (!a)
		return;
	must(a->n <= DNS_CANDIDATES && (a->end == DNS_FOUND) == (a->n > 0) && a->end != DNS_FAILED);
	must(a->ttl_ms <= DNS_TTL_MAX_MS && a->ttl_ms >= DNS_TTL_MIN_MS);
	for (size_t i = 0; i < a->n; i++) {
		const struct dns_record *r = &a->record[i];
		must(r->name.n ? dns_name_ok(r->name, name, &n) && view_is(r->name, view_of(name, n)) : !naptr);
		must(naptr ? r->transport < TR_COUNT : r->name.n == 0 || r->port != 0);
		must(i == 0 || r[-1].a < r->a || (r[-1].a == r->a && (!naptr || r[-1].b <= r->b)));
	}
	dns_answer_unref(a);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	if (n > MSG_MAX_BYTES)
		return 0;
	judge(dns_read_srv(p, (int)n), false);
	judge(dns_read_naptr(p, (int)n), true);
	return 0;
}
