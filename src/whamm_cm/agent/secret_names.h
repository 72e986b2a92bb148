/* Names that say that a value is secret; the patterns are those of layout.py. */
#ifndef WHAMM_SECRET_NAMES_H
#define WHAMM_SECRET_NAMES_H

#include <stdint.h>

static uint32_t name_char(uint32_t c) {
    if (c - 'A' < 26u) return c | 0x20;
    return c == '_' ? '-' : c;
}

/* Any case, `_` for `-`, and at most one `*`, which is any text. */
static int name_matches(const char *pattern, const uint8_t *name, uint32_t size) {
    uint32_t at = 0, rest = 0;
    for (; pattern[at] && pattern[at] != '*'; at++)
        if (at >= size || name_char(name[at]) != (uint8_t)pattern[at]) return 0;
    if (!pattern[at]) return at == size;
    while (pattern[at + 1 + rest]) rest++;
    if (size < at + rest) return 0;
    for (uint32_t i = 0; i < rest; i++)
        if (name_char(name[size - rest + i]) != (uint8_t)pattern[at + 1 + i]) return 0;
    return 1;
}

/* `patterns`: each ended by a zero, all of them by one more. */
static int name_among(const char *patterns, const uint8_t *name, uint32_t size) {
    while (*patterns) {
        if (name_matches(patterns, name, size)) return 1;
        while (*patterns++) continue;
    }
    return 0;
}

#endif
