/* Parts of WIT values as trace shows them (render/wave.py): built with -DTEXTS only.  What is made of
 * them is up to the generated code (emit/wit_texts.py). */
#ifndef WHAMM_WAVE_H
#define WHAMM_WAVE_H

#include "format.h"

static void put_part(const char *p, uint32_t size) { print_str(p, size); }

/* Whether more would be cut off. */
EXPORT(print_full) int32_t print_full(void) { return print.size > print.at - TAIL; }

EXPORT(print_bad) void print_bad(uint64_t v) {
    put_part("<bad ", 5);
    print_number(v, 16 | PREFIX);
    put_part(">", 1);
}

EXPORT(print_redacted) void print_redacted(uint64_t size) {
    put_part("<redacted ", 10);
    print_u64(size);
    put_part(">", 1);
}

/* A bool as it lies in memory. */
EXPORT(print_truth) void print_truth(uint32_t raw) {
    if (raw > 1)
        print_bad(raw);
    else
        print_bool((int32_t)raw);
}

static int put_short_escape(char c) {
    static const char shorts[] = "\nn\rr\tt\"\"\\\\";
    for (uint32_t i = 0; i < sizeof shorts - 1; i += 2)
        if (shorts[i] == c) {
            char pair[2] = {'\\', shorts[i + 1]};
            put_part(pair, 2);
            return 1;
        }
    return 0;
}

/* A string between quotes.  Controls are escaped; what else cannot be seen is so when it is shown. */
EXPORT(print_quoted) void print_quoted(const char *p, uint32_t size) {
    uint32_t done = 0;
    put_part("\"", 1);
    for (uint32_t i = 0; i < size; i++) {
        uint8_t c = (uint8_t)p[i], high = c == 0xC2 && i + 1 < size && (uint8_t)p[i + 1] - 0x80u < 0x20;
        if (c >= 0x20 && c != '"' && c != '\\' && c != 0x7F && !high) continue;
        put_part(p + done, i - done);
        if (!put_short_escape((char)c)) {
            put_part("\\u{", 3);
            print_number(high ? (uint8_t)p[++i] : c, 16);
            put_part("}", 1);
        }
        done = i + 1;
    }
    put_part(p + done, size - done);
    put_part("\"", 1);
}

EXPORT(print_bytes) void print_bytes(const char *p, uint32_t size) {
    put_part("b\"", 2);
    for (uint32_t i = 0; i < size && !print_full(); i++) {
        uint8_t c = (uint8_t)p[i];
        if (put_short_escape((char)c)) continue;
        char hex[4] = {'\\', 'x', "0123456789abcdef"[c >> 4], "0123456789abcdef"[c & 15]};
        if (c >= 0x20 && c < 0x7F)
            put_part(p + i, 1);
        else
            put_part(hex, 4);
    }
    put_part("\"", 1);
}

EXPORT(print_letter) void print_letter(uint32_t c, uint32_t quoted) {
    uint8_t bytes[4];
    if (c > 0x10FFFF || (c >= 0xD800 && c < 0xE000)) {
        print_bad(c);
        return;
    }
    uint32_t size = encode_utf8(bytes, c);
    if (quoted)
        print_quoted((const char *)bytes, size);
    else
        print_str((const char *)bytes, size);
}

/* What is no finite number is a text. */
static void put_real(Float f) {
    if (f.word) put_part("\"", 1);
    print_float(f);
    if (f.word) put_part("\"", 1);
}
EXPORT(print_wit64) void print_wit64(double v) { put_real(of_double(v)); }
EXPORT(print_wit32) void print_wit32(float v) { put_real(of_single(v)); }

/* Number `n` of labels with commas between, 0 if there are not so many. */
static const char *label_at(uint32_t n, const char *p, const char *end, uint32_t *size) {
    for (; n && p != end; p++) n -= *p == ',';
    if (n) return 0;
    *size = 0;
    while (p + *size != end && p[*size] != ',') ++*size;
    return p;
}

EXPORT(print_label) void print_label(uint32_t n, const char *p, uint32_t all, uint32_t quoted) {
    uint32_t size;
    const char *label = label_at(n, p, p + all, &size);
    if (!label)
        print_bad(n);
    else if (quoted)
        print_quoted(label, size);
    else
        print_str(label, size);
}

/* The labels of the bits, from the one for bit 0 on; what is there already ends in '[' where none was
 * before. */
EXPORT(print_flags) void print_flags(uint32_t bits, uint32_t first, const char *p, uint32_t all) {
    for (uint32_t i = 0; i < 32; i++) {
        uint32_t size;
        const char *label = bits >> i & 1 ? label_at(first + i, p, p + all, &size) : 0;
        if (!label) continue;
        if (((const char *)print.at)[-1] != '[') put_part(", ", 2);
        print_quoted(label, size);
    }
}

/* As RFC 5952 has it: lower case, the longest run of two or more zeros left out. */
EXPORT(print_ip6)
void print_ip6(uint32_t a, uint32_t b, uint32_t c, uint32_t d, uint32_t e, uint32_t f, uint32_t g, uint32_t h) {
    uint32_t parts[8] = {a, b, c, d, e, f, g, h}, best = 8, longest = 1;
    for (uint32_t i = 0; i < 8; i++) {
        uint32_t n = 0;
        while (i + n < 8 && !parts[i + n]) n++;
        if (n > longest) best = i, longest = n;
    }
    for (uint32_t i = 0; i < 8; i++) {
        if (i == best) {
            put_part("::", 2);
            i += longest - 1;
            continue;
        }
        if (i && (best == 8 || i != best + longest)) put_part(":", 1);
        print_number(parts[i], 16);
    }
}

#endif
