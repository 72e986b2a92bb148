/* Maps and aggregations drawn for people, line by line, as render/table.py draws what is reported. */
#ifndef WHAMM_DRAW_H
#define WHAMM_DRAW_H

#include "dump.h"

enum { BAR = 40, MEAN_DIGITS = 6 };
#define ALL 0xFFFFFFFF

static struct {
    uint32_t site, lead;
} drawing;

static void print_spaces(uint32_t n) {
    while (n--) print_str(" ", 1);
}

static void begin_line(void) {
    print_begin(drawing.site);
    print_spaces(drawing.lead);
}

static void end_line(void) {
    while (print.at > TEXT_BYTES && *(uint8_t *)(print.at - 1) <= ' ') print.at--, print.size--;
    print_end();
}

static void draw_line(const char *text, uint32_t size) {
    begin_line();
    print_str(text, size);
    end_line();
}

/* Characters of what has been printed since `at`. */
static uint32_t width_since(uint32_t at) {
    uint32_t width = 0;
    for (; at < print.at; at++) width += (*(uint8_t *)at & 0xC0) != 0x80;
    return width;
}

/* A quotient to six digits, halves up, as render/scripted.py has it. */
static void print_mean(int64_t total, uint64_t count) {
    char digits[MEAN_DIGITS + 1];
    uint64_t rest = total < 0 ? -(uint64_t)total : (uint64_t)total, scale = 1;
    int32_t exponent = 0, n = 0, at;
    if (!rest) {
        print_str("0", 1);
        return;
    }
    if (total < 0) print_str("-", 1);
    uint64_t whole = rest / count;
    rest %= count;
    for (; whole / scale >= 10; scale *= 10) exponent++;
    for (; whole && n <= MEAN_DIGITS && scale; scale /= 10) digits[n++] = (char)(whole / scale % 10);
    if (!whole)
        for (exponent = -1; rest * 10 < count; rest *= 10) exponent--;
    for (; n <= MEAN_DIGITS; rest = rest * 10 % count) digits[n++] = (char)(rest * 10 / count);
    at = MEAN_DIGITS - 1;
    if (digits[MEAN_DIGITS] >= 5) {
        while (at >= 0 && digits[at] == 9) digits[at--] = 0;
        if (at >= 0) digits[at]++;
        if (at < 0) digits[0] = 1, exponent++;
    }
    for (n = MEAN_DIGITS; n > 1 && !digits[n - 1]; n--) {
    }
    for (at = 0; at < MEAN_DIGITS; at++) digits[at] += '0';
    if (exponent < -4 || exponent >= MEAN_DIGITS) {
        print_str(digits, 1);
        if (n > 1) print_str(".", 1), print_str(digits + 1, (uint32_t)n - 1);
        print_str(exponent < 0 ? "e-" : "e+", 2);
        uint32_t size = (uint32_t)(exponent < 0 ? -exponent : exponent);
        if (size < 10) print_str("0", 1);
        print_u64(size);
    } else if (exponent < 0) {
        print_str("0.", 2);
        for (at = -1; at > exponent; at--) print_str("0", 1);
        print_str(digits, (uint32_t)n);
    } else {
        print_str(digits, (uint32_t)exponent + 1);
        if (n > exponent + 1) print_str(".", 1), print_str(digits + exponent + 1, (uint32_t)(n - exponent - 1));
    }
}

#define PRINT(text) print_str(text, sizeof text - 1)

/* An aggregation that fits one line. */
static void draw_agg(const Agg *agg, uint32_t kind) {
    uint64_t count = agg ? agg->count : 0;
    int64_t value = agg ? agg->value : 0;
    if (kind == STATS) {
        PRINT("count ");
        print_u64(count);
        PRINT(", average ");
    }
    if (!count)
        PRINT("-");
    else if (kind == AVG || kind == STATS)
        print_mean(value, count);
    else
        print_i64(value);
    if (kind == AVG && count) {
        PRINT(" (count ");
        print_u64(count);
        PRINT(", sum ");
        print_i64(value);
        PRINT(")");
    }
    if (kind == STATS) {
        PRINT(", total ");
        print_i64(value);
    }
}

static void draw_items(Cursor *in) {
    uint32_t n = *in->desc++;
    int tuple = n != 1;
    if (tuple) PRINT("(");
    for (uint32_t i = 0; i < n; i++) {
        uint32_t kind = *in->desc++;
        if (i) PRINT(", ");
        if (kind == TUPLE) {
            draw_items(in);
            continue;
        }
        uint64_t word = *in->slot++;
        float single;
        double number;
        __builtin_memcpy(&single, &word, 4);
        __builtin_memcpy(&number, &word, 8);
        if (kind >= AGG)
            draw_agg((const Agg *)low(word), kind - AGG);
        else if (kind == STRING)
            print_str((const char *)low(word), high(word));
        else if (kind == BOOL)
            print_bool((int32_t)word);
        else if (kind == F32)
            print_f32(single);
        else if (kind == F64)
            print_f64(number);
        else if (kind == U64)
            print_u64(word);
        else
            print_i64((int64_t)word);
    }
    if (tuple) PRINT(")");
}

