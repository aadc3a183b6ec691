import type { Json } from '../types.js';

const STEP =
  /^(?:\.([^.[\]\\]+(?:\\\.[^.[\]\\]*)*)|\['([^']+)'\]|\[(\d+|\*)\]|\[\?\(@\.([\w.]+)\s*==\s*["']([^"']*)["']\)\])/;

/**
 * The first value at a JSONPath of the kind that definitions of custom resources name columns by: fields, indexes, `[*]` and
 * `[?(@.type=="Ready")]`.
 */
export function firstAt(value: Json, path: string): Json {
  let found: Json[] = [value];
  let rest = path.startsWith('.') || path.startsWith('[') ? path : `.${path}`;
  while (rest !== '' && found.length > 0) {
    const step = STEP.exec(rest);
    if (!step) return undefined;
    const [whole, field, quoted, index, key, wanted] = step;
    const name = (field ?? quoted)?.replaceAll('\\.', '.');
    found = found.flatMap((it) => {
      if (name !== undefined) return present(it?.[name]);
      if (!Array.isArray(it)) return [];
      if (index === '*') return it;
      if (index !== undefined) return present(it[Number(index)]);
      return it.filter((item) => String(key!.split('.').reduce((here, part) => here?.[part], item)) === wanted);
    });
    rest = rest.slice(whole.length);
  }
  return found[0];
}

const present = (value: Json): Json[] => (value === undefined || value === null ? [] : [value]);
