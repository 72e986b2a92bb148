/** What the page shows: the model, and the calls of a run as columns. */

/** How a call ended, by the number in its column. */
export const OUTCOMES = ['returned', 'pending', 'unfinished'];
export const FAILED = 1;
export const IS_TASK = 2;
export const WAITED_LATER = 4;
export const CANCELLED = 8;
export const DENIED = 16;

/** The columns, with the arrays that hold them: as `columns` of `render/page/run.py` says them. */
const COLUMNS = {
  site: Int32Array, instance: Float64Array, task: Float64Array, req: Float64Array, parent: Int32Array,
  depth: Int32Array, start: Float64Array, dur: Float64Array, self: Float64Array, frame: Float64Array,
  result: Float64Array, outcome: Uint8Array, flags: Uint8Array, bytes: Float64Array,
};
const VALUES_KEPT = 32;

/** base64 of gzip of JSON, read. */
export async function modelUnpack(text) {
  return JSON.parse(await modelText(text));
}

async function modelText(packed) {
  const binary = atob(packed);
  const data = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; i += 1) data[i] = binary.charCodeAt(i);
  const stream = new Blob([data]).stream().pipeThrough(new DecompressionStream('gzip'));
  return new Response(stream).text();
}

/** Ends and escapes of texts, and numbers whole: digits behind a point are no number of their own.  A text as
 * one token would be more than V8's stack takes, if there are millions of escapes in it. */
const MODEL_TOKENS = /"|\\.|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g;

/** JSON of values, read: whole numbers that are none of JavaScript's are `{"~int": digits}`. */
export function modelValues(text) {
  if (!/\d{16}/.test(text)) return JSON.parse(text);
  let inside = false;
  const exact = text.replace(MODEL_TOKENS, (token) => {
    if (token === '"') inside = !inside;
    else if (!inside && /^-?\d{16,}$/.test(token) && !Number.isSafeInteger(Number(token))) return `{"~int":"${token}"}`;
    return token;
  });
  return JSON.parse(exact);
}

/** Calls as columns; `n` grows while chunks arrive.  Times are ns since the run's `t0` (of a log
 * without times: 1000 a record).  `dur` goes to the end of the log for what never returned; `result` is how long
 * the result took, -1 for none; `frame`: how long the caller was kept from going on; `self`: -1 if not known. */
export class Calls {
  constructor(run) {
    this.run = run;
    this.n = 0;
    this.room = 0;
    this.waits = new Map();
    this.version = 0;
    this.pieces = [];
    this.cache = new Map();
    for (const [name, Kind] of Object.entries(COLUMNS)) this[name] = new Kind(0);
    this.reserve(run.calls);
  }

  reserve(room) {
    if (room <= this.room) return;
    for (const [name, Kind] of Object.entries(COLUMNS)) {
      const wider = new Kind(room);
      wider.set(this[name].subarray(0, this.n));
      this[name] = wider;
    }
    this.room = room;
  }

  /** Adds a chunk, `{first, n, columns, waits, values}`; its indices count from the first call of the log. */
  append(chunk) {
    if (this.n + chunk.n > this.room) this.reserve(Math.max(this.n + chunk.n, this.room * 2));
    const {columns} = chunk;
    let start = 0;
    for (let i = 0; i < chunk.n; i += 1) {
      const at = this.n + i;
      start += columns.start[i];
      for (const name of Object.keys(COLUMNS)) this[name][at] = columns[name][i];
      this.start[at] = start;
    }
    for (const [index, waits] of chunk.waits) this.waits.set(index, waits);
    this.pieces.push({first: chunk.first, n: chunk.n, values: chunk.values});
    this.n += chunk.n;
    this.version += 1;
  }

  /** Begins anew: a live page is told of a run, and of all calls there are to show of it, in one chunk. */
  restart(run, chunk) {
    this.run = run;
    this.n = 0;
    this.waits = new Map();
    this.pieces = [];
    this.cache = new Map();
    this.append(chunk);
  }

  siteOf(i) {
    return this.run.sites[this.site[i]];
  }

  /** As the log names it, exports and inner calls marked. */
  name(i) {
    return siteTitle(this.siteOf(i));
  }

  end(i) {
    return this.start[i] + this.dur[i];
  }

  failed(i) {
    return (this.flags[i] & FAILED) !== 0;
  }

  /** The calls made from `i`, in order. */
  childrenOf(i) {
    const {heads, list} = this.tree();
    return list.subarray(heads[i], heads[i + 1]);
  }

  /** Children of all calls, as compressed rows. */
  tree() {
    if (this.treeOf === this.version) return this.treeKept;
    const heads = new Int32Array(this.n + 1);
    for (let i = 0; i < this.n; i += 1) if (this.parent[i] >= 0) heads[this.parent[i] + 1] += 1;
    for (let i = 0; i < this.n; i += 1) heads[i + 1] += heads[i];
    const list = new Int32Array(heads[this.n]);
    const next = heads.slice();
    for (let i = 0; i < this.n; i += 1) {
      if (this.parent[i] >= 0) list[next[this.parent[i]]++] = i;
    }
    this.treeKept = {heads, list};
    this.treeOf = this.version;
    return this.treeKept;
  }

  /** `{args, result, data, self, about}` of call `i`, as far as there are. */
  async values(i) {
    const piece = this.pieces.find((each) => i >= each.first && i < each.first + each.n);
    if (!piece) return {};
    let read = this.cache.get(piece);
    if (!read) {
      read = typeof piece.values === 'string'
        ? modelText(piece.values).then(modelValues)
        : Promise.resolve(piece.values);
      this.cache.set(piece, read);
      if (this.cache.size > VALUES_KEPT) this.cache.delete(this.cache.keys().next().value);
    }
    return (await read)[i - piece.first] ?? {};
  }
}

/** A site as the log names it: `export wasi:http/incoming-handler#handle`. */
export function siteTitle(site) {
  return site.edge === 'export' || site.edge === 'inner' ? `${site.edge} ${site.name}` : site.name;
}

/** The model that stands in the page. */
export function readModel() {
  return JSON.parse(document.getElementById('model').textContent);
}

/** The next chunk of the page that is there whole, once it is; null behind the last one, and where the file
 * was cut off: the end of the line that a chunk is on is behind it. */
async function modelChunk() {
  for (;;) {
    const loaded = document.readyState !== 'loading';
    const element = document.querySelector('script.chunk');
    if (element?.nextSibling) return element;
    if (loaded) return null;
    await new Promise((resolve) => { setTimeout(resolve, 10); });
  }
}

/** Reads all chunks of the page into `calls` while they come, with pauses for pictures; `progress(0..1)`. */
export async function readChunks(calls, progress) {
  let shown = performance.now();
  for (let element = await modelChunk(); element; element = await modelChunk()) {
    element.remove();
    const [columns, values] = element.textContent.split(' ');
    calls.append({...await modelUnpack(columns), values});
    if (performance.now() - shown < 50) continue;
    progress(Math.min(0.999, calls.n / calls.run.calls));
    await new Promise((resolve) => { setTimeout(resolve); });
    shown = performance.now();
  }
  progress(1);
}
