/* Shortest decimal digits of a binary float, laid out as Python's repr does.
 *
 * The free-format algorithm of Steele and White with exact big integers: r/s is what is left of the
 * value, m_low/s and m_high/s how far a shorter text may be off on either side and still read back
 * as the same float.  Nothing is approximated, so nothing needs proof; floats in traces are few.
 */
#ifndef WHAMM_DECIMAL_H
#define WHAMM_DECIMAL_H

#include <stdint.h>

enum { LIMBS = 38, MAX_DIGITS = 20, MAX_FLOAT = 40 };

typedef struct {
    uint32_t n;
    uint32_t limb[LIMBS];
} Big;

/* Static, for the stack is small; nothing here is reentered. */
static Big big_r, big_s, big_high, big_low, big_sum;

static void big_trim(Big *a) {
    while (a->n && !a->limb[a->n - 1]) a->n--;
}

static void big_set(Big *a, uint64_t v) {
    a->limb[0] = (uint32_t)v;
    a->limb[1] = (uint32_t)(v >> 32);
    a->n = 2;
    big_trim(a);
}

static void big_mul(Big *a, uint32_t factor) {
    uint64_t carry = 0;
    for (uint32_t i = 0; i < a->n; i++) {
        carry += (uint64_t)a->limb[i] * factor;
        a->limb[i] = (uint32_t)carry;
        carry >>= 32;
    }
    if (carry) a->limb[a->n++] = (uint32_t)carry;
}

static void big_shift(Big *a, uint32_t bits) {
    uint32_t limbs = bits / 32;
    big_mul(a, (uint32_t)1 << (bits % 32));
    if (!a->n || !limbs) return;
    for (uint32_t i = a->n; i-- > 0;) a->limb[i + limbs] = a->limb[i];
    for (uint32_t i = 0; i < limbs; i++) a->limb[i] = 0;
    a->n += limbs;
}

static int big_compare(const Big *a, const Big *b) {
    if (a->n != b->n) return a->n < b->n ? -1 : 1;
    for (uint32_t i = a->n; i-- > 0;)
        if (a->limb[i] != b->limb[i]) return a->limb[i] < b->limb[i] ? -1 : 1;
    return 0;
}

static void big_subtract(Big *a, const Big *b) {
    int64_t borrow = 0;
    for (uint32_t i = 0; i < a->n; i++) {
        borrow += (int64_t)a->limb[i] - (i < b->n ? (int64_t)b->limb[i] : 0);
        a->limb[i] = (uint32_t)borrow;
        borrow >>= 32;
    }
    big_trim(a);
}

/* Compares a + b with c. */
static int big_compare_sum(const Big *a, const Big *b, const Big *c) {
    uint64_t carry = 0;
    uint32_t n = a->n > b->n ? a->n : b->n;
    for (uint32_t i = 0; i < n; i++) {
        carry += (uint64_t)(i < a->n ? a->limb[i] : 0) + (i < b->n ? b->limb[i] : 0);
        big_sum.limb[i] = (uint32_t)carry;
        carry >>= 32;
    }
    if (carry) big_sum.limb[n++] = (uint32_t)carry;
    big_sum.n = n;
    return big_compare(&big_sum, c);
}

static void big_power10(Big *a, uint32_t exponent) {
    for (; exponent >= 9; exponent -= 9) big_mul(a, 1000000000);
    for (; exponent; exponent--) big_mul(a, 10);
}

/* r/s = mantissa * 2^exponent; the neighbour below is only half as far when `lopsided`. */
static void set_up(uint64_t mantissa, int32_t exponent, int lopsided) {
    uint32_t up = exponent > 0 ? (uint32_t)exponent : 0, down = exponent < 0 ? (uint32_t)-exponent : 0;
    uint32_t extra = lopsided ? 2 : 1;
    big_set(&big_r, mantissa);
    big_shift(&big_r, up + extra);
    big_set(&big_s, 1);
    big_shift(&big_s, down + extra);
    big_set(&big_low, 1);
    big_shift(&big_low, up);
    big_set(&big_high, 1);
    big_shift(&big_high, up + extra - 1);
}

