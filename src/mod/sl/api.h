/* mod/sl/api.h -- stateless replies for other modules. */
#ifndef MOD_SL_API_H
#define MOD_SL_API_H
#include "script/script.h"

/* As sl_send_reply(): never answers an ACK (true all the same), adds a To tag from 180 on, Contacts of the destination set to 3xx. */
int sl_reply(struct run *r, uint16_t code, struct view reason);
#endif
