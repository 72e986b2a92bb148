/* One character as UTF-8. */
#ifndef WHAMM_UTF8_H
#define WHAMM_UTF8_H

#include <stdint.h>

/* Writes 1 to 4 bytes; returns how many. */
static uint32_t encode_utf8(uint8_t *b, uint32_t c) {
    if (c < 0x80) {
        b[0] = (uint8_t)c;
        return 1;
    }
    if (c < 0x800) {
        b[0] = (uint8_t)(0xC0 | c >> 6), b[1] = (uint8_t)(0x80 | (c & 63));
        return 2;
    }
    uint32_t n = c < 0x10000 ? 3 : 4, i = 0;
    if (n == 3)
        b[i++] = (uint8_t)(0xE0 | c >> 12);
    else
        b[i++] = (uint8_t)(0xF0 | c >> 18), b[i++] = (uint8_t)(0x80 | (c >> 12 & 63));
    b[i++] = (uint8_t)(0x80 | (c >> 6 & 63)), b[i] = (uint8_t)(0x80 | (c & 63));
    return n;
}

#endif
