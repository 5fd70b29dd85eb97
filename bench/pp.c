#include "pp.h"

#include <arpa/inet.h>

static void out_ip(struct out *o, struct in_addr ip)
{
	char buf[INET_ADDRSTRLEN];

	inet_ntop(AF_INET, &ip, buf, sizeof(buf));
	out_view(o, (struct view){ buf, strlen(buf) });
}

static void v1(struct out *o, const struct sockaddr_in *src, const struct sockaddr_in *dst)
{
	out_lit(o, "PROXY TCP4 ");
	out_ip(o, src->sin_addr);
	out_lit(o, " ");
	out_ip(o, dst->sin_addr);
	out_lit(o, " ");
	out_dec(o, ntohs(src->sin_port));
	out_lit(o, " ");
	out_dec(o, ntohs(dst->sin_port));
	out_lit(o, "\r\n");
}

void pp_write(struct out *o, unsigned version, bool datagram, const struct sockaddr_in *src,
              const struct sockaddr_in *dst)
{
	char tail[4] = { 0x21, datagram ? 0x12 : 0x11, 0, 12 };

	if (version == 1) {
		v1(o, src, dst);
		return;
	}
	out_lit(o, "\r\n\r\n\0\r\nQUIT\n");
	out_view(o, (struct view){ tail, sizeof(tail) });
	out_view(o, (struct view){ (const char *)&src->sin_addr, 4 });
	out_view(o, (struct view){ (const char *)&dst->sin_addr, 4 });
	out_view(o, (struct view){ (const char *)&src->sin_port, 2 });
	out_view(o, (struct view){ (const char *)&dst->sin_port, 2 });
}
