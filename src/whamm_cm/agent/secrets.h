/* Secrets as values: what was seen in a secret place is masked wherever it appears again, before
 * anything leaves the sink.  The twin of trace/secrets.py, which says what is learned and what not;
 * both must agree byte for byte.
 *
 * mask_block() takes the payload of a block.  When no secret is known it only looks for what may be
 * one, eight bytes at a time. */
#ifndef WHAMM_SECRETS_H
#define WHAMM_SECRETS_H

#include "secret_names.h"
#include "values.h"

enum { SECRET_SLOTS = 128, SECRET_KEEP = 128, SECRET_SHORTEST = 6, SECRET_HEAD = 12, SECRET_SENT = 256 };

static const char secret_parameters[] =
    "access-token\0token\0*-token\0sig\0signature\0*-signature\0key\0*-key\0apikey\0password\0"
    "*-password\0passwd\0pwd\0secret\0*-secret\0code\0auth\0jwt\0assertion\0session\0sessionid\0"
    "session-id\0x-amz-*\0x-goog-*\0";
static const char cookie_attributes[] =
    "path\0domain\0expires\0max-age\0samesite\0secure\0httponly\0priority\0partitioned\0";
static const char schemes[] =
    "bearer\0basic\0token\0digest\0negotiate\0dpop\0apikey\0api-key\0bot\0hmac\0aws4-hmac-sha256\0";

typedef struct {
    uint8_t size, cut, bytes[SECRET_KEEP];
} Secret;

static struct {
    uint32_t count, next;
    uint32_t firsts[8]; /* a bit for each byte that a secret begins with */
    Secret slots[SECRET_SLOTS];
} secrets;

/* --- kinds of characters ---------------------------------------------------------------------- */

static int is_lower(uint32_t c) { return c - 'a' < 26u; }
static int is_upper(uint32_t c) { return c - 'A' < 26u; }
static int is_digit(uint32_t c) { return c - '0' < 10u; }
static int is_alnum(uint32_t c) { return is_lower(c) || is_upper(c) || is_digit(c); }
static int is_one_of(uint32_t c, const char *chars) {
    for (; *chars; chars++)
        if (c == (uint8_t)*chars) return 1;
    return 0;
}
static int is_graph(uint32_t c) { return c - 0x21 < 0x7Fu - 0x21u; }
static int is_word(uint32_t c) { return is_graph(c) && !is_one_of(c, "\"&;,<>'`"); }
static int is_name(uint32_t c) { return is_alnum(c) || is_one_of(c, "-_."); }
static int is_user(uint32_t c) { return is_graph(c) && !is_one_of(c, "/?#\"<>@"); }

static int same_bytes(const void *a, const void *b, uint32_t n) {
    const uint8_t *p = a, *q = b;
    while (n && *p == *q) p++, q++, n--;
    return !n;
}

/* --- what is no secret ------------------------------------------------------------------------ */

static int is_host(const uint8_t *p, uint32_t n) {
    uint32_t host = 0, dots = 0, label = 0, alpha = 1;
    while (host < n && p[host] != ':') host++;
    if (host < n) {
        if (host + 1 == n) return 0;
        for (uint32_t i = host + 1; i < n; i++)
            if (!is_digit(p[i])) return 0;
    }
    if (host == 9 && same_bytes(p, "localhost", 9)) return 1;
    for (uint32_t i = 0; i <= host; i++) {
        if (i < host && p[i] != '.') {
            if (!is_lower(p[i]) && !is_digit(p[i]) && p[i] != '-') return 0;
            if (!is_lower(p[i])) alpha = 0;
            if (++label > 24) return 0;
            continue;
        }
        if (!label) return 0;
        if (i == host) return dots > 0 && label > 1 && alpha;
        dots++;
        label = 0;
        alpha = 1;
    }
    return 0;
}

static int is_plain_path(const uint8_t *p, uint32_t n) {
    uint32_t lower = 0, upper = 0, digit = 0, size = 0;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t c = p[i];
        if (!is_alnum(c) && !is_one_of(c, "._-/:~+ ")) return 0;
        if (c == '/' || c == ':') {
            lower = upper = digit = size = 0;
            continue;
        }
        lower |= is_lower(c);
        upper |= is_upper(c);
        digit |= is_digit(c);
        if (++size > 24 || lower + upper + digit > 2) return 0;
    }
    return 1;
}

