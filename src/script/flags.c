#include "script/script.h"

enum { FLAGS_USABLE = 31 };

int script_flag_find(const struct core_conf *c, bool branch, struct view name)
{
	for (int i = 0; i < c->nflags[branch]; i++)
		if (view_is(c->flag_names[branch][i], name))
			return i;
	return -1;
}

int script_flag(struct script_load *l, bool branch, struct view name)
{
	struct core_conf *c = l->conf;
	int bit = script_flag_find(c, branch, name);

	if (bit >= 0)
		return bit;
	if (c->nflags[branch] >= FLAGS_USABLE)
		return -1;
	struct view kept = arena_copy(l->arena, name);
	if (!kept.p)
		return -1;
	must(c->nflags[branch] < COUNT_OF(c->flag_names[branch]));
	bit = c->nflags[branch]++;
	c->flag_names[branch][bit] = kept;
	return bit;
}
