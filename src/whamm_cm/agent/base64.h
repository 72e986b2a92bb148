/* Base64 (RFC 4648, standard alphabet) of larger pieces: 12 bits at a time. */
#ifndef WHAMM_BASE64_H
#define WHAMM_BASE64_H

#include <stdint.h>

static const char base64_digits[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* Two characters for each 12 bits, made when there is something to write: by the first 12 bits of
 * three bytes as they lie in memory, a byte and the upper half of the next, and by the last 12, the
 * lower half and a byte. */
static uint16_t base64_first[4096], base64_last[4096];

static void base64_prepare(void) {
    if (base64_first[0]) return;
    for (uint32_t i = 0; i < 4096; i++) {
        uint16_t pair = (uint16_t)(base64_digits[i >> 6] | base64_digits[i & 63] << 8);
        base64_first[i >> 4 | (i & 15) << 8] = pair;
        base64_last[i] = pair;
    }
}

/* What lies `at` bytes behind the beginning: shifted by one already, an index costs nothing more. */
static uint32_t base64_pair(const uint16_t *pairs, uint32_t at) {
    return *(const uint16_t *)((const char *)pairs + at);
}

/* The four characters of the three bytes at the lower end of `w`. */
static uint32_t base64_four(uint32_t w) {
    uint32_t first = base64_pair(base64_first, (w << 1 & 0x1FE) | (w >> 3 & 0x1E00));
    return first | base64_pair(base64_last, (w << 1 & 0x1E00) | (w >> 15 & 0x1FE)) << 16;
}

/* Writes the characters of `size` bytes; returns the end.  A few bytes behind may be read. */
static char *base64_write(char *out, const uint8_t *in, uint32_t size) {
    base64_prepare();
    for (; size >= 6; in += 6, size -= 6, out += 8) {
        uint64_t w;
        __builtin_memcpy(&w, in, 8);
        w = base64_four((uint32_t)w) | (uint64_t)base64_four((uint32_t)(w >> 24)) << 32;
        __builtin_memcpy(out, &w, 8);
    }
    for (; size >= 3; in += 3, size -= 3, out += 4) {
        uint32_t w;
        __builtin_memcpy(&w, in, 4);
        w = base64_four(w);
        __builtin_memcpy(out, &w, 4);
    }
    if (!size) return out;
    uint32_t bits = (uint32_t)in[0] << 16 | (size > 1 ? (uint32_t)in[1] << 8 : 0);
    *out++ = base64_digits[bits >> 18];
    *out++ = base64_digits[bits >> 12 & 63];
    *out++ = size > 1 ? base64_digits[bits >> 6 & 63] : '=';
    *out++ = '=';
    return out;
}

#endif
