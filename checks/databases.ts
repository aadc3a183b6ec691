import { Skipped, Unknown, type Sight } from '../src/check.js';
import type { DatabaseSeen } from '../src/inventory.js';

export const aboutDatabase = ({ name }: Pick<DatabaseSeen, 'name'>): string => `database ${name}`;

/**
 * What the servers of each database of the playbook said.
 *
 * @throws Skipped  it names none
 * @throws Unknown  one of them was not asked, or did not answer
 */
export function databasesSeen({ playbook, databases }: Sight): DatabaseSeen[] {
  const named = playbook.data?.databases ?? [];
  if (named.length === 0) throw new Skipped('the playbook names no database');
  const seen = databases();
  const answers = named.map(
    ({ name, kind }) => seen.find((it) => it.name === name) ?? { name, kind, unread: 'it was not asked' },
  );
  const silent = answers.filter((it) => it.unread !== undefined);
  if (silent.length > 0)
    throw new Unknown(silent.map((it) => `${aboutDatabase(it)}: ${it.unread ?? ''}`.replace(/\.$/, '')).join('; '));
  return answers;
}