static int64_t bucket_end(const Agg *agg, uint32_t i) {
    int64_t low_ = bucket_low(agg, i);
    return (uint64_t)agg->high - (uint64_t)low_ < (uint64_t)agg->step ? agg->high : low_ + agg->step;
}

static void bucket_name(const Agg *agg, uint32_t i) {
    if (agg->kind != LHIST) {
        print_i64(bucket_low(agg, i));
    } else if (!i) {
        PRINT("(..., ");
        print_i64(agg->low);
        PRINT(")");
    } else {
        PRINT("[");
        print_i64(bucket_low(agg, i));
        if (i == agg->size - 1) {
            PRINT(", ...)");
        } else {
            PRINT(", ");
            print_i64(bucket_end(agg, i));
            PRINT(")");
        }
    }
}

static uint32_t bucket_width(const Agg *agg, uint32_t i) {
    print_begin(drawing.site);
    bucket_name(agg, i);
    return width_since(TEXT_BYTES);
}

static void draw_bars(const Agg *agg) {
    uint32_t first = 0, end = agg->size, width = 0;
    uint64_t most = 1;
    while (!agg->buckets[first]) first++;
    while (!agg->buckets[end - 1]) end--;
    for (uint32_t i = first; i < end; i++) {
        uint32_t wide = bucket_width(agg, i);
        if (wide > width) width = wide;
        if (agg->buckets[i] > most) most = agg->buckets[i];
    }
    for (uint32_t i = first; i < end; i++) {
        uint64_t count = agg->buckets[i], scaled = count * BAR, bar = scaled / most, rest = scaled % most;
        if (2 * rest > most || (2 * rest == most && bar & 1)) bar++;
        if (count && !bar) bar = 1;
        uint32_t wide = bucket_width(agg, i);
        begin_line();
        print_spaces(width - wide);
        bucket_name(agg, i);
        PRINT(" |");
        for (uint32_t k = 0; k < bar; k++) PRINT("#");
        print_spaces(BAR - (uint32_t)bar);
        PRINT("| ");
        print_u64(count);
        end_line();
    }
}

static void draw_nothing(void) { draw_line("(empty)", 7); }

static int is_several(uint32_t kind) { return kind == MAP || (kind >= AGG && is_hist(kind - AGG)); }

/* `desc` is that of a map or a histogram, behind its kind. */
static void draw_lines(uint32_t id, uint32_t kind, const uint8_t *desc, uint32_t limit);

static uint32_t draw_name(const Map *map, const uint8_t *key, const Entry *entry) {
    Cursor in = {key, entry->key, 0, 0};
    uint32_t at = print.at;
    (void)map;
    draw_items(&in);
    return width_since(at);
}

static void draw_map(const Map *map, const uint8_t *desc, uint32_t limit) {
    uint32_t count = map ? map->index.size : 0, class = heap_class(4 * count), width = 0;
    const uint8_t *value = desc;
    shape_of(&value);
    int several = *value == 1 && is_several(value[1]);
    Order order = {desc, several ? 0 : value, 1};
    Entry **entries = count ? sorted(map, &order, class) : 0;
    if (!count) draw_nothing();
    if (!entries) return;
    uint32_t shown = count < limit ? count : limit;
    for (uint32_t i = 0; i < shown && !several; i++) {
        print_begin(drawing.site);
        uint32_t wide = draw_name(map, desc, entries[i]);
        if (wide > width) width = wide;
    }
    for (uint32_t i = 0; i < shown; i++) {
        const uint64_t *slot = (const uint64_t *)value_of(map, entries[i]);
        begin_line();
        uint32_t wide = draw_name(map, desc, entries[i]);
        if (several) {
            end_line();
            drawing.lead += 2;
            draw_lines(low(*slot), value[1], value + 2, ALL);
            drawing.lead -= 2;
            continue;
        }
        print_spaces(width - wide + 2);
        Cursor in = {value, slot, 0, 0};
        draw_items(&in);
        end_line();
    }
    if (shown < count) {
        begin_line();
        PRINT("(");
        print_u64(count - shown);
        if (count - shown == 1) PRINT(" other)");
        else PRINT(" others)");
        end_line();
    }
    release((uint32_t)entries, class);
}

static void draw_lines(uint32_t id, uint32_t kind, const uint8_t *desc, uint32_t limit) {
    if (kind == MAP) {
        draw_map((const Map *)id, desc, limit);
        return;
    }
    const Agg *agg = (const Agg *)id;
    if (agg && agg->count)
        draw_bars(agg);
    else
        draw_nothing();
}

/* `desc`: that of the whole; `limit`: how many entries of a map. */
EXPORT(draw)
void draw(uint32_t site, uint32_t id, const uint8_t *desc, const char *title, uint32_t size, uint32_t limit) {
    uint32_t kind = desc[1];
    drawing.site = site;
    drawing.lead = 0;
    if (is_several(kind)) {
        draw_line(title, size);
        drawing.lead = 2;
        draw_lines(id, kind, desc + 2, limit);
        return;
    }
    begin_line();
    print_str(title, size);
    print_spaces(2);
    draw_agg((const Agg *)id, kind - AGG);
    end_line();
}

EXPORT(print_agg) void print_agg(uint32_t id, uint32_t kind) { draw_agg((const Agg *)id, kind); }

#endif