static int is_harmless(const uint8_t *p, uint32_t n) {
    uint32_t numbers = 0, path = p[0] == '/' || p[0] == '.';
    for (uint32_t i = 0; i < n; i++) {
        numbers += is_digit(p[i]) || is_one_of(p[i], ".:,/-+ ");
        path |= p[i] == ':' && i + 1 < n && p[i + 1] == '/';
    }
    if (numbers == n || same_bytes(p + n - 5, "UTF-8", 5)) return 1;
    return path ? is_plain_path(p, n) : is_host(p, n);
}

/* --- learning --------------------------------------------------------------------------------- */

static void add_secret(const uint8_t *p, uint32_t n, int cut) {
    if (n < SECRET_SHORTEST) return;
    for (uint32_t i = 0; i < n; i++)
        if (p[i] < 0x20 || p[i] == 0x7F) return;
    if (is_harmless(p, n)) return;
    uint32_t kept = n < SECRET_KEEP ? n : SECRET_KEEP;
    for (uint32_t i = 0; i < secrets.count; i++)
        if (secrets.slots[i].size == kept && same_bytes(secrets.slots[i].bytes, p, kept)) return;
    uint32_t slot = secrets.count;
    if (slot < SECRET_SLOTS) {
        secrets.count++;
    } else {
        slot = secrets.next;
        secrets.next = (slot + 1) % SECRET_SLOTS;
    }
    secrets.slots[slot].size = (uint8_t)kept;
    secrets.slots[slot].cut = (uint8_t)(cut || n > kept);
    __builtin_memcpy(secrets.slots[slot].bytes, p, kept);
    for (uint32_t i = 0; i < 8; i++) secrets.firsts[i] = 0;
    for (uint32_t i = 0; i < secrets.count; i++) {
        uint32_t first = secrets.slots[i].bytes[0];
        secrets.firsts[first / 32] |= 1u << first % 32;
    }
}

/* `p` without blanks at its ends. */
static const uint8_t *trimmed(const uint8_t *p, uint32_t *n) {
    while (*n && (*p == ' ' || *p == '\t')) p++, --*n;
    while (*n && (p[*n - 1] == ' ' || p[*n - 1] == '\t')) --*n;
    return p;
}

