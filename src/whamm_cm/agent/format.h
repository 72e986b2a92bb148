/* Texts that scripts make of values, and how a value is laid out in a text or a print: built with
 * -DTEXTS only, for scripts that use it.
 *
 * A text is made where a record's tail is, which nothing else needs meanwhile, by the functions that
 * also print; it then lies in the ring. */
#ifndef WHAMM_FORMAT_H
#define WHAMM_FORMAT_H

#include "print.h"

static uint32_t ring_before;

EXPORT(text_begin) void begin_text(void) {
    print.size = 0;
    print.at = TAIL;
    print.end = TAIL + AREA;
    ring_before = ring_at;
}

/* How many bytes are the first of `size` that end with a character. */
static uint32_t whole_characters(const char *p, uint32_t size) {
    while (size && (p[size] & 0xC0) == 0x80) size--;
    return size;
}

static uint64_t span(uint32_t p, uint32_t size) { return (uint64_t)size << 32 | p; }

/* What was made, as (address, size << 32); dots say that it was longer. */
EXPORT(text_end) uint64_t end_text(void) {
    char *text = (char *)TAIL;
    uint32_t size = print.at - TAIL;
    if (print.size > size) {
        size = whole_characters(text, AREA - 3 < size ? AREA - 3 : size);
        __builtin_memcpy(text + size, "...", 3);
        size += 3;
    }
    ring_at = ring_before;
    uint32_t p = tmp(size);
    __builtin_memcpy((void *)p, text, size);
    return span(p, size);
}

/* A print with its time, if there is a clock; the end of the text makes room for that. */
EXPORT(print_end_at) void print_end_at(uint64_t time) {
    uint32_t at = TEXT - (time ? 8 : 0), kept = print.at - TEXT_BYTES;
    if (kept > MAX_BODY - 20) kept = MAX_BODY - 20;
    uint32_t head[3] = {0, print.size, kept};
    __builtin_memcpy((void *)TEXT, head, sizeof head);
    if (time) *(uint64_t *)at = time;
    send(print.site, time ? PRINT | TIMED : PRINT, 0, at, TEXT_BYTES + kept - at);
}

/* --- fields that have a width ------------------------------------------------------------------- */

static uint32_t field_at;

EXPORT(print_mark) void print_mark(void) { field_at = print.at; }

/* Bytes of a number's sign and prefix. */
static uint32_t number_head(const char *p, uint32_t size) {
    uint32_t n = size && (*p == '-' || *p == '+');
    if (size < n + 2 || p[n] != '0') return n;
    char kind = p[n + 1];
    return n + (kind == 'x' || kind == 'X' || kind == 'o' || kind == 'b' ? 2 : 0);
}

static uint32_t put_fill(uint32_t at, uint32_t count, const uint8_t *fill, uint32_t size) {
    for (; count; count--, at += size) __builtin_memcpy((void *)at, fill, size);
    return at;
}

/* What was printed since the mark gets a width in characters.  `align`: as it is written, or '=' for
 * a number whose sign stays in front. */
EXPORT(print_pad) void print_pad(uint32_t width, uint32_t fill, uint32_t align) {
    const char *text = (const char *)field_at;
    uint32_t size = print.at - field_at, count = 0;
    uint8_t bytes[4];
    for (uint32_t i = 0; i < size; i++) count += (text[i] & 0xC0) != 0x80;
    if (count >= width) return;
    uint32_t each = encode_utf8(bytes, fill), more = width - count, before = align == '<' ? 0 : more;
    if (align == '^') before /= 2;
    print.size += more * each;
    if (more * each > print.end - print.at) return;
    uint32_t from = field_at + (align == '=' ? number_head(text, size) : 0), to = from + before * each;
    __builtin_memmove((void *)to, (void *)from, print.at - from);
    put_fill(from, before, bytes, each);
    print.at = put_fill(print.at + before * each, more - before, bytes, each);
}

/* The first `count` characters. */
EXPORT(print_first) void print_first(const char *p, uint32_t size, uint32_t count) {
    uint32_t n = 0;
    for (; n < size; n++)
        if ((p[n] & 0xC0) != 0x80 && !count--) break;
    print_str(p, n);
}

/* --- numbers ------------------------------------------------------------------------------------ */

