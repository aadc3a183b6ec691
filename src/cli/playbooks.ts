import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { MigrateError } from '../errors.js';
import type { Playbook } from '../playbook.js';
import { nearest } from '../words.js';

const DEFAULT_PLAYBOOK = 'migrate.yaml';
const FOLDER = 'playbooks';

/**
 * The playbook's file: a path as typed, or a name that stands for playbooks/NAME.yaml; without either, migrate.yaml here.
 *
 * @param shipped  the package's own folder, for commands that touch nothing real: `migrate rehearse shop` runs from anywhere
 * @throws MigrateError PLAYBOOK_MISSING
 */
export function findPlaybook(typed: string | undefined, shipped?: string): string {
  const named = typed ?? DEFAULT_PLAYBOOK;
  const here = [named, ...(isName(named) ? [path.join(FOLDER, `${named}.yaml`)] : [])];
  const there =
    shipped === undefined || path.isAbsolute(named) || typed === undefined
      ? []
      : here.map((it) => path.join(shipped, '..', it)).filter((it) => path.dirname(it) === path.resolve(shipped));
  const found = [...here, ...there].find((it) => existsSync(it));
  if (found !== undefined) return found;
  const known = readdirSync(existsSync(FOLDER) ? FOLDER : '.').filter(
    (it) => /\.ya?ml$/.test(it) && !it.includes('.world.'),
  );
  const meant = nearest(
    path.basename(named).replace(/\.ya?ml$/, ''),
    known.map((it) => it.replace(/\.ya?ml$/, '')),
  );
  throw new MigrateError('PLAYBOOK_MISSING', {
    what: typed === undefined ? `There is no ${DEFAULT_PLAYBOOK} here.` : `There is no playbook "${typed}".`,
    why: `Looked for ${[...here, ...there].join(', ')}.`,
    fix:
      meant === undefined
        ? 'Name one with --playbook FILE, or write one: `migrate init`.'
        : `Did you mean ${meant}? Name it with --playbook FILE.`,
  });
}

const isName = (text: string) => /^[-\w.]+$/.test(text) && !/\.(?:ya?ml|json)$/.test(text);

/** @throws MigrateError PLAYBOOK_UNREADABLE, PLAYBOOK_INVALID */
export async function readPlaybook(file: string): Promise<Playbook> {
  const text = readText(file, 'PLAYBOOK_UNREADABLE', 'The playbook');
  const { parsePlaybook } = await import('../playbook.js');
  return parsePlaybook(text, file);
}

export function readText(file: string, code: string, what: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    const reason = (error as NodeJS.ErrnoException).code;
    throw new MigrateError(code, {
      what: `${what} ${file} can't be read.`,
      why:
        reason === 'ENOENT'
          ? 'There is no such file.'
          : reason === 'EISDIR'
            ? 'It is a directory.'
            : reason === 'EACCES'
              ? 'Its permissions forbid it.'
              : String(reason),
      fix: 'Check the path.',
    });
  }
}
