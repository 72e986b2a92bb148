/** Sets of functions, as `-e trace=SET` takes them: `wit/classes.py`, `names.py`, `semver.py` and `glob.py`
 * once more, without the parts that only a command needs.  A test compares both over texts of all kinds. */

const SETS_MAX_GLOB = 4096;
const SETS_MAX_BRACES = 16;
/** What Python's `strip` takes away. */
const SETS_SPACE = /^[\t-\r\x1c-\x20\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]$/;

/** What somebody wrote is wrong; `at` counts characters from 0. */
export class SetError extends Error {
  constructor(message, at) {
    super(message);
    this.at = at;
  }
}

function* setsBits(mask) {
  const digits = mask.toString(2);
  for (let i = digits.length - 1; i >= 0; i -= 1) if (digits[i] === '1') yield digits.length - 1 - i;
}

/** The `]` that closes the `[` at `start`; -1 if none does. */
function setsClassEnd(chars, start) {
  return chars.indexOf(']', start + (chars[start + 1] === '!' ? 3 : 2));
}

/** `[position, characters]` of the parts between separators outside braces and classes. */
function setsSplit(chars, separator) {
  const parts = [];
  let depth = 0;
  let start = 0;
  for (let at = 0; at < chars.length; at += 1) {
    const ch = chars[at];
    if (ch === '[') {
      at = Math.max(at, setsClassEnd(chars, at));
    } else if (ch === '{') {
      depth += 1;
    } else if (ch === '}') {
      depth = Math.max(0, depth - 1);
    } else if (ch === separator && depth === 0) {
      parts.push([start, chars.slice(start, at)]);
      start = at + 1;
    }
  }
  parts.push([start, chars.slice(start)]);
  return parts;
}

/** A glob as positions (Glushkov) whose sets are bits of a number: a text is read once, whatever the glob. */
class SetsGlob {
  constructor(chars, position) {
    this.chars = chars;
    this.position = position;
    this.follow = [];
    this.tests = [];
    this.open = [];
    this.part = setsPart(true);
    this.all = setsPart(false);
    this.read();
  }

  fail(message, at) {
    throw new SetError(message, this.position + at);
  }

  read() {
    const {chars} = this;
    if (chars.length > SETS_MAX_GLOB) this.fail(`longer than ${SETS_MAX_GLOB} characters`, SETS_MAX_GLOB);
    for (this.at = 0; this.at < chars.length; this.at += 1) this.step(chars[this.at]);
    if (this.open.length) this.fail('"{" is never closed', this.open[this.open.length - 1].at);
    setsEither(this.all, this.part);
  }

  step(ch) {
    const {open} = this;
    if (ch === '*') {
      if (this.chars[this.at - 1] !== '*') this.add(() => true, true);
    } else if (ch === '?') {
      this.add(() => true);
    } else if (ch === '[') {
      this.charClass();
    } else if (ch === '{') {
      if (open.length === SETS_MAX_BRACES) this.fail(`"{" nested more than ${SETS_MAX_BRACES} deep`, this.at);
      open.push({at: this.at, before: this.part, found: setsPart(false)});
      this.part = setsPart(true);
    } else if (ch === '}') {
      this.close();
    } else if (ch === '|' || (ch === ',' && open.length)) {
      setsEither(open.length ? open[open.length - 1].found : this.all, this.part);
      this.part = setsPart(true);
    } else {
      this.add((other) => other === ch);
    }
  }

  /** A position that takes one character that passes, or any number of them. */
  add(test, many = false) {
    const bit = 1n << BigInt(this.follow.length);
    this.follow.push(many ? bit : 0n);
    this.tests.push(test);
    this.then({first: bit, last: bit, empty: many});
  }

  then(more) {
    const {part} = this;
    for (const one of setsBits(part.last)) this.follow[one] |= more.first;
    if (part.empty) part.first |= more.first;
    part.last = more.last | (more.empty ? part.last : 0n);
    part.empty = part.empty && more.empty;
  }

  close() {
    const group = this.open.pop();
    if (!group) this.fail('"}" without "{"', this.at);
    setsEither(group.found, this.part);
    if (!group.found.first) this.fail('there is nothing between "{" and "}"', group.at);
    this.part = group.before;
    this.then(group.found);
  }

  charClass() {
    const {chars, at} = this;
    const end = setsClassEnd(chars, at);
    if (end < 0) this.fail('"[" is never closed', at);
    const negated = chars[at + 1] === '!';
    const body = chars.slice(at + 1 + negated, end);
    const ranges = [];
    for (let i = 0; i < body.length;) {
      const wide = body[i + 1] === '-' && i + 2 < body.length;
      const [low, high] = [body[i].codePointAt(0), body[wide ? i + 2 : i].codePointAt(0)];
      if (low > high) this.fail(`"${body[i]}-${body[i + 2]}" is an empty range`, at);
      ranges.push([low, high]);
      i += wide ? 3 : 1;
    }
    this.add((ch) => {
      const code = ch.codePointAt(0);
      return ranges.some(([low, high]) => low <= code && code <= high) !== negated;
    });
    this.at = end;
  }

