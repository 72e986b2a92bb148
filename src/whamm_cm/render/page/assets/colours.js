/** Colours: one hue for each package of interfaces, the same in every view. */

const HUES = [212, 28, 145, 338, 262, 186, 52, 8, 96, 300];
const colourKnown = new Map();

/** What decides the hue: the package of an interface (`wasi:http`), else the name itself. */
export function colourKey(name) {
  const found = /^(?:export |inner )?([a-z0-9-]+:[a-z0-9-]+)/.exec(name);
  return found ? found[1] : name;
}

function colourHue(name) {
  const key = colourKey(name);
  let hue = colourKnown.get(key);
  if (hue === undefined) {
    let hash = 2166136261;
    for (let i = 0; i < key.length; i += 1) hash = Math.imul(hash ^ key.charCodeAt(i), 16777619) >>> 0;
    hue = HUES[hash % HUES.length];
    if (colourKnown.size > 10000) colourKnown.clear();
    colourKnown.set(key, hue);
  }
  return hue;
}

/** Whether the page is dark now. */
export function isDark() {
  return document.documentElement.dataset.theme === 'dark';
}

/** Fill of what has this name; text on it is `textOn()`. */
export function colourOf(name) {
  return isDark() ? `hsl(${colourHue(name)} 45% 33%)` : `hsl(${colourHue(name)} 68% 80%)`;
}

/** A stronger one of the same hue, for lines and small marks. */
export function strongColourOf(name) {
  return isDark() ? `hsl(${colourHue(name)} 60% 65%)` : `hsl(${colourHue(name)} 70% 38%)`;
}

/** Colour of text on a fill of `colourOf`. */
export function textOn() {
  return isDark() ? '#f2f4f8' : '#14171c';
}

/** A colour of base.css, such as `--bad`, for canvas. */
export function cssColour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}