/* The decimal point's place: value = 0.d1d2… * 10^place.  log10(2) as 1233/4096, then corrected. */
static int32_t scale(int32_t top_bit, int even) {
    int32_t place = (top_bit * 1233) >> 12;
    if (place >= 0) {
        big_power10(&big_s, (uint32_t)place);
    } else {
        big_power10(&big_r, (uint32_t)-place);
        big_power10(&big_low, (uint32_t)-place);
        big_power10(&big_high, (uint32_t)-place);
    }
    while (big_compare_sum(&big_r, &big_high, &big_s) >= (even ? 0 : 1)) {
        big_mul(&big_s, 10);
        place++;
    }
    return place;
}

/* Writes the digits (0..9, not text); returns how many. */
static uint32_t generate(uint8_t *digits, int even) {
    for (uint32_t n = 0;;) {
        uint32_t digit = 0;
        big_mul(&big_r, 10);
        big_mul(&big_low, 10);
        big_mul(&big_high, 10);
        while (big_compare(&big_r, &big_s) >= 0) {
            big_subtract(&big_r, &big_s);
            digit++;
        }
        int low = big_compare(&big_r, &big_low) < (even ? 1 : 0);
        int high = big_compare_sum(&big_r, &big_high, &big_s) >= (even ? 0 : 1);
        if (low && high) {
            int half = big_compare_sum(&big_r, &big_r, &big_s);
            high = half > 0 || (half == 0 && (digit & 1));
        }
        digits[n++] = (uint8_t)(digit + (high ? 1 : 0));
        if (low || high || n == MAX_DIGITS) return n;
    }
}

static char *write_exponent(char *out, int32_t exponent) {
    *out++ = 'e';
    *out++ = exponent < 0 ? '-' : '+';
    if (exponent < 0) exponent = -exponent;
    if (exponent >= 100) *out++ = (char)('0' + exponent / 100);
    *out++ = (char)('0' + exponent / 10 % 10);
    *out++ = (char)('0' + exponent % 10);
    return out;
}

/* The digits as repr shows them; `place` is where the decimal point stands. */
static char *lay_out(char *out, const uint8_t *digits, int32_t n, int32_t place) {
    int scientific = place > 16 || place < -3;
    int32_t point = scientific ? 1 : place, i = 0;
    if (point <= 0) {
        *out++ = '0', *out++ = '.';
        for (; point < 0; point++) *out++ = '0';
        while (i < n) *out++ = (char)('0' + digits[i++]);
        return out;
    }
    for (; i < point; i++) *out++ = (char)('0' + (i < n ? digits[i] : 0));
    if (i < n || !scientific) *out++ = '.';
    if (i >= n && !scientific) *out++ = '0';
    while (i < n) *out++ = (char)('0' + digits[i++]);
    return scientific ? write_exponent(out, place - 1) : out;
}

/* The shortest digits of a finite float other than 0 of `bits` mantissa bits (52 or 23), how many, and
 * the place of the point: value = 0.d1d2… * 10^place. */
static int32_t float_digits(uint8_t *digits, int32_t *place, uint64_t mantissa, int32_t biased,
                            int32_t bits) {
    int32_t bias = bits == 52 ? 1075 : 150;
    int lopsided = biased > 1 && !mantissa;
    if (biased) mantissa |= (uint64_t)1 << bits;
    int32_t exponent = (biased ? biased : 1) - bias;
    int even = !(mantissa & 1);
    set_up(mantissa, exponent, lopsided);
    *place = scale(exponent + 63 - __builtin_clzll(mantissa), even);
    return (int32_t)generate(digits, even);
}

/* A finite float as text of at most MAX_FLOAT bytes. */
static char *write_float(char *out, uint64_t mantissa, int32_t biased, int32_t bits, int negative) {
    uint8_t digits[MAX_DIGITS] = {0};
    int32_t n = 1, place = 1;
    if (negative) *out++ = '-';
    if (biased || mantissa) n = float_digits(digits, &place, mantissa, biased, bits);
    return lay_out(out, digits, n, place);
}

#endif
