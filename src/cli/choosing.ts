import { readdirSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Check } from '../check.js';
import { MigrateError } from '../errors.js';
import type { ReportLine } from '../events.js';
import type { CheckResult, Report } from '../preflight.js';
import { nearest } from '../words.js';

/** Which checks are asked, what counts as failed, and what is new since the last time. */

const usage = (what: string, why: string, fix: string) => new MigrateError('USAGE', { what, why, fix });

/**
 * @param only  ids or groups; all when absent
 * @param skip  ids or groups, taken from those
 * @throws MigrateError USAGE  a name that is neither
 */
export function chooseChecks(
  all: readonly Check[],
  { only, skip = [] }: { only?: readonly string[]; skip?: readonly string[] },
): Check[] {
  const known = [...all.map((it) => it.id), ...new Set(all.map((it) => it.group))];
  for (const name of [...(only ?? []), ...skip]) {
    if (known.includes(name)) continue;
    const meant = nearest(name, known);
    throw usage(
      `There is no check or group "${name}".`,
      meant ? `Did you mean ${meant}?` : 'Names of checks and of groups are taken.',
      'See them all: `migrate explain`.',
    );
  }
  const named = (check: Check, names: readonly string[]) => names.includes(check.id) || names.includes(check.group);
  return all.filter((it) => (only === undefined || named(it, only)) && !named(it, skip));
}

export const FAIL_ON = ['none', 'refuse', 'unknown', 'warn'] as const;
export type FailOn = (typeof FAIL_ON)[number];

/** `unknown`, the default, fails on what is refused and on what could not be seen; `warn` on warnings too. */
export function fails({ counts }: Report, on: FailOn): boolean {
  if (on === 'none') return false;
  if (counts.refuse > 0) return true;
  if (on === 'refuse') return false;
  return counts.unknown > 0 || (on === 'warn' && counts.warn > 0);
}

export interface ReportDiff {
  fresh: ReportLine[];
  gone: ReportLine[];
}

/** What the last report did not have, and what it had and is no more, of the checks that were asked now. Waived findings count as told already. */
export function compareReports(before: Report, now: Report): ReportDiff {
  const [then, today] = [linesOf(before), linesOf(now)];
  const key = ({ check, severity, about }: ReportLine) => `${check} ${severity} ${about}`;
  const keys = (lines: readonly ReportLine[]) => new Set(lines.map(key));
  const [had, has] = [keys(then), keys(today)];
  const asked = new Set(now.results.map((it) => it.check));
  return {
    fresh: today.filter((it) => !had.has(key(it))),
    gone: then.filter((it) => asked.has(it.check) && !has.has(key(it))),
  };
}

const linesOf = ({ results }: Report): ReportLine[] =>
  results.flatMap((result: CheckResult) => {
    if (result.outcome === 'unknown') return [{ check: result.check, severity: 'unknown', about: result.why ?? '' }];
    return result.findings
      .filter((it) => !it.waivedBy)
      .map(({ about, severity }) => ({ check: result.check, severity, about }));
  });

/**
 * The report in a file that `preflight -o json` wrote: the event of type `preflight`.
 * @throws MigrateError REPORT_INVALID
 */
export function reportIn(text: string, file: string): Report {
  for (const line of text.split('\n')) {
    try {
      const event = JSON.parse(line) as { type?: string; report?: Report };
      if (event.type === 'preflight' && event.report) return event.report;
    } catch {
      // Not one of our lines; the next may be.
    }
  }
  throw new MigrateError('REPORT_INVALID', {
    what: `${file} holds no report of a preflight.`,
    why: 'No line of it is an event of type preflight.',
    fix: 'Keep one by `migrate preflight -o json > last.json`, then compare with --diff last.json.',
  });
}

const FIELDS = ['id', 'group', 'asks', 'before', 'severity', 'reads', 'hint', 'look'] as const;

/**
 * Checks of the operator's own: every .js and .mjs file of a folder, each with one check as its default export. They run with the
 * rights of this process, so only a folder named on the command line is ever loaded.
 *
 * @throws MigrateError CHECK_INVALID
 */
export async function loadChecks(dir: string, taken: readonly Check[]): Promise<Check[]> {
  let files: string[];
  try {
    files = readdirSync(dir)
      .filter((it) => /\.m?js$/.test(it))
      .sort();
  } catch {
    throw usage(
      `The folder ${dir} can't be read.`,
      'There is none of that name, or it is not yours to read.',
      'Name a folder with .mjs files, each with one check as its default export.',
    );
  }
  const found: Check[] = [];
  for (const name of files) {
    const file = path.join(dir, name);
    const check = await checkIn(file);
    if ([...taken, ...found].some((it) => it.id === check.id))
      throw invalid(file, `a check "${check.id}" is there already`);
    found.push(check);
  }
  if (found.length === 0)
    throw usage(
      `The folder ${dir} has no checks.`,
      'It holds no .js or .mjs file.',
      'Name a folder with .mjs files, each with one check as its default export.',
    );
  return found;
}

async function checkIn(file: string): Promise<Check> {
  let loaded: { default?: Partial<Check> };
  try {
    loaded = (await import(pathToFileURL(path.resolve(file)).href)) as typeof loaded;
  } catch (error) {
    throw invalid(file, String(error).split('\n')[0] ?? 'it fails while it is loaded');
  }
  const check = loaded.default;
  const lacks = FIELDS.filter((it) => check?.[it] === undefined);
  if (check === undefined || lacks.length > 0) throw invalid(file, `its default export lacks ${lacks.join(', ')}`);
  if (typeof check.look !== 'function') throw invalid(file, '`look` is not a function');
  const { asks = '', hint = { why: '', fix: '' } } = check;
  return { zh: { asks, ...hint }, sources: [], ...check } as Check;
}

const invalid = (file: string, why: string) =>
  new MigrateError('CHECK_INVALID', {
    what: `${file} is no check.`,
    why: `It can't be used: ${why}.`,
    fix: 'CONTRIBUTING.md shows one whole; playbooks/checks/replicas.mjs is an example to start from.',
  });
