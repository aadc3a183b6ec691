import type { DatabaseOf } from '../databases.js';
import { MigrateError } from '../errors.js';
import type { Side } from '../ports.js';
import type { DatabasePair, Settings, Standing } from '../standing.js';
import { call, type DatabaseOptions } from './wire.js';

/**
 * Any other database, by a program of the operator's. It is asked one question a call, as JSON on its standard input:
 * `{ "verb", "database", "side", … }`, and answers in JSON on its standard output. Passwords are its own business. What each verb must do is
 * what DatabasePair says of the method of that name; docs/databases.md has the list.
 */
export function execPair(database: DatabaseOf<'exec'>, { programs, tap }: DatabaseOptions): DatabasePair {
  async function ask<T>(verb: string, writes: boolean, side: Side, more: object = {}, deadlineMs = 60_000): Promise<T> {
    const question = { verb, database: database.name, side, ...more };
    const answer = await tap(call(side, verb, writes), () => programs.run(database.hook, question, deadlineMs));
    try {
      return (answer.trim() === '' ? {} : JSON.parse(answer)) as T;
    } catch {
      throw new MigrateError('DB_HOOK_ANSWER', {
        what: `${database.name}: the hook's answer to ${verb} is not JSON.`,
        why: `It wrote ${answer.trim().length} characters of something else.`,
        fix: 'Mend the program: docs/databases.md says what it is asked and must answer.',
      });
    }
  }
  const act = async (verb: string, side: Side, more?: object, deadlineMs?: number) =>
    void (await ask(verb, true, side, more, deadlineMs));

  return {
    async look(side) {
      const it = await ask<Partial<Standing>>('look', false, side);
      if (typeof it.writable !== 'boolean' || typeof it.follows !== 'boolean') {
        throw new MigrateError('DB_HOOK_ANSWER', {
          what: `${database.name}: the hook's answer to look lacks \`writable\` or \`follows\`.`,
          why: 'Where a switch-over stands is decided by these two of both sides.',
          fix: 'Mend the program: docs/databases.md says what it is asked and must answer.',
        });
      }
      return { ...it, writable: it.writable, follows: it.follows };
    },
    unfit: async (side) => (await ask<{ unfit?: string[] }>('unfit', false, side)).unfit ?? [],
    settings: async (side) => (await ask<{ settings?: Settings }>('settings', false, side)).settings ?? {},
    position: async (side) =>
      String((await ask<{ position?: string | number }>('position', false, side)).position ?? ''),
    reached: async (side, position, withinMs) =>
      (await ask<{ reached?: boolean }>('reached', false, side, { position, withinMs }, withinMs + 30_000)).reached ===
      true,
    fence: (side, withinMs) => act('fence', side, { withinMs }, withinMs + 30_000),
    unfence: (side, settings) => act('unfence', side, { settings }),
    dropClients: (side) => act('dropClients', side),
    build: (side) => act('build', side, {}, 24 * 3_600_000),
    follow: (side) => act('follow', side),
    unfollow: (side) => act('unfollow', side),
    async close() {},
  };
}