  fullmatch(text) {
    const {all, follow, tests} = this;
    let offered = all.first;
    let accepts = all.empty;
    for (const ch of text) {
      let next = 0n;
      accepts = false;
      for (const one of setsBits(offered)) {
        if (!tests[one](ch)) continue;
        next |= follow[one];
        accepts ||= (all.last >> BigInt(one)) % 2n === 1n;
      }
      offered = next;
    }
    return accepts;
  }
}

function setsPart(empty) {
  return {first: 0n, last: 0n, empty};
}

function setsEither(all, part) {
  all.first |= part.first;
  all.last |= part.last;
  all.empty = all.empty || part.empty;
}

const SETS_NUMBER = '(?:0|[1-9][0-9]{0,18})';
const SETS_PRE = '(?:0|[1-9][0-9]{0,18}|[0-9]*[A-Za-z-][0-9A-Za-z-]*)';
const SETS_VERSION = new RegExp(
  `^(${SETS_NUMBER})(?:\\.(${SETS_NUMBER})(?:\\.(${SETS_NUMBER})` +
    `(?:-(${SETS_PRE}(?:\\.${SETS_PRE})*))?(?:\\+([0-9A-Za-z-]+(?:\\.[0-9A-Za-z-]+)*))?)?)?$`,
);

function setsVersion(text) {
  const found = SETS_VERSION.exec(text);
  if (!found) return null;
  const [major, minor, patch] = found.slice(1, 4).map((n) => (n === undefined ? null : BigInt(n)));
  const track = major
    ? [major]
    : minor === null
      ? [0n]
      : minor || patch === null
        ? [0n, minor]
        : [0n, 0n, patch];
  return {
    parts: [major, minor, patch],
    base: [major, minor ?? 0n, patch ?? 0n],
    track,
    patch,
    pre: found[4] ?? '',
    build: found[5] ?? '',
  };
}

/** Whether a version fits a pattern of versions; null is none. */
function setsFits({operator, version: want}, text) {
  if (operator === '*') return true;
  const have = text === null ? null : setsVersion(text);
  if (!have) return false;
  if (want.pre || have.pre) {
    return (
      want.base.every((n, i) => n === have.base[i]) && want.pre === have.pre && want.build === have.build
    );
  }
  if (operator === '=') {
    return (
      want.parts.every((n, i) => n === null || n === have.parts[i]) &&
      (!want.build || want.build === have.build)
    );
  }
  if (!want.track.every((n, i) => n === have.track[i])) return false;
  if (have.patch === null) return true;
  const differs = want.base.findIndex((n, i) => n !== have.base[i]);
  return differs < 0 || have.base[differs] > want.base[differs];
}

function setsVersionPattern(text, position) {
  if (text === '*') return {operator: '*'};
  const operator = /^[=^]/.test(text) ? text[0] : '';
  const version = setsVersion(text.slice(operator.length));
  if (!version) {
    throw new SetError('expected a version such as 0.2, ^0.2.3 or =0.2.3', position + operator.length);
  }
  return {operator: operator || '^', version};
}

const SETS_RAW = /^\[(?:async|(?:async )?(?:constructor|method|static)|resource-(?:new|rep|drop))\]/;
const SETS_SUFFIX = {'[constructor]': '.new', '[resource-drop]': '.drop'};

/** A raw name as a label: `[method]r.m` → `r.m`. */
function setsLabel(name) {
  const dropped = /^\[resource-drop\]([^]*)$/.exec(name);
  if (dropped) return `${dropped[1]}.drop`;
  const found = /^\[(async|(?:async )?(?:constructor|method|static))\]([^]*)$/.exec(name);
  if (!found) return name;
  return found[1].endsWith('constructor') ? `${found[2]}.new` : found[2];
}

/** `interface[@version]#function`; a name is `[interface, version or null, function]`. */
class SetsPattern {
  constructor(chars) {
    this.text = chars.join('');
    const [[, left], ...rights] = setsSplit(chars, '#');
    if (rights.length > 1) throw new SetError('more than one "#"', rights[1][0] - 1);
    this.alternatives = [];
    for (const [position, part] of setsSplit(left, '|')) this.alternative(part, position);
    this.functions =
      rights.length && rights[0][1].length
        ? setsSplit(rights[0][1], '|').map(([start, part]) => setsFunction(part, rights[0][0] + start))
        : null;
  }

  alternative(part, position) {
    const text = part.join('');
    const before = this.alternatives[this.alternatives.length - 1];
    if (before?.version && /^[=^]?[0-9][^:/]*$/.test(text)) {
      this.alternatives.push({glob: before.glob, version: setsVersionPattern(text, position)});
      return;
    }
    const at = part.indexOf('@');
    const glob = new SetsGlob(at < 0 ? part : part.slice(0, at), position);
    const version = at < 0 ? null : setsVersionPattern(part.slice(at + 1).join(''), position + at + 1);
    this.alternatives.push({glob, version});
  }

