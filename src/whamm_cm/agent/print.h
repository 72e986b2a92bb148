/* What a script prints: one record per print, its text in the TEXT area until it is whole. */
#ifndef WHAMM_PRINT_H
#define WHAMM_PRINT_H

#include "decimal.h"
#include "utf8.h"

enum { TEXT_BYTES = TEXT + 12, TEXT_END = TEXT + MAX_BODY };

/* `size` also counts what did not fit behind `at`. */
static struct {
    uint32_t site, size, at;
#ifdef TEXTS
    uint32_t end;
#endif
} print;

#ifdef TEXTS
#define PRINT_END print.end
#else
#define PRINT_END TEXT_END
#endif

EXPORT(print_begin) void print_begin(uint32_t site) {
    print.site = site;
    print.size = 0;
    print.at = TEXT_BYTES;
#ifdef TEXTS
    print.end = TEXT_END;
#endif
}

/* A text that is too long is cut, and its record says how long it was. */
EXPORT(print_str) void print_str(const char *p, uint32_t size) {
    uint32_t left = print.at ? PRINT_END - print.at : 0, kept = size < left ? size : left;
    print.size += size;
    __builtin_memcpy((void *)print.at, p, kept);
    print.at += kept;
}

static void end_print(uint32_t phase) {
    uint32_t kept = print.at ? print.at - TEXT_BYTES : 0, head[3] = {0, print.size, kept};
    __builtin_memcpy((void *)TEXT, head, sizeof head);
    send(print.site, phase, 0, TEXT, 12 + kept);
}
EXPORT(print_end) void print_end(void) { end_print(PRINT); }
EXPORT(print_end_raw) void print_end_raw(void) { end_print(PRINT | RAW); }

/* Text may be longer than a record: it then comes in several, cut between characters. */
EXPORT(raw_print) void raw_print(uint32_t site, const char *p, uint32_t size) {
    while (size) {
        uint32_t n = size < TEXT_END - TEXT_BYTES ? size : TEXT_END - TEXT_BYTES;
        for (uint32_t back = 0; back < 3 && n < size && (p[n] & 0xC0) == 0x80; back++) n--;
        print_begin(site);
        print_str(p, n);
        print_end_raw();
        p += n;
        size -= n;
    }
}

static __attribute__((noinline)) void print_digits(uint64_t magnitude, int negative) {
    char digits[21];
    uint32_t at = sizeof digits;
    do digits[--at] = (char)('0' + magnitude % 10);
    while (magnitude /= 10);
    if (negative) digits[--at] = '-';
    print_str(digits + at, (uint32_t)sizeof digits - at);
}
EXPORT(print_u64) void print_u64(uint64_t v) { print_digits(v, 0); }
EXPORT(print_i64) void print_i64(int64_t v) {
    print_digits(v < 0 ? -(uint64_t)v : (uint64_t)v, v < 0);
}

/* A float taken apart.  `word`: what to say of one that is not finite. */
typedef struct {
    uint64_t mantissa;
    int32_t biased, width;
    int negative;
    const char *word;
} Float;

static Float taken_apart(uint64_t bits, int32_t width) {
    int32_t all_ones = width == 52 ? 0x7FF : 0xFF;
    Float f = {bits & (((uint64_t)1 << width) - 1), (int32_t)(bits >> width) & all_ones, width,
               (int)(bits >> (width == 52 ? 63 : 31)), 0};
    if (f.biased == all_ones) f.word = f.mantissa ? "nan" : f.negative ? "-inf" : "inf";
    return f;
}
static Float of_double(double v) {
    uint64_t bits;
    __builtin_memcpy(&bits, &v, 8);
    return taken_apart(bits, 52);
}
static Float of_single(float v) {
    uint32_t bits;
    __builtin_memcpy(&bits, &v, 4);
    return taken_apart(bits, 23);
}

static __attribute__((noinline)) void print_float(Float f) {
    char out[MAX_FLOAT];
    if (f.word)
        print_str(f.word, f.word[0] == '-' ? 4 : 3);
    else
        print_str(out, (uint32_t)(write_float(out, f.mantissa, f.biased, f.width, f.negative) - out));
}
EXPORT(print_f64) void print_f64(double v) { print_float(of_double(v)); }
EXPORT(print_f32) void print_f32(float v) { print_float(of_single(v)); }

/* As Rust's {:+e}: a sign, one digit before the point, an exponent without a plus. */
static __attribute__((noinline)) void print_exponential(Float f) {
    uint8_t digits[MAX_DIGITS] = {0};
    char out[MAX_FLOAT], *at = out;
    int32_t n = 1, place = 1;
    if (f.word) {
        print_str(f.mantissa ? "NaN" : f.negative ? "-inf" : "+inf", f.mantissa ? 3 : 4);
        return;
    }
    if (f.biased || f.mantissa) n = float_digits(digits, &place, f.mantissa, f.biased, f.width);
    *at++ = f.negative ? '-' : '+';
    *at++ = (char)('0' + digits[0]);
    if (n > 1) *at++ = '.';
    for (int32_t i = 1; i < n; i++) *at++ = (char)('0' + digits[i]);
    *at++ = 'e';
    print_str(out, (uint32_t)(at - out));
    print_i64(place - 1);
}
EXPORT(print_exp64) void print_exp64(double v) { print_exponential(of_double(v)); }
EXPORT(print_exp32) void print_exp32(float v) { print_exponential(of_single(v)); }

EXPORT(print_bool) void print_bool(int32_t v) { print_str(v ? "true" : "false", v ? 4 : 5); }
EXPORT(print_char) void print_char(uint32_t c) {
    uint8_t bytes[4];
    int valid = c < 0xD800 || (c > 0xDFFF && c < 0x110000);
    print_str((const char *)bytes, encode_utf8(bytes, valid ? c : 0xFFFD));
}

#endif
