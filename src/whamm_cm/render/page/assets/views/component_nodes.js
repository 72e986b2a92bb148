/** What is in a component as one tree of nodes with sizes: parts, sections, functions by their namespaces. */

/** Names of custom sections that only tools read. */
const COMPONENT_TOOLS = new RegExp('^(?:name|component-name|\\.debug_.*|sourceMappingURL|external_debug_info'
  + '|producers|\\.dep-v0|dylink.*|target_features|linking|reloc\\..*)$');
/** With fewer functions than these there is no need for groups. */
const COMPONENT_GROUPED = 40;

/**
 * One rectangle of the treemap, one row of the tree.  `kind`: component, module, section, group, function, data
 * or rest; `about`: what it holds (code, data, tools, types, parts); `part`: position of its part; `index`: of a
 * function.
 */
export class ComponentNode {
  constructor(kind, name, size, id, about, part, index = -1) {
    Object.assign(this, {kind, name, size, id, about, part, index, parent: null, children: [], below: 0});
  }

  add(node) {
    node.parent = this;
    this.children.push(node);
    return node;
  }

  /** From the root to this one. */
  path() {
    return this.parent ? [...this.parent.path(), this] : [this];
  }

  holds(other) {
    for (let at = other; at; at = at.parent) if (at === this) return true;
    return false;
  }
}

/** The tree of `component` (the model's); `insides`: of parts by position, as far as they are read. */
export function componentTree(component, insides) {
  const nodes = component.parts.map((part, at) => componentPart(part, at, insides.get(at)));
  for (const [at, part] of component.parts.entries()) if (part.in >= 0) nodes[part.in].add(nodes[at]);
  for (const node of nodes) componentRest(node, 'heads of sections');
  const root = nodes[0];
  root.name = component.file;
  const byId = new Map();
  const all = [];
  componentIndex(root, byId, all);
  return {root, byId, all, parts: nodes};
}

function componentIndex(root, byId, all) {
  const stack = [root];
  while (stack.length) {
    const node = stack.pop();
    byId.set(node.id, node);
    all.push(node);
    node.children.sort((a, b) => b.size - a.size || (a.name < b.name ? -1 : 1));
    for (let at = node.children.length - 1; at >= 0; at -= 1) stack.push(node.children[at]);
  }
}

/** What the children leave of a node's bytes. */
function componentRest(node, name) {
  const inside = node.children.reduce((sum, each) => sum + each.size, 0);
  if (node.children.length && node.size > inside) {
    node.add(new ComponentNode('rest', name, node.size - inside, `${node.id}/…`, 'types', node.part));
  }
}

function componentPart(part, at, inside) {
  const id = part.path || 'root';
  const node = new ComponentNode(part.kind, part.name ?? part.path, part.size, id, 'parts', at);
  for (const [place, [name, size, , custom]] of part.sections.entries()) {
    const about = componentAbout(name, custom);
    const section = node.add(new ComponentNode('section', name, size, `${id}/${name}${custom ? `:${place}` : ''}`,
      about, at));
    if (inside && !custom && name === 'code') componentFunctions(section, inside);
    if (inside && !custom && name === 'data' && inside.data.length > 1) componentSegments(section, inside);
  }
  return node;
}

function componentAbout(name, custom) {
  if (custom) return COMPONENT_TOOLS.test(name) ? 'tools' : 'data';
  return name === 'code' ? 'code' : name === 'data' ? 'data' : 'types';
}

function componentSegments(section, inside) {
  for (const [index, [mode, size]] of inside.data.entries()) {
    section.add(new ComponentNode('data', `${mode} segment ${index}`, size, `${section.id}/${index}`, 'data',
      section.part));
  }
  componentRest(section, 'heads of segments');
}

/** How a function is called where it has no name. */
export function componentFunctionName(inside, place) {
  return inside.names[place] || `func[${inside.first + place}]`;
}

function componentFunctions(section, inside) {
  const groups = new Map();
  const grouped = inside.names.length > COMPONENT_GROUPED;
  for (let place = 0; place < inside.names.length; place += 1) {
    const index = inside.first + place;
    const name = componentFunctionName(inside, place);
    const node = new ComponentNode('function', name, inside.sizes[place], `${section.id}/f${index}`, 'code',
      section.part, index);
    const names = grouped ? componentNamespaces(inside.names[place]) : [];
    let at = groups;
    for (const one of names) {
      if (!at.has(one)) at.set(one, new Map());
      at = at.get(one);
    }
    at.set(node, null);
  }
  componentGroup(section, groups, section.id);
  componentRest(section, 'sizes of bodies');
}

/** Of Rust's and C++'s names the first two namespaces, of C's what is in front of the first `_`. */
function componentNamespaces(name) {
  if (!name) return ['without a name'];
  const found = /^[<&*(]*(?:mut |dyn |const )?([\w$]+(?:\.[\w$]+)*)::(?:([\w$]+)::)?/.exec(name);
  if (found) return found[2] ? [`${found[1]}::`, `${found[1]}::${found[2]}::`] : [`${found[1]}::`];
  const prefix = /^(_*[A-Za-z][A-Za-z0-9]+)_/.exec(name);
  return prefix ? [`${prefix[1]}_…`] : [];
}

/** A group of one is no group. */
function componentGroup(node, groups, id) {
  for (const [key, inner] of groups) {
    if (inner === null) {
      node.add(key);
      continue;
    }
    const only = inner.size === 1 ? inner.keys().next().value : null;
    if (only instanceof ComponentNode) {
      node.add(only);
      continue;
    }
    const group = new ComponentNode('group', key, 0, `${id}/${key}`, 'code', node.part);
    componentGroup(group, inner, group.id);
    group.size = group.children.reduce((sum, each) => sum + each.size, 0);
    node.add(group);
  }
}

/** A test of names: a text anywhere in it, or `/regular expression/`; null for no text. */
export function componentMatcher(text) {
  if (!text) return null;
  const pattern = /^\/(.+)\/$/.exec(text);
  if (pattern) {
    try {
      const regex = new RegExp(pattern[1], 'iu');
      return (name) => regex.test(name);
    } catch {
      return () => false; // half a pattern, while it is typed
    }
  }
  const wanted = text.toLowerCase();
  return (name) => name.toLowerCase().includes(wanted);
}

/** The nodes that match, without those inside of one that does. */
export function componentFound(tree, matches) {
  const found = [];
  const stack = [tree.root];
  while (stack.length) {
    const node = stack.pop();
    if (node !== tree.root && node.kind !== 'rest' && matches(node.name)) found.push(node);
    else for (let at = node.children.length - 1; at >= 0; at -= 1) stack.push(node.children[at]);
  }
  return found.sort((a, b) => b.size - a.size);
}
