import { MigrateError } from '../errors.js';
import { nearest, parseDuration } from '../words.js';

/** What was typed wrong: code USAGE, exit 2. */
export const usage = (what: string, why: string, fix: string) => new MigrateError('USAGE', { what, why, fix });

/** One of a few words, or the word that was probably meant. */
export function oneOf<T extends string>(flag: string, words: readonly T[], typed: string): T {
  const found = words.find((it) => it === typed);
  if (found !== undefined) return found;
  const meant = nearest(typed, words);
  throw usage(
    `${flag} can't be "${typed}".`,
    `It is one of: ${words.join(', ')}.`,
    meant === undefined ? `Give one of them.` : `Did you mean ${meant}?`,
  );
}

export function durationOf(flag: string, typed: string): number {
  const ms = parseDuration(typed);
  if (ms !== undefined && ms > 0) return ms;
  throw usage(`${flag} can't be "${typed}".`, 'It is a duration.', 'Write 30s, 10m or 1h30m.');
}

export function percentOf(flag: string, typed: string): number {
  const found = /^(\d+(?:\.\d+)?)\s*%?$/.exec(typed);
  const value = found ? Number(found[1]) : Number.NaN;
  if (value >= 0 && value <= 100) return value;
  throw usage(
    `${flag} can't be "${typed}".`,
    'It is the percentage of new connections that the target shall get.',
    'Give a number from 0 to 100, e.g. --to 20.',
  );
}

export function wholeNumber(flag: string, typed: string): number {
  if (/^\d{1,15}$/.test(typed)) return Number(typed);
  throw usage(`${flag} can't be "${typed}".`, 'It is a whole number.', `Write e.g. ${flag} 7.`);
}
