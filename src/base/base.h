/* base/base.h -- the room's one door: everything in base/, then the ban. */
#ifndef BASE_BASE_H
#define BASE_BASE_H
#include "base/view.h"
#include "base/must.h"
#include "base/limits.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/list.h"
#include "base/hash.h"
#include "base/ref.h"
#include "base/timer.h"
#include "base/addr.h"
#include "base/fmt.h"
#include "base/log.h"
#include "base/tally.h"
#include "base/ban.h"
#endif
