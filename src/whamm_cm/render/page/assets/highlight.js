/** Words of a program's text, by what they are: enough of any language to find one's way. */

const HIGHLIGHT_WORDS = new Set(`abstract alignas as asm assert async await auto bool break case catch char class
 const constexpr continue crate debugger def default defer delete do double dyn elif else enum except export extends
 extern false final finally float fn for from func function go goto if impl implements import in inline int interface
 is lambda let long loop match mod module move mut mutable namespace new nil None not null nullptr operator or and
 override package pass private protected pub public raise range ref register return self Self short signed sizeof
 static static_assert struct super switch template this throw trait true True False try type typedef typename union
 unsafe unsigned use using var virtual void volatile where while with yield`.split(/\s+/));
const HIGHLIGHT_HASH = /\.(?:py|rb|sh|toml|ya?ml|nim|pl|r)$/i;
const HIGHLIGHT_C = new RegExp([
  String.raw`(\/\/.*$|\/\*.*?(?:\*\/|$))`,
  String.raw`("(?:[^"\\]|\\.)*"?|\`(?:[^\`\\]|\\.)*\`?|'(?:[^'\\]|\\.)'|'\\[^']{1,9}')`,
  String.raw`(\b\d[\w.]*)`,
  String.raw`([A-Za-z_]\w*)`,
].join('|'), 'g');
const HIGHLIGHT_PY = new RegExp([
  String.raw`(#.*$)`,
  String.raw`("(?:[^"\\]|\\.)*"?|'(?:[^'\\]|\\.)*'?)`,
  String.raw`(\b\d[\w.]*)`,
  String.raw`([A-Za-z_]\w*)`,
].join('|'), 'g');
/** A longer line is no source that somebody wrote. */
const HIGHLIGHT_LONGEST = 2000;

/**
 * Takes the lines of a file in order; for each, `line(text)` is a list of [kind, text]: `comment`,
 * `string`, `number`, `word` or ''.  `inside` says whether a comment goes on from the line before.
 */
export class Highlighter {
  constructor(file, inside = false) {
    this.hash = HIGHLIGHT_HASH.test(file);
    this.inside = inside && !this.hash;
  }

  line(text) {
    if (text.length > HIGHLIGHT_LONGEST) return [['', text]];
    const found = [];
    let at = 0;
    if (this.inside) {
      const end = text.indexOf('*/');
      this.inside = end < 0;
      at = end < 0 ? text.length : end + 2;
      found.push(['comment', text.slice(0, at)]);
    }
    const pattern = this.hash ? HIGHLIGHT_PY : HIGHLIGHT_C;
    pattern.lastIndex = at;
    for (let match = pattern.exec(text); match; match = pattern.exec(text)) {
      const [whole, comment, string, number] = match;
      if (match.index > at) found.push(['', text.slice(at, match.index)]);
      found.push([highlightKind(whole, comment, string, number), whole]);
      this.inside = Boolean(comment?.startsWith('/*')) && !/^\/\*.*\*\/$/.test(comment);
      at = match.index + whole.length;
      if (this.inside) break;
    }
    if (at < text.length) found.push(['', text.slice(at)]);
    return found;
  }
}

function highlightKind(whole, comment, string, number) {
  if (comment !== undefined) return 'comment';
  if (string !== undefined) return 'string';
  if (number !== undefined) return 'number';
  return HIGHLIGHT_WORDS.has(whole) ? 'word' : '';
}
