/* The text under construction: a line buffer that refuses to overflow, and JSON's small parts. */
#ifndef WHAMM_TEXT_H
#define WHAMM_TEXT_H

#include <stdint.h>

#include "decimal.h"
#include "utf8.h"

/* Functions with a buffer are kept out of the recursive ones: inlined, they would cost stack on every
 * level of a value. */
#define OWN_FRAME __attribute__((noinline))

static struct {
    char *at, *end;
    int overflow;
} text;

static void put_bytes(const void *bytes, uint32_t size) {
    if (size > (uint32_t)(text.end - text.at)) {
        text.overflow = 1;
        return;
    }
    __builtin_memcpy(text.at, bytes, size);
    text.at += size;
}

static void put(char c) {
    if (text.at == text.end)
        text.overflow = 1;
    else
        *text.at++ = c;
}

static uint32_t length_of(const char *s) {
    uint32_t n = 0;
    while (s[n]) n++;
    return n;
}

static void put_text(const char *s) { put_bytes(s, length_of(s)); }

static OWN_FRAME void put_unsigned(uint64_t v) {
    char digits[20];
    uint32_t at = sizeof digits;
    do digits[--at] = (char)('0' + v % 10);
    while (v /= 10);
    put_bytes(digits + at, (uint32_t)sizeof digits - at);
}

static OWN_FRAME void put_hex(uint64_t v) {
    char digits[16];
    uint32_t at = sizeof digits;
    do digits[--at] = "0123456789abcdef"[v & 15];
    while (v >>= 4);
    put_text("0x");
    put_bytes(digits + at, (uint32_t)sizeof digits - at);
}

static void put_int(uint64_t magnitude, int negative) {
    if (negative) put('-');
    put_unsigned(magnitude);
}

static OWN_FRAME void put_float(uint64_t bits, int single) {
    char out[MAX_FLOAT];
    int32_t width = single ? 23 : 52, all_ones = single ? 0xFF : 0x7FF;
    uint64_t mantissa = bits & (((uint64_t)1 << width) - 1);
    int32_t biased = (int32_t)(bits >> width) & all_ones;
    int negative = (int)(bits >> (single ? 31 : 63)) & 1;
    if (biased == all_ones) {
        put_text(mantissa ? "\"nan\"" : negative ? "\"-inf\"" : "\"inf\"");
        return;
    }
    put_bytes(out, (uint32_t)(write_float(out, mantissa, biased, width, negative) - out));
}

static OWN_FRAME void put_utf8(uint32_t c) {
    uint8_t b[4];
    put_bytes(b, encode_utf8(b, c));
}

/* One character inside a JSON string, escaped where JSON demands it. */
static void put_char(uint32_t c) {
    static const char shorts[] = "\bb\ff\nn\rr\tt\"\"\\\\";
    if (c >= 0x20 && c != '"' && c != '\\') {
        put_utf8(c);
        return;
    }
    put('\\');
    for (uint32_t i = 0; i < sizeof shorts - 1; i += 2)
        if ((uint8_t)shorts[i] == c) {
            put(shorts[i + 1]);
            return;
        }
    put_text("u00");
    put("0123456789abcdef"[c >> 4]);
    put("0123456789abcdef"[c & 15]);
}

/* A name of the site table: valid UTF-8, so only its ASCII needs a look. */
static void put_name(const uint8_t *s, uint32_t size) {
    put('"');
    for (uint32_t i = 0; i < size; i++) {
        if (s[i] < 0x80)
            put_char(s[i]);
        else
            put((char)s[i]);
    }
    put('"');
}

static char base64_digit(uint32_t v) {
    return "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"[v & 63];
}

static void put_base64(const uint8_t *in, uint32_t size) {
    put('"');
    for (uint32_t i = 0; i < size; i += 3) {
        uint32_t left = size - i, second = left > 1 ? in[i + 1] : 0, third = left > 2 ? in[i + 2] : 0;
        uint32_t bits = (uint32_t)in[i] << 16 | second << 8 | third;
        put(base64_digit(bits >> 18));
        put(base64_digit(bits >> 12));
        put(left > 1 ? base64_digit(bits >> 6) : '=');
        put(left > 2 ? base64_digit(bits) : '=');
    }
    put('"');
}

/* --- characters of guest strings: bytes read, 0 when the end cuts the character ------------------- */

enum { REPLACEMENT = 0xFFFD };

/* A bad sequence becomes one U+FFFD per maximal subpart, as Unicode advises and Python does. */
static uint32_t next_utf8(const uint8_t *s, uint32_t size, uint32_t *c) {
    uint32_t lead = s[0], low = 0x80, high = 0xBF, more;
    *c = lead;
    if (lead < 0x80) return 1;
    more = lead < 0xE0 ? 1 : lead < 0xF0 ? 2 : 3;
    *c = REPLACEMENT;
    if (lead < 0xC2 || lead > 0xF4) return 1;
    if (lead == 0xE0) low = 0xA0;
    if (lead == 0xED) high = 0x9F;
    if (lead == 0xF0) low = 0x90;
    if (lead == 0xF4) high = 0x8F;
    uint32_t value = lead & (0x3F >> more);
    for (uint32_t i = 1; i <= more; i++) {
        if (i == size) return 0;
        if (s[i] < low || s[i] > high) return i;
        value = value << 6 | (s[i] & 63);
        low = 0x80, high = 0xBF;
    }
    *c = value;
    return more + 1;
}

static uint32_t next_utf16(const uint8_t *s, uint32_t size, uint32_t *c) {
    *c = REPLACEMENT;
    if (size < 2) return 0;
    uint32_t unit = (uint32_t)s[0] | (uint32_t)s[1] << 8;
    if (unit < 0xD800 || unit > 0xDFFF) {
        *c = unit;
        return 2;
    }
    if (unit >= 0xDC00) return 2;
    if (size < 4) return 0;
    uint32_t low = (uint32_t)s[2] | (uint32_t)s[3] << 8;
    if (low < 0xDC00 || low > 0xDFFF) return 2;
    *c = 0x10000 + ((unit - 0xD800) << 10) + (low - 0xDC00);
    return 4;
}

enum { LATIN1 = 2 };

/* `encoding`: 0 utf8, 1 utf16, LATIN1.  A cut string loses the character at its end. */
static OWN_FRAME void put_string(const uint8_t *s, uint32_t size, uint32_t encoding, int cut) {
    put('"');
    while (size) {
        uint32_t c = s[0];
        uint32_t used = encoding == LATIN1 ? 1
                        : encoding         ? next_utf16(s, size, &c)
                                           : next_utf8(s, size, &c);
        if (!used) {
            if (!cut) put_char(REPLACEMENT);
            break;
        }
        put_char(c);
        s += used, size -= used;
    }
    put('"');
}

#endif
