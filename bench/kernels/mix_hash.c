/* A hash in the manner of SHA-256 (its schedule and rounds, constants of our own). */
#define SIZE 650
#include "kernel.h"
enum { LENGTH = 65536 };

static uint32_t state[8], constants[64];
static uint32_t turn(uint32_t word, int by) { return word >> by | word << (32 - by); }

static void block(const unsigned char *from) {
    uint32_t w[64], s[8];
    for (int i = 0; i < 16; i++)
        w[i] = (uint32_t)from[4 * i] << 24 | from[4 * i + 1] << 16 | from[4 * i + 2] << 8 | from[4 * i + 3];
    for (int i = 16; i < 64; i++) {
        uint32_t a = w[i - 15], b = w[i - 2];
        w[i] = w[i - 16] + w[i - 7] + (turn(a, 7) ^ turn(a, 18) ^ a >> 3) + (turn(b, 17) ^ turn(b, 19) ^ b >> 10);
    }
    memcpy(s, state, sizeof s);
    for (int i = 0; i < 64; i++) {
        uint32_t e = s[4], a = s[0];
        uint32_t one = s[7] + (turn(e, 6) ^ turn(e, 11) ^ turn(e, 25)) + ((e & s[5]) ^ (~e & s[6])) + constants[i] + w[i];
        uint32_t two = (turn(a, 2) ^ turn(a, 13) ^ turn(a, 22)) + ((a & s[1]) ^ (a & s[2]) ^ (s[1] & s[2]));
        memmove(s + 1, s, 7 * sizeof *s);
        s[4] += one;
        s[0] = one + two;
    }
    for (int i = 0; i < 8; i++) state[i] += s[i];
}

int main(int argc, char **argv) {
    int rounds = run_size(argc, argv);
    static unsigned char text[LENGTH];
    for (int i = 0; i < LENGTH; i++) text[i] = next_random();
    for (int i = 0; i < 64; i++) constants[i] = next_random();
    for (int i = 0; i < 8; i++) state[i] = next_random();
    for (int round = 0; round < rounds; round++)
        for (int at = 0; at < LENGTH; at += 64) block(text + at);
    return print_sum(sum_bits(state, sizeof state));
}
