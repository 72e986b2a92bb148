/* Many words sought in a long text: with a table of skips, and letter by letter. */
#define SIZE 60
#include "kernel.h"
enum { LENGTH = 1 << 20, WORD = 7 };

static unsigned char text[LENGTH];

static int with_skips(const unsigned char *word) {
    int skip[256], hits = 0;
    for (int i = 0; i < 256; i++) skip[i] = WORD;
    for (int i = 0; i < WORD - 1; i++) skip[word[i]] = WORD - 1 - i;
    for (int at = 0; at + WORD <= LENGTH; at += skip[text[at + WORD - 1]])
        if (!memcmp(text + at, word, WORD)) hits++;
    return hits;
}

static int letter_by_letter(const unsigned char *word) {
    int hits = 0;
    for (int at = 0; at + WORD <= LENGTH; at++) {
        int same = 0;
        while (same < WORD && text[at + same] == word[same]) same++;
        hits += same == WORD;
    }
    return hits;
}

int main(int argc, char **argv) {
    int words = run_size(argc, argv);
    uint64_t sum = 0;
    for (int i = 0; i < LENGTH; i++) text[i] = 'a' + next_random() % 4;
    for (int i = 0; i < words; i++) {
        const unsigned char *word = text + next_random() % (LENGTH - WORD);
        sum = sum * 131 + with_skips(word) * 3 + letter_by_letter(word);
    }
    return print_sum(sum);
}
