/** What the source view knows of a metric: sums of files and folders, how hot a line is. */
import {count} from '../dom.js';

/** A count, also one that is digits; "?": nobody knows. */
export function sourceNumber(value) {
  if (value === '?') return 'unknown';
  return typeof value === 'string' ? BigInt(value).toLocaleString('en-US') : count(value);
}

export function sourceLeaf(path) {
  return path.slice(path.search(/[^/\\]*$/));
}

/** What makes an element a link to a file, at a line if one is given. */
export function sourceLink(ctx, path, line = null) {
  const href = ctx.link({view: 'source', 'source.file': path, 'source.line': line});
  return {href, 'data-file': path, 'data-line': line};
}

/**
 * Of all files by a metric: `files`: Map of file → {values: Map of line → number, unknown: Set of lines, sum, hit,
 * lines}; `whole`: the sum of all, `of(value)`: how hot it is, 0 to 1; `hottest`: lines, those with most first.
 */
export function sourceHeat(model, metric) {
  const files = new Map();
  const hottest = [];
  let most = 0;
  let whole = 0;
  for (const file of model.files) {
    const found = {values: new Map(), unknown: new Set(), sum: 0, hit: 0, lines: 0};
    file.lines.forEach((line, at) => {
      const value = file.values[metric][at];
      if (value === null) return;
      const number = value === '?' ? 0 : Number(value);
      if (value === '?') found.unknown.add(line);
      found.values.set(line, number);
      found.sum += number;
      found.hit += number > 0 ? 1 : 0;
      found.lines += 1;
      most = Math.max(most, number);
      if (number > 0) hottest.push({file, line, value});
    });
    whole += found.sum;
    files.set(file, found);
  }
  hottest.sort((a, b) => Number(b.value) - Number(a.value));
  const of = (value) => (value > 0 && most ? Math.max(Math.log1p(value) / Math.log1p(most), 0.05) : 0);
  return {files, whole, hottest, of, most};
}

/**
 * The folders of the files: {name, folders, files: [{name, file, sum, hit, lines}], sum, open}; `open`: a file in it
 * has a text, or is `chosen`.  Folders with nothing in them but a folder are one with it; the root's name is what all
 * paths begin with.
 */
export function sourceTree(files, heat, chosen) {
  const root = sourceFolder('');
  for (const file of files) {
    const parts = file.path.split(/[/\\]/);
    const {sum, hit, lines} = heat.files.get(file);
    let node = root;
    const add = () => {
      node.sum += sum;
      node.open ||= Boolean(file.text) || file === chosen;
    };
    add();
    for (const part of parts.slice(0, -1)) {
      if (!node.folders.has(part)) node.folders.set(part, sourceFolder(part));
      node = node.folders.get(part);
      add();
    }
    node.files.push({name: parts[parts.length - 1] || file.path, file, sum, hit, lines});
  }
  return sourceShort(root);
}

function sourceFolder(name) {
  return {name, folders: new Map(), files: [], sum: 0, open: false};
}

function sourceShort(node) {
  let now = node;
  let {name} = node;
  while (now.folders.size === 1 && !now.files.length) {
    [now] = now.folders.values();
    name = node.name === '' && name === '' ? now.name || '/' : `${name.replace(/\/$/, '')}/${now.name}`;
  }
  const folders = [...now.folders.values()].map(sourceShort);
  folders.sort((a, b) => b.sum - a.sum || (a.name < b.name ? -1 : 1));
  const files = now.files.sort((a, b) => b.sum - a.sum || (a.name < b.name ? -1 : 1));
  return {name, folders, files, sum: now.sum, open: now.open};
}