/* How a number is written: its base, and these. */
enum { SIGNED = 64, PLUS = 128, PREFIX = 256, UPPER = 512 };

EXPORT(print_number) void print_number(uint64_t v, uint32_t how) {
    char digits[68];
    uint32_t at = sizeof digits, base = how & 63;
    int negative = how & SIGNED && (int64_t)v < 0;
    if (negative) v = -v;
    do digits[--at] = (how & UPPER ? "0123456789ABCDEF" : "0123456789abcdef")[v % base];
    while (v /= base);
    if (how & PREFIX && base != 10) {
        digits[--at] = base == 2 ? 'b' : base == 8 ? 'o' : how & UPPER ? 'X' : 'x';
        digits[--at] = '0';
    }
    if (negative || how & PLUS) digits[--at] = negative ? '-' : '+';
    print_str(digits + at, (uint32_t)sizeof digits - at);
}

/* The sign of a float that has none. */
EXPORT(print_plus) void print_plus(double v) {
    Float f = of_double(v);
    if (!f.negative || (f.word && f.mantissa)) print_str("+", 1);
}

enum { MOST_DIGITS = 309 + 100 };

/* Digits of a float and where its point is: 0.d1d2… * 10^place. */
static struct {
    int32_t n, place;
    uint8_t digit[MOST_DIGITS + 1];
} decimal;

static void round_up(void) {
    int32_t i = decimal.n;
    while (i && decimal.digit[i - 1] == 9) decimal.digit[--i] = 0;
    if (i) {
        decimal.digit[i - 1]++;
        return;
    }
    __builtin_memmove(decimal.digit + 1, decimal.digit, (uint32_t)decimal.n);
    decimal.digit[0] = 1;
    decimal.n++;
    decimal.place++;
}

/* Exactly as many digits as the precision asks for, the last of them rounded, half to even. */
static void round_decimal(Float f, int fixed, int32_t precision) {
    uint64_t mantissa = f.biased ? f.mantissa | (uint64_t)1 << 52 : f.mantissa;
    int32_t exponent = (f.biased ? f.biased : 1) - 1075;
    decimal.n = 0;
    decimal.place = fixed ? 0 : 1;
    if (mantissa) {
        set_up(mantissa, exponent, 0);
        big_low.n = big_high.n = 0;
        decimal.place = scale(exponent + 63 - __builtin_clzll(mantissa), 1);
    }
    int32_t n = fixed ? decimal.place + precision : precision + 1;
    if (n < 0 || !mantissa) {
        if (fixed) decimal.place = -precision;
        for (; !fixed && decimal.n < n; decimal.n++) decimal.digit[decimal.n] = 0;
        return;
    }
    for (; decimal.n < n; decimal.n++) {
        uint8_t digit = 0;
        big_mul(&big_r, 10);
        for (; big_compare(&big_r, &big_s) >= 0; digit++) big_subtract(&big_r, &big_s);
        decimal.digit[decimal.n] = digit;
    }
    int half = big_compare_sum(&big_r, &big_r, &big_s);
    int odd = n && decimal.digit[n - 1] & 1;
    if (half > 0 || (!half && odd)) round_up();
}

static void put_digit(int32_t i) {
    char c = i >= 0 && i < decimal.n ? (char)('0' + decimal.digit[i]) : '0';
    print_str(&c, 1);
}

/* With `precision` digits behind the point; `how`: PLUS, and 10 for an exponent. */
EXPORT(print_real) void print_real(double v, uint32_t precision, uint32_t how) {
    Float f = of_double(v);
    int fixed = !(how & 63);
    if (how & PLUS) print_plus(v);
    if (f.word) {
        print_float(f);
        return;
    }
    if (f.negative) print_str("-", 1);
    round_decimal(f, fixed, (int32_t)precision);
    int32_t point = fixed ? decimal.place : 1;
    for (int32_t i = point > 0 ? 0 : point - 1; i < point; i++) put_digit(i);
    if (precision) print_str(".", 1);
    for (int32_t i = 0; i < (int32_t)precision; i++) put_digit(point + i);
    if (fixed) return;
    char out[8];
    int zero = !(f.biased || f.mantissa);
    print_str(out, (uint32_t)(write_exponent(out, zero ? 0 : decimal.place - 1) - out));
}

#endif
