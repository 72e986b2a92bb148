/* Where the wanted instructions are, and which of them are alike. */

enum { WANTED = 1, BY_IMMEDIATES = 2 };

typedef struct {
    u32 span, pos, end, row, opidx, alike;
    u32 low, high; /* value_of */
} Found;

/* Instructions that are alike: of one row, with the same immediates where that is asked for. */
typedef struct {
    u32 row, pos, end, count;
} Alike;

static Alike *alikes;
static u32 alike_count;
/* There is room for all that there can be, but only what is needed is touched: pages count. */
static u32 *buckets, bucket_mask, in_buckets;
enum { FIRST_BUCKETS = 1024 };
static u32 row_alike[ROWS]; /* of rows whose immediates do not matter: the number + 1 */

static u32 hash_of(u32 row, const u8 *at, const u8 *stop) {
    u32 hash = 2166136261u ^ row;
    while (at < stop) hash = (hash ^ *at++) * 16777619u;
    return hash ^ hash >> 15;
}

static int same(const Alike *one, u32 row, const u8 *at, const u8 *stop) {
    if (one->row != row || (u32)(stop - at) != one->end - one->pos) return 0;
    for (const u8 *other = (const u8 *)one->pos; at < stop; at++, other++)
        if (*at != *other) return 0;
    return 1;
}

static void put_in_bucket(u32 number) {
    const Alike *one = &alikes[number];
    u32 place = hash_of(one->row, (const u8 *)one->pos, (const u8 *)one->end) & bucket_mask;
    while (buckets[place]) place = (place + 1) & bucket_mask;
    buckets[place] = number + 1;
}

static void more_buckets(void) {
    if (2 * ++in_buckets <= bucket_mask) return;
    for (u32 i = 0; i <= bucket_mask; i++) buckets[i] = 0;
    bucket_mask = 2 * bucket_mask + 1;
    for (u32 i = 0; i < alike_count; i++)
        if (!row_alike[alikes[i].row]) put_in_bucket(i);
}

/* The number of those like the instruction at..stop. */
static u32 alike_of(u32 row, const u8 *at, const u8 *stop, u32 with) {
    if (!with) {
        if (!row_alike[row]) {
            alikes[alike_count] = (Alike){row, (u32)at, (u32)stop, 0};
            row_alike[row] = ++alike_count;
        }
        alikes[row_alike[row] - 1].count++;
        return row_alike[row] - 1;
    }
    u32 place = hash_of(row, at, stop) & bucket_mask;
    while (buckets[place]) {
        if (same(&alikes[buckets[place] - 1], row, at, stop)) {
            alikes[buckets[place] - 1].count++;
            return buckets[place] - 1;
        }
        place = (place + 1) & bucket_mask;
    }
    alikes[alike_count] = (Alike){row, (u32)at, (u32)stop, 1};
    buckets[place] = ++alike_count;
    more_buckets();
    return alike_count - 1;
}

static u32 total_size(const u32 *spans, u32 n) {
    u32 size = 0;
    for (u32 i = 0; i < n; i++) size += spans[2 * i + 1] - spans[2 * i];
    return size;
}

static void make_buckets(const u32 *spans, u32 n, const u8 *wanted) {
    u32 distinct = ROWS, size = FIRST_BUCKETS;
    for (u32 row = 0; row < ROWS; row++)
        if (wanted[row] & BY_IMMEDIATES) distinct = ROWS + total_size(spans, n) / 2;
    while (size < 4 * distinct) size *= 2;
    bucket_mask = FIRST_BUCKETS - 1;
    in_buckets = 0;
    buckets = (u32 *)take(4 * size);
    alikes = (Alike *)take((u32)sizeof(Alike) * distinct);
}

static struct {
    u32 found, count, alikes, alike_count, seen;
} result;

/* The instructions between each pair of addresses in spans, their places told without "by"; 0
   when one is malformed.  Without "each" only the groups are told, and of each span the flags of
   what it holds. */
__attribute__((export_name("scan"))) u32 scan(
    const u32 *spans, u32 n, const u8 *wanted, u32 by, u32 each) {
    writing = 0;
    marking = 0;
    make_buckets(spans, n, wanted);
    set_quick(wanted, 0, 0);
    u8 *seen = take(n);
    Found *out = (Found *)take(0);
    result.found = (u32)out;
    for (u32 i = 0; i < n; i++) {
        u32 opidx = 0;
        span_number = i;
        p = (const u8 *)spans[2 * i];
        end = (const u8 *)spans[2 * i + 1];
        for (;; opidx++) {
            opidx += skip_quickly();
            if (p >= end) break;
            const u8 *at = p;
            if (!step()) return 0;
            u8 flags = wanted[row_number];
            if (!flags) continue;
            u32 like = alike_of(row_number, at, p, flags & BY_IMMEDIATES);
            if (!each) {
                seen[i] |= flags;
                continue;
            }
            more(out, sizeof(Found));
            *out++ = (Found){i, (u32)at - by, (u32)p - by, row_number, opidx, like,
                             (u32)value_of, (u32)(value_of >> 32)};
        }
    }
    result.count = (u32)(out - (Found *)result.found);
    result.alikes = (u32)alikes;
    result.alike_count = alike_count;
    result.seen = (u32)seen;
    return 1;
}
