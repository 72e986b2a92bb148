/* What scripts do with strings besides comparing them: built with -DTEXTS only.  Parts of a string lie
 * where it lies; what is longer than a text of the ring is cut. */
#ifndef WHAMM_STRINGS_H
#define WHAMM_STRINGS_H

#include "format.h"

#endif
