import type { Passing } from './args.js';
import { kindAfter } from './convert.js';
import { splitPath } from './objects.js';
import type { Kind, ObjectRef } from './ports.js';

/** One object on its way, with its name on both sides. */
export interface One {
  /** as the source has it */
  kind: Kind;
  /** apiVersion in which it arrives */
  to: string;
  /** on the source, with the version in which it is asked for */
  from: ObjectRef & { version?: string };
  /** on the target */
  ref: ObjectRef;
  resource: string;
}

export const allObjects = (passing: readonly Passing[]): One[] =>
  passing.flatMap(({ kind, from, to, resource, objects }) =>
    objects.map((path) => ({
      kind,
      to,
      resource,
      from: { kind, ...refIn(path), ...(from !== undefined && { version: from.slice(from.indexOf('/') + 1) }) },
      ref: { kind: kindAfter(kind, to), ...refIn(path) },
    })),
  );

/** `namespace/name`, or a name */
export const refIn = (path: string): { namespace?: string; name: string } =>
  path.includes('/') ? splitPath(path) : { name: path };
