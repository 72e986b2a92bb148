/* Base64 (RFC 4648, standard alphabet) of larger pieces: 12 bits at a time. */
#ifndef WHAMM_BASE64_H
#define WHAMM_BASE64_H

#include <stdint.h>

static const char base64_digits[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* Two characters for each 12 bits, made when there is something to write. */
static uint16_t base64_pairs[4096];

static void base64_prepare(void) {
    if (base64_pairs[0]) return;
    for (uint32_t i = 0; i < 4096; i++)
        base64_pairs[i] = (uint16_t)(base64_digits[i >> 6] | base64_digits[i & 63] << 8);
}

/* The four characters of the three bytes at the lower end of `w`. */
static uint32_t base64_four(uint32_t w) {
    uint32_t first = (w << 4 & 0xFF0) | (w >> 12 & 0xF), second = (w & 0xF00) | (w >> 16 & 0xFF);
    return base64_pairs[first] | (uint32_t)base64_pairs[second] << 16;
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
