/* base/ban.h -- last include of base/base.h, after the libc headers that declare these.  From here on, naming one does
 * not compile. */
#ifndef BASE_BAN_H
#define BASE_BAN_H
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
/* glibc's fortified clang headers make macros of some. */
#undef sprintf
#undef vsprintf
#undef strcpy
#undef strcat
#pragma GCC poison strcpy strcat sprintf vsprintf gets strtok atoi atol
#endif