static int base64_value(uint32_t c) {
    if (is_upper(c)) return (int)c - 'A';
    if (is_lower(c)) return (int)c - 'a' + 26;
    if (is_digit(c)) return (int)c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* Name and password of `Basic`. */
static void add_basic(const uint8_t *p, uint32_t n) {
    uint8_t decoded[SECRET_KEEP];
    uint32_t bits = 0, have = 0, size = 0, colon = 0;
    if (n > SECRET_KEEP) n = SECRET_KEEP;
    while (n && p[n - 1] == '=') n--;
    if (n % 4 == 1) return;
    for (uint32_t i = 0; i < n; i++) {
        int digit = base64_value(p[i]);
        if (digit < 0) return;
        bits = bits << 6 | (uint32_t)digit;
        have += 6;
        if (have < 8) continue;
        have -= 8;
        decoded[size++] = (uint8_t)(bits >> have);
    }
    while (colon < size && decoded[colon] != ':') colon++;
    if (colon == size) return;
    add_secret(decoded, size, 0);
    add_secret(decoded + colon + 1, size - colon - 1, 0);
}

static void add_credentials(const uint8_t *p, uint32_t n, int cut) {
    uint32_t space = 0;
    while (space < n && p[space] != ' ') space++;
    if (space == n || !name_among(schemes, p, space)) return;
    uint32_t size = n - space;
    const uint8_t *rest = p + space;
    while (size && *rest == ' ') rest++, size--;
    while (size && rest[size - 1] == ' ') size--;
    add_secret(rest, size, cut);
    if (name_matches("basic", p, space)) add_basic(rest, size);
}

/* The values of pairs between semicolons. */
static void add_cookies(const uint8_t *p, uint32_t n) {
    for (uint32_t start = 0, i = 0; i <= n; i++) {
        if (i < n && p[i] != ';') continue;
        uint32_t size = i - start, equals = 0;
        const uint8_t *part = trimmed(p + start, &size);
        start = i + 1;
        while (equals < size && part[equals] != '=') equals++;
        if (equals == size || name_among(cookie_attributes, part, equals)) continue;
        const uint8_t *value = part + equals + 1;
        size -= equals + 1;
        while (size && *value == '"') value++, size--;
        while (size && value[size - 1] == '"') size--;
        add_secret(value, size, 0);
    }
}

/* --- URLs ------------------------------------------------------------------------------------- */

/* Whether the `=` at `at` follows the name of a secret parameter. */
static int is_parameter(const uint8_t *p, uint32_t at) {
    uint32_t start = at;
    while (start && at - start <= 64 && is_name(p[start - 1])) start--;
    if (!start || !is_one_of(p[start - 1], "?&;#") || at - start - 1 > 63) return 0;
    return name_among(secret_parameters, p + start, at - start);
}

/* Where the password before the `@` at `at` begins, the user's name where there is none; `at` when
 * this is no URL.  Without a scheme it takes both, from the text's start. */
static uint32_t user_at(const uint8_t *p, uint32_t at, uint32_t n) {
    uint32_t start = at, colon = NONE;
    while (start && is_user(p[start - 1])) {
        start--;
        if (p[start] == ':') colon = start;
    }
    if (start >= 3 && p[start - 3] == ':' && p[start - 2] == '/' && p[start - 1] == '/')
        return colon == NONE ? start : colon + 1;
    if (start || colon == NONE || !colon || at + 1 >= n) return at;
    return name_among("mailto\0sip\0acct\0xmpp\0", p, colon) ? at : colon + 1;
}

/* Learns secrets in URLs, and masks them if asked to.  Values of parameters first, then passwords:
 * what one finds does not hide from the other. */
static void in_urls(uint8_t *p, uint32_t n, int mask) {
    uint32_t spans[2 * 32], count = 0;
    for (uint32_t i = 0; i < n; i++) {
        if (p[i] != '=' || !is_parameter(p, i)) continue;
        uint32_t end = i + 1;
        while (end < n && is_word(p[end]) && p[end] != '#') end++;
        if (count < 32) spans[2 * count] = i + 1, spans[2 * count++ + 1] = end;
        i = end - 1;
    }
    for (uint32_t i = 0; i < n; i++) {
        uint32_t start = p[i] == '@' ? user_at(p, i, n) : i;
        if (start < i && count < 32) spans[2 * count] = start, spans[2 * count++ + 1] = i;
    }
    for (uint32_t i = 0; i < count; i++) {
        add_secret(p + spans[2 * i], spans[2 * i + 1] - spans[2 * i], 0);
        for (uint32_t k = spans[2 * i]; k < spans[2 * i + 1] && mask; k++) p[k] = '*';
    }
}

/* Takes note of a secret value, or of its first SECRET_SENT bytes, and masks it where it lies. */
static void learn(uint8_t *sent, uint32_t size) {
    uint32_t n = size, wide = n >= 2 && n % 2 == 0, url = 0, pairs = 0;
    int cut = size >= SECRET_SENT;
    for (uint32_t i = 0; i < n && wide; i++) wide = i % 2 ? !sent[i] : !!sent[i];
    if (wide) {
        n /= 2;
        for (uint32_t i = 0; i < n; i++) sent[i] = sent[2 * i];
    }
    uint8_t *p = (uint8_t *)trimmed(sent, &n);
    for (uint32_t i = 0; i < n; i++) {
        pairs |= p[i] == '=';
        url |= i + 2 < n && p[i] == ':' && p[i + 1] == '/' && p[i + 2] == '/';
    }
    if (!url) {
        add_secret(p, n, cut);
        add_credentials(p, n, cut);
        if (pairs) add_cookies(p, n);
    }
    in_urls(p, n, 0);
    for (uint32_t i = 0; i < size; i++) sent[i] = '*';
}

/* --- masking ---------------------------------------------------------------------------------- */

/* How many bytes at `p` are the secret, each followed by a zero where `step` is 2.  Where only the
 * beginning is the same, what follows may be the rest of it, in a URL or in JSON. */
static uint32_t match_secret(const Secret *secret, const uint8_t *p, const uint8_t *end, uint32_t step) {
    uint32_t size = 0;
    const uint8_t *at = p;
    for (; size < secret->size && end - at >= (int32_t)step; size++, at += step)
        if (*at != secret->bytes[size] || (step == 2 && at[1])) break;
    int part = size < secret->size;
    if (part && size < SECRET_HEAD) return 0;
    for (; (secret->cut || part) && end - at >= (int32_t)step; at += step)
        if ((!is_word(*at) && at[-(int32_t)step] != '\\') || (step == 2 && at[1])) break;
    return (uint32_t)(at - p);
}

/* Masks what is known in one text. */
static void scrub(uint8_t *p, uint32_t n) {
    uint8_t *end = p + n;
    while (p < end) {
        uint32_t best = 0, apart = 1;
        if (secrets.firsts[*p / 32] >> *p % 32 & 1)
            for (uint32_t i = 0; i < secrets.count; i++)
                for (uint32_t step = 1; step <= 2; step++) {
                    uint32_t size = match_secret(&secrets.slots[i], p, end, step);
                    if (size > best) best = size, apart = step;
                }
        for (uint32_t i = 0; i < best; i += apart) p[i] = '*';
        p += best ? best : 1;
    }
}

/* --- blocks ----------------------------------------------------------------------------------- */

static int learning;

static void mask_value(const Node *node, uint8_t *image, uint32_t depth);

static void mask_text(void) {
    uint32_t kept = next_kept();
    if (kept > SECRET) return;
    int secret = kept == SECRET;
    if (secret) kept = next_kept();
    uint8_t *bytes = (uint8_t *)take(kept);
    if (!bytes) return;
    if (secret && learning)
        learn(bytes, kept);
    else if (!secret && learning)
        in_urls(bytes, kept, 1);
    else if (!secret)
        scrub(bytes, kept);
}

static void mask_elements(const Node *element, uint8_t *image, uint32_t count, uint32_t depth) {
    for (uint32_t i = 0; i < count && (element->flags & 1) && !in.broken; i++)
        mask_value(element, image + i * element->size, depth + 1);
}

static void mask_list(const Node *node, uint32_t depth) {
    const Node *element = node_of(node->a);
    uint32_t kept;
    if (node->kind == LIST && element->kind == U8) {
        mask_text();
        return;
    }
    kept = next_kept();
    if (kept >= SECRET) return;
    uint8_t *elements = (uint8_t *)take((uint64_t)kept * element->size);
    if (elements) mask_elements(element, elements, kept, depth);
}

static void mask_value(const Node *node, uint8_t *image, uint32_t depth) {
    const Entry *entry = entries_of(node);
    if (!(node->flags & 1) || in.broken) return;
    if (depth > MAX_DEPTH) {
        in.tail = in.end;
        return;
    }
    switch (node->kind) {
    case STRING:
        mask_text();
        return;
    case LIST:
    case MAP:
        mask_list(node, depth);
        return;
    case FIXED_LIST:
        mask_elements(node_of(node->a), image, node->count, depth);
        return;
    case RECORD:
    case TUPLE:
        for (uint32_t i = 0; i < node->count; i++)
            mask_value(node_of(entry[i].type), image + entry[i].offset, depth + 1);
        return;
    default:
        entry += load_sized(image, node->a);
        if (load_sized(image, node->a) < node->count && entry->type != NONE)
            mask_value(node_of(entry->type), image + node->b, depth + 1);
    }
}

/* The type of a record's values where texts may be in them, and where those begin; else 0. */
static const Node *texts_of(const uint8_t *p, uint32_t size, uint32_t *at) {
    uint32_t word = load32(p + 4), phase = word & 15, flags = word >> 4 & 15, number = word >> 8;
    int values = phase == CALL || phase == RETURN, scripted = phase == REPORT || phase == PRINT;
    if (!(values || scripted) || (flags & (BAD | BIG)) || number >= table()->n_sites) return 0;
    const Site *site = (const Site *)(table_at() + table()->sites) + number;
    int script = site->kind == SITE_VARIABLE || site->kind == SITE_PRINT;
    uint32_t root = phase == CALL ? site->params : site->result;
    if (script != scripted || root == NONE) return 0;
    *at = RECORD_HEADER;
    if (flags & TIMED) *at += phase == RETURN ? 16 : 8;
    if (values && flags & TASK) *at += 4;
    const Node *node = node_of(root);
    return node->flags & 1 && *at + node->size <= size ? node : 0;
}

static void mask_record(uint8_t *p, uint32_t size) {
    uint32_t at;
    if ((load32(p + 4) & 15) == PART) { /* of a value without a limit: all of it may be text */
        if (!learning) scrub(p + RECORD_HEADER, size - RECORD_HEADER);
        return;
    }
    const Node *node = texts_of(p, size, &at);
    if (!node) return;
    in.broken = 0;
    in.tail = p + at + node->size;
    in.end = p + size;
    mask_value(node, p + at, 1);
}

static void mask_records(uint8_t *p, uint32_t size, int learn_now) {
    learning = learn_now;
    while (size >= RECORD_HEADER) {
        uint32_t own = load32(p);
        if (own < RECORD_HEADER || own > size) return;
        mask_record(p, own);
        p += own;
        size -= own;
    }
}

/* Whether a password or a user of a URL may stand before the `@` at `at`. */
static int follows_user(const uint8_t *p, uint32_t at) {
    uint32_t start = at;
    for (; start && is_user(p[start - 1]); start--)
        if (p[start - 1] == ':') return 1;
    return start != at && start >= 3 && same_bytes(p + start - 3, "://", 3);
}

static int is_sign(const uint8_t *p, uint32_t k, uint32_t size) {
    if (p[k] == 0xFF) return k && k + 3 <= size && load32(p + k - 1) == SECRET;
    if (p[k] == '=') return is_parameter(p, k);
    return p[k] == '@' && follows_user(p, k);
}

/* A bit for each of eight bytes that may be a sign: '=' to '@', and 0xFF.  No sum carries. */
static uint64_t signs_in(uint64_t word) {
    uint64_t ones = 0x0101010101010101u, low = word & 0x7F * ones;
    uint64_t from = low + (0x80 - '=') * ones, beyond = low + (0x7F - '@') * ones;
    return ((from & ~beyond & ~word) | ((low + ones) & word)) & ones << 7;
}

/* Whether there may be a secret to learn: a mark, a parameter, or a user of a URL.  A few bytes
 * behind may be read. */
static int is_suspicious(const uint8_t *p, uint32_t size) {
    for (uint32_t i = 0; i < size; i += 8)
        for (uint64_t found = signs_in(load64(p + i)); found; found &= found - 1) {
            uint32_t k = i + (uint32_t)__builtin_ctzll(found) / 8;
            if (k < size && is_sign(p, k, size)) return 1;
        }
    return 0;
}

/* By what records say of themselves, and kept inverted, so that nothing is known at first: where the
 * tail of their values begins, 0 where there are no texts. */
static struct {
    uint32_t inverted, tail;
} tails[32];

static uint32_t tail_of(const uint8_t *p, uint32_t size) {
    uint32_t word = load32(p + 4), slot = (word ^ word >> 8) % 32, at;
    if (tails[slot].inverted != ~word) {
        const Node *node = texts_of(p, MAX_RECORD, &at);
        tails[slot].inverted = ~word;
        tails[slot].tail = node ? at + node->size : 0;
    }
    return tails[slot].tail < size ? tails[slot].tail : 0;
}

/* The same of all records.  The bytes of times are signs as often as not: only what texts are kept
 * of is looked at. */
static int are_suspicious(const uint8_t *p, uint32_t size) {
    while (size >= RECORD_HEADER) {
        uint32_t own = load32(p);
        if (own < RECORD_HEADER || own > size) return 0;
        uint32_t tail = tail_of(p, own);
        if (tail && is_suspicious(p + tail, own - tail)) return 1;
        p += own;
        size -= own;
    }
    return 0;
}

/* Masks the secrets in the texts of records, those that this block is the first to tell, too. */
static void mask_block(uint8_t *records, uint32_t size) {
    if (!secrets.count && !are_suspicious(records, size)) return;
    mask_records(records, size, 1);
    if (secrets.count) mask_records(records, size, 0);
}

#endif