  matches([name, version, func]) {
    const label = setsLabel(func);
    if (this.functions && !this.functions.some((one) => setsFunctionFits(one, label))) return false;
    return this.alternatives.some(
      (one) => one.glob.fullmatch(name) && (!one.version || setsFits(one.version, version)),
    );
  }
}

function setsFunction(part, position) {
  const raw = SETS_RAW.exec(part.join(''))?.[0] ?? '';
  return {
    glob: new SetsGlob(part.slice(raw.length), position + raw.length),
    prefix: raw === '[resource-new]' || raw === '[resource-rep]' ? raw : '',
    suffix: SETS_SUFFIX[raw.replace('async ', '')] ?? '',
  };
}

function setsFunctionFits({glob, prefix, suffix}, label) {
  if (label.length < prefix.length + suffix.length) return false;
  if (!label.startsWith(prefix) || !label.endsWith(suffix)) return false;
  return glob.fullmatch(label.slice(prefix.length, label.length - suffix.length));
}

/** One item of a set: at that edge, by those patterns; neither: everything. */
class SetsItem {
  constructor(include, patterns = [], edge = '') {
    this.include = include;
    this.patterns = patterns;
    this.edge = edge;
    /** Whether it was written for built-ins: `%async`, `#context.*`, but not `*` or `#*`. */
    this.raw =
      edge === 'builtin' ||
      patterns.some(({text}) => text.startsWith('#') && text.replace(/^[#*|]+|[#*|]+$/g, '') !== '');
  }

  matches(edge, names) {
    if (this.edge && edge !== this.edge) return false;
    return (
      !this.patterns.length || this.patterns.some((pattern) => names.some((name) => pattern.matches(name)))
    );
  }
}

/** `classes`: rows `{name, patterns, edge}`, as `page/classes.py` has them. */
export class SiteSet {
  constructor(text, classes) {
    this.classes = new Map(classes.map((row) => [row.name, row]));
    const chars = [...text];
    const start = text.startsWith('trace=') ? 'trace='.length : 0;
    this.items = setsSplit(chars.slice(start), ',').map(([position, part]) =>
      this.item(part, start + position),
    );
    this.default = !this.items[0].include;
    this.async = this.classes.has('async') ? this.ofClass('async', 0, true) : new SetsItem(true, [], 'none');
  }

  item(part, position) {
    let [from, to] = [0, part.length];
    while (from < to && SETS_SPACE.test(part[from])) from += 1;
    while (from < to && SETS_SPACE.test(part[to - 1])) to -= 1;
    if (from === to) [from, to] = [0, 0];
    const include = part[from] !== '!' || from === to;
    if (!include) {
      from += 1;
      while (from < to && SETS_SPACE.test(part[from])) from += 1;
    }
    const body = part.slice(from, to);
    const text = body.join('');
    const at = position + from;
    if (!text)
      throw new SetError('expected a class such as %net, a pattern such as wasi:io/*, all or none', at);
    if (text === 'all') return new SetsItem(include);
    if (text === 'none') return new SetsItem(!include);
    if (text.startsWith('%')) return this.ofClass(text.slice(1), at, include);
    if (!/[:/#*?[]/.test(text)) {
      throw new SetError(
        `"${text}" is neither a class nor a pattern; "#${text}" is a function of the world itself`,
        at,
      );
    }
    try {
      return new SetsItem(include, [new SetsPattern(body)]);
    } catch (error) {
      if (error instanceof SetError) error.at += at;
      throw error;
    }
  }

  ofClass(name, at, include) {
    const row = this.classes.get(name);
    if (!row) {
      const known = [...this.classes.keys()].map((each) => `%${each}`);
      const near = name ? known.filter((each) => each.includes(name)) : [];
      const words = near.length ? `did you mean ${near.join(' or ')}?` : `known: ${known.join(' ')}`;
      throw new SetError(`unknown class "%${name}"; ${words}`, at);
    }
    return new SetsItem(
      include,
      row.patterns.map((text) => new SetsPattern([...text])),
      row.edge,
    );
  }

  /** `roots`: what a function stands for at the root, each thing with its names; `others`: what it is
   * called inside.  An item selects by any name; one with `!` takes out only what it names at the root, and
   * that whole. */
  selects(edge, roots, others) {
    const groups = [...roots, others];
    const raw = edge === 'builtin' && groups.some((group) => this.async.matches(edge, group));
    for (const item of [...this.items].reverse()) {
      if (item.include) {
        if (raw && !item.raw) continue;
        if (groups.some((group) => item.matches(edge, group))) return true;
      } else if (roots.length && roots.every((group) => item.matches(edge, group))) {
        return false;
      }
    }
    return this.default && !raw;
  }
}
