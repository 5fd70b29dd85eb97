/* The built-in configuration, byte for byte etc/edge.cfg. */
#include "main/main.h"

__asm__(".section .rodata\n"
	".global edge_cfg_begin\n.global edge_cfg_end\n"
	"edge_cfg_begin:\n.incbin \"" EDGE_CFG_PATH "\"\nedge_cfg_end:\n.byte 0\n.previous\n");
extern const char edge_cfg_begin[], edge_cfg_end[];

struct view edge_cfg(void)
{
	return view_of(edge_cfg_begin, (size_t)(edge_cfg_end - edge_cfg_begin));
}
