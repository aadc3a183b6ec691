import type { Json } from '../types.js';
import { refuse } from './errors.js';

/** The parameters of one call, as strings, the way the RPC gateway hands them on. An empty string counts as left out. */
export interface Parameters {
  readonly raw: Readonly<Record<string, string>>;
  text(name: string): string | undefined;
  required(name: string): string;
  /** refused as `Invalid<name>` unless it is a whole number between the two */
  integer(name: string, min: number, max: number): number | undefined;
  flag(name: string): boolean | undefined;
  oneOf<T extends string>(name: string, values: readonly T[]): T | undefined;
  /** `Name.1`, `Name.2`, … in order of their numbers; undefined when there is none */
  list(name: string): string[] | undefined;
  /** `Tag.1.Key`, `Tag.1.Value`, …; undefined when there is none. A missing value is undefined: a filter by key alone. */
  tags(): { key: string; value: string | undefined }[] | undefined;
  /** `Servers.1.ServerId`, `Servers.1.Port`, … as one record each, in order of their numbers; undefined when there is none */
  entries(name: string): Record<string, string>[] | undefined;
  /** a parameter that carries JSON as a string */
  json(name: string): Json;
  /** a JSON array of strings, e.g. DiskIds */
  ids(name: string, max?: number): string[] | undefined;
}

const lowerFirst = (name: string): string => name.charAt(0).toLowerCase() + name.slice(1);

export const missing = (name: string): never => refuse(400, `Missing${name}`, `${name} is mandatory for this action.`);

export const invalid = (name: string, why = `The specified parameter "${name}" is not valid.`): never =>
  refuse(400, `Invalid${name}`, why);

/** How a product refuses a parameter. */
export interface Refusals {
  missing(name: string): never;
  invalid(name: string, why?: string): never;
}

export function parameters(
  raw: Readonly<Record<string, string>>,
  refusals: Refusals = { missing, invalid },
): Parameters {
  const text = (name: string): string | undefined => {
    // A few parameters are lower-case on the wire against the rule, `healthCheckInterval` for one.
    const value = raw[name] ?? raw[lowerFirst(name)];
    return value === '' ? undefined : value;
  };

  const numbered = (name: string): Map<number, Map<string, string>> => {
    const found = new Map<number, Map<string, string>>();
    const prefix = `${name}.`;
    for (const [key, value] of Object.entries(raw)) {
      if (!key.startsWith(prefix)) continue;
      const [index = '', field = ''] = key.slice(prefix.length).split('.');
      if (!/^\d+$/.test(index)) continue;
      const entry = found.get(Number(index)) ?? new Map<string, string>();
      entry.set(field, value);
      found.set(Number(index), entry);
    }
    return new Map([...found].sort(([a], [b]) => a - b));
  };

  const json = (name: string): Json => {
    const value = text(name);
    if (value === undefined) return undefined;
    try {
      return JSON.parse(value);
    } catch {
      return refusals.invalid(name, `The specified ${name} is not valid JSON.`);
    }
  };

  return {
    raw,
    text,
    required: (name) => text(name) ?? refusals.missing(name),
    integer(name, min, max) {
      const value = text(name);
      if (value === undefined) return undefined;
      const number = /^-?\d+$/.test(value) ? Number(value) : Number.NaN;
      return number >= min && number <= max ? number : refusals.invalid(name);
    },
    flag(name) {
      const value = text(name)?.toLowerCase();
      if (value === undefined) return undefined;
      return value === 'true' ? true : value === 'false' ? false : refusals.invalid(name);
    },
    oneOf(name, values) {
      const value = text(name);
      if (value === undefined) return undefined;
      return values.find((it) => it === value) ?? refusals.invalid(name);
    },
    list(name) {
      const found = [...numbered(name).values()].map((entry) => entry.get('') ?? '');
      return found.length > 0 ? found : undefined;
    },
    tags() {
      const found = [...numbered('Tag').values()].map((entry) => ({
        // ECS knows both `Tag.1.Key` and, older, `Tag.1.key`.
        key: entry.get('Key') ?? entry.get('key') ?? '',
        value: entry.get('Value') ?? entry.get('value'),
      }));
      return found.length > 0 ? found : undefined;
    },
    entries(name) {
      const found = [...numbered(name).values()].map((entry) => Object.fromEntries(entry));
      return found.length > 0 ? found : undefined;
    },
    json,
    ids(name, max = 100) {
      const value = text(name);
      if (value === undefined) return undefined;
      const malformed = (): never => refuse(400, `Invalid${name}.Malformed`, `The specified ${name} is not valid.`);
      let list: Json;
      try {
        list = JSON.parse(value);
      } catch {
        return malformed();
      }
      const wellFormed = Array.isArray(list) && list.length <= max && list.every((it) => typeof it === 'string');
      return wellFormed ? list : malformed();
    },
  };
}
